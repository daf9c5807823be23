//! Bodies: everything that can be wrong with one, and that nothing else is refused.

use axum::Router;
use axum::routing::post;
use cocotalk_domain::id::RoomId;
use serde::{Deserialize, Serialize};

use super::*;
use crate::body::{Json, canonical, object, parse};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Note {
    text: String,
    seq: u64,
    #[serde(default)]
    rooms: Vec<RoomId>,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "maybe_place")]
    place: Option<Place>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    name: String,
}

fn maybe_place<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Place>, D::Error> {
    object(deserializer).map(Some)
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
enum Tagged {
    Text { text: String, reply_to: Option<u64> },
    Photo { media: Vec<u64> },
}

fn router() -> Router {
    let echo = |body: Json<Note>| async move { body.canonical() };
    let tagged = |body: Json<Tagged>| async move { body.canonical() };
    let routes = Router::new().route("/notes", post(echo)).route("/tagged", post(tagged));
    House::new(0).open(routes)
}

async fn post_to(path: &str, content_type: &str, body: impl Into<Body>) -> Reply {
    let headers = [("content-type", content_type)];
    let headers = if content_type.is_empty() {
        &headers[..0]
    } else {
        &headers
    };
    send(&router(), request("POST", path, headers, body.into())).await
}

async fn note(body: impl Into<Body>) -> Reply {
    post_to("/notes", "application/json", body).await
}

#[tokio::test]
async fn a_body_is_read_and_written_again() {
    let reply = note("  { \"seq\": 7,\n\"text\": \"\\uac00\" } ").await;
    assert_eq!(
        String::from_utf8(reply.body).unwrap(),
        r#"{"text":"가","seq":7,"rooms":[]}"#
    );
}

#[test]
fn bodies_that_mean_the_same_are_written_the_same() {
    let [a, b] = [r#"{"text":"a\u0062","seq":1}"#, r#"{"seq":1,"text":"ab","rooms":[]}"#]
        .map(|body| canonical(&parse::<Note>(body.as_bytes()).unwrap()));
    assert_eq!(a, b);
}

#[tokio::test]
async fn only_json_is_taken() {
    for content_type in [
        "",
        "text/plain",
        "application/json; charset=latin1",
        "application/jsonp",
        "application/problem+json",
    ] {
        let reply = post_to("/notes", content_type, r#"{"text":"a","seq":1}"#).await;
        assert_eq!(
            (reply.status.as_u16(), reply.code().as_str()),
            (415, "unsupported_media_type"),
            "{content_type}"
        );
    }
    for content_type in [
        "application/json",
        "Application/JSON; charset=UTF-8",
        "application/json;charset=\"utf-8\"",
    ] {
        let reply = post_to("/notes", content_type, r#"{"text":"a","seq":1}"#).await;
        assert_eq!(reply.status.as_u16(), 200, "{content_type}");
    }
}

#[tokio::test]
async fn a_body_has_a_limit_whether_it_is_announced_or_not() {
    let body = |chars| format!(r#"{{"text":"{}","seq":1}}"#, "a".repeat(chars));
    let overhead = body(0).len();
    assert_eq!(note(body(1_000 - overhead)).await.status.as_u16(), 200);
    let reply = note(body(1_001 - overhead)).await;
    assert_eq!(
        (reply.status.as_u16(), reply.code().as_str()),
        (413, "payload_too_large")
    );
    let chunks = (0..2_000).map(|_| Ok::<_, std::io::Error>("a"));
    let reply = note(Body::from_stream(futures_util::stream::iter(chunks))).await;
    assert_eq!(
        (reply.status.as_u16(), reply.code().as_str()),
        (413, "payload_too_large")
    );
}

#[tokio::test]
async fn a_body_that_breaks_off_is_malformed() {
    let chunks = [Ok("{"), Err(std::io::Error::other("reset"))];
    let reply = note(Body::from_stream(futures_util::stream::iter(chunks))).await;
    assert_eq!(
        (reply.status.as_u16(), reply.code().as_str()),
        (400, "malformed_request")
    );
}

#[tokio::test]
async fn what_is_no_json_is_malformed_and_says_where() {
    let deep = format!(r#"{{"text":{}1{},"seq":1}}"#, "[".repeat(200), "]".repeat(200));
    let deep_unknown = format!(r#"{{"other":{}1{}}}"#, "[".repeat(200), "]".repeat(200));
    for body in [
        "",
        " ",
        "{",
        "nonsense",
        r#"{"text":"a","seq":1"#,
        r#"{"text":"a","seq":1}}"#,
        r#"{"text":"a","seq":1} x"#,
        r#"{"text":"a","seq":1,}"#,
        r#"{'text':"a"}"#,
        r#"{"text":"a" "seq":1}"#,
        r#"{"text":"a","seq":01}"#,
        r#"{"text":"a","seq":1e999}"#,
        r#"{"text":"a","seq":NaN}"#,
        "{\"text\":\"a\nb\",\"seq\":1}",
        r#"{"text":"\x","seq":1}"#,
        r#"{"text":"\ud800","seq":1}"#,
        r#"{"text":"\udc00\ud800","seq":1}"#,
        // What is unknown is not skipped over unread.
        r#"{"other":"\ud800"}"#,
        r#"{"other":1,"#,
        "\u{feff}{\"text\":\"a\",\"seq\":1}",
        deep.as_str(),
        deep_unknown.as_str(),
        // No object, and no JSON either.
        "[1,",
    ] {
        let reply = note(body.to_owned()).await;
        assert_eq!(
            (reply.status.as_u16(), reply.code().as_str()),
            (400, "malformed_json"),
            "{body}"
        );
        let detail = reply.json()["detail"].to_string();
        assert!(detail.contains("at line "), "{body}: {detail}");
    }
}

#[tokio::test]
async fn what_is_no_utf8_is_malformed_and_says_where() {
    for body in [
        &b"{\"text\":\"\xff\",\"seq\":1}"[..],
        b"{\"other\":\"\xc0\xaf\"}",
        b"\xff",
    ] {
        let reply = note(body.to_vec()).await;
        assert_eq!((reply.status.as_u16(), reply.code().as_str()), (400, "malformed_json"));
        let detail = reply.json()["detail"].to_string();
        assert!(detail.contains("is not UTF-8"), "{detail}");
    }
}

#[tokio::test]
async fn fields_that_are_wrong_are_pointed_at() {
    for (body, pointer, code) in [
        (r"{}", "/text", "missing"),
        (r#"{"text":"a"}"#, "/seq", "missing"),
        (r#"{"text":null,"seq":1}"#, "/text", "wrong_type"),
        (r#"{"text":5,"seq":1}"#, "/text", "wrong_type"),
        (r#"{"text":["a"],"seq":1}"#, "/text", "wrong_type"),
        (r#"{"text":"a","seq":"1"}"#, "/seq", "wrong_type"),
        (r#"{"text":"a","seq":1.5}"#, "/seq", "wrong_type"),
        (r#"{"text":"a","seq":true}"#, "/seq", "wrong_type"),
        (r#"{"text":"a","seq":-1}"#, "/seq", "invalid_value"),
        (r#"{"text":"a","seq":99999999999999999999}"#, "/seq", "wrong_type"),
        (r#"{"text":"a","seq":1,"seq":2}"#, "/seq", "duplicate_field"),
        (r#"{"text":"a","seq":1,"other":2}"#, "/other", "unknown_field"),
        (r#"{"text":"a","seq":1,"a/b~c":2}"#, "/a~1b~0c", "unknown_field"),
        (r#"{"Text":"a","seq":1}"#, "/Text", "unknown_field"),
        (r#"{"text":"a","seq":1,"rooms":{}}"#, "/rooms", "wrong_type"),
        (r#"{"text":"a","seq":1,"rooms":["x"]}"#, "/rooms/0", "invalid_value"),
        (
            r#"{"text":"a","seq":1,"rooms":["00000000-0000-0000-0000-000000000001",2]}"#,
            "/rooms/1",
            "wrong_type",
        ),
        (r#"{"text":"a","seq":1,"place":{}}"#, "/place/name", "missing"),
        (
            r#"{"text":"a","seq":1,"place":{"name":1}}"#,
            "/place/name",
            "wrong_type",
        ),
        (
            r#"{"text":"a","seq":1,"place":{"name":"b","x":1}}"#,
            "/place/x",
            "unknown_field",
        ),
        (r#"{"text":"a","seq":1,"place":["b"]}"#, "/place", "wrong_type"),
        (r"[]", "", "wrong_type"),
        (r#"["a",1]"#, "", "wrong_type"),
        (r#""a""#, "", "wrong_type"),
        ("null", "", "wrong_type"),
        ("7", "", "wrong_type"),
    ] {
        let reply = note(body).await;
        assert_eq!(
            (reply.status.as_u16(), reply.code().as_str()),
            (422, "invalid_fields"),
            "{body}"
        );
        assert_eq!(reply.fields(), [(pointer.to_owned(), code.to_owned())], "{body}");
    }
}

#[tokio::test]
async fn fields_of_a_tagged_body_are_pointed_at_too() {
    for (body, pointer, code) in [
        (r"{}", "/kind", "missing"),
        (r#"{"kind":"gif"}"#, "/kind", "invalid_value"),
        (r#"{"kind":5}"#, "/kind", "wrong_type"),
        (r#"{"kind":"text"}"#, "/text", "missing"),
        (r#"{"kind":"text","text":5}"#, "/text", "wrong_type"),
        (
            r#"{"reply_to":"x","text":"a","kind":"text"}"#,
            "/reply_to",
            "wrong_type",
        ),
        (r#"{"kind":"text","text":"a","media":[]}"#, "/media", "unknown_field"),
        (r#"{"kind":"photo","media":["x"]}"#, "/media", "wrong_type"),
        (r#"["text","a"]"#, "", "wrong_type"),
    ] {
        let reply = post_to("/tagged", "application/json", body).await;
        assert_eq!(
            (reply.status.as_u16(), reply.code().as_str()),
            (422, "invalid_fields"),
            "{body}"
        );
        assert_eq!(reply.fields(), [(pointer.to_owned(), code.to_owned())], "{body}");
    }
}

#[tokio::test]
async fn a_long_value_is_not_sent_back_whole() {
    let reply = note(format!(r#"{{"text":"a","seq":"{}"}}"#, "x".repeat(900))).await;
    assert_eq!(reply.code(), "invalid_fields");
    assert!(reply.body.len() < 600, "{}", reply.body.len());
}

#[tokio::test]
async fn a_body_that_does_not_arrive_is_not_waited_for() {
    let never = Body::from_stream(futures_util::stream::pending::<Result<&str, std::io::Error>>());
    let reply = note(never).await;
    assert_eq!((reply.status.as_u16(), reply.code().as_str()), (408, "body_too_slow"));
}
