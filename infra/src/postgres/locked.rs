//! Slices held until commit.

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use cocotalk_application::error::StoreError;
use cocotalk_application::port::event_log::{
    CommandKey, LockedLog, LogReader, Probe, RecordedEvent, Unit, UnitOutcome,
};
use cocotalk_domain::stream::{Slice, StreamId};
use sqlx::pool::PoolConnection;
use sqlx::postgres::PgConnection;
use sqlx::{Executor as _, Postgres};
use tokio::sync::Mutex;
use tokio::time::Instant;
use uuid::Uuid;

use super::STORE;
use super::append::append;
use super::bell::Bell;
use super::database::{of_store, within};
use super::log::{PostgresEventLog, about, decode_all, load, probe};
use crate::encoding::EncodedUnit;

/// A transaction that holds the rows of some slices. Dropped without a commit, its connection is closed, and the server takes
/// everything back.
pub(super) struct Locked {
    connection: Mutex<Option<PoolConnection<Postgres>>>,
    bell: Bell,
    /// Until when it may be held: nobody else can append meanwhile.
    until: Instant,
    statement: Duration,
}

impl Locked {
    pub(super) async fn take(log: &PostgresEventLog, slices: BTreeSet<Slice>) -> Result<Self, StoreError> {
        let database = &log.database;
        let mut connection = database.acquire().await.map_err(of_store)?;
        let slices: Vec<i16> = slices.iter().map(|slice| slice.index() as i16).collect();
        let locking = async {
            connection.execute("BEGIN").await?;
            sqlx::query("SELECT 1 FROM slice_head WHERE slice = ANY($1) ORDER BY slice FOR UPDATE")
                .bind(slices)
                .execute(&mut *connection)
                .await
        };
        let locked = within(database.settings.statement(), locking).await;
        if let Err(error) = locked {
            drop(connection.detach());
            return Err(of_store(error));
        }
        Ok(Self {
            connection: Mutex::new(Some(connection)),
            bell: log.bell.clone(),
            until: Instant::now() + database.settings.lock(),
            statement: database.settings.statement(),
        })
    }

    /// Does something inside the transaction, which does not survive an error.
    async fn run<T>(
        &self,
        what: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, StoreError> {
        let mut held = self.connection.lock().await;
        let Some(connection) = held.as_mut() else {
            return Err(lost());
        };
        let left = self.until.saturating_duration_since(Instant::now()).min(self.statement);
        let done = within(left, what(connection)).await;
        if (done.is_err() || left.is_zero())
            && let Some(connection) = held.take()
        {
            drop(connection.detach());
        }
        match done {
            Ok(_) if left.is_zero() => Err(lost()),
            done => done.map_err(of_store),
        }
    }
}

fn lost() -> StoreError {
    StoreError::unavailable(STORE, "the lock was held for too long")
}

impl Drop for Locked {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.get_mut().take() {
            drop(connection.detach());
        }
    }
}

#[async_trait]
impl LogReader for Locked {
    async fn load(&self, stream: &StreamId, after: u64) -> Result<Vec<RecordedEvent>, StoreError> {
        decode_all(
            &self
                .run(async |connection| load(connection, stream, after).await)
                .await?,
        )
    }

    async fn about(&self, subject: Uuid) -> Result<Vec<RecordedEvent>, StoreError> {
        decode_all(&self.run(async |connection| about(connection, subject).await).await?)
    }

    async fn probe(
        &self,
        key: Option<CommandKey>,
        streams: &[StreamId],
        slices: &[Slice],
    ) -> Result<Probe, StoreError> {
        self.run(async |connection| probe(connection, key, streams, slices).await)
            .await
    }
}

#[async_trait]
impl LockedLog for Locked {
    async fn commit(self: Box<Self>, unit: Unit) -> Result<UnitOutcome, StoreError> {
        let unit = EncodedUnit::of(unit);
        let outcome = self
            .run(async |connection| {
                let outcome = append(connection, &[&unit]).await?.remove(0);
                let appended = matches!(outcome, UnitOutcome::Appended { .. });
                connection.execute(if appended { "COMMIT" } else { "ROLLBACK" }).await?;
                Ok(outcome)
            })
            .await?;
        // Back to the pool: the transaction is over.
        drop(self.connection.lock().await.take());
        self.bell.ring();
        Ok(outcome)
    }
}
