//! One trace from a request to the frame that tells of it, and to the log of the hub.

use std::sync::{LazyLock, Mutex};

use cocotalk_domain::id::CommandId;
use tracing::subscriber::DefaultGuard;
use tracing::{Dispatch, Level};

use super::*;

const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const TRACE_ID: &str = "0af7651916cd43dd8448eb211c80319c";

/// The log of this thread.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A second subscriber, which is nobody's. While there is just one, a call site that another thread comes to first is
/// switched off for all.
static SECOND: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(tracing_subscriber::registry()));

impl Lines {
    fn begin(level: Level) -> (Self, DefaultGuard) {
        LazyLock::force(&SECOND);
        let lines = Self::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_max_level(level)
            .with_writer(move || writer.clone())
            .finish();
        (lines, tracing::subscriber::set_default(subscriber))
    }

    /// The lines that tell of an event.
    fn told(&self) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        let told = text.lines().filter(|line| line.contains("told sockets of event"));
        told.map(str::to_owned).collect()
    }
}

async fn group() -> (Node, RoomId, [UserId; 2], Told) {
    let world = Arc::new(World::default());
    let [mina, jun, hana] = world.three();
    let room = world.group(100, &[mina, jun, hana]);
    let node = Node::open(&world).await;
    let told = node.join(jun).await;
    (node, room, [mina, jun], told)
}

#[tokio::test(start_paused = true)]
async fn the_trace_of_a_request_is_in_its_frame_and_in_the_log() {
    let (lines, _guard) = Lines::begin(Level::DEBUG);
    let (node, room, [mina, jun], mut told) = group().await;
    node.world.trace(TRACE);
    node.world.say(room, mina, "따라와");
    node.publish().await;
    assert_eq!(told.frames()[0]["traceparent"], TRACE);
    let told = lines.told();
    assert_eq!(told.len(), 1);
    for part in [
        "DEBUG live.tell{",
        "events=1",
        &format!("trace.id={TRACE_ID}"),
        &format!("room/{room}"),
    ] {
        assert!(told[0].contains(part), "{part} is not in {}", told[0]);
    }
    assert!(!told[0].contains("따라와"));

    node.world.read(room, jun, 2);
    node.publish().await;
    let replayed = Told::of(node.hub.join(jun, Some(&told_before(&node))).await.unwrap());
    assert_eq!(replayed.missed[0]["traceparent"], TRACE);
    assert_eq!(replayed.missed[1]["type"], "read.advanced");
    assert_eq!(replayed.missed[1]["traceparent"], TRACE);
}

/// Where the world began, for the window has everything since.
fn told_before(node: &Node) -> String {
    let mut heads = node.world.heads();
    let slice = heads.iter_mut().find(|head| **head == 3).unwrap();
    *slice = 1;
    Cursor(heads).to_string()
}

#[tokio::test(start_paused = true)]
async fn a_command_without_a_trace_is_one_of_its_own_and_its_frame_carries_none() {
    let (lines, _guard) = Lines::begin(Level::DEBUG);
    let (node, room, [mina, _], mut told) = group().await;
    let command: CommandId = "0198c0de-7a1c-7000-8000-00000000000a".parse().unwrap();
    node.world.command(command);
    node.world.say(room, mina, "조용히");
    node.publish().await;
    assert_eq!(told.frames()[0].get("traceparent"), None);
    assert!(
        lines.told()[0].contains("trace.id=0198c0de7a1c7000800000000000000a"),
        "{:?}",
        lines.told()
    );
}

#[tokio::test(start_paused = true)]
async fn at_the_ordinary_level_nothing_is_logged() {
    let (lines, _guard) = Lines::begin(Level::INFO);
    let (node, room, [mina, _], mut told) = group().await;
    node.world.trace(TRACE);
    node.world.say(room, mina, "따라와");
    node.publish().await;
    assert_eq!(told.frames()[0]["traceparent"], TRACE);
    assert_eq!(lines.told(), [""; 0]);
}
