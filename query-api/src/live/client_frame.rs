//! What a client may say on a live socket.

use cocotalk_domain::id::{CommandId, RoomId};
use cocotalk_edge::message::PostMessage;
use serde::Deserialize;

/// A frame of a client after its hello.
#[derive(Debug, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum ClientFrame {
    /// Are you there?
    Ping {},
    /// I am typing.
    Typing {
        /// Where.
        room_id: RoomId,
    },
    /// I have read up to here.
    Read {
        /// Where.
        room_id: RoomId,
        /// Up to which item.
        seq: u64,
    },
    /// This is the room I look at, or none.
    Focus {
        /// Which.
        room_id: Option<RoomId>,
    },
    /// Say something.
    Send(Box<Send>),
}

/// A message sent over the socket: the same as posting it over HTTP with this key.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Send {
    pub(super) room_id: RoomId,
    pub(super) idempotency_key: CommandId,
    pub(super) message: PostMessage,
}

/// The first frame.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Hello {
    pub(super) op: HelloOp,
    #[serde(default)]
    pub(super) token: Option<String>,
    #[serde(default)]
    pub(super) cursor: Option<String>,
}

/// The word that makes a frame a hello.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum HelloOp {
    Hello,
}
