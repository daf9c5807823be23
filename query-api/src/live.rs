//! `GET /v1/live`: what happens, as it happens.
//!
//! - `hub`: takes committed events in order and tells the sockets they are for; `tables` is the part behind its lock.
//! - `window`: the newest events, for those who were away for a moment; `facts` is what they say of their rooms.
//! - `marks`: what is told of read marks, with numbers of their own place in the log.
//! - `rendered`: an event as text, encoded once for a whole room.
//! - `handshakes`: those who have not said hello yet.
//! - `socket`: one connection; `close` is why it ends, `client_frame` what it may say, `server_frame` what it is told.
//! - `describe`: all of that as a document, `AsyncAPI` 3.0.
//!
//! Delivery is at most once on the wire, and nothing is lost: a frame carries its room's version, a hole is filled by
//! `changes`, a reconnect by the cursor.

mod client_frame;
mod close;
pub(crate) mod describe;
mod facts;
mod handshakes;
mod hub;
mod marks;
mod metrics;
mod rendered;
mod server_frame;
mod settings;
mod socket;
mod sockets;
mod tables;
#[cfg(test)]
mod tests;
mod window;

use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{FromRef, State};
use axum::response::Response;
use axum::routing::get;
use cocotalk_application::command_bus::Accepted;
use cocotalk_application::use_case::mark_read::MarkRead;
use cocotalk_domain::id::{CommandId, RoomId, UserId};
use cocotalk_domain::number::Seq;
use cocotalk_edge::auth::{Identity, TokenError};
use cocotalk_edge::client::Client;
use cocotalk_edge::command::{Commands, Order};
use cocotalk_edge::door::Door;
use cocotalk_edge::message;
use cocotalk_edge::problem::{Code, Problem};
use cocotalk_edge::query::{Nothing, Query};
use cocotalk_edge::rate::Limiter;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use client_frame::Send;
pub use handshakes::Handshakes;
pub use hub::{Hub, HubPorts};
use server_frame::ServerFrame;
pub use settings::LiveSettings;
use socket::Answer;
use sockets::SocketId;

/// Bytes that are read from a socket at once. Small: there are many sockets and most are silent.
const READ_BUFFER_BYTES: usize = 1024;
/// Bytes gathered before they are written. Allocated only by sockets that are told a lot.
const WRITE_BUFFER_BYTES: usize = 16 * 1024;

/// What sockets share.
pub struct Live {
    /// Who is told what.
    pub hub: Arc<Hub>,
    /// Carries out what clients ask for over their sockets.
    pub commands: Arc<Commands>,
    /// Who they are, what a request may hold, and how often they may send: the door of commands.
    pub door: Arc<Door>,
    /// How many frames an account may send.
    pub frames: Limiter<UserId>,
    /// Asks them to come back later.
    pub stop: CancellationToken,
    /// Owns the sockets' tasks.
    pub tasks: TaskTracker,
    /// Sockets that have not said hello yet.
    pub handshakes: Handshakes,
}

/// The state of the live socket's route.
#[derive(Clone)]
pub(crate) struct LiveState(Arc<Live>);

impl FromRef<LiveState> for Arc<Door> {
    fn from_ref(state: &LiveState) -> Self {
        Self::clone(&state.0.door)
    }
}

/// The route of the live socket.
pub fn router(live: Arc<Live>) -> Router {
    Router::new()
        .route("/v1/live", get(upgrade))
        .with_state(LiveState(live))
}

/// Open the live socket
///
/// A WebSocket. What is said on it is described by `/v1/asyncapi.json`; the token comes with the first frame.
#[utoipa::path(
    get,
    path = "/v1/live",
    tag = "live",
    operation_id = "open_live",
    responses(
        (status = 101, description = "Say `hello` now"),
        (status = 426, description = "`upgrade_required`"),
    ),
)]
pub(crate) async fn upgrade(
    State(LiveState(live)): State<LiveState>,
    client: Client,
    Query(Nothing {}): Query<Nothing>,
    socket: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let socket = socket.map_err(|rejection| Problem::new(Code::UpgradeRequired).detail(rejection.body_text()))?;
    if live.hub.tables().len() >= live.hub.settings.max_sockets {
        return Err(Problem::new(Code::Busy));
    }
    let frame_bytes = live.door.limits.frame_bytes;
    let socket = socket
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(WRITE_BUFFER_BYTES)
        .max_write_buffer_size(64 * WRITE_BUFFER_BYTES)
        .max_message_size(frame_bytes)
        .max_frame_size(frame_bytes);
    let token = live.tasks.token();
    Ok(socket.on_upgrade(move |socket| async move {
        socket::serve(socket, client.address, live).await;
        drop(token);
    }))
}

impl Live {
    fn identify(&self, token: Option<&str>) -> Result<Identity, TokenError> {
        self.door
            .tokens
            .verify(token.ok_or(TokenError::Invalid)?, self.door.clock.now())
    }

    fn is_expired(&self, identity: &Identity) -> bool {
        identity.expires_at <= self.door.clock.now()
    }

    fn check_rate(&self, identity: &Identity) -> Result<(), Problem> {
        self.frames.check(&identity.user_id).map(drop).map_err(Problem::from)
    }

    /// Says what a client sends, and answers it with `ack` or `problem`.
    async fn send(&self, identity: Identity, send: Send) -> Answer {
        let key = send.idempotency_key;
        let frame = match self.try_send(identity, &send).await {
            Ok(accepted) => ServerFrame::ack(key, &accepted),
            Err(problem) => ServerFrame::problem(Some(key), problem),
        };
        Answer {
            frames: vec![frame.text()],
        }
    }

    /// The same as over HTTP, and counted with it.
    async fn try_send(&self, identity: Identity, send: &Send) -> Result<Accepted, Problem> {
        self.door.rate.check(&identity.user_id)?;
        let order = Order {
            identity,
            command_id: send.idempotency_key,
            traceparent: send.trace_parent(),
        };
        message::send(&self.commands, order, send.room_id, &send.message()?).await
    }

    /// Carries out read marks; what is refused is told, one by one.
    async fn mark_read(&self, id: SocketId, identity: Identity, marks: HashMap<RoomId, Seq>) -> Answer {
        let mut frames = Vec::new();
        for (room_id, seq) in marks {
            if let Err(problem) = self.mark_one(id, identity, room_id, seq).await {
                frames.push(ServerFrame::problem(None, problem).text());
            }
        }
        Answer { frames }
    }

    async fn mark_one(&self, id: SocketId, identity: Identity, room_id: RoomId, seq: Seq) -> Result<Accepted, Problem> {
        let command_id = CommandId(self.commands.clock.new_id());
        self.hub.remember(command_id, id);
        let order = Order {
            identity,
            command_id,
            traceparent: None,
        };
        let at = self.commands.clock.now();
        let key = self.commands.data_key(identity.user_id).await?;
        let request_mac = key.request_mac(command_id.0.as_bytes());
        let use_case = MarkRead {
            room_id,
            by: identity.user_id,
            seq,
            at,
        };
        self.commands.execute(order, request_mac, use_case).await
    }
}

/// The key in a frame that is not understood, so that its sender knows which one it was.
fn key_of(frame: &str) -> Option<CommandId> {
    #[derive(serde::Deserialize)]
    struct Keyed {
        idempotency_key: CommandId,
    }
    serde_json::from_str::<Keyed>(frame)
        .ok()
        .map(|keyed| keyed.idempotency_key)
}
