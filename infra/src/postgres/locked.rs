//! Slices held until commit.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use cocotalk_application::error::StoreError;
use cocotalk_application::port::event_log::{
    CommandKey, LockedLog, LogReader, Probe, RecordedEvent, Unit, UnitOutcome,
};
use cocotalk_domain::stream::{Slice, StreamId};
use sqlx::Executor as _;
use sqlx::postgres::PgConnection;
use tokio::runtime::Handle;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::append::Arrays;
use super::bell::Bell;
use super::database::Database;
use super::error::{late, of_store};
use super::log::PostgresEventLog;
use super::mender::Health;
use super::pool::Loan;
use super::reads::{about, decode_all, load, probe};
use crate::encoding::EncodedUnit;

/// A transaction that holds the rows of some slices.
pub(super) struct Locked {
    /// None after an error, which is the end of the transaction.
    held: Mutex<Option<Loan>>,
    /// Until when it may be held: nobody else can append meanwhile.
    until: Instant,
    database: Database,
    health: Arc<Health>,
    bell: Bell,
    tasks: TaskTracker,
}

impl Locked {
    pub(super) async fn take(log: &PostgresEventLog, slices: &BTreeSet<Slice>) -> Result<Self, StoreError> {
        let settings = log.database.settings();
        let locked = async {
            let mut loan = log.database.locker().await?;
            let text = begin(slices);
            let begun = async |connection: &mut PgConnection| connection.execute(&*text).await;
            if let Err(error) = loan.session().run(settings.statement(), begun).await {
                loan.session().close();
                return Err(error);
            }
            Ok(loan)
        };
        let locked = locked.await;
        log.database.note(locked.as_ref().err());
        Ok(Self {
            held: Mutex::new(Some(locked.map_err(of_store)?)),
            until: Instant::now() + settings.held(),
            database: log.database.clone(),
            health: Arc::clone(&log.health),
            bell: log.bell.clone(),
            tasks: log.tasks.clone(),
        })
    }

    /// Does something inside the transaction.
    async fn run<T>(
        &self,
        what: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, sqlx::Error> {
        let mut held = self.held.lock().await;
        let left = self.until.saturating_duration_since(Instant::now());
        // Taken out, so that the lock is gone if the caller does not wait for the end.
        let Some(mut loan) = held.take() else {
            return Err(lost());
        };
        if left.is_zero() {
            loan.session().close();
            return Err(lost());
        }
        let time = left.min(self.database.settings().statement());
        let done = loan.session().run(time, what).await;
        match &done {
            Ok(_) => *held = Some(loan),
            Err(error) => {
                loan.session().close();
                self.database.note(Some(error));
            }
        }
        done
    }

    async fn append(&self, unit: &EncodedUnit) -> Result<UnitOutcome, sqlx::Error> {
        let appended = self
            .run(async |connection| {
                let outcomes = Arrays::of(&[unit]).append(connection).await?;
                let wins = outcomes
                    .iter()
                    .all(|outcome| matches!(outcome, UnitOutcome::Appended { .. }));
                connection.execute(if wins { "COMMIT" } else { "ROLLBACK" }).await?;
                Ok(outcomes)
            })
            .await;
        // The transaction is over: the connection goes back.
        drop(self.held.lock().await.take());
        appended.map(|mut outcomes| outcomes.remove(0))
    }
}

fn lost() -> sqlx::Error {
    late("what was to be done under lock")
}

/// Whoever commits in another slice at this very moment may be carrying out the same command.
fn is_repetition(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::constraint)
        == Some("events_command")
}

/// Begins a transaction and locks slices in order, in one round trip.
fn begin(slices: &BTreeSet<Slice>) -> String {
    if slices.is_empty() {
        return "BEGIN".to_owned();
    }
    let slices: Vec<String> = slices.iter().map(Slice::to_string).collect();
    let slices = slices.join(", ");
    format!("BEGIN; SELECT 1 FROM slice_head WHERE slice IN ({slices}) ORDER BY slice FOR UPDATE")
}

/// Dropped without a commit: everything is taken back, beside, and the connection can be used again.
impl Drop for Locked {
    fn drop(&mut self) {
        let Some(mut loan) = self.held.get_mut().take() else {
            return;
        };
        let time = self.database.settings().connect();
        let Ok(runtime) = Handle::try_current() else {
            loan.session().close();
            return;
        };
        let take_back = async move {
            let taken = loan
                .session()
                .run(time, async |connection| connection.execute("ROLLBACK").await);
            if let Err(error) = taken.await {
                tracing::debug!("a lock ends with its connection: {error}");
                loan.session().close();
            }
        };
        self.tasks.spawn_on(take_back, &runtime);
    }
}

#[async_trait]
impl LogReader for Locked {
    async fn load(&self, stream: &StreamId, after: u64) -> Result<Vec<RecordedEvent>, StoreError> {
        let rows = self.run(async |connection| load(connection, stream, after).await).await;
        decode_all(&rows.map_err(of_store)?)
    }

    async fn about(&self, subject: Uuid, after: u64) -> Result<Vec<RecordedEvent>, StoreError> {
        let rows = self
            .run(async |connection| about(connection, subject, after).await)
            .await;
        decode_all(&rows.map_err(of_store)?)
    }

    async fn probe(
        &self,
        key: Option<CommandKey>,
        streams: &[StreamId],
        slices: &[Slice],
    ) -> Result<Probe, StoreError> {
        self.run(async |connection| probe(connection, key, streams, slices).await)
            .await
            .map_err(of_store)
    }
}

#[async_trait]
impl LockedLog for Locked {
    async fn commit(self: Box<Self>, unit: Unit) -> Result<UnitOutcome, StoreError> {
        let appended = self.append(&EncodedUnit::of(unit)).await;
        self.health.note(appended.as_ref().err());
        match appended {
            Ok(outcome) => {
                self.bell.ring();
                Ok(outcome)
            }
            Err(error) if is_repetition(&error) => Ok(UnitOutcome::Repeated),
            Err(error) => Err(of_store(error)),
        }
    }
}
