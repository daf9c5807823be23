//! Query strings and paths.

use axum::Router;
use axum::routing;
use cocotalk_domain::id::{MessageId, RoomId};
use serde::Deserialize;

use super::*;
use crate::path::Path;
use crate::query::{Nothing, Query, invalid};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Find {
    q: String,
    before: Option<u64>,
    #[serde(default)]
    hidden: bool,
}

fn router() -> Router {
    let find = |Query(find): Query<Find>| async move { format!("{} {:?} {}", find.q, find.before, find.hidden) };
    let nothing = |Query(Nothing {}): Query<Nothing>| async {};
    let room = |Path(room): Path<RoomId>| async move { room.to_string() };
    let message = |Path((room, message)): Path<(RoomId, MessageId)>| async move { format!("{room} {message}") };
    let routes = Router::new()
        .route("/find", routing::get(find))
        .route("/nothing", routing::get(nothing))
        .route("/rooms/{id}", routing::get(room))
        .route("/rooms/{id}/messages/{message_id}", routing::get(message))
        .route("/unrouted", routing::get(|_: Path<RoomId>| async {}));
    House::new(0).open(routes)
}

#[tokio::test]
async fn parameters_are_decoded() {
    let reply = send(&router(), get("/find?q=%EA%B0%80+b%2B&before=7&hidden=true", &[])).await;
    assert_eq!(String::from_utf8(reply.body).unwrap(), "가 b+ Some(7) true");
}

#[tokio::test]
async fn a_wrong_parameter_is_named() {
    for (path, code, pointer, word) in [
        ("/find?q=a&x=1", "unknown_query_parameter", "/x", "unknown"),
        ("/nothing?limit=1", "unknown_query_parameter", "/limit", "unknown"),
        ("/find?q=a&q=b", "invalid_query", "/q", "repeated"),
        ("/find", "invalid_query", "/q", "missing"),
        ("/find?q=a&before=x", "invalid_query", "/before", "invalid_value"),
        ("/find?q=a&before=-1", "invalid_query", "/before", "invalid_value"),
        ("/find?q=a&before=", "invalid_query", "/before", "invalid_value"),
        (
            "/find?q=a&before=99999999999999999999",
            "invalid_query",
            "/before",
            "invalid_value",
        ),
        ("/find?q=a&hidden=yes", "invalid_query", "/hidden", "invalid_value"),
    ] {
        let reply = send(&router(), get(path, &[])).await;
        assert_eq!((reply.status.as_u16(), reply.code().as_str()), (422, code), "{path}");
        assert_eq!(reply.fields(), [(pointer.to_owned(), word.to_owned())], "{path}");
        assert!(
            reply.json()["detail"].as_str().unwrap().starts_with(&pointer[1..]),
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_query_is_utf8() {
    for path in ["/find?q=%FF", "/find?q=%EA%B0", "/nothing?%C0%AF=1"] {
        let reply = send(&router(), get(path, &[])).await;
        assert_eq!(
            (reply.status.as_u16(), reply.code().as_str()),
            (400, "malformed_request"),
            "{path}"
        );
    }
    assert_eq!(send(&router(), get("/find?q=100%", &[])).await.status.as_u16(), 200);
}

#[test]
fn a_handler_refuses_a_parameter_alike() {
    let details = invalid("limit", "1 to 100 is expected").into_details(None);
    assert_eq!(details.detail, "limit: 1 to 100 is expected");
    assert_eq!(details.errors[0].pointer, "/limit");
}

#[tokio::test]
async fn ids_in_a_path_are_read() {
    let (room, message) = (RoomId::from_u128(1), MessageId::from_u128(2));
    let reply = send(&router(), get(&format!("/rooms/{room}/messages/{message}"), &[])).await;
    assert_eq!(reply.body, format!("{room} {message}").into_bytes());
}

#[tokio::test]
async fn an_id_that_is_none_is_malformed() {
    let good = RoomId::from_u128(1);
    for path in [
        "/rooms/7".to_owned(),
        "/rooms/%FF".to_owned(),
        format!("/rooms/{good}/messages/x"),
    ] {
        let reply = send(&router(), get(&path, &[])).await;
        assert_eq!(
            (reply.status.as_u16(), reply.code().as_str()),
            (400, "malformed_request"),
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_handler_that_asks_for_what_its_route_lacks_is_our_mistake() {
    assert_eq!(send(&router(), get("/unrouted", &[])).await.code(), "internal_error");
}
