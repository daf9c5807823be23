//! A keyspace for all tests of this program, and logs that are projected into it.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use async_trait::async_trait;
use cocotalk_application::contract::Store;
use cocotalk_application::error::StoreError;
use cocotalk_application::following::Followed;
use cocotalk_application::port::event_log::{
    CommandKey, EventLog, LockedLog, LogReader, Probe, RecordedEvent, Snapshot, Unit, UnitOutcome,
};
use cocotalk_application::port::row_store::{Checkpoint, RowStore, Tables};
use cocotalk_application::projection::{Poison, Projection};
use cocotalk_application::row::RowWrite;
use cocotalk_domain::stream::{SLICES, Slice, StreamId};
use cocotalk_infra::memory::MemoryStore;
use cocotalk_infra::scylla::{Cql, CqlReadModel, CqlRowStore, Settings, migrate};
use tokio::sync::Mutex;
use uuid::Uuid;

/// A keyspace of this program's own, with a connection to it. Tests keep apart by their rooms, people and versions.
pub(crate) struct Opened {
    pub(crate) settings: Settings,
    pub(crate) cql: Cql,
}

/// The server that tests are given.
pub(crate) fn server() -> String {
    #[expect(
        clippy::disallowed_methods,
        reason = "tests are told by the environment where the servers are"
    )]
    let server = std::env::var("COCOTALK_TEST_CQL");
    server.expect("COCOTALK_TEST_CQL names a server: run `cargo xtask test`, or `cargo xtask up --servers-only`")
}

/// Settings for a keyspace of this name. Their times are for a busy machine.
pub(crate) fn settings(keyspace: String) -> Settings {
    Settings {
        nodes: vec![server()],
        keyspace,
        read_ms: 10_000,
        write_ms: 10_000,
        connect_ms: 20_000,
        ..Settings::default()
    }
}

/// A name that no other keyspace has.
pub(crate) fn new_keyspace() -> String {
    format!("test_{:032x}", rand::random::<u128>())
}

/// One change of the schema at a time, as in production.
pub(crate) static MIGRATING: Mutex<()> = Mutex::const_new(());

/// A projection with tables of another version.
pub(crate) struct OfVersion(pub(crate) Arc<dyn Projection>, pub(crate) u32);

impl OfVersion {
    /// Those that the platform has.
    pub(crate) fn all(version: u32) -> Vec<Arc<dyn Projection>> {
        let of_version = |projection| Arc::new(Self(projection, version)) as Arc<dyn Projection>;
        cocotalk_projectors::all().into_iter().map(of_version).collect()
    }
}

impl Projection for OfVersion {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn version(&self) -> u32 {
        self.1
    }

    fn rows(&self, event: &RecordedEvent) -> Result<Vec<RowWrite>, Poison> {
        self.0.rows(event)
    }
}

impl Opened {
    /// Connects; the tables are made once for the whole program. A connection belongs to the runtime of its test.
    pub(crate) async fn keyspace() -> Self {
        static KEYSPACE: Mutex<Option<String>> = Mutex::const_new(None);
        let mut made = KEYSPACE.lock().await;
        let settings = settings(made.clone().unwrap_or_else(new_keyspace));
        if made.is_none() {
            let _turn = MIGRATING.lock().await;
            let projections = cocotalk_projectors::all();
            migrate(&settings, &projections).await.expect("tables are made");
            *made = Some(settings.keyspace.clone());
        }
        drop(made);
        let cql = Cql::connect(&settings).await.expect("the store answers");
        Self { settings, cql }
    }

    /// What writes to the tables of these projections, and what reads them.
    pub(crate) async fn tables(&self, projections: &[Arc<dyn Projection>]) -> (Arc<CqlRowStore>, Arc<CqlReadModel>) {
        let rows = Box::pin(CqlRowStore::open(&self.cql, projections)).await;
        let reads = Box::pin(CqlReadModel::open(&self.cql, projections)).await;
        (
            Arc::new(rows.expect("the tables are there")),
            Arc::new(reads.expect("the tables are there")),
        )
    }

