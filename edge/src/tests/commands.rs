//! The headers of commands: keys, fingerprints, and where they landed.

use axum::Router;
use axum::http::Method;
use axum::routing;
use cocotalk_application::command_bus::Accepted;
use cocotalk_application::use_case::Answer;
use cocotalk_domain::stream::Slice;

use super::*;
use crate::idempotency::{Idempotency, fingerprint};
use crate::position::{Answered, MinPosition};

const KEY: &str = "0198c0de-7a1c-7000-8000-00000000000a";

fn keys() -> Router {
    let key = |key: Idempotency| async move { key.command_id.to_string() };
    let print = |key: Idempotency| async move { key.fingerprint(b"{}") };
    let nested = Router::new().route("/things/{id}", routing::delete(print).get(key));
    House::new(0).open(Router::new().nest("/v1", nested))
}

#[tokio::test]
async fn the_key_is_the_command_id() {
    for key in [KEY, &KEY.to_uppercase()] {
        let reply = send(&keys(), get("/v1/things/1", &[("idempotency-key", key)])).await;
        assert_eq!(reply.body, KEY.as_bytes());
    }
}

#[tokio::test]
async fn without_a_key_the_server_makes_one() {
    let router = keys();
    let mut ids = Vec::new();
    for _ in 0..2 {
        ids.push(send(&router, get("/v1/things/1", &[])).await.body);
    }
    assert_ne!(ids[0], ids[1]);
}

#[tokio::test]
async fn a_key_is_one_uuid() {
    let urn = format!("urn:uuid:{KEY}");
    for headers in [
        &[("idempotency-key", "")][..],
        &[("idempotency-key", "7")],
        &[("idempotency-key", "0198c0de7a1c7000800000000000000a")],
        &[("idempotency-key", urn.as_str())],
        &[("idempotency-key", KEY), ("idempotency-key", KEY)],
    ] {
        let reply = send(&keys(), get("/v1/things/1", headers)).await;
        assert_eq!(
            (reply.status.as_u16(), reply.code().as_str()),
            (422, "invalid_idempotency_key"),
            "{headers:?}"
        );
    }
}

#[tokio::test]
async fn the_fingerprint_is_of_the_whole_target() {
    let print = send(&keys(), request("DELETE", "/v1/things/AB?for=me", &[], Body::empty()))
        .await
        .body;
    assert_eq!(print, fingerprint(&Method::DELETE, "/v1/things/ab?for=me", b"{}"));
}

#[test]
fn fingerprints_of_other_requests_differ() {
    let prints = [
        fingerprint(&Method::POST, "/v1/a", b"b"),
        fingerprint(&Method::PUT, "/v1/a", b"b"),
        fingerprint(&Method::POST, "/v1/ab", b""),
        fingerprint(&Method::POST, "/v1/a", b""),
        fingerprint(&Method::POST, "/v1/a?for=me", b"b"),
    ];
    for (i, print) in prints.iter().enumerate() {
        assert!(!prints[..i].contains(print), "{i}");
    }
}

#[tokio::test]
async fn a_query_says_what_it_waits_for() {
    let wait = |MinPosition(position): MinPosition| async move { position.to_string() };
    let router = House::new(0).open(Router::new().route("/q", routing::get(wait)));
    for (values, position) in [
        (&[][..], ""),
        (&["3:17"][..], "3:17"),
        (&["3:17,5:2", "3:20, 6:1"][..], "3:20,5:2,6:1"),
    ] {
        let headers: Vec<_> = values.iter().map(|value| ("x-min-position", *value)).collect();
        assert_eq!(
            send(&router, get("/q", &headers)).await.body,
            position.as_bytes(),
            "{values:?}"
        );
    }
    for wrong in ["", "3", "64:1", "3:-1", "a:b", "3:1;"] {
        let reply = send(
            &router,
            get("/q", &[("x-min-position", "3:1"), ("x-min-position", wrong)]),
        )
        .await;
        assert_eq!(
            (reply.status.as_u16(), reply.code().as_str()),
            (422, "invalid_position"),
            "{wrong}"
        );
    }
}

#[tokio::test]
async fn an_answer_says_where_it_landed_and_whether_it_was_given_before() {
    let answer = |status, body: &'static str, replayed| {
        move || async move {
            let mut answer = Answer::new(status, &());
            answer.body = serde_json::value::RawValue::from_string(body.to_owned()).unwrap();
            let position = format!("{}:8", Slice::new(4).unwrap()).parse().unwrap();
            Answered(Accepted {
                answer,
                position,
                replayed,
            })
        }
    };
    let doors = Router::new()
        .route("/made", routing::post(answer(201, r#"{"seq":1}"#, false)))
        .route("/left", routing::post(answer(204, "null", true)));
    let router = House::new(0).open(doors);
    let made = send(&router, request("POST", "/made", &[], Body::empty())).await;
    assert_eq!(
        (made.status.as_u16(), made.body.as_slice()),
        (201, &br#"{"seq":1}"#[..])
    );
    assert_eq!(made.header("content-type"), "application/json");
    assert_eq!(
        (made.header("x-position"), made.header("idempotent-replayed")),
        ("4:8", "")
    );
    let left = send(&router, request("POST", "/left", &[], Body::empty())).await;
    assert_eq!((left.status.as_u16(), left.body.as_slice()), (204, &b""[..]));
    assert_eq!(
        (left.header("x-position"), left.header("idempotent-replayed")),
        ("4:8", "true")
    );
    assert_eq!(left.header("content-type"), "");
}
