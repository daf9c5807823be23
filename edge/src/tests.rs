//! The rules of the edge, each asked over a router in this process.

mod auth;
mod bodies;
mod clients;
mod commands;
mod layers;
mod problems;
mod queries;
mod rates;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{FromRef, Request};
use axum::http::{HeaderMap, StatusCode};
use cocotalk_application::port::clock::Clock;
use cocotalk_domain::id::{SessionId, UserId};
use cocotalk_domain::limits::Limits;
use cocotalk_domain::time::Instant;
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;
use uuid::Uuid;

use crate::auth::Tokens;
use crate::client::Connection;
use crate::door::Door;
use crate::layers::{EdgeLayer, around};
use crate::rate::Limiter;
use crate::settings::HttpSettings;

const SECRET: [u8; 32] = [7; 32];
const HOUR: Duration = Duration::from_hours(1);

/// A clock that moves when it is told to.
struct TestClock {
    now: AtomicI64,
    ids: AtomicU64,
}

impl Clock for TestClock {
    fn now(&self) -> Instant {
        Instant::from_millis(self.now.load(Ordering::Relaxed))
    }

    fn new_id(&self) -> Uuid {
        Uuid::from_u128(self.ids.fetch_add(1, Ordering::Relaxed).into())
    }
}

/// The state of a test's router.
#[derive(Clone)]
struct House {
    door: Arc<Door>,
    clock: Arc<TestClock>,
}

impl FromRef<House> for Arc<Door> {
    fn from_ref(house: &House) -> Self {
        Arc::clone(&house.door)
    }
}

impl House {
    /// One whose accounts may ask so many times a minute.
    fn new(per_minute: u32) -> Self {
        let clock = Arc::new(TestClock {
            now: AtomicI64::new(1_767_225_600_000),
            ids: AtomicU64::new(1),
        });
        let door = Door {
            clock: Arc::<TestClock>::clone(&clock),
            limits: Arc::new(Limits {
                body_bytes: 1_000,
                ..Limits::default()
            }),
            body_timeout: Duration::from_millis(200),
            tokens: Arc::new(Tokens::new(SECRET, HOUR)),
            rate: Limiter::per_minute(per_minute),
            trusted_proxies: Arc::new(["10.0.0.0/8".parse().unwrap()]),
        };
        Self {
            door: Arc::new(door),
            clock,
        }
    }

    fn token(&self, user: u128) -> String {
        let (user, session) = (UserId::from_u128(user), SessionId::from_u128(9));
        self.door.tokens.issue(user, session, self.clock.now())
    }

    fn wait(&self, time: Duration) {
        self.clock.now.fetch_add(time.as_millis() as i64, Ordering::Relaxed);
    }

    /// The routes with everything around them.
    fn open(&self, routes: Router<Self>) -> Router {
        around(routes, EdgeLayer::new(&HttpSettings::default())).with_state(self.clone())
    }
}

/// What came back.
#[derive(Debug)]
struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The code of a problem, once its shape is right.
    fn code(&self) -> String {
        let problem = self.json();
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(problem["status"], self.status.as_u16());
        assert_eq!(problem["request_id"], self.header("x-request-id"));
        let code = problem["code"].as_str().unwrap();
        assert_eq!(problem["type"], format!("/docs/problems/{code}"));
        assert!(!problem["title"].as_str().unwrap().is_empty());
        assert!(!problem["detail"].as_str().unwrap().is_empty());
        code.to_owned()
    }

    /// Pointer and code of each field that was not valid.
    fn fields(&self) -> Vec<(String, String)> {
        let problem = self.json();
        let errors = problem["errors"].as_array().cloned().unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        errors
            .iter()
            .map(|error| (text(&error["pointer"]), text(&error["code"])))
            .collect()
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

async fn send(router: &Router, request: Request) -> Reply {
    let (parts, body) = router.clone().oneshot(request).await.unwrap().into_parts();
    Reply {
        status: parts.status,
        headers: parts.headers,
        body: body.collect().await.unwrap().to_bytes().to_vec(),
    }
}

/// A request without a body: `GET /path` with some headers.
fn get(path: &str, headers: &[(&str, &str)]) -> Request {
    request("GET", path, headers, Body::empty())
}

fn request(method: &str, path: &str, headers: &[(&str, &str)], body: Body) -> Request {
    let builder = Request::builder().method(method).uri(path);
    let builder = headers
        .iter()
        .fold(builder, |builder, (name, value)| builder.header(*name, *value));
    builder.body(body).unwrap()
}

/// The same request over a connection.
fn over(mut request: Request, peer: &str, listener: &str) -> Request {
    let [peer, listener] = [peer, listener].map(|address| address.parse::<SocketAddr>().unwrap());
    request.extensions_mut().insert(Connection { peer, listener });
    request
}