    /// A fresh log that is projected into the keyspace, with checkpoints of its own.
    pub(crate) async fn store(&self, projections: Vec<Arc<dyn Projection>>) -> Store {
        let version = rand::random_range(1_000..i32::MAX as u32);
        let of_version = |projection| Arc::new(OfVersion(projection, version)) as Arc<dyn Projection>;
        let projections: Vec<_> = projections.into_iter().map(of_version).collect();
        let (rows, reads) = self
            .tables(&[cocotalk_projectors::all(), projections.clone()].concat())
            .await;
        let memory = MemoryStore::new(Vec::new());
        let follow = |projection| Followed {
            projection,
            positions: [0; SLICES],
            parked: HashSet::new(),
        };
        let log = Projected {
            log: memory.clone(),
            rows,
            tracks: Mutex::new(projections.into_iter().map(follow).collect()),
        };
        Store {
            log: Arc::new(log),
            feed: Arc::new(memory),
            reads,
            keep: Box::new(self.cql.clone()),
        }
    }
}

/// A log in memory that answers an append when its events are in the read model.
struct Projected {
    log: MemoryStore,
    rows: Arc<dyn RowStore>,
    tracks: Mutex<Vec<Followed>>,
}

impl Projected {
    async fn project(&self, before: &[u64; SLICES]) -> Result<(), StoreError> {
        let mut tracks = self.tracks.lock().await;
        let heads = self.log.heads().await?;
        for slice in Slice::all() {
            let (from, to) = (before[slice.index()], heads[slice.index()]);
            if from == to {
                continue;
            }
            let mut events = Vec::new();
            while events.last().map_or(from, |event: &Arc<RecordedEvent>| event.slice_pos) < to {
                let after = events.last().map_or(from, |event| event.slice_pos);
                events.extend(self.log.read_slice(slice, after).await?.into_iter().map(Arc::new));
            }
            for followed in tracks.iter_mut() {
                let tables = Tables::of(&*followed.projection);
                let projected = followed.project(events.iter());
                self.rows.write(tables, &projected.writes).await?;
                followed.parked.extend(projected.newly);
                let checkpoint = Checkpoint {
                    position: to,
                    settled: 0,
                };
                self.rows.save_checkpoint(tables, slice, checkpoint).await?;
            }
        }
        Ok(())
    }
}

#[async_trait]
impl LogReader for Projected {
    async fn load(&self, stream: &StreamId, after: u64) -> Result<Vec<RecordedEvent>, StoreError> {
        self.log.load(stream, after).await
    }

    async fn about(&self, subject: Uuid, after: u64) -> Result<Vec<RecordedEvent>, StoreError> {
        self.log.about(subject, after).await
    }

    async fn probe(
        &self,
        key: Option<CommandKey>,
        streams: &[StreamId],
        slices: &[Slice],
    ) -> Result<Probe, StoreError> {
        self.log.probe(key, streams, slices).await
    }
}

#[async_trait]
impl EventLog for Projected {
    async fn append(&self, units: Vec<Unit>) -> Result<Vec<UnitOutcome>, StoreError> {
        let before = self.log.heads().await?;
        let outcomes = self.log.append(units).await?;
        self.project(&before).await?;
        Ok(outcomes)
    }

    async fn lock(&self, slices: BTreeSet<Slice>) -> Result<Box<dyn LockedLog>, StoreError> {
        self.log.lock(slices).await
    }

    async fn read_slice(&self, slice: Slice, after: u64) -> Result<Vec<RecordedEvent>, StoreError> {
        self.log.read_slice(slice, after).await
    }

    async fn heads(&self) -> Result<[u64; SLICES], StoreError> {
        self.log.heads().await
    }

    async fn snapshot(&self, stream: &StreamId, state_version: u32) -> Result<Option<Snapshot>, StoreError> {
        self.log.snapshot(stream, state_version).await
    }

    async fn save_snapshot(&self, stream: &StreamId, snapshot: Snapshot) -> Result<(), StoreError> {
        self.log.save_snapshot(stream, snapshot).await
    }
}
