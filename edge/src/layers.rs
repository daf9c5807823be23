//! The one layer around every route, and what answers where there is none.
//!
//! It is one service and not a stack of them: at the rate this server aims at, each boxed layer is felt. From outside in:
//! the request's id, a bound on the requests in flight, a bound on their time, and a net for panics; then the headers that
//! every answer carries, and how long it took. What limits the body is in [`crate::body`], where bodies are read.

use std::any::Any;
use std::convert::Infallible;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{MatchedPath, Request};
use axum::http::header::{CACHE_CONTROL, HeaderName, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use tower::{Layer, Service};

use crate::metrics::{HTTP_IN_FLIGHT, HTTP_REQUESTS_SECONDS};
use crate::problem::{Code, Problem};
use crate::rate::Standing;
use crate::scope::{self, RequestId};
use crate::settings::HttpSettings;

/// The header with the request's id.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Gives a router with all of its routes what stands around every one: problems where there is no route or not with this
/// method, and the layer.
pub fn around<S: Clone + Send + Sync + 'static>(router: Router<S>, layer: EdgeLayer) -> Router<S> {
    router
        .fallback(no_route)
        .method_not_allowed_fallback(other_method)
        .layer(layer)
}

async fn no_route() -> Problem {
    Problem::new(Code::NotFound).detail("no such address")
}

async fn other_method(method: Method) -> Problem {
    Problem::new(Code::MethodNotAllowed).detail(format!("this address does not take {method}; Allow says what it does"))
}

/// The layer. Clones share the bound on the requests in flight.
#[derive(Clone, Debug)]
pub struct EdgeLayer(Arc<Bounds>);

#[derive(Debug)]
struct Bounds {
    timeout: Duration,
    max_in_flight: usize,
    in_flight: AtomicUsize,
}

impl EdgeLayer {
    /// With these bounds.
    pub fn new(settings: &HttpSettings) -> Self {
        Self(Arc::new(Bounds {
            timeout: Duration::from_millis(settings.request_timeout_ms),
            max_in_flight: settings.max_in_flight,
            in_flight: AtomicUsize::new(0),
        }))
    }

    /// Tells the recorder how many requests are being answered; to be called whenever it is asked.
    pub fn record(&self) {
        metrics::gauge!(HTTP_IN_FLIGHT).set(self.0.in_flight.load(Ordering::Relaxed) as f64);
    }
}

impl<S> Layer<S> for EdgeLayer {
    type Service = EdgeService<S>;

    fn layer(&self, inner: S) -> EdgeService<S> {
        EdgeService {
            inner,
            bounds: Arc::clone(&self.0),
        }
    }
}

/// A service with the layer around it.
#[derive(Clone, Debug)]
pub struct EdgeService<S> {
    inner: S,
    bounds: Arc<Bounds>,
}

impl<S> Service<Request> for EdgeService<S>
where
    S: Service<Request, Response = Response, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let asked = Asked {
            id: RequestId::next(),
            method: method_label(request.method()),
            route: request.extensions().get::<MatchedPath>().cloned(),
            since: Instant::now(),
        };
        let bounds = Arc::clone(&self.bounds);
        let answer = self.inner.call(request);
        Box::pin(async move {
            let (mut response, standing) = scope::enter(asked.id, bounded(&bounds, answer)).await;
            complete(response.headers_mut(), asked.id, standing);
            asked.measure(response.status());
            Ok(response)
        })
    }
}

/// The answer, unless too much is in flight, it takes too long, or it panics.
async fn bounded<F>(bounds: &Arc<Bounds>, answer: F) -> Response
where
    F: Future<Output = Result<Response, Infallible>>,
{
    let Some(_place) = Place::take(bounds) else {
        return Problem::new(Code::Busy).into_response();
    };
    match tokio::time::timeout(bounds.timeout, AssertUnwindSafe(answer).catch_unwind()).await {
        Ok(Ok(Ok(response))) => response,
        Ok(Ok(Err(never))) => match never {},
        Ok(Err(panic)) => Problem::internal(&Panicked(message(&*panic))).into_response(),
        Err(_elapsed) => Problem::new(Code::Timeout).into_response(),
    }
}

/// One of the requests in flight.
struct Place<'a>(&'a Bounds);

impl<'a> Place<'a> {
    fn take(bounds: &'a Bounds) -> Option<Self> {
        // Counted first: two that come at once cannot both take the last place.
        let place = Self(bounds);
        (bounds.in_flight.fetch_add(1, Ordering::Relaxed) < bounds.max_in_flight).then_some(place)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A handler panicked: a broken invariant, for the log.
#[derive(Debug, thiserror::Error)]
#[error("a handler panicked: {0}")]
struct Panicked(String);

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}

/// Adds what every answer carries. A page or a picture that may be kept says so itself.
fn complete(headers: &mut HeaderMap, id: RequestId, standing: Option<Standing>) {
    headers.insert(X_REQUEST_ID, id.to_header());
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers
        .entry(CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    if let Some(standing) = standing {
        standing.write(headers);
    }
}

/// What is remembered of a request while it is answered.
struct Asked {
    id: RequestId,
    method: &'static str,
    route: Option<MatchedPath>,
    since: Instant,
}

impl Asked {
    fn measure(&self, status: StatusCode) {
        let (seconds, route) = (self.since.elapsed().as_secs_f64(), self.route());
        tracing::debug!(
            request.id = %self.id,
            http.route = route,
            http.method = self.method,
            http.status = status.as_u16(),
            seconds,
            "answered {} {route} with {}",
            self.method,
            status.as_u16(),
        );
        let labels = [
            ("route", route.to_owned()),
            ("method", self.method.to_owned()),
            ("status_class", status_class(status).to_owned()),
        ];
        metrics::histogram!(HTTP_REQUESTS_SECONDS, &labels).record(seconds);
    }

    /// The pattern of the route, never the path: that has ids in it.
    fn route(&self) -> &str {
        self.route.as_ref().map_or("none", MatchedPath::as_str)
    }
}

fn method_label(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        _ => "other",
    }
}

fn status_class(status: StatusCode) -> &'static str {
    match status.as_u16() / 100 {
        1 => "1xx",
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        _ => "5xx",
    }
}
