//! What stands around every route.

use std::collections::HashSet;
use std::sync::Arc;

use axum::Router;
use axum::routing;
use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::sync::Notify;

use super::*;
use crate::problem::{Code, Problem};

fn open(settings: &HttpSettings, routes: Router) -> Router {
    around(routes, EdgeLayer::new(settings))
}

fn routes() -> Router {
    Router::new()
        .route("/ok", routing::get(|| async { "ok" }).post(|| async {}))
        .route(
            "/kept",
            routing::get(|| async { ([("cache-control", "max-age=60")], "kept") }),
        )
        .route("/refused", routing::get(|| async { Problem::new(Code::RoomNotFound) }))
        .route("/panics", routing::get(panics))
        .route("/hangs", routing::get(std::future::pending::<()>))
}

async fn panics() {
    panic!("the secret invariant is broken");
}

#[tokio::test]
async fn every_answer_has_an_id_of_its_own() {
    let router = open(&HttpSettings::default(), routes());
    let mut ids = HashSet::new();
    for path in ["/ok", "/ok", "/refused", "/panics", "/nowhere"] {
        let reply = send(&router, get(path, &[("x-request-id", "mine")])).await;
        let id = reply.header("x-request-id").to_owned();
        assert_eq!(id.len(), 32, "{path}");
        assert!(ids.insert(id), "{path}");
        assert_eq!(reply.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(reply.header("cache-control"), "no-store", "{path}");
    }
}

#[tokio::test]
async fn a_page_that_may_be_kept_says_so() {
    let router = open(&HttpSettings::default(), routes());
    assert_eq!(
        send(&router, get("/kept", &[])).await.header("cache-control"),
        "max-age=60"
    );
}

#[tokio::test]
async fn there_is_nothing_where_there_is_no_route() {
    let router = open(&HttpSettings::default(), routes());
    for path in ["/", "/nowhere", "/ok/", "/ok/more"] {
        let reply = send(&router, get(path, &[])).await;
        assert_eq!(
            (reply.status.as_u16(), reply.code().as_str()),
            (404, "not_found"),
            "{path}"
        );
    }
}

#[tokio::test]
async fn another_method_is_refused_with_those_that_are_taken() {
    let router = open(&HttpSettings::default(), routes());
    for method in ["PUT", "DELETE", "OPTIONS", "BREW"] {
        let reply = send(&router, request(method, "/ok", &[], Body::empty())).await;
        assert_eq!(
            (reply.status.as_u16(), reply.code().as_str()),
            (405, "method_not_allowed"),
            "{method}"
        );
        assert_eq!(reply.header("allow"), "GET,HEAD,POST", "{method}");
    }
}

#[tokio::test]
async fn a_panic_is_a_problem_that_tells_nothing() {
    let router = open(&HttpSettings::default(), routes());
    let reply = send(&router, get("/panics", &[])).await;
    assert_eq!((reply.status.as_u16(), reply.code().as_str()), (500, "internal_error"));
    assert!(!String::from_utf8(reply.body).unwrap().contains("secret"));
}

#[tokio::test]
async fn a_request_may_not_take_for_ever() {
    let settings = HttpSettings {
        request_timeout_ms: 20,
        ..HttpSettings::default()
    };
    let reply = send(&open(&settings, routes()), get("/hangs", &[])).await;
    assert_eq!((reply.status.as_u16(), reply.code().as_str()), (503, "timeout"));
    assert_eq!(reply.header("retry-after"), "1");
}

#[tokio::test]
async fn what_is_over_the_bound_is_told_to_come_back() {
    let settings = HttpSettings {
        max_in_flight: 1,
        ..HttpSettings::default()
    };
    let (entered, leave) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let slow = {
        let (entered, leave) = (Arc::clone(&entered), Arc::clone(&leave));
        || async move {
            entered.notify_one();
            leave.notified().await;
        }
    };
    let router = open(&settings, routes().route("/slow", routing::get(slow)));
    let first = send(&router, get("/slow", &[]));
    let second = async {
        entered.notified().await;
        let reply = send(&router, get("/ok", &[])).await;
        leave.notify_one();
        reply
    };
    let (first, second) = tokio::join!(first, second);
    assert_eq!(first.status.as_u16(), 200);
    assert_eq!((second.status.as_u16(), second.code().as_str()), (503, "busy"));
    assert_eq!(second.header("retry-after"), "1");
    // Places are given back, also by those who were refused one.
    assert_eq!(send(&router, get("/ok", &[])).await.status.as_u16(), 200);
}

#[tokio::test]
async fn a_request_that_is_given_up_gives_its_place_back() {
    let settings = HttpSettings {
        max_in_flight: 1,
        ..HttpSettings::default()
    };
    let router = open(&settings, routes());
    let given_up = tokio::time::timeout(Duration::from_millis(5), send(&router, get("/hangs", &[]))).await;
    assert!(given_up.is_err());
    assert_eq!(send(&router, get("/ok", &[])).await.status.as_u16(), 200);
}

#[test]
fn requests_are_measured_by_route_and_never_by_path() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    metrics::with_local_recorder(&recorder, || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let rooms = Router::new().route("/rooms/{id}", routing::get(|| async {}));
            let router = open(&HttpSettings::default(), rooms);
            send(&router, get("/rooms/secret", &[])).await;
            send(&router, request("BREW", "/rooms/secret", &[], Body::empty())).await;
            send(&router, get("/secret", &[])).await;
        });
    });
    let text = handle.render();
    for line in [
        r#"cocotalk_http_requests_seconds_count{route="/rooms/{id}",method="GET",status_class="2xx"} 1"#,
        r#"cocotalk_http_requests_seconds_count{route="/rooms/{id}",method="other",status_class="4xx"} 1"#,
        r#"cocotalk_http_requests_seconds_count{route="none",method="GET",status_class="4xx"} 1"#,
        r#"cocotalk_problems_total{code="not_found"} 1"#,
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    assert!(!text.contains("secret"), "{text}");
}
