//! A store that cannot be reached is said to be so in time, and used again when it is back.

use std::sync::Arc;
use std::time::Duration;

use cocotalk_application::contract::stage::full_room;
use cocotalk_application::contract::support::{PATIENCE, eventually, id};
use cocotalk_application::error::StoreError;
use cocotalk_application::port::read_model::ReadModel as _;
use cocotalk_application::port::row_store::{Checkpoint, RowStore as _, Tables};
use cocotalk_application::row::{RowWrite, Stamped};
use cocotalk_domain::id::{RoomId, UserId};
use cocotalk_domain::stream::Slice;
use cocotalk_infra::scylla::{Cql, CqlReadModel, CqlRowStore, Settings};
use tokio::time::Instant;

use crate::opened::{Opened, server};
use crate::relay::{Relay, Way};

/// How long a statement may take in these tests.
const DEADLINE: Duration = Duration::from_millis(500);
/// How much longer a call may take on a busy machine.
const SLACK: Duration = Duration::from_secs(2);

/// The tables, over a way that can be blocked.
struct Reached {
    relay: Relay,
    rows: Arc<CqlRowStore>,
    reads: Arc<CqlReadModel>,
    tables: Tables,
    room: RoomId,
    _opened: Opened,
}

impl Reached {
    async fn set() -> Self {
        let relay = Relay::to(server()).await;
        let opened = Opened::keyspace().await;
        let settings = Settings {
            nodes: vec![relay.address.to_string()],
            read_ms: DEADLINE.as_millis() as u64,
            write_ms: DEADLINE.as_millis() as u64,
            ..opened.settings.clone()
        };
        let cql = Cql::connect(&settings).await.expect("the store answers");
        let through = Opened { settings, cql };
        let all = cocotalk_projectors::all();
        let (rows, reads) = through.tables(&all).await;
        let reached = Self {
            relay,
            rows,
            reads,
            tables: Tables::of(&*all[0]),
            room: RoomId(id()),
            _opened: through,
        };
        eventually("the store is used", async || reached.write().await.is_ok()).await;
        reached
    }

    async fn write(&self) -> Result<(), StoreError> {
        let write = RowWrite::Room(Box::new(full_room(self.room)));
        self.rows.write(self.tables, &[Stamped { ts_us: 1, write }]).await
    }

    /// Everything is refused in time, and works again over an open way.
    async fn is_down_and_comes_back(&self, way: Way) {
        self.relay.set(way);
        let (room, user) = (self.room, UserId(id()));
        in_time("a point read", async || self.reads.rooms(&[room]).await.map(drop)).await;
        in_time("a slice", async || self.reads.members(room).await.map(drop)).await;
        in_time("profiles", async || self.reads.profiles(&[user]).await.map(drop)).await;
        in_time("checkpoints", async || self.reads.checkpoints("rooms").await.map(drop)).await;
        in_time("a write", async || self.write().await).await;
        let slice = Slice::all().next().expect("there is one");
        let checkpoint = Checkpoint::default();
        in_time("a checkpoint", async || {
            self.rows.save_checkpoint(self.tables, slice, checkpoint).await
        })
        .await;
        self.relay.set(Way::Open);
        eventually("rows are written again", async || self.write().await.is_ok()).await;
        eventually("rows are read again", async || {
            self.reads.rooms(&[room]).await.is_ok_and(|rooms| rooms.len() == 1)
        })
        .await;
    }
}

/// It fails as something that may work later, before long.
async fn in_time(what: &str, call: impl AsyncFn() -> Result<(), StoreError>) {
    let started = Instant::now();
    let result = tokio::time::timeout(PATIENCE, call()).await.expect("it ends");
    let took = started.elapsed();
    assert!(
        matches!(result, Err(StoreError::Unavailable { .. })),
        "{what}: {result:?}"
    );
    assert!(took < DEADLINE * 4 + SLACK, "{what} took {took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_hangs_is_unavailable_until_it_goes_on() {
    Reached::set().await.is_down_and_comes_back(Way::Silent).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_gone_is_unavailable_until_it_is_back() {
    Reached::set().await.is_down_and_comes_back(Way::Closed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_nobody_listens_there_is_no_connection() {
    let relay = Relay::to(server()).await;
    relay.set(Way::Closed);
    let settings = Settings {
        nodes: vec![relay.address.to_string()],
        connect_ms: 1_000,
        ..crate::opened::settings("nowhere".to_owned())
    };
    in_time("connecting", async || Cql::connect(&settings).await.map(drop)).await;
}
