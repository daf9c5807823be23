//! The admin port: is it alive, is it ready, what does it measure. Never public.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use cocotalk_edge::layers::EdgeLayer;
use cocotalk_infra::telemetry::Metrics;
use serde::Serialize;
use tokio::sync::watch;

use crate::metrics::READY;
use crate::role::Role;
use crate::workers::Pause;

/// Whether the process can do its work, and what it waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Readiness {
    /// Whether it can.
    pub ready: bool,
    /// Each dependency and its state.
    pub dependencies: Vec<Dependency>,
}

/// One dependency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Dependency {
    /// Which.
    pub name: &'static str,
    /// `ok`, or what is wrong and what to do.
    pub state: String,
}

impl Readiness {
    /// Not yet: one dependency is in this state.
    pub fn waiting(name: &'static str, state: impl Into<String>) -> Self {
        Self {
            ready: false,
            dependencies: vec![Dependency {
                name,
                state: state.into(),
            }],
        }
    }
}

/// Asks the dependencies at the moment it is asked.
pub type Probe = Arc<dyn Fn() -> std::pin::Pin<Box<dyn Future<Output = Readiness> + Send>> + Send + Sync>;

#[derive(Clone)]
struct AdminState {
    metrics: Metrics,
    role: Role,
    pause: Option<Pause>,
    public: EdgeLayer,
    readiness: watch::Receiver<Probe>,
}

/// `/livez`, `/readyz`, `/metrics`, and where there are projectors `/projectors/pause` and `/projectors/resume`. `public` is
/// the layer of the public port, which counts what is in flight.
pub fn router(
    metrics: Metrics,
    role: Role,
    public: EdgeLayer,
    readiness: watch::Receiver<Probe>,
    pause: Option<Pause>,
) -> Router {
    let mut routes = Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .route("/metrics", get(render));
    if pause.is_some() {
        routes = routes
            .route("/projectors/pause", post(async |state| set_paused(state, true)))
            .route("/projectors/resume", post(async |state| set_paused(state, false)));
    }
    routes.with_state(AdminState {
        metrics,
        role,
        pause,
        public,
        readiness,
    })
}

fn set_paused(State(state): State<AdminState>, paused: bool) -> StatusCode {
    if let Some(pause) = state.pause {
        pause.set(paused);
    }
    StatusCode::NO_CONTENT
}

impl AdminState {
    async fn readiness(&self) -> Readiness {
        let probe = Arc::clone(&self.readiness.borrow());
        probe().await
    }
}

async fn readyz(State(state): State<AdminState>) -> Response {
    let readiness = state.readiness().await;
    let status = if readiness.ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(readiness)).into_response()
}

async fn render(State(state): State<AdminState>) -> Response {
    state.public.record();
    let is_ready = state.readiness().await.ready;
    metrics::gauge!(READY, "role" => state.role.name()).set(f64::from(u8::from(is_ready)));
    (
        [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")],
        state.metrics.render(),
    )
        .into_response()
}
