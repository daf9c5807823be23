//! What is wrong with a body: that it is no JSON, or says what cannot be, or says too much of it.

use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::{COMMANDS, Command, Header, PATCH, POST, PUT, SIGN_IN, World, nothing_of, with_bodies};
use crate::harness::client::{Api, new_key, pointers};
use crate::harness::raw::Raw;

/// A way to spoil a body that is good, and what it is refused with.
type Spoilt = (&'static str, fn(&str) -> Vec<u8>, u16, &'static str);

const BODIES: &[Spoilt] = &[
    ("nothing", |_| Vec::new(), 400, "malformed_json"),
    (
        "half of it",
        |good| good[..good.len() - 1].into(),
        400,
        "malformed_json",
    ),
    (
        "more than one",
        |good| [good, good].concat().into(),
        400,
        "malformed_json",
    ),
    (
        "a comma too many",
        |good| good.replace('}', ",}").into(),
        400,
        "malformed_json",
    ),
    (
        "other quotes",
        |good| good.replace('"', "'").into(),
        400,
        "malformed_json",
    ),
    (
        "a mark of byte order",
        |good| format!("\u{feff}{good}").into(),
        400,
        "malformed_json",
    ),
    (
        "UTF-16",
        |good| good.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        400,
        "malformed_json",
    ),
    ("a form", |_| b"kind=text&text=a".into(), 400, "malformed_json"),
    (
        "no number",
        |good| with(good, r#""surprise": NaN"#),
        400,
        "malformed_json",
    ),
    (
        "a number beyond all",
        |good| with(good, r#""surprise": 1e999"#),
        400,
        "malformed_json",
    ),
    (
        "half a surrogate pair",
        |good| with(good, r#""surprise": "\ud800""#),
        400,
        "malformed_json",
    ),
    (
        "the other half",
        |good| with(good, r#""surprise": "\udc00""#),
        400,
        "malformed_json",
    ),
    (
        "half a pair in a name",
        |good| with(good, r#""\ud800": 1"#),
        400,
        "malformed_json",
    ),
    (
        "a raw NUL",
        |good| with(good, "\"surprise\": \"\0\""),
        400,
        "malformed_json",
    ),
    (
        "no UTF-8",
        |good| [&with(good, r#""surprise": ""#)[..], b"\xff\xfe\"}"].concat(),
        400,
        "malformed_json",
    ),
    (
        "UTF-8 of a surrogate",
        |good| [&with(good, r#""surprise": ""#)[..], b"\xed\xa0\x80\"}"].concat(),
        400,
        "malformed_json",
    ),
    (
        "a deep list",
        |good| with(good, &nested("[", "]")),
        400,
        "malformed_json",
    ),
    (
        "a deep object",
        |good| with(good, &nested("{\"a\":", "}")),
        400,
        "malformed_json",
    ),
    (
        "a deep list alone",
        |_| "[".repeat(100_000).into(),
        400,
        "malformed_json",
    ),
    ("a list", |good| format!("[{good}]").into(), 422, "invalid_fields"),
    ("a text", |_| "\"text\"".into(), 422, "invalid_fields"),
    ("a number", |_| "7".into(), 422, "invalid_fields"),
    ("null", |_| "null".into(), 422, "invalid_fields"),
    (
        "an unknown field",
        |good| with(good, r#""surprise": 1"#),
        422,
        "invalid_fields",
    ),
    (
        "an unknown field that hides",
        |good| with(good, r#""__proto__": {}"#),
        422,
        "invalid_fields",
    ),
    (
        "a field without a name",
        |good| with(good, r#""": 1"#),
        422,
        "invalid_fields",
    ),
    (
        "a field that is spelt almost",
        |good| good.replacen('"', "\" ", 1).into(),
        422,
        "invalid_fields",
    ),
    (
        "a list of tens of thousands",
        |good| with(good, &format!(r#""surprise": [1{}]"#, ",1".repeat(100_000))),
        422,
        "invalid_fields",
    ),
];

/// Deeper than anybody needs, and than any parser may follow.
const DEPTH: usize = 30_000;

fn nested(open: &str, close: &str) -> String {
    format!(r#""surprise": {}1{}"#, open.repeat(DEPTH), close.repeat(DEPTH))
}

/// The object with one more field. What ends in the middle of a text is left open.
fn with(good: &str, field: &str) -> Vec<u8> {
    let fields = good.trim_end_matches('}').trim_end();
    let braces = good.len() - good.trim_end_matches('}').len();
    let is_open = field.ends_with(": \"");
    let inner = "}".repeat(braces - 1);
    let end = if is_open { "" } else { "}" };
    format!("{fields}{inner}, {field}{end}").into()
}

/// What a field of some type cannot be, whichever field it is.
const NO_TEXT: &[&str] = &["7", "true", "[]", "{}", r#"["a"]"#];
const NO_ID: &[&str] = &[
    "7",
    "{}",
    r#""""#,
    r#""here""#,
    r#""0198c0de-7a1c-7000-8000-00000000000""#,
    r#""0198c0de-7a1c-7000-8000-00000000000ab""#,
    r#""0198c0de-7a1c-7000-8000-00000000000\u0000""#,
    r#""1; DROP TABLE rooms""#,
];
const NO_SEQ: &[&str] = &[
    "-1",
    "-9223372036854775808",
    "1.5",
    "1e3",
    "\"1\"",
    "null",
    "[1]",
    "9007199254740992",
    "18446744073709551615",
    "18446744073709551616",
    "1000000000000000000000000000000",
];
const NO_SWITCH: &[&str] = &["1", "0", "\"true\"", "[]", "{}"];
const NO_LIST: &[&str] = &["7", "{}", "\"a\"", "[7]", "[null]", "[[]]", r#"["here"]"#, "[\"\"]"];
const NO_OBJECT: &[&str] = &["7", "[]", "\"all\"", r#"{"surprise": 1}"#, r#"{"invite_by": "nobody"}"#];
const NO_TIME: &[&str] = &[
    "7",
    "[]",
    r#""tomorrow""#,
    r#""2099-13-31T15:00:00.000Z""#,
    r#""2099-12-31""#,
    r#""+999999-12-31T15:00:00Z""#,
];

/// What a field cannot be, by what it is in the good body.
fn wrong(name: &str, good: &Value) -> &'static [&'static str] {
    match good {
        Value::Null => &[],
        Value::Bool(_) => NO_SWITCH,
        Value::Number(_) => NO_SEQ,
        Value::Array(_) => NO_LIST,
        Value::Object(_) => NO_OBJECT,
        Value::String(_) if name.ends_with("_until") => NO_TIME,
        Value::String(text) if uuid::Uuid::try_parse(text).is_ok() => NO_ID,
        Value::String(_) => NO_TEXT,
    }
}

/// Texts, with the most characters that they may have.
const TEXTS: &[(&str, &str, &str, usize)] = &[
    (POST, "/v1/rooms/{room}/messages", "text", 10_000),
    (PATCH, "/v1/rooms/{room}/messages/{message}", "text", 10_000),
    (PATCH, "/v1/rooms/{room}", "notice", 10_000),
    (PATCH, "/v1/rooms/{room}", "name", 50),
    (POST, "/v1/rooms", "name", 50),
    (PUT, "/v1/rooms/{room}/preferences", "alias", 50),
    (POST, "/v1/dev/accounts", "display_name", 20),
    (POST, "/v1/dev/accounts", "handle", 20),
    (POST, SIGN_IN, "handle", 20),
];

const TYPES: &[Header] = &[
    ("content-type", "", 415, "unsupported_media_type"),
    ("content-type", "text/plain", 415, "unsupported_media_type"),
    (
        "content-type",
        "application/x-www-form-urlencoded",
        415,
        "unsupported_media_type",
    ),
    (
        "content-type",
        "multipart/form-data; boundary=a",
        415,
        "unsupported_media_type",
    ),
    ("content-type", "application/jsonp", 415, "unsupported_media_type"),
    (
        "content-type",
        "application/json; charset=utf-16",
        415,
        "unsupported_media_type",
    ),
];
#[tokio::test]
async fn a_body_that_is_spoilt_is_refused() {
    let world = World::make(&Api::shared()).await;
    let calls = with_bodies().flat_map(|command| {
        let good = world.fill(command.2);
        let world = &world;
        BODIES.iter().map(move |(name, spoil, status, code)| {
            let told = format!("{name} to {} {}", command.0, command.1);
            (told, world.saying(command, spoil(&good)), *status, *code)
        })
    });
    nothing_of(calls, &world).await;
}

/// The body with another value in one of its fields.
fn replaced(good: &Value, field: &str, raw: &str) -> String {
    let raw = RawValue::from_string(raw.to_owned()).unwrap();
    let fields = good.as_object().unwrap().iter().map(|(name, value)| {
        let value = if name == field {
            raw.to_string()
        } else {
            value.to_string()
        };
        format!("{name:?}: {value}")
    });
    format!("{{{}}}", fields.collect::<Vec<_>>().join(", "))
}

#[tokio::test]
async fn a_field_of_a_wrong_type_is_pointed_at() {
    let world = World::make(&Api::shared()).await;
    let before = world.seen().await;
    for command in with_bodies() {
        let good: Value = serde_json::from_str(&world.fill(command.2)).unwrap();
        for (name, value) in good.as_object().unwrap() {
            for raw in wrong(name, value) {
                let reply = world.saying(command, replaced(&good, name, raw)).await;
                let problem = reply.refused(422, "invalid_fields");
                let place = format!("/{name}");
                assert!(
                    pointers(&problem).iter().any(|pointer| pointer.starts_with(&place)),
                    "{name}: {raw}: {reply}"
                );
            }
        }
    }
    assert_eq!(world.seen().await, before);
}

/// Fields that may be left out; there, `null` says nothing, or takes something away.
const OPTIONAL: &[(&str, &str)] = &[
    (POST, "name"),
    (POST, "reply_to"),
    (POST, "mentions"),
    (PATCH, "name"),
    (PATCH, "notice"),
    (PUT, "pinned"),
    (PUT, "alias"),
    (PUT, "muted_until"),
];

#[tokio::test]
async fn a_field_that_is_null_is_pointed_at_unless_it_may_be_left_out() {
    let world = World::make(&Api::shared()).await;
    let before = world.seen().await;
    for command in with_bodies() {
        let good: Value = serde_json::from_str(&world.fill(command.2)).unwrap();
        let fields = good.as_object().unwrap().keys();
        for name in fields.filter(|name| !OPTIONAL.contains(&(command.0, name))) {
            let reply = world.saying(command, replaced(&good, name, "null")).await;
            let problem = reply.refused(422, "invalid_fields");
            assert_eq!(pointers(&problem), [format!("/{name}")], "{reply}");
        }
    }
    assert_eq!(world.seen().await, before);
}

#[tokio::test]
async fn a_field_that_is_given_twice_is_pointed_at() {
    let world = World::make(&Api::shared()).await;
    let before = world.seen().await;
    for command in with_bodies() {
        let body = world.fill(command.2);
        let good: Value = serde_json::from_str(&body).unwrap();
        for (name, value) in good.as_object().unwrap() {
            let twice = with(&body, &format!("{name:?}: {value}"));
            let reply = world.saying(command, twice).await;
            let problem = reply.refused(422, "invalid_fields");
            assert_eq!(pointers(&problem), [format!("/{name}")], "{reply}");
            assert_eq!(problem["errors"][0]["code"], "duplicate_field", "{reply}");
        }
    }
    assert_eq!(world.seen().await, before);
}

#[tokio::test]
async fn a_text_that_is_empty_or_too_long_or_holds_nul_is_pointed_at() {
    let world = World::make(&Api::shared()).await;
    let before = world.seen().await;
    for (method, path, field, most) in TEXTS {
        let of_field = |command: &&Command| command.0 == *method && command.1 == *path && command.2.contains(field);
        let command = *COMMANDS.iter().find(of_field).unwrap();
        let good: Value = serde_json::from_str(&world.fill(command.2)).unwrap();
        for (given, code) in [
            (String::new(), "too_short"),
            ("가".repeat(most + 1), "too_long"),
            ("🐿".repeat(most + 1), "too_long"),
            ("a".repeat(200_000), "too_long"),
            ("abc\0def".to_owned(), "invalid_character"),
        ] {
            let reply = world
                .saying(command, replaced(&good, field, &json!(given).to_string()))
                .await;
            let problem = reply.refused(422, "invalid_fields");
            assert_eq!(pointers(&problem), [format!("/{field}")], "{reply}");
            assert_eq!(problem["errors"][0]["code"], code, "{reply}");
        }
    }
    assert_eq!(world.seen().await, before);
}

#[tokio::test]
async fn a_list_that_is_too_long_is_pointed_at() {
    let world = World::make(&Api::shared()).await;
    let before = world.seen().await;
    let ids = |count: usize| -> Vec<_> { (0..count).map(|_| new_key()).collect() };
    for (method, path, body, field) in [
        (
            POST,
            "/v1/rooms",
            json!({"kind": "group", "user_ids": ids(1_500)}),
            "/user_ids",
        ),
        (
            POST,
            "/v1/rooms/{room}/members",
            json!({"user_ids": ids(3_001)}),
            "/user_ids",
        ),
        (POST, "/v1/rooms/{room}/members", json!({"user_ids": []}), "/user_ids"),
        (
            POST,
            "/v1/rooms/{room}/messages",
            json!({"kind": "text", "text": "@", "mentions": ids(51)}),
            "/mentions",
        ),
    ] {
        let reply = world.saying((method, path, ""), body.to_string()).await;
        let problem = reply.problem(422);
        assert_eq!(pointers(&problem), [field], "{reply}");
    }
    assert_eq!(world.seen().await, before);
}

/// As long as no body may be: announced, or found out while reading. What comes too late to be read is not waited for.
#[tokio::test]
async fn a_body_over_the_limit_is_refused_unread() {
    let world = World::make(&Api::shared()).await;
    let before = world.seen().await;
    let million = format!(r#"{{"surprise": [1{}]}}"#, ",1".repeat(999_999));
    let blank = " ".repeat(256 * 1_024 + 1);
    for command in with_bodies() {
        let (method, path) = (command.0, world.fill(command.1));
        let raw = || {
            Raw::request(world.mina.api.command_address(), method, &path)
                .header("authorization", &format!("Bearer {}", world.mina.token))
                .header("content-type", "application/json")
        };
        for body in [&million, &blank] {
            raw().announced(body).await.refused(413, "payload_too_large");
            raw().in_chunks(body).await.refused(413, "payload_too_large");
        }
        raw()
            .header("content-length", "99999999999999")
            .begun("{")
            .await
            .refused(413, "payload_too_large");
    }
    assert_eq!(world.seen().await, before);
}

#[tokio::test]
async fn a_body_of_another_type_is_refused() {
    let world = World::make(&Api::shared()).await;
    let calls = with_bodies().flat_map(|command| {
        let (body, world) = (world.fill(command.2), &world);
        TYPES.iter().map(move |(name, value, status, code)| {
            let call = world.asking((command.0, command.1, "")).raw(body.clone());
            let told = format!("{name}: {value}: {} {}", command.0, command.1);
            (told, call.header(name, *value), *status, *code)
        })
    });
    nothing_of(calls, &world).await;
}
