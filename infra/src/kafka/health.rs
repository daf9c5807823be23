//! Whether the bus can be reached, as one client of it sees it, and what the driver says of itself.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use serde::Deserialize;

/// How one client stands with the bus.
pub(super) struct Health {
    /// What the client is for: a label of metrics and a word in the log.
    client: &'static str,
    /// Whether there is a fault, so that good news costs nothing while there is none.
    is_down: AtomicBool,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// Why the newest attempt to connect failed.
    reason: String,
    fault: Option<String>,
}

impl Health {
    pub(super) fn new(client: &'static str) -> Self {
        Self {
            client,
            is_down: AtomicBool::new(false),
            known: Mutex::default(),
        }
    }

    /// What the client is for.
    pub(super) const fn client(&self) -> &'static str {
        self.client
    }

    /// What is wrong now.
    pub(super) fn fault(&self) -> Option<String> {
        self.known().fault.clone()
    }

    /// Something is wrong.
    pub(super) fn fail(&self, fault: String) {
        let mut known = self.known();
        // Every attempt fails in words of its own; one line in the log is enough.
        if known.fault.is_none() {
            tracing::warn!(client = self.client, "{fault}");
        }
        known.fault = Some(fault);
        self.is_down.store(true, Ordering::Release);
    }

    /// The bus has answered.
    pub(super) fn reached(&self) {
        if !self.is_down.load(Ordering::Acquire) {
            return;
        }
        let mut known = self.known();
        self.is_down.store(false, Ordering::Release);
        if known.fault.take().is_some() {
            tracing::info!(client = self.client, "kafka: reached again");
        }
    }

    /// Takes an error of the driver that belongs to no call, and says whether no broker can be reached any more.
    pub(super) fn error(&self, error: &KafkaError, reason: &str) -> bool {
        let code = error.rdkafka_error_code();
        match code {
            Some(RDKafkaErrorCode::AllBrokersDown) => {
                let known = self.known().reason.clone();
                let reason = if known.is_empty() { reason } else { &known };
                self.fail(format!("kafka: cannot be reached: {reason}"));
            }
            Some(
                RDKafkaErrorCode::BrokerTransportFailure
                | RDKafkaErrorCode::Resolve
                | RDKafkaErrorCode::Authentication
                | RDKafkaErrorCode::OperationTimedOut,
            ) => reason.clone_into(&mut self.known().reason),
            // The rest belongs to a call or to a partition, and is told there.
            Some(_) | None => tracing::debug!(client = self.client, "the driver says {error}: {reason}"),
        }
        code == Some(RDKafkaErrorCode::AllBrokersDown)
    }

    /// Takes the driver's figures, and says whether the client is surely a member of no group.
    pub(super) fn figures(&self, text: &[u8]) -> bool {
        let figures: Figures<'_> = match serde_json::from_slice(text) {
            Ok(figures) => figures,
            Err(error) => {
                tracing::warn!(
                    client = self.client,
                    "the figures of the driver cannot be read: {error}"
                );
                return false;
            }
        };
        if figures.brokers.values().any(|broker| broker.state == "UP") {
            self.reached();
        }
        figures.cgrp.is_some_and(|group| group.join_state == "init")
    }

    /// A line of the driver's own log. That the bus cannot be reached is said once, by `fail`, and not at every attempt.
    pub(super) fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        let (client, is_quiet) = (self.client, QUIET.contains(&facility));
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
                tracing::error!(client, "kafka driver: {facility}: {text}");
            }
            RDKafkaLogLevel::Error | RDKafkaLogLevel::Warning if !is_quiet => {
                tracing::warn!(client, "kafka driver: {facility}: {text}");
            }
            RDKafkaLogLevel::Notice if !is_quiet => tracing::info!(client, "kafka driver: {facility}: {text}"),
            RDKafkaLogLevel::Error
            | RDKafkaLogLevel::Warning
            | RDKafkaLogLevel::Notice
            | RDKafkaLogLevel::Info
            | RDKafkaLogLevel::Debug => tracing::debug!(client, "kafka driver: {facility}: {text}"),
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the driver calls lines of lost connections and of requests that it sends again by itself; of a session that ended with
/// them, and of an acknowledgement that the group did not take, which is a hint; and of leaders that a broker does not know
/// while it starts, among which the driver names partitions that there never were.
const QUIET: [&str; 9] = [
    "FAIL",
    "ERROR",
    "GETPID",
    "REQTMOUT",
    "TERMINATE",
    "COORDQUERY",
    "SESSTMOUT",
    "COMMITFAIL",
    "METADATAUPDATE",
];

/// Of the driver's figures those that are used.
#[derive(Deserialize)]
struct Figures<'a> {
    #[serde(borrow, default)]
    brokers: HashMap<Cow<'a, str>, BrokerFigures<'a>>,
    #[serde(borrow, default)]
    cgrp: Option<GroupFigures<'a>>,
}

#[derive(Deserialize)]
struct GroupFigures<'a> {
    #[serde(borrow)]
    join_state: Cow<'a, str>,
}

#[derive(Deserialize)]
struct BrokerFigures<'a> {
    #[serde(borrow)]
    state: Cow<'a, str>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn down(health: &Health) {
        let lost = KafkaError::Global(RDKafkaErrorCode::BrokerTransportFailure);
        health.error(&lost, "127.0.0.1:1/bootstrap: Connection refused");
        assert_eq!(health.fault(), None, "one broker of several may be gone");
        health.error(
            &KafkaError::Global(RDKafkaErrorCode::AllBrokersDown),
            "1/1 brokers are down",
        );
    }

    #[test]
    fn a_fault_says_why_and_ends() {
        let health = Health::new("test");
        assert_eq!(health.fault(), None);
        down(&health);
        let fault = "kafka: cannot be reached: 127.0.0.1:1/bootstrap: Connection refused".to_owned();
        assert_eq!(health.fault(), Some(fault));
        health.reached();
        assert_eq!(health.fault(), None);
    }

    #[test]
    fn figures_of_a_broker_that_is_up_end_a_fault() {
        let health = Health::new("test");
        down(&health);
        health.figures(br#"{"type":"consumer","brokers":{"a/1":{"state":"TRY_CONNECT"}},"topics":{}}"#);
        assert!(health.fault().is_some());
        health.figures(br#"{"type":"consumer","brokers":{"a/1":{"state":"UP","x":1}}}"#);
        assert_eq!(health.fault(), None);
        assert!(!health.figures(b"nonsense"));
    }

    #[test]
    fn figures_say_whether_the_client_is_in_a_group() {
        let health = Health::new("test");
        let is_out = |state: &str| {
            health.figures(format!(r#"{{"type":"consumer","cgrp":{{"join_state":"{state}"}}}}"#).as_bytes())
        };
        assert!(is_out("init"));
        assert!(!is_out("steady"));
        assert!(!is_out("wait-unassign-to-complete"));
    }
}
