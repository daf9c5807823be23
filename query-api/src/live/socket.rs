//! One connection: hello, then frames both ways until one side has had enough.
//!
//! One task, one queue. While a command of the client is being carried out nothing more is read from it, so what one socket
//! sends keeps its order and cannot pile up; what others say is written on meanwhile.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket};
use cocotalk_application::error::chain;
use cocotalk_application::position::Cursor;
use cocotalk_domain::id::{CommandId, RoomId};
use cocotalk_domain::number::Seq;
use cocotalk_edge::auth::Identity;
use cocotalk_edge::body::parse;
use cocotalk_edge::problem::{Code, Problem};
use futures_channel::mpsc;
use futures_util::future::BoxFuture;
use futures_util::{SinkExt, StreamExt};
use tokio::time::{Instant, sleep_until, timeout};

use super::Live;
use super::client_frame::{ClientFrame, Hello, HelloOp};
use super::close::Close;
use super::hub::{JoinError, Joined, heartbeat_frame};
use super::server_frame::ServerFrame;
use super::sockets::{Outgoing, SocketId};

/// Problems after which a client that does not mend its ways is closed.
const STRIKES: u8 = 20;
/// Heartbeats without a sign of life after which a client is taken for gone.
const SILENT_BEATS: u8 = 3;
/// Queued batches written with one flush.
const WRITES_AT_ONCE: usize = 64;
/// Rooms whose read marks are gathered at once; a further one is carried out first.
const GATHERED_MARKS: usize = 200;
/// How long a closing handshake may take.
const CLOSING: Duration = Duration::from_secs(1);

/// Serves one socket from its first frame to its end.
pub(super) async fn serve(mut socket: WebSocket, client: IpAddr, live: Arc<Live>) {
    // Boxed, so that what is needed once does not lie in memory for the rest of the socket's life.
    let close = match Box::pin(hello(&mut socket, client, &live)).await {
        Ok((identity, joined)) => {
            let id = joined.id;
            let farewell = Connection::greet(socket, Arc::clone(&live), identity, joined)
                .run()
                .await;
            live.hub.leave(id);
            return farewell.await;
        }
        Err(close) => close,
    };
    shut(&mut socket, close).await;
}

/// Waits for the hello and lets the socket in.
async fn hello(socket: &mut WebSocket, client: IpAddr, live: &Live) -> Result<(Identity, Joined), Close> {
    let _waiting = live.handshakes.enter(client)?;
    let limit = Duration::from_millis(live.hub.settings.hello_timeout_ms);
    let first = tokio::select! {
        first = timeout(limit, first_frame(socket)) => first.map_err(|_| Close::NoHello)??,
        () = live.stop.cancelled() => return Err(Close::GoingAway),
    };
    let Hello {
        op: HelloOp::Hello,
        token,
        cursor,
    } = parse(first.as_bytes()).map_err(|_| Close::HelloNotUnderstood)?;
    let identity = live.identify(token.as_deref()).map_err(|_| Close::NoValidToken)?;
    if cursor.as_ref().is_some_and(|cursor| cursor.len() > Cursor::MAX_CHARS) {
        return Err(Close::HelloNotUnderstood);
    }
    let joined = live.hub.join(identity.user_id, cursor.as_deref()).await;
    let joined = joined.map_err(|error| {
        match error {
            JoinError::Store(error) => tracing::warn!("a socket was not let in: {}", chain(&error)),
            JoinError::ModelBehind | JoinError::FeedBehind => tracing::warn!("a socket was not let in: {error}"),
            JoinError::Closed => return Close::GoingAway,
        }
        Close::Busy
    })?;
    Ok((identity, joined))
}

async fn first_frame(socket: &mut WebSocket) -> Result<Utf8Bytes, Close> {
    loop {
        match socket.recv().await {
            Some(Ok(Message::Text(text))) => return Ok(text),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            Some(Ok(Message::Binary(_))) => return Err(Close::HelloNotUnderstood),
            Some(Ok(Message::Close(_))) | None => return Err(Close::Gone),
            Some(Err(error)) => return Err(Close::of(&error)),
        }
    }
}

/// Says why and waits a moment for the other side to have heard it.
async fn shut(socket: &mut WebSocket, close: Close) {
    let Some((code, reason)) = close.code() else { return };
    metrics::counter!(super::metrics::CLOSED, "code" => code.to_string()).increment(1);
    let frame = Message::Close(Some(CloseFrame {
        code,
        reason: Utf8Bytes::from_static(reason),
    }));
    let heard = async {
        if socket.send(frame).await.is_ok() {
            while let Some(Ok(_)) = socket.recv().await {}
        }
    };
    // Whoever does not answer in time has lost the reason, not the close.
    drop(timeout(CLOSING, heard).await);
}

