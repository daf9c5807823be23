//! What the edge costs a request: `cargo run --release -p cocotalk-edge --example cost`.
//!
//! Each line is the time of one request through a router in this process, without a network: first with nothing around the
//! handler, then with one thing more each time. The difference of two lines is what that thing costs.

#![expect(clippy::print_stdout, reason = "its output is what it is for")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{FromRef, Request};
use axum::routing::post;
use cocotalk_application::port::clock::Clock;
use cocotalk_domain::id::{RoomId, SessionId, UserId};
use cocotalk_domain::limits::Limits;
use cocotalk_domain::time::Instant as Moment;
use cocotalk_edge::auth::{Identity, Tokens};
use cocotalk_edge::body::Json;
use cocotalk_edge::door::Door;
use cocotalk_edge::idempotency::Idempotency;
use cocotalk_edge::layers::{EdgeLayer, around};
use cocotalk_edge::path::Path;
use cocotalk_edge::problem::{Code, Problem};
use cocotalk_edge::rate::Limiter;
use cocotalk_edge::settings::HttpSettings;
use serde::{Deserialize, Serialize};
use tower::ServiceExt;
use uuid::Uuid;

/// Requests a run.
const REQUESTS: u32 = 50_000;
/// Runs, of which the fastest counts: the others were disturbed.
const RUNS: usize = 7;
/// Accounts that take turns.
const ACCOUNTS: u128 = 1_000;

struct Still;

impl Clock for Still {
    fn now(&self) -> Moment {
        Moment::from_millis(1_767_225_600_000)
    }

    fn new_id(&self) -> Uuid {
        Uuid::nil()
    }
}

#[derive(Clone)]
struct House(Arc<Door>);

impl FromRef<House> for Arc<Door> {
    fn from_ref(house: &House) -> Self {
        Self::clone(&house.0)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Message {
    kind: String,
    text: String,
}

fn main() {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    metrics::set_global_recorder(recorder).expect("it is the first");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime starts").block_on(run());
}

async fn run() {
    let tokens = Tokens::new([7; 32], Duration::from_hours(1));
    let issue = |user| {
        format!(
            "Bearer {}",
            tokens.issue(UserId::from_u128(user), SessionId::from_u128(9), Still.now())
        )
    };
    let headers: Vec<String> = (0..ACCOUNTS).map(issue).collect();
    verify_alone(&headers);
    let house = House(Arc::new(Door {
        clock: Arc::new(Still),
        limits: Arc::new(Limits::default()),
        body_timeout: cocotalk_edge::settings::HttpSettings::default().body_timeout(),
        tokens: Arc::new(tokens),
        rate: Limiter::per_minute(1_000_000_000),
        trusted_proxies: Arc::new([]),
    }));
    let bare = Router::new().route("/v1/rooms/{id}/messages", post(async || "ok"));
    let outside = around(bare.clone(), EdgeLayer::new(&HttpSettings::default()));
    let inside =
        |routes: Router<House>| around(routes, EdgeLayer::new(&HttpSettings::default())).with_state(house.clone());
    let who = inside(Router::new().route("/v1/rooms/{id}/messages", post(async |_: Identity| "ok")));
    let all = inside(Router::new().route(
        "/v1/rooms/{id}/messages",
        post(
            async |_: Identity, _: Path<RoomId>, key: Idempotency, body: Json<Message>| {
                key.fingerprint(&body.canonical())
            },
        ),
    ));
    let refused = inside(Router::new().route(
        "/v1/rooms/{id}/messages",
        post(async || Problem::new(Code::RoomNotFound).detail("no such room")),
    ));
    for (what, router) in [
        ("a bare handler", bare),
        ("the layer", outside),
        ("the layer, token and rate", who),
        ("the layer, token, rate, path, key, body, fingerprint", all),
        ("the layer and a problem", refused),
    ] {
        println!("{:8.2} us  {what}", requests(&router, &headers).await);
    }
}

/// Microseconds a request.
async fn requests(router: &Router, tokens: &[String]) -> f64 {
    let mut best = f64::MAX;
    for _ in 0..RUNS {
        let requests: Vec<Request> = (0..REQUESTS as usize)
            .map(|i| request(&tokens[i % tokens.len()]))
            .collect();
        let started = Instant::now();
        for request in requests {
            black_box(router.clone().oneshot(request).await).expect("a router does not fail");
        }
        best = best.min(started.elapsed().as_secs_f64() * 1e6 / f64::from(REQUESTS));
    }
    best
}

fn request(token: &str) -> Request {
    let request = Request::builder()
        .method("POST")
        .uri("/v1/rooms/0198c0de-7a1c-7000-8000-00000000000a/messages")
        .header("authorization", token)
        .header("content-type", "application/json")
        .header("idempotency-key", "0198c0de-7a1c-7000-8000-00000000000b");
    let body = r#"{"kind":"text","text":"the quick brown fox jumps over the lazy dog, 그리고 다시"}"#;
    request.body(Body::from(body)).expect("it is a request")
}

/// What checking a token costs.
fn verify_alone(headers: &[String]) {
    let tokens = Tokens::new([7; 32], Duration::from_hours(1));
    let mut best = f64::MAX;
    for _ in 0..RUNS {
        let started = Instant::now();
        for header in headers {
            let token = header.strip_prefix("Bearer ").unwrap_or_default();
            black_box(tokens.verify(token, Still.now())).expect("it is ours");
        }
        best = best.min(started.elapsed().as_secs_f64() * 1e6 / headers.len() as f64);
    }
    println!("{best:8.2} us  checking a token");
}
