//! The admin port: is it alive, is it ready, what does it measure. Never public.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use cocotalk_edge::layers::EdgeLayer;
use cocotalk_infra::telemetry::Metrics;
use cocotalk_projectors::gate::Gate;
use serde::Serialize;
use tokio::sync::watch;

use crate::metrics::READY;
use crate::role::Role;

/// How long whoever pauses projectors is kept waiting for what is under way.
const UNDER_WAY: Duration = Duration::from_secs(10);

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
    public: EdgeLayer,
    readiness: watch::Receiver<Probe>,
}

/// `/livez`, `/readyz`, `/metrics`, and where there are projectors, behind this gate, `/projectors/pause` and
/// `/projectors/resume`. `public` is the layer of the public port, which counts what is in flight.
pub fn router(
    metrics: Metrics,
    role: Role,
    public: EdgeLayer,
    readiness: watch::Receiver<Probe>,
    gate: Option<Gate>,
) -> Router {
    let of_projectors = |gate| {
        Router::new()
            .route("/projectors/pause", post(pause))
            .route("/projectors/resume", post(resume))
            .with_state(gate)
    };
    Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .route("/metrics", get(render))
        .with_state(AdminState {
            metrics,
            role,
            public,
            readiness,
        })
        .merge(gate.map(of_projectors).unwrap_or_default())
}

/// 204 when the projectors of this process stand still. 202 when something is still under way, as while a store is away: they
/// stand still once it is done.
async fn pause(State(gate): State<Gate>) -> Response {
    match tokio::time::timeout(UNDER_WAY, gate.shut()).await {
        Ok(true) => StatusCode::NO_CONTENT.into_response(),
        Ok(false) => (StatusCode::CONFLICT, "they were told to go on meanwhile\n").into_response(),
        Err(_) => (StatusCode::ACCEPTED, "something is still under way; ask again\n").into_response(),
    }
}

async fn resume(State(gate): State<Gate>) -> StatusCode {
    gate.open();
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