/// A socket that was let in.
struct Connection {
    socket: WebSocket,
    live: Arc<Live>,
    identity: Identity,
    id: SocketId,
    outbox: mpsc::Receiver<Outgoing>,
    silent_beats: u8,
    strikes: u8,
    /// A command of this client that is being carried out, with its answer as a frame.
    work: Option<BoxFuture<'static, Answer>>,
    marks: Option<Box<Marks>>,
}

/// What a client's commands came to, as far as there is anything to say. A refusal is an answer like any other: only what
/// cannot be understood counts against a client.
pub(super) struct Answer {
    pub(super) frames: Vec<Utf8Bytes>,
}

/// Read marks that wait to be carried out, the highest of each room.
struct Marks {
    highest: HashMap<RoomId, Seq>,
    due: Instant,
}

impl Connection {
    fn greet(socket: WebSocket, live: Arc<Live>, identity: Identity, joined: Joined) -> Greeting {
        let Joined {
            id,
            outbox,
            resumed,
            cursor,
            missed,
            now,
        } = joined;
        let connection = Self {
            socket,
            live,
            identity,
            id,
            outbox,
            silent_beats: 0,
            strikes: 0,
            work: None,
            marks: None,
        };
        let ready = ServerFrame::Ready {
            session_id: connection.identity.session_id,
            heartbeat_ms: connection.live.hub.settings.heartbeat_ms,
            cursor: cursor.to_string(),
            resumed,
        };
        metrics::counter!(super::metrics::HELLOS, "resumed" => resumed.label()).increment(1);
        let mut frames = vec![ready.text()];
        if !missed.is_empty() {
            frames.extend(missed);
            frames.push(heartbeat_frame(&now));
        }
        Greeting { connection, frames }
    }
}

/// A socket that was let in and has not been told so yet.
struct Greeting {
    connection: Connection,
    frames: Vec<Utf8Bytes>,
}

impl Greeting {
    /// Greets, and serves until the end; what comes back is the closing handshake.
    async fn run(self) -> BoxFuture<'static, ()> {
        let Self { mut connection, frames } = self;
        let close = match connection.write_in_parts(&frames).await {
            Ok(()) => connection.serve().await,
            Err(close) => close,
        };
        drop(frames);
        Box::pin(async move {
            connection.carry_out_marks().await;
            shut(&mut connection.socket, close).await;
        })
    }
}

impl Connection {
    async fn serve(&mut self) -> Close {
        loop {
            if let Err(close) = self.step().await {
                return close;
            }
        }
    }

    async fn step(&mut self) -> Result<(), Close> {
        let due = self
            .marks
            .as_ref()
            .map(|marks| marks.due)
            .filter(|_| self.work.is_none());
        tokio::select! {
            outgoing = self.outbox.next() => match outgoing {
                Some(first) => {
                    let mut all = vec![first];
                    all.extend(std::iter::from_fn(|| self.outbox.try_recv().ok()).take(WRITES_AT_ONCE));
                    self.write(all).await
                }
                None => Err(Close::TooSlow),
            },
            answer = async { self.work.as_mut().expect("there is work").await }, if self.work.is_some() => {
                self.work = None;
                self.answer(answer).await
            }
            () = async { sleep_until(due.expect("there are marks")).await }, if due.is_some() => {
                self.start_marks();
                Ok(())
            }
            received = self.socket.recv(), if self.work.is_none() => {
                self.silent_beats = 0;
                match received {
                    Some(Ok(Message::Text(frame))) => self.take(&frame).await,
                    Some(Ok(Message::Binary(_))) => self.strike(None, Problem::new(Code::BadFrame)).await,
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => Ok(()),
                    Some(Ok(Message::Close(_))) | None => Err(Close::Gone),
                    Some(Err(error)) => Err(Close::of(&error)),
                }
            }
        }
    }

    /// Writes many frames, each part of them in bounded time: a long replay may take long on a slow line.
    async fn write_in_parts(&mut self, frames: &[Utf8Bytes]) -> Result<(), Close> {
        for part in frames.chunks(WRITES_AT_ONCE) {
            self.write(vec![Outgoing::Frames(part.into())]).await?;
        }
        Ok(())
    }

    /// Writes what waits with one flush, in bounded time.
    async fn write(&mut self, all: Vec<Outgoing>) -> Result<(), Close> {
        let limit = Duration::from_millis(self.live.hub.settings.write_timeout_ms);
        timeout(limit, self.write_all(all)).await.map_err(|_| Close::TooSlow)?
    }

