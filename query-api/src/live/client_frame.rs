//! What a client may say on a live socket.

use std::borrow::Cow;

use cocotalk_application::trace::TraceParent;
use cocotalk_domain::id::{CommandId, RoomId};
use cocotalk_edge::body::{parse, shorten};
use cocotalk_edge::describe::bounds;
use cocotalk_edge::message::PostMessage;
use cocotalk_edge::problem::{Code, Problem};
use cocotalk_edge::seq::GivenSeq;
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
        /// Up to which item; beyond the newest it is the newest.
        #[schema(value_type = bounds::SeqNumber)]
        seq: GivenSeq,
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
        let bad = |why: String| Problem::new(Code::BadFrame).detail(shorten(&why));
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
    #[schema(value_type = Option<bounds::AccessToken>)]
    pub(super) token: Option<String>,
    /// The newest cursor of the connection before, to be told what was missed.
    #[serde(default)]
    #[schema(value_type = Option<bounds::LiveCursor>)]
    pub(super) cursor: Option<String>,
}

/// The word that makes a frame a hello.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum HelloOp {
    Hello,
}

#[cfg(test)]
mod tests {
    use cocotalk_domain::limits::SEQ_MAX;
    use cocotalk_edge::problem::ProblemDetails;
    use proptest::prelude::*;
    use proptest::sample::{Index, select};
    use serde_json::{Value, json};

    use super::*;

    const ID: &str = "0198c0de-7a1c-7000-8000-00000000000a";

    fn good() -> Vec<Value> {
        vec![
            json!({"op": "ping"}),
            json!({"op": "typing", "room_id": ID}),
            json!({"op": "read", "room_id": ID, "seq": 7}),
            json!({"op": "focus", "room_id": null}),
            json!({"op": "send", "room_id": ID, "idempotency_key": ID, "message": {"kind": "text", "text": "안녕"}}),
            json!({"op": "hello", "token": "a.b.c", "cursor": "AAAA"}),
        ]
    }

    /// Something that a field could be.
    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "\\PC{0,10}".prop_map(Value::from),
            Just(Value::from(ID)),
        ];
        leaf.prop_recursive(3, 12, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(field(), inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    fn field() -> impl Strategy<Value = String> {
        const KNOWN: &[&str] = &[
            "op",
            "room_id",
            "seq",
            "idempotency_key",
            "message",
            "traceparent",
            "kind",
            "text",
            "mentions",
        ];
        prop_oneof![4 => select(KNOWN).prop_map(str::to_owned), 1 => "\\PC{0,5}"]
    }

    /// A frame that is good but for a few fields.
    fn changed() -> impl Strategy<Value = String> {
        let changes = prop::collection::vec((field(), value()), 0..3);
        (select(good()), changes).prop_map(|(mut frame, changes)| {
            changes.into_iter().for_each(|(name, value)| frame[name] = value);
            frame.to_string()
        })
    }

    /// Such a frame, maybe with another few characters in the place of one; and anything at all.
    fn frame() -> impl Strategy<Value = String> {
        let spoilt = (changed(), any::<Index>(), "\\PC{0,3}").prop_map(|(frame, at, with)| {
            let chars: Vec<char> = frame.chars().collect();
            let at = at.index(chars.len());
            chars[..at].iter().collect::<String>() + &with + &chars[at + 1..].iter().collect::<String>()
        });
        prop_oneof![4 => changed(), 2 => spoilt, 1 => value().prop_map(|value| value.to_string()), 1 => "\\PC{0,40}"]
    }

    /// What the client is told.
    fn told(problem: Problem) -> ProblemDetails {
        let details = problem.into_details(None);
        assert!((400..500).contains(&details.status), "{details:?}");
        assert!(details.detail.chars().count() < 300, "{details:?}");
        details
    }

    #[test]
    fn the_good_ones_are_understood() {
        for frame in good().iter().filter(|frame| frame["op"] != "hello") {
            let parsed = ClientFrame::parse(&frame.to_string());
            assert!(parsed.is_ok(), "{frame}: {parsed:?}");
        }
    }

    #[test]
    fn a_place_is_refused_where_it_is_over_http() {
        let read = |seq: u64| ClientFrame::parse(&json!({"op": "read", "room_id": ID, "seq": seq}).to_string());
        for seq in [0, SEQ_MAX] {
            assert!(read(seq).is_ok(), "{seq}");
        }
        for seq in [SEQ_MAX + 1, u64::MAX] {
            let told = told(read(seq).unwrap_err());
            assert_eq!(told.code, "bad_frame");
            assert!(told.detail.contains("a seq is less than 2^53"), "{told:?}");
        }
    }

    #[test]
    fn what_is_told_of_a_long_frame_is_short() {
        let long = json!({"op": "a".repeat(60_000)}).to_string();
        assert_eq!(told(ClientFrame::parse(&long).unwrap_err()).code, "bad_frame");
    }

    proptest! {
        #[test]
        fn any_text_is_a_frame_or_refused(text in frame()) {
            match ClientFrame::parse(&text) {
                Ok(ClientFrame::Send(send)) => drop(send.message().map_err(told)),
                Ok(_) => {}
                Err(problem) => prop_assert_eq!(told(problem).code, "bad_frame"),
            }
            let op = serde_json::from_str::<Value>(&text).ok().map(|frame| frame["op"].clone());
            if parse::<Hello>(text.as_bytes()).map_err(told).is_ok() {
                prop_assert_eq!(op, Some(Value::from("hello")), "nothing else opens a socket");
            }
        }
    }
}
