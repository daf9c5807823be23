//! The hub between a log, a feed and a read model that each move at their own speed.

mod feed;
mod join;
mod marks;
mod messages;
mod trace;

use std::sync::Arc;
use std::time::Duration;

use cocotalk_application::sealing::Sealing;
use cocotalk_domain::id::{RoomId, UserId};
use futures_channel::mpsc;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::*;
use crate::live::sockets::Outgoing;
use crate::testing::World;

/// How long anything may take that is to come.
const DEADLINE: Duration = Duration::from_secs(10);
/// How long something is watched that is not to come.
const A_WHILE: Duration = Duration::from_millis(300);

/// A hub over a world.
struct Node {
    world: Arc<World>,
    hub: Arc<Hub>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Node {
    /// Opens a hub at the present end of the log. Its window is empty: the world's beginning is long ago.
    async fn open(world: &Arc<World>) -> Self {
        let settings = LiveSettings {
            refill_events: 0,
            ..LiveSettings::default()
        };
        Self::with(world, settings).await
    }

    async fn with(world: &Arc<World>, settings: LiveSettings) -> Self {
        let world = Arc::clone(world);
        let ports = HubPorts {
            log: Arc::<World>::clone(&world),
            feed: Arc::<World>::clone(&world),
            ephemeral: Arc::<World>::clone(&world),
            reads: Arc::<World>::clone(&world),
            checkpoints: Arc::new(Checkpoints::new(Arc::<World>::clone(&world))),
            sealing: Arc::new(Sealing::new(Arc::<World>::clone(&world))),
            clock: Arc::<World>::clone(&world),
        };
        // What was before is no news.
        world.withhold();
        let (hub, feed) = Hub::open(ports, settings).await.unwrap();
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        tasks.spawn(Arc::clone(&hub).run(feed, stop.clone()));
        Self {
            world,
            hub,
            stop,
            tasks,
        }
    }

    /// Waits until everything is told that is in the log.
    async fn has_told_all(&self) {
        let heads = self.world.heads();
        let mut told = self.hub.told.subscribe();
        let all = async {
            while self.hub.told() != heads {
                told.changed().await.unwrap();
            }
        };
        let told = tokio::time::timeout(DEADLINE, all).await;
        assert!(told.is_ok(), "{:?} of {heads:?} is told", self.hub.told());
    }

    /// The feed brings everything new, and it is told.
    async fn publish(&self) {
        self.world.publish();
        self.has_told_all().await;
    }

    async fn join(&self, user: UserId) -> Told {
        Told::of(self.hub.join(user, None).await.unwrap())
    }
}

/// What a socket was told.
#[derive(Debug)]
struct Told {
    id: SocketId,
    resumed: Resumed,
    cursor: Cursor,
    now: Cursor,
    missed: Vec<Value>,
    outbox: mpsc::Receiver<Outgoing>,
}

impl Told {
    fn of(joined: Joined) -> Self {
        let Joined {
            id,
            outbox,
            resumed,
            cursor,
            missed,
            now,
        } = joined;
        let missed = missed.iter().map(|frame| parse(frame)).collect();
        Self {
            id,
            resumed,
            cursor,
            now,
            missed,
            outbox,
        }
    }

    /// The frames that came since this was last asked, heartbeats aside.
    fn frames(&mut self) -> Vec<Value> {
        let mut frames = Vec::new();
        while let Ok(outgoing) = self.outbox.try_recv() {
            match outgoing {
                Outgoing::Frames(all) => frames.extend(all.iter().map(|frame| parse(frame))),
                Outgoing::Frame(frame) => frames.push(parse(&frame)),
                Outgoing::Heartbeat(_) | Outgoing::Reconnect => {}
            }
        }
        frames
    }

    /// The types of the frames of a room.
    fn types(&mut self, room: RoomId) -> Vec<String> {
        types(&self.frames(), room)
    }
}

fn parse(frame: &str) -> Value {
    serde_json::from_str(frame).unwrap()
}

fn types(frames: &[Value], room: RoomId) -> Vec<String> {
    let of_room = frames.iter().filter(|frame| frame["room_id"] == room.to_string());
    of_room
        .map(|frame| frame["type"].as_str().unwrap().to_owned())
        .collect()
}

fn versions(frames: &[Value], room: RoomId) -> Vec<u64> {
    let of_room = frames.iter().filter(|frame| frame["room_id"] == room.to_string());
    of_room.filter_map(|frame| frame["version"].as_u64()).collect()
}

/// A future does not end for a while.
async fn still_waits<T: std::fmt::Debug>(future: &mut (impl Future<Output = T> + Unpin)) {
    let ended = tokio::time::timeout(A_WHILE, future).await;
    assert!(ended.is_err(), "it did not wait: {ended:?}");
}

/// A future ends in time.
async fn ends<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future).await.expect("it ends")
}

/// A recorder for this thread, with what it has counted.
fn recorder() -> (PrometheusHandle, impl Drop) {
    let recorder = Box::leak(Box::new(PrometheusBuilder::new().build_recorder()));
    (recorder.handle(), ::metrics::set_default_local_recorder(recorder))
}

fn counted(handle: &PrometheusHandle, name: &str) -> u64 {
    let text = handle.render();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.map_or(0, |number| number.parse().unwrap())
}
