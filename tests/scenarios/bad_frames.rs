//! Every bad frame: what a socket is told when it says something that cannot be, and that nothing comes of it.

use serde_json::{Value, json};

use crate::harness::client::{Api, assert_problem, new_key, number, text};
use crate::harness::person::Person;
use crate::harness::socket::Socket;

/// A frame as text, and the code of the problem that it gets. In it stand `{room}`, `{nowhere}` and `{key}`.
const FRAMES: &[(&str, &str)] = &[
    ("", "bad_frame"),
    ("hello", "bad_frame"),
    ("null", "bad_frame"),
    ("[]", "bad_frame"),
    ("{", "bad_frame"),
    ("{} {}", "bad_frame"),
    (r#"{"op": "ping"} {"op": "ping"}"#, "bad_frame"),
    ("\u{feff}{\"op\": \"ping\"}", "bad_frame"),
    (r#"{"op": "ping", "op": "ping"}"#, "bad_frame"),
    (r#"{"op": "ping", "surprise": 1}"#, "bad_frame"),
    (r#"{"op": "PING"}"#, "bad_frame"),
    (r#"{"op": ["ping"]}"#, "bad_frame"),
    (r#"{"op": "ping\u0000"}"#, "bad_frame"),
    (r#"{"op": "\ud800"}"#, "bad_frame"),
    (r#"{"op": "hello", "token": "again"}"#, "bad_frame"),
    (r#"{"op": "event", "type": "message.sent"}"#, "bad_frame"),
    (r#"["ping"]"#, "bad_frame"),
    (r#"{"op": "typing", "room_id": "here"}"#, "bad_frame"),
    (r#"{"op": "typing", "room_id": null}"#, "bad_frame"),
    (r#"{"op": "typing", "room_id": "{nowhere}"}"#, "room_not_found"),
    (r#"{"op": "focus", "room_id": 7}"#, "bad_frame"),
    (r#"{"op": "focus", "room_id": "{nowhere}"}"#, "room_not_found"),
    (r#"{"op": "read", "room_id": "{room}"}"#, "bad_frame"),
    (r#"{"op": "read", "room_id": "{room}", "seq": -1}"#, "bad_frame"),
    (r#"{"op": "read", "room_id": "{room}", "seq": 1.5}"#, "bad_frame"),
    (r#"{"op": "read", "room_id": "{room}", "seq": "1"}"#, "bad_frame"),
    (
        r#"{"op": "read", "room_id": "{room}", "seq": 9007199254740992}"#,
        "bad_frame",
    ),
    (
        r#"{"op": "read", "room_id": "{room}", "seq": 18446744073709551616}"#,
        "bad_frame",
    ),
    (
        r#"{"op": "send", "room_id": "{room}", "message": {"kind": "text", "text": "a"}}"#,
        "bad_frame",
    ),
    (
        r#"{"op": "send", "room_id": "{room}", "idempotency_key": "{key}"}"#,
        "bad_frame",
    ),
    (
        r#"{"op": "send", "room_id": "{room}", "idempotency_key": "once", "message": {"kind": "text", "text": "a"}}"#,
        "bad_frame",
    ),
    (
        r#"{"op": "send", "room_id": "here", "idempotency_key": "{key}", "message": {"kind": "text", "text": "a"}}"#,
        "bad_frame",
    ),
];

/// A message as JSON, and the code of the problem that the `send` with it gets, as it is over HTTP.
const MESSAGES: &[(&str, &str)] = &[
    ("7", "invalid_fields"),
    ("[]", "invalid_fields"),
    ("{}", "invalid_fields"),
    (r#"{"kind": "circle"}"#, "invalid_fields"),
    (r#"{"kind": "text"}"#, "invalid_fields"),
    (r#"{"kind": "text", "text": ""}"#, "invalid_fields"),
    (r#"{"kind": "text", "text": "a\u0000b"}"#, "invalid_fields"),
    (r#"{"kind": "text", "text": 7}"#, "invalid_fields"),
    (r#"{"kind": "text", "text": "a", "text": "b"}"#, "invalid_fields"),
    (r#"{"kind": "text", "text": "a", "surprise": 1}"#, "invalid_fields"),
    (r#"{"kind": "text", "text": "a", "reply_to": "here"}"#, "invalid_fields"),
    (r#"{"kind": "text", "text": "a", "mentions": "all"}"#, "invalid_fields"),
    (r#"{"kind": "text", "text": "\ud800"}"#, "malformed_json"),
    (r#"{"kind": "text", "text": "a", "surprise": 1e999}"#, "malformed_json"),
    (r#"{"kind": "photo", "media_ids": ["{key}"]}"#, "media_not_available"),
];

/// Somebody in a room, with a socket.
struct World {
    mina: Person,
    room: String,
}

impl World {
    async fn make() -> Self {
        let [mina, boram, chulsoo] = Api::shared().three().await;
        let room = mina.group(&[&boram, &chulsoo]).await;
        Self { mina, room }
    }

    fn fill(&self, pattern: &str) -> String {
        let filled = pattern.replace("{room}", &self.room);
        filled.replace("{nowhere}", &new_key()).replace("{key}", &new_key())
    }

    async fn version(&self) -> u64 {
        number(&self.mina.room(&self.room).await["version"])
    }
}

/// Says it on a socket of its own, which goes on working.
async fn refused(world: &World, frame: String) -> Value {
    let mut socket = Socket::open(&world.mina).await;
    socket.say(frame).await;
    let answer = socket.wait_for("a problem", |frame| frame["op"] == "problem").await;
    let problem = &answer["problem"];
    let status = u16::try_from(number(&problem["status"])).unwrap();
    assert!((400..500).contains(&status), "{answer}");
    assert_problem(problem, status);
    assert!(answer.to_string().len() < 2_000, "{answer:.2000}");
    socket.ping().await;
    answer
}

#[tokio::test]
async fn a_frame_that_cannot_be_gets_a_problem() {
    let world = World::make().await;
    let before = world.version().await;
    for (frame, code) in FRAMES {
        let answer = refused(&world, world.fill(frame)).await;
        assert_eq!(answer["problem"]["code"], *code, "{frame}: {answer}");
    }
    assert_eq!(world.version().await, before);
}

#[tokio::test]
async fn a_message_that_cannot_be_gets_the_problem_that_it_gets_over_http() {
    let world = World::make().await;
    let before = world.version().await;
    let path = format!("/v1/rooms/{}/messages", world.room);
    for (message, code) in MESSAGES {
        let (key, message) = (new_key(), world.fill(message));
        let frame = format!(
            r#"{{"op": "send", "room_id": "{}", "idempotency_key": "{key}", "message": {message}}}"#,
            world.room
        );
        let answer = refused(&world, frame).await;
        assert_eq!(answer["problem"]["code"], *code, "{message}: {answer}");
        let call = world.mina.call("POST", path.clone()).raw(message);
        let reply = call.header("content-type", "application/json").await;
        assert_eq!(text(&reply.value()["code"]), *code, "{reply}");
        assert_eq!(reply.value()["errors"], answer["problem"]["errors"], "{reply}");
        // Half a frame has no key that can be trusted.
        if *code != "malformed_json" {
            assert_eq!(answer["idempotency_key"], *key, "{answer}");
        }
    }
    assert_eq!(world.version().await, before);
}

/// The largest that are read at all: what is told of them is short.
#[tokio::test]
async fn a_large_frame_of_junk_gets_a_short_problem() {
    let world = World::make().await;
    let before = world.version().await;
    let (long, deep) = ("a".repeat(60_000), "[".repeat(60_000));
    let list = format!("[1{}]", ",1".repeat(30_000));
    for frame in [
        long.clone(),
        deep.clone(),
        json!({"op": long}).to_string(),
        json!({"op": "ping", long.clone(): 1}).to_string(),
        json!({"op": "typing", "room_id": long}).to_string(),
        format!(r#"{{"op": "ping", "surprise": {deep}}}"#),
        format!(r#"{{"op": "ping", "surprise": {list}}}"#),
    ] {
        let answer = refused(&world, frame).await;
        assert_eq!(answer["problem"]["code"], "bad_frame", "{answer}");
    }
    for message in [
        json!({"kind": "text", "text": "가".repeat(10_001)}),
        json!({"kind": "text", "text": "a".repeat(60_000)}),
        json!({"kind": "text", "text": "@", "mentions": (0..51).map(|_| new_key()).collect::<Vec<_>>()}),
    ] {
        let mut socket = Socket::open(&world.mina).await;
        let answer = socket.post(&world.room, &new_key(), &message).await;
        assert_eq!(answer["op"], "problem", "{answer:.2000}");
    }
    assert_eq!(world.version().await, before);
}
