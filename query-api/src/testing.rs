//! A world in memory for the tests of this crate: ports whose answers are known, and rooms that live by the domain's rules.

pub(crate) mod world;

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use axum::response::Response;
use cocotalk_application::sealing::Sealing;
use cocotalk_domain::id::{SessionId, UserId};
use cocotalk_domain::limits::Limits;
use cocotalk_edge::auth::Tokens;
use cocotalk_edge::door::Door;
use cocotalk_edge::rate::Limiter;
use cocotalk_edge::settings::{HttpSettings, RateSettings};
use http_body_util::BodyExt as _;
use serde_json::Value;
use tower::ServiceExt as _;
pub(crate) use world::{NOW, World, user};

use crate::QueryState;

/// The API over a world.
pub(crate) struct Api {
    pub(crate) world: Arc<World>,
    state: QueryState,
}

/// The door of a world, through which an account may go so many times a minute (0: as often as it likes).
pub(crate) fn door(world: &Arc<World>, per_minute: u32, trusted_proxies: &[&str]) -> Arc<Door> {
    Arc::new(Door {
        clock: Arc::<World>::clone(world),
        limits: Arc::new(Limits::default()),
        body_timeout: HttpSettings::default().body_timeout(),
        tokens: Arc::new(Tokens::new([7; 32], Duration::from_hours(1))),
        rate: Limiter::per_minute(per_minute),
        trusted_proxies: trusted_proxies.iter().map(|net| net.parse().unwrap()).collect(),
    })
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Api {
    pub(crate) fn new() -> Self {
        Self::with_queries_per_minute(0)
    }

    pub(crate) fn with_queries_per_minute(queries: u32) -> Self {
        let world = Arc::new(World::default());
        let state = QueryState::new(
            door(&world, queries, &[]),
            Arc::<World>::clone(&world),
            Arc::<World>::clone(&world),
            Arc::new(Sealing::new(Arc::<World>::clone(&world))),
            RateSettings::default(),
        );
        Self { world, state }
    }

    /// Asks as somebody.
    pub(crate) async fn get(&self, by: UserId, path: &str) -> Answer {
        self.ask(Some(by), path, &[]).await
    }

    /// Asks as somebody, who waits for positions.
    pub(crate) async fn get_at(&self, by: UserId, path: &str, positions: &[&str]) -> Answer {
        self.ask(Some(by), path, positions).await
    }

    /// Asks as nobody.
    pub(crate) async fn get_unsigned(&self, path: &str) -> Answer {
        self.ask(None, path, &[]).await
    }

    async fn ask(&self, by: Option<UserId>, path: &str, positions: &[&str]) -> Answer {
        let mut request = Request::get(path);
        if let Some(by) = by {
            let token = self.state.door.tokens.issue(by, SessionId::from_u128(1), NOW);
            request = request.header("authorization", format!("Bearer {token}"));
        }
        for position in positions {
            request = request.header("x-min-position", *position);
        }
        let request = request.body(Body::empty()).unwrap();
        let response = crate::router(self.state.clone()).oneshot(request).await.unwrap();
        Answer::of(response).await
    }
}

impl Answer {
    async fn of(response: Response) -> Self {
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Self {
            status: parts.status,
            headers: parts.headers,
            body: serde_json::from_slice(&bytes).unwrap_or_else(|error| panic!("{error}: {bytes:?}")),
        }
    }

    /// The body of a success.
    #[track_caller]
    pub(crate) fn ok(self) -> Value {
        assert_eq!(self.status, StatusCode::OK, "{}", self.body);
        self.body
    }

    /// The code of a refusal.
    #[track_caller]
    pub(crate) fn refused(&self, status: u16) -> &str {
        assert_eq!(self.status.as_u16(), status, "{}", self.body);
        assert_eq!(self.headers["content-type"], "application/problem+json");
        self.body["code"].as_str().unwrap()
    }
}

/// One field of every item of a list.
pub(crate) fn column<'a>(body: &'a Value, field: &str) -> Vec<&'a Value> {
    body["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| &item[field])
        .collect()
}
