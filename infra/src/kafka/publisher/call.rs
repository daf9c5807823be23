//! What became of the records of one call.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::ProducerContext;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use crate::kafka::health::Health;
use crate::kafka::metrics;

/// Records that were handed to the driver together.
#[derive(Default)]
pub(super) struct Call {
    /// Those of which nothing is known yet.
    open: AtomicUsize,
    failure: Mutex<Option<KafkaError>>,
    changed: Notify,
}

impl Call {
    /// A record is handed over.
    pub(super) fn begins(&self) {
        self.open.fetch_add(1, Ordering::AcqRel);
    }

    /// The driver did not take it.
    pub(super) fn never_began(&self) {
        self.open.fetch_sub(1, Ordering::AcqRel);
    }

    /// The first record that was not acknowledged, and why.
    pub(super) fn check(&self) -> Result<(), KafkaError> {
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone();
        failure.map_or(Ok(()), Err)
    }

    /// Once all were handed over: waits until all records are acknowledged, or the first one is not.
    pub(super) async fn delivered(&self) -> Result<(), KafkaError> {
        loop {
            let changed = self.changed.notified();
            self.check()?;
            if self.open.load(Ordering::Acquire) == 0 {
                return Ok(());
            }
            changed.await;
        }
    }

    /// Waits until the driver has nothing of this call any more.
    pub(super) async fn settled(&self) {
        loop {
            let changed = self.changed.notified();
            if self.open.load(Ordering::Acquire) == 0 {
                return;
            }
            changed.await;
        }
    }

    fn take(&self, outcome: Result<(), KafkaError>) {
        let has_failed = outcome.is_err();
        if let Err(error) = outcome {
            let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
            failure.get_or_insert(error);
        }
        let left = self.open.fetch_sub(1, Ordering::AcqRel) - 1;
        if has_failed || left == 0 {
            self.changed.notify_waiters();
        }
    }
}

/// Takes the driver's reports of what became of records.
pub(super) struct Deliveries {
    health: Arc<Health>,
    /// Something left the driver's queue.
    room: Notify,
}

impl Deliveries {
    pub(super) fn new(health: &Arc<Health>) -> Self {
        Self {
            health: Arc::clone(health),
            room: Notify::new(),
        }
    }

    /// The next time that something leaves the driver's queue.
    pub(super) fn room(&self) -> Notified<'_> {
        self.room.notified()
    }
}

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, fac: &str, log_message: &str) {
        self.health.log(level, fac, log_message);
    }

    fn stats_raw(&self, statistics: &[u8]) {
        self.health.figures(statistics);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.health.error(&error, reason);
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Arc<Call>;

    fn delivery(&self, result: &DeliveryResult<'_>, call: Self::DeliveryOpaque) {
        match result {
            Ok(_) => {
                self.health.reached();
                call.take(Ok(()));
            }
            Err((error, _)) => {
                let code = error.rdkafka_error_code();
                // What was given up with another record is no error of the bus.
                if !matches!(
                    code,
                    Some(RDKafkaErrorCode::PurgeQueue | RDKafkaErrorCode::PurgeInflight)
                ) {
                    ::metrics::counter!(metrics::DELIVERY_ERRORS, "topic" => "events").increment(1);
                }
                call.take(Err(error.clone()));
            }
        }
        self.room.notify_waiters();
    }
}
