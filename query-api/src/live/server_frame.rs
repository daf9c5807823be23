//! What the server says on a live socket, besides the events of [`crate::frame`].

use axum::extract::ws::Utf8Bytes;
use cocotalk_application::command_bus::Accepted;
use cocotalk_application::use_case::send_message::SentAnswer;
use cocotalk_domain::id::{CommandId, MessageId, RoomId, SessionId, UserId};
use cocotalk_domain::time::Instant;
use cocotalk_edge::problem::{Problem, ProblemDetails};
use cocotalk_edge::scope::RequestId;
use serde::Serialize;
use utoipa::ToSchema;

use super::hub::Resumed;
use super::rendered::text;
use crate::frame::Op;

/// A frame of the server that is no event.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "op", rename_all = "snake_case")]
pub(super) enum ServerFrame {
    /// You are let in: a query sees everything before `cursor`, frames tell everything after it.
    Ready {
        /// The session that the token belongs to.
        #[schema(value_type = uuid::Uuid)]
        session_id: SessionId,
        /// Milliseconds between two heartbeats.
        #[schema(example = 30_000)]
        heartbeat_ms: u64,
        /// Where you stand, for the next hello.
        #[schema(example = "1.AAAB")]
        cursor: String,
        /// How this connection goes on where another one ended.
        resumed: Resumed,
    },
    /// Still here. A WebSocket ping comes with it.
    Heartbeat {
        /// Where you stand now, for the next hello.
        #[schema(example = "1.AAAB")]
        cursor: String,
    },
    /// Your `send` is durable: what the 201 over HTTP says, and where it landed.
    Ack {
        /// That of the `send`.
        #[schema(value_type = uuid::Uuid)]
        idempotency_key: CommandId,
        /// The room.
        #[schema(value_type = uuid::Uuid)]
        room_id: RoomId,
        /// The message.
        #[schema(value_type = uuid::Uuid)]
        message_id: MessageId,
        /// Its place in the room.
        #[schema(minimum = 1)]
        seq: u64,
        /// The room's version with it.
        #[schema(minimum = 1)]
        version: u64,
        /// When it was said, as everybody sees it.
        #[schema(value_type = String, format = DateTime)]
        sent_at: Instant,
        /// Where it landed, in the form of `X-Position`.
        #[schema(example = "17:204")]
        position: String,
        /// Whether an earlier `send` or request with the same key did it.
        replayed: bool,
    },
    /// Something that you sent was refused.
    Problem {
        /// That of the `send` it is about.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(value_type = Option<uuid::Uuid>, nullable = false)]
        idempotency_key: Option<CommandId>,
        /// What over HTTP would be the body.
        problem: ProblemDetails,
    },
    /// Answers `ping`.
    Pong {},
    /// The server goes away: come back after this time, with your cursor.
    Reconnect {
        /// Milliseconds to wait, for each client others.
        #[schema(example = 2_750)]
        after_ms: u64,
    },
}

impl ServerFrame {
    /// What a client is told whose message was taken: what it would have got over HTTP.
    pub(super) fn ack(key: CommandId, accepted: &Accepted) -> Self {
        let sent: SentAnswer = match serde_json::from_str(accepted.answer.body.get()) {
            Ok(sent) => sent,
            Err(error) => return Self::problem(Some(key), Problem::internal(&error)),
        };
        Self::Ack {
            idempotency_key: key,
            room_id: sent.room_id,
            message_id: sent.message_id,
            seq: sent.seq,
            version: sent.version,
            sent_at: sent.sent_at,
            position: accepted.position.to_string(),
            replayed: accepted.replayed,
        }
    }

    /// What is wrong.
    pub(super) fn problem(key: Option<CommandId>, problem: Problem) -> Self {
        Self::Problem {
            idempotency_key: key,
            problem: problem.into_details(Some(RequestId::next())),
        }
    }

    /// Asks a client to come back after a moment, each after another one.
    pub(super) fn reconnect() -> Self {
        Self::Reconnect {
            after_ms: rand::random_range(500..5_000),
        }
    }

    /// As it is sent.
    pub(super) fn text(&self) -> Utf8Bytes {
        text(self)
    }
}

/// Somebody is typing. It is no event of the log: it has no version and no position, and is never replayed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TypingFrame)]
pub(super) struct Typing {
    /// Always `event`.
    op: Op,
    /// Always `typing`.
    r#type: TypingType,
    /// Where.
    #[schema(value_type = uuid::Uuid)]
    room_id: RoomId,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    at: Instant,
    /// Who.
    data: TypingData,
}

impl Typing {
    /// That this person types there now.
    pub(super) const fn new(room_id: RoomId, user_id: UserId, at: Instant) -> Self {
        Self {
            op: Op::Event,
            r#type: TypingType::Typing,
            room_id,
            at,
            data: TypingData { user_id },
        }
    }
}

/// The word that makes an event a typing.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum TypingType {
    /// Somebody is typing.
    Typing,
}

/// Who is typing.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
struct TypingData {
    /// Who.
    #[schema(value_type = uuid::Uuid)]
    user_id: UserId,
}
