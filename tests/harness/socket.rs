//! The live socket of the tests: one connection and the frames that came and were not asked for yet.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, timeout_at};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::harness::client::{Api, PATIENCE, Seen, positions, text};
use crate::harness::contract::Contract;
use crate::harness::person::Person;
use crate::stage::MAY_LAG;

/// The node is behind or busy: come again, here or elsewhere.
const BUSY: u16 = 4011;

/// What arrives on a socket.
#[derive(Debug)]
pub(crate) enum Arrival {
    /// A frame of the server.
    Frame(Value),
    /// The end, with the close code if the server gave one.
    Closed(Option<u16>),
}

/// One socket.
pub(crate) struct Socket {
    /// Which node it is connected to.
    address: SocketAddr,
    /// Whose it is: what is told of here is known to have happened.
    api: Option<Api>,
    /// Where the read model was when they looked last: a frame from before tells them nothing.
    looked: Seen,
    stream: WebSocketStream<TcpStream>,
    contract: &'static Contract,
    waiting: VecDeque<Value>,
    /// The `ready` frame, once there was one.
    pub(crate) ready: Value,
}

impl Socket {
    /// A socket on which nothing was said yet.
    pub(crate) async fn silent(address: SocketAddr) -> Self {
        Self::connect(address).await.unwrap()
    }

    /// As `silent`, where the server may be gone.
    pub(crate) async fn connect(address: SocketAddr) -> Result<Self, Error> {
        Self::over(TcpStream::connect(address).await?, address).await
    }

    /// As `open`, through a connection that holds very little of what is not read.
    pub(crate) async fn open_narrow(person: &Person) -> Self {
        let looked = look(person).await;
        let (connection, address) = (TcpSocket::new_v4().unwrap(), person.api.query_address());
        connection.set_recv_buffer_size(4_096).unwrap();
        let mut socket = Self::over(connection.connect(address).await.unwrap(), address)
            .await
            .unwrap();
        let code = socket.greet(person, None).await;
        assert_eq!(code, Ok(()), "waiting for ready");
        socket.looked = looked;
        socket
    }

    async fn over(connection: TcpStream, address: SocketAddr) -> Result<Self, Error> {
        let (stream, _) = client_async(format!("ws://{address}/v1/live"), connection).await?;
        Ok(Self {
            address,
            api: None,
            looked: Seen::new(),
            stream,
            contract: Contract::served().await,
            waiting: VecDeque::new(),
            ready: Value::Null,
        })
    }

    /// A new socket of this person, ready.
    pub(crate) async fn open(person: &Person) -> Self {
        let looked = look(person).await;
        let mut socket = Self::open_at_once(person).await;
        socket.looked = looked;
        socket
    }

    /// As `open`, by a client that has looked at nothing before.
    pub(crate) async fn open_at_once(person: &Person) -> Self {
        let socket = Self::hello(person, None, || person.api.query_address()).await;
        assert_eq!(socket.ready["resumed"], "new", "{}", socket.ready);
        socket
    }

    /// A new socket of this person at the same node as this one: its cursor is after everything that this one was told.
    pub(crate) async fn open_beside(&self, person: &Person) -> Self {
        Self::hello(person, None, || self.address).await
    }

    /// Looks at everything anew, as a client does that was told `reset`: what was before is no news any more.
    pub(crate) async fn look_anew(&mut self, person: &Person) {
        self.looked = look(person).await;
    }

    /// A socket that goes on where the cursor stands.
    pub(crate) async fn resume(person: &Person, cursor: &str) -> Self {
        Self::hello(person, Some(cursor), || person.api.query_address()).await
    }