    async fn write_all(&mut self, all: Vec<Outgoing>) -> Result<(), Close> {
        let mut leaving = false;
        for outgoing in all {
            match outgoing {
                Outgoing::Frames(frames) => {
                    for frame in frames.iter() {
                        self.feed(Message::Text(frame.clone())).await?;
                    }
                }
                Outgoing::Frame(frame) => self.feed(Message::Text(frame)).await?,
                Outgoing::Heartbeat(frame) => {
                    self.check_pulse()?;
                    self.feed(Message::Text(frame)).await?;
                    self.feed(Message::Ping(axum::body::Bytes::new())).await?;
                }
                Outgoing::Reconnect => {
                    self.feed(Message::Text(ServerFrame::reconnect().text())).await?;
                    leaving = true;
                }
            }
        }
        self.socket.flush().await.map_err(|_| Close::Gone)?;
        if leaving { Err(Close::GoingAway) } else { Ok(()) }
    }

    async fn feed(&mut self, message: Message) -> Result<(), Close> {
        self.socket.feed(message).await.map_err(|_| Close::Gone)
    }

    /// Whether the client still shows signs of life and may still be here.
    fn check_pulse(&mut self) -> Result<(), Close> {
        if self.silent_beats >= SILENT_BEATS {
            return Err(Close::Silent);
        }
        self.silent_beats += 1;
        if self.live.is_expired(&self.identity) {
            Err(Close::NoValidToken)
        } else {
            Ok(())
        }
    }

    async fn answer(&mut self, answer: Answer) -> Result<(), Close> {
        self.write(vec![Outgoing::Frames(answer.frames.into())]).await
    }

    /// Tells the client what was wrong with a frame.
    async fn strike(&mut self, key: Option<CommandId>, problem: Problem) -> Result<(), Close> {
        self.write(vec![Outgoing::Frame(ServerFrame::problem(key, problem).text())])
            .await?;
        self.count_strike()
    }

    fn count_strike(&mut self) -> Result<(), Close> {
        self.strikes += 1;
        if self.strikes >= STRIKES {
            Err(Close::TooManyProblems)
        } else {
            Ok(())
        }
    }

    async fn take(&mut self, frame: &str) -> Result<(), Close> {
        if let Err(problem) = self.live.check_rate(&self.identity) {
            return self.strike(super::key_of(frame), problem).await;
        }
        let frame = match ClientFrame::parse(frame) {
            Ok(frame) => frame,
            Err(problem) => return self.strike(super::key_of(frame), problem).await,
        };
        match frame {
            ClientFrame::Ping {} => self.write(vec![Outgoing::Frame(ServerFrame::Pong {}.text())]).await,
            // Which room is looked at matters to pushes alone, and those come with devices: only its being one's own counts.
            ClientFrame::Focus { room_id } => {
                let is_own = room_id.is_none_or(|room_id| self.live.hub.is_in(self.id, room_id));
                self.found(is_own).await
            }
            ClientFrame::Typing { room_id } => {
                let is_own = self.live.hub.typing(self.id, room_id, self.identity.user_id);
                self.found(is_own).await
            }
            ClientFrame::Read { room_id, seq } => {
                self.gather(room_id, seq.seq());
                Ok(())
            }
            ClientFrame::Send(send) => {
                let (live, identity) = (Arc::clone(&self.live), self.identity);
                self.work = Some(Box::pin(async move { live.send(identity, *send).await }));
                Ok(())
            }
        }
    }

    /// A room that is not mine, or not yet, is told but held against nobody.
    async fn found(&mut self, is_own_room: bool) -> Result<(), Close> {
        if is_own_room {
            return Ok(());
        }
        let problem = ServerFrame::problem(None, Problem::new(Code::RoomNotFound)).text();
        self.write(vec![Outgoing::Frame(problem)]).await
    }

    fn gather(&mut self, room_id: RoomId, seq: Seq) {
        let due = Instant::now() + Duration::from_millis(self.live.hub.settings.read_marks_ms);
        let marks = self.marks.get_or_insert_with(|| {
            Box::new(Marks {
                highest: HashMap::new(),
                due,
            })
        });
        let highest = marks.highest.entry(room_id).or_default();
        *highest = seq.max(*highest);
        if marks.highest.len() >= GATHERED_MARKS {
            self.start_marks();
        }
    }

    fn start_marks(&mut self) {
        let Some(marks) = self.marks.take() else { return };
        let (live, identity, id) = (Arc::clone(&self.live), self.identity, self.id);
        self.work = Some(Box::pin(
            async move { live.mark_read(id, identity, marks.highest).await },
        ));
    }

    /// Carries out what was begun and gathered, for a client that is gone.
    async fn carry_out_marks(&mut self) {
        if let Some(work) = self.work.take() {
            work.await;
        }
        self.start_marks();
        if let Some(work) = self.work.take() {
            work.await;
        }
    }
}
