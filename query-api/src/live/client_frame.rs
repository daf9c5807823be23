//! What a client may say on a live socket.

use std::borrow::Cow;

use cocotalk_application::trace::TraceParent;
use cocotalk_domain::id::{CommandId, RoomId};
use cocotalk_edge::body::parse;
use cocotalk_edge::message::PostMessage;
use cocotalk_edge::problem::{Code, Problem};
use serde::Deserialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

/// A frame of a client after its hello.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum ClientFrame {
    /// Are you there?
    Ping {},
    /// I am typing.
    Typing {
        /// Where.
        #[schema(value_type = Uuid)]
        room_id: RoomId,
    },
    /// I have read up to here.
    Read {
        /// Where.
        #[schema(value_type = Uuid)]
        room_id: RoomId,
        /// Up to which item.
        seq: u64,
    },
    /// This is the room I look at, or none.
    Focus {
        /// Which.
        #[schema(value_type = Option<Uuid>)]
        room_id: Option<RoomId>,
    },
    /// Say something; parsed apart.
    #[serde(skip)]
    Send(Box<Send>),
}

/// Say something: the same as posting it over HTTP with this key. Answered with `ack` or `problem`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Send)]
pub(super) struct Send {
    #[serde(rename = "op")]
    #[schema(inline)]
    _op: SendOp,
    /// Where.
    #[schema(value_type = Uuid)]
    pub(super) room_id: RoomId,
    /// The id of this command, chosen by you: a retry with it is answered as before and done once.
    #[schema(value_type = Uuid)]
    pub(super) idempotency_key: CommandId,
    /// What the header of this name is to a request: one that is not well-formed is passed over.
    #[serde(default)]
    traceparent: Option<String>,
    /// The body of the call over HTTP: what is wrong with it is told as it is there.
    #[schema(value_type = PostMessage)]
    message: Box<RawValue>,
}

/// The word that makes a frame a send.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum SendOp {
    Send,
}

impl ClientFrame {
    /// The frame that a text is.
    pub(super) fn parse(text: &str) -> Result<Self, Problem> {
        #[derive(Deserialize)]
        struct Tagged<'a> {
            #[serde(borrow)]
            op: Cow<'a, str>,
        }
        let bad = |why: String| Problem::new(Code::BadFrame).detail(why);
        if !text.trim_start().starts_with('{') {
            return Err(bad("an object is expected".to_owned()));
        }
        let is_send = serde_json::from_str::<Tagged<'_>>(text).is_ok_and(|tagged| tagged.op == "send");
        let frame = if is_send {
            serde_json::from_str(text).map(|send| Self::Send(Box::new(send)))
        } else {
            serde_json::from_str(text)
        };
        frame.map_err(|error| bad(error.to_string()))
    }
}

impl Send {
    /// The place in a trace that it belongs to.
    pub(super) fn trace_parent(&self) -> Option<TraceParent> {
        self.traceparent.as_deref()?.parse().ok()
    }

    /// The message that is to be sent.
    pub(super) fn message(&self) -> Result<PostMessage, Problem> {
        parse(self.message.get().as_bytes())
    }
}

/// The first frame of a client. Answered with `ready`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Hello)]
pub(super) struct Hello {
    #[schema(inline)]
    pub(super) op: HelloOp,
    /// The access token; without one there is no `ready`.
    #[serde(default)]
    #[schema(example = "<access token>")]
    pub(super) token: Option<String>,
    /// The newest cursor of the connection before, to be told what was missed.
    #[serde(default)]
    pub(super) cursor: Option<String>,
}

/// The word that makes a frame a hello.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum HelloOp {
    Hello,
}
