//! The watchers: sockets that resume by cursor, over and over, and remember every event they were given.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};
use tokio::sync::watch::Receiver;
use tokio::time::Instant;

use crate::harness::client::{Api, PATIENCE, number, text};
use crate::harness::person::Person;
use crate::harness::socket::{Arrival, Socket, hello_frame};

/// The version at which each room ends.
pub(crate) type Heads = BTreeMap<String, u64>;

/// What one watcher was told.
pub(crate) struct Seen {
    pub(crate) name: String,
    /// Every event of every room, by version.
    pub(crate) rooms: BTreeMap<String, BTreeMap<u64, Value>>,
    /// How often a lost connection was taken up again, and how often of these at another node than before.
    pub(crate) resumed: usize,
    pub(crate) moved: usize,
    /// The node that said `ready` last.
    greeted_by: Option<SocketAddr>,
    cursor: Option<String>,
    rng: StdRng,
}

/// One connection: what it promised and how far it got.
struct Connection {
    socket: Socket,
    address: SocketAddr,
    /// The cursor of a resumed connection holds once everything missed has come; the pong comes after that.
    promised: Option<String>,
    last: BTreeMap<String, u64>,
}

/// Follows every room, through every restart, until `ends` says where they end and everything up to there has come.
pub(crate) async fn follow(
    person: Person,
    mut here: Receiver<Option<Api>>,
    ends: Receiver<Option<Heads>>,
    seed: u64,
) -> Seen {
    let rng = StdRng::seed_from_u64(seed);
    let mut watcher = Seen {
        name: person.name.clone(),
        rooms: BTreeMap::new(),
        resumed: 0,
        moved: 0,
        greeted_by: None,
        cursor: None,
        rng,
    };
    loop {
        let api = here.wait_for(Option::is_some).await.unwrap().clone().unwrap();
        let Some(mut connection) = watcher.connect(&api, &person).await else {
            tokio::task::yield_now().await;
            continue;
        };
        if watcher.listen(&mut connection, ends.clone()).await {
            return watcher;
        }
    }
}

impl Seen {
    async fn connect(&self, api: &Api, person: &Person) -> Option<Connection> {
        let address = api.query_address();
        let mut socket = Socket::connect(address).await.ok()?;
        let hello = hello_frame(&person.token, self.cursor.as_deref());
        socket.try_say(hello.to_string()).await.ok()?;
        Some(Connection {
            socket,
            address,
            promised: None,
            last: BTreeMap::new(),
        })
    }

    /// Takes what comes on one connection. True when all there is has come, false when the connection is lost.
    async fn listen(&mut self, connection: &mut Connection, mut ends: Receiver<Option<Heads>>) -> bool {
        loop {
            if ends
                .borrow_and_update()
                .as_ref()
                .is_some_and(|heads| self.has_reached(heads))
            {
                return true;
            }
            let deadline = Instant::now() + PATIENCE * 2;
            let arrival = tokio::select! {
                arrival = connection.socket.next(deadline) => arrival,
                Ok(()) = ends.changed() => continue,
            };
            match arrival {
                Some(Arrival::Frame(frame)) => self.take(connection, frame).await,
                Some(Arrival::Closed(_)) => return false,
                None => panic!("{}: neither a frame nor the end, at {:?}", self.name, self.heads()),
            }
        }
    }

    async fn take(&mut self, connection: &mut Connection, frame: Value) {
        match frame["op"].as_str() {
            Some("ready") => self.greet(connection, &frame).await,
            Some("pong") => self.cursor = connection.promised.take().or_else(|| self.cursor.take()),
            Some("heartbeat") if connection.promised.is_none() => self.cursor = Some(text(&frame["cursor"])),
            Some("event") if frame["version"].is_u64() => self.remember(connection, frame).await,
            Some("event" | "heartbeat" | "reconnect") => {}
            // A marker that could not be set now; it was a wish.
            Some("problem") if frame["problem"]["status"] == 503 => {}
            _ => panic!("{}: {frame}", self.name),
        }
    }

    async fn greet(&mut self, connection: &mut Connection, ready: &Value) {
        let cursor = text(&ready["cursor"]);
        let before = self.greeted_by.replace(connection.address);
        if self.cursor.is_none() {
            assert_eq!(ready["resumed"], "new", "{ready}");
            self.cursor = Some(cursor);
            return;
        }
        assert_eq!(
            ready["resumed"], "replayed",
            "a cursor of a few seconds ago is inside what a node keeps: {ready}"
        );
        self.resumed += 1;
        self.moved += usize::from(before != Some(connection.address));
        connection.promised = Some(cursor);
        // A connection that is already lost is noticed by the next read.
        let _ = connection.socket.try_say(json!({"op": "ping"}).to_string()).await;
    }

    async fn remember(&mut self, connection: &mut Connection, frame: Value) {
        let (room, version) = (text(&frame["room_id"]), number(&frame["version"]));
        let known = self.rooms.entry(room.clone()).or_default();
        let head = known.keys().last().copied();
        let before = connection.last.insert(room.clone(), version);
        let follows = before.map_or(head.is_none_or(|head| version <= head + 1), |before| {
            version == before + 1
        });
        assert!(
            follows,
            "{}: {room} went from {before:?}, known up to {head:?}, to {frame}",
            self.name
        );
        if frame["data"]["seq"].is_u64() && self.rng.random_ratio(1, 20) {
            let read = json!({"op": "read", "room_id": room, "seq": frame["data"]["seq"]});
            let _ = connection.socket.try_say(read.to_string()).await;
        }
        let told = known.entry(version).or_insert_with(|| frame.clone());
        assert_eq!(*told, frame, "{}: a frame is the same whenever it is told", self.name);
    }

    fn has_reached(&self, heads: &Heads) -> bool {
        heads
            .iter()
            .all(|(room, head)| self.rooms.get(room).is_some_and(|versions| versions.contains_key(head)))
    }

    fn heads(&self) -> Vec<Option<u64>> {
        self.rooms
            .values()
            .map(|versions| versions.keys().last().copied())
            .collect()
    }
}
