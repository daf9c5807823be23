//! The event log in PostgreSQL.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use cocotalk_application::error::StoreError;
use cocotalk_application::port::event_log::{
    CommandKey, EventLog, LockedLog, LogReader, Probe, RecordedEvent, Snapshot, Unit, UnitOutcome,
};
use cocotalk_domain::stream::{SLICES, Slice, StreamId};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::bell::Bell;
use super::database::Database;
use super::error::{late, of_store, stopped};
use super::locked::Locked;
use super::mender::Health;
use super::orphans::Orphans;
use super::reads;
use super::writer::{Append, Writers};
use crate::encoding::EncodedUnit;

/// The event log in PostgreSQL. Clones are the same log.
#[derive(Clone)]
pub struct PostgresEventLog {
    pub(super) database: Database,
    pub(super) health: Arc<Health>,
    pub(super) bell: Bell,
    pub(super) tasks: TaskTracker,
    writers: Writers,
    orphans: Orphans,
}

impl PostgresEventLog {
    /// The log of a database. Its tasks run on `tasks` and end after `stop`, when what waits already is carried out.
    pub fn new(database: Database, tasks: &TaskTracker, stop: CancellationToken) -> Self {
        let health = Arc::new(Health::default());
        let bell = Bell::start(database.clone(), tasks, stop.clone());
        let writers = Writers::start(&database, &health, &bell, tasks, &stop);
        Health::mend(&health, database.clone(), tasks, stop);
        Self {
            database,
            health,
            bell,
            tasks: tasks.clone(),
            writers,
            orphans: Orphans::default(),
        }
    }

    /// The database under it.
    pub const fn database(&self) -> &Database {
        &self.database
    }
}

#[async_trait]
impl LogReader for PostgresEventLog {
    async fn load(&self, stream: &StreamId, after: u64) -> Result<Vec<RecordedEvent>, StoreError> {
        let rows = self
            .database
            .run(async |connection| reads::load(connection, stream, after).await);
        reads::decode_all(&rows.await?)
    }

    async fn about(&self, subject: Uuid, after: u64) -> Result<Vec<RecordedEvent>, StoreError> {
        let rows = self
            .database
            .run(async |connection| reads::about(connection, subject, after).await);
        reads::decode_all(&rows.await?)
    }

    async fn probe(
        &self,
        key: Option<CommandKey>,
        streams: &[StreamId],
        slices: &[Slice],
    ) -> Result<Probe, StoreError> {
        self.database
            .run(async |connection| reads::probe(connection, key, streams, slices).await)
            .await
    }
}

#[async_trait]
impl EventLog for PostgresEventLog {
    async fn append(&self, units: Vec<Unit>) -> Result<Vec<UnitOutcome>, StoreError> {
        if units.is_empty() {
            return Ok(Vec::new());
        }
        let units = units.into_iter().map(EncodedUnit::of).collect();
        let (reply, outcomes) = oneshot::channel();
        let (_awaited, under_way) = self.orphans.pair();
        let append = Append {
            units,
            reply,
            under_way,
        };
        self.writers.send(append).await?;
        outcomes.await.map_err(|_gone| stopped())?
    }

    async fn lock(&self, slices: BTreeSet<Slice>) -> Result<Box<dyn LockedLog>, StoreError> {
        let time = self.database.settings().statement();
        let waited = tokio::time::timeout(time, self.orphans.none()).await;
        waited.map_err(|_| of_store(late("an append that nobody waits for")))?;
        Ok(Box::new(Locked::take(self, &slices).await?))
    }

    async fn read_slice(&self, slice: Slice, after: u64) -> Result<Vec<RecordedEvent>, StoreError> {
        let rows = self
            .database
            .run(async |connection| reads::read_slice(connection, slice, after).await);
        reads::decode_all(&rows.await?)
    }

    async fn heads(&self) -> Result<[u64; SLICES], StoreError> {
        self.database
            .run(async |connection| reads::heads(connection).await)
            .await
    }

    fn fault(&self) -> Option<String> {
        self.health.fault()
    }

    async fn snapshot(&self, stream: &StreamId, state_version: u32) -> Result<Option<Snapshot>, StoreError> {
        self.database
            .run(async |connection| reads::snapshot(connection, stream, state_version).await)
            .await
    }

    async fn save_snapshot(&self, stream: &StreamId, snapshot: Snapshot) -> Result<(), StoreError> {
        self.database
            .run(async |connection| reads::save_snapshot(connection, stream, &snapshot).await)
            .await
    }
}