    async fn hello(person: &Person, cursor: Option<&str>, address: impl Fn() -> SocketAddr) -> Self {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut socket = Self::silent(address()).await;
            match socket.greet(person, cursor).await {
                Ok(()) => return socket,
                Err(Some(BUSY)) if MAY_LAG && Instant::now() < deadline => {}
                Err(code) => panic!("waiting for ready: closed with {code:?}; {}", socket.left()),
            }
        }
    }

    /// Says hello and waits for `ready`. An error is the end, with its code.
    async fn greet(&mut self, person: &Person, cursor: Option<&str>) -> Result<(), Option<u16>> {
        self.api = Some(person.api.clone());
        self.send(&hello_frame(&person.token, cursor)).await;
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.receive(deadline).await {
                Some(Arrival::Frame(frame)) if frame["op"] == "ready" => {
                    self.ready = frame;
                    return Ok(());
                }
                Some(Arrival::Frame(frame)) => self.waiting.push_back(frame),
                Some(Arrival::Closed(code)) => return Err(code),
                None => panic!("waiting for ready: nothing in time; {}", self.left()),
            }
        }
    }

    /// The cursor given by `ready`.
    pub(crate) fn cursor(&self) -> String {
        text(&self.ready["cursor"])
    }

    pub(crate) async fn send(&mut self, frame: &Value) {
        self.say(frame.to_string()).await;
    }

    /// Sends any text, a frame or not.
    pub(crate) async fn say(&mut self, text: String) {
        self.try_say(text).await.unwrap();
    }

    /// As `say`, where the server may be gone.
    pub(crate) async fn try_say(&mut self, text: String) -> Result<(), Error> {
        self.stream.send(Message::text(text)).await
    }

    /// The next thing that comes, or nothing in time.
    pub(crate) async fn next(&mut self, deadline: Instant) -> Option<Arrival> {
        if let Some(frame) = self.waiting.pop_front() {
            return Some(Arrival::Frame(frame));
        }
        self.receive(deadline).await
    }

    /// Takes the first frame that fits out of those that came or will come; the others keep waiting, in order.
    pub(crate) async fn wait_for(&mut self, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        self.wait_until(what, Instant::now() + PATIENCE, fits).await
    }

    /// As `wait_for`, with a deadline of the test's choice.
    pub(crate) async fn wait_until(&mut self, what: &str, deadline: Instant, fits: impl Fn(&Value) -> bool) -> Value {
        if let Some(place) = self.waiting.iter().position(&fits) {
            return self.waiting.remove(place).unwrap();
        }
        loop {
            match self.receive(deadline).await {
                Some(Arrival::Frame(frame)) if fits(&frame) => return frame,
                Some(Arrival::Frame(frame)) => self.waiting.push_back(frame),
                Some(Arrival::Closed(code)) => panic!("waiting for {what}: closed with {code:?}; {}", self.left()),
                None => panic!("waiting for {what}: nothing in time; {}", self.left()),
            }
        }
    }

    /// Waits for an event of this type in this room.
    pub(crate) async fn event(&mut self, kind: &str, room: &str) -> Value {
        self.wait_for(kind, |frame| {
            frame["op"] == "event" && frame["type"] == kind && frame["room_id"] == room
        })
        .await
    }

    /// Everything up to and including the event of this room that has this version, in the order of arrival.
    pub(crate) async fn up_to(&mut self, room: &str, version: u64) -> Vec<Value> {
        let (mut frames, deadline) = (Vec::new(), Instant::now() + PATIENCE);
        loop {
            match self.next(deadline).await {
                Some(Arrival::Frame(frame)) => frames.push(frame),
                other => panic!("waiting for version {version}: {other:?} after {frames:?}"),
            }
            if frames.last().is_some_and(|frame| is_version(frame, room, version)) {
                return frames;
            }
        }
    }

    /// As `up_to`, of this room only and without what happened before the version `start`: a new socket may still be
    /// told of the last moments before its `ready`.
    pub(crate) async fn between(&mut self, room: &str, start: u64, end: u64) -> Vec<Value> {
        let mut frames = self.up_to(room, end).await;
        let is_new = |frame: &Value| frame["version"].as_u64().is_some_and(|version| version > start);
        frames.retain(|frame| frame["room_id"] == room && is_new(frame));
        frames
    }

    /// Takes everything of this room until the message with this seq has come.
    pub(crate) async fn until_seq(&mut self, room: &str, seq: u64) {
        let deadline = Instant::now() + PATIENCE * 3;
        loop {
            match self.next(deadline).await {
                Some(Arrival::Frame(frame)) if frame["room_id"] == room && frame["data"]["seq"] == seq => return,
                Some(Arrival::Frame(_)) => {}
                other => panic!("waiting for seq {seq}: {other:?}"),
            }
        }
    }

    /// Sends a message and gives what answers it: an `ack` or a `problem`.
    pub(crate) async fn post(&mut self, room: &str, key: &str, message: &Value) -> Value {
        self.send(&send_frame(room, key, message)).await;
        self.answer(key).await
    }

    /// What answers the `send` with this key.
    pub(crate) async fn answer(&mut self, key: &str) -> Value {
        self.wait_for("an answer", |frame| {
            frame["idempotency_key"] == key && (frame["op"] == "ack" || frame["op"] == "problem")
        })
        .await
    }

    /// Waits until everything sent before was understood.
    pub(crate) async fn ping(&mut self) {
        self.send(&json!({"op": "ping"})).await;
        self.wait_for("pong", |frame| frame["op"] == "pong").await;
    }

    /// Waits for the end and gives its code; what came before waits in the queue.
    pub(crate) async fn close_code(&mut self, patience: Duration) -> Option<u16> {
        let deadline = Instant::now() + patience;
        loop {
            match self.receive(deadline).await {
                Some(Arrival::Frame(frame)) => self.waiting.push_back(frame),
                Some(Arrival::Closed(code)) => return code,
                None => panic!("waiting for the end: still open; {}", self.left()),
            }
        }
    }

    /// The frames nobody asked for yet.
    pub(crate) fn unread(&self) -> impl Iterator<Item = &Value> {
        self.waiting.iter()
    }

    async fn receive(&mut self, deadline: Instant) -> Option<Arrival> {
        loop {
            let message = timeout_at(deadline, self.stream.next()).await.ok()?;
            match message {
                Some(Ok(Message::Text(text))) => {
                    let frame = self.take(&text);
                    if !self.is_old(&frame) {
                        return Some(Arrival::Frame(frame));
                    }
                }
                Some(Ok(Message::Close(frame))) => return Some(Arrival::Closed(frame.map(|frame| frame.code.into()))),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Some(Arrival::Closed(None)),
            }
        }
    }

    fn take(&self, text: &str) -> Value {
        let frame: Value = serde_json::from_str(text).unwrap();
        let kept = self.contract.check_frame(&frame);
        kept.unwrap_or_else(|why| panic!("not as described: {why}: {frame}"));
        if let (Some(api), Some(position)) = (&self.api, frame["position"].as_str()) {
            api.note(position);
        }
        frame
    }

    fn is_old(&self, frame: &Value) -> bool {
        let is_seen = |(slice, pos): &(u64, u64)| self.looked.get(slice).is_some_and(|looked| pos <= looked);
        let at = frame["position"].as_str().map(positions).unwrap_or_default();
        !at.is_empty() && at.iter().all(is_seen)
    }

    fn left(&self) -> String {
        let frames: Vec<_> = self.waiting.iter().map(Value::to_string).collect();
        format!("{} frames wait: {:.2000}", frames.len(), frames.join("\n"))
    }
}

/// Looks at the list of rooms before the hello, as a client does, and says how far that went: where the read model lags, the
/// node might not know else of what this person or their friends have just done, or might still tell of it. In one process
/// there is nothing to wait for and nothing to overlook.
async fn look(person: &Person) -> Seen {
    if !MAY_LAG {
        return Seen::new();
    }
    let seen = person.api.seen();
    person.rooms().await;
    seen
}

/// The first frame of a client.
pub(crate) fn hello_frame(token: &str, cursor: Option<&str>) -> Value {
    match cursor {
        Some(cursor) => json!({"op": "hello", "token": token, "cursor": cursor}),
        None => json!({"op": "hello", "token": token}),
    }
}

/// A message over the socket.
pub(crate) fn send_frame(room: &str, key: &str, message: &Value) -> Value {
    json!({"op": "send", "room_id": room, "idempotency_key": key, "message": message})
}

/// Whether the frame is the one event of this room with this version.
pub(crate) fn is_version(frame: &Value, room: &str, version: u64) -> bool {
    frame["op"] == "event" && frame["room_id"] == room && frame["version"] == version
}
