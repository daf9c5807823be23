//! Where a command landed (`X-Position`), and the place a query waits for (`X-Min-Position`).

use std::convert::Infallible;

use axum::body::Body;
use axum::extract::FromRequestParts;
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, IntoResponseParts, Response, ResponseParts};
use cocotalk_application::command_bus::Accepted;
use cocotalk_application::position::Position;

use crate::problem::{Code, Problem};

/// The header of a command's answer.
pub const X_POSITION: HeaderName = HeaderName::from_static("x-position");
/// The header of a query.
pub const X_MIN_POSITION: HeaderName = HeaderName::from_static("x-min-position");
/// The header of an answer that was given before.
pub const IDEMPOTENT_REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// The place that what a query reads must have reached; empty where nothing is asked for. Several are one: the header may
/// be repeated, or its values joined by commas.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MinPosition(pub Position);

impl<S: Send + Sync> FromRequestParts<S> for MinPosition {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let mut all = Position::default();
        for value in parts.headers.get_all(X_MIN_POSITION) {
            let position = value.to_str().ok().and_then(|text| text.parse::<Position>().ok());
            let position = position.ok_or_else(|| {
                Problem::new(Code::InvalidPosition).detail("X-Min-Position is not an X-Position that this service gave")
            })?;
            position
                .places()
                .iter()
                .for_each(|(slice, pos)| all.raise(*slice, *pos));
        }
        Ok(Self(all))
    }
}

/// Where a command landed, as headers of its answer.
#[derive(Clone, Copy, Debug)]
pub struct Landed<'a>(pub &'a Accepted);

impl IntoResponseParts for Landed<'_> {
    type Error = Infallible;

    fn into_response_parts(self, mut response: ResponseParts) -> Result<ResponseParts, Infallible> {
        let position =
            HeaderValue::try_from(self.0.position.to_string()).expect("digits, colons and commas are a header");
        response.headers_mut().insert(X_POSITION, position);
        if self.0.replayed {
            response
                .headers_mut()
                .insert(IDEMPOTENT_REPLAYED, HeaderValue::from_static("true"));
        }
        Ok(response)
    }
}

/// The whole answer to a command whose stored answer is what clients see.
#[derive(Clone, Debug)]
pub struct Answered(pub Accepted);

impl IntoResponse for Answered {
    fn into_response(self) -> Response {
        let Ok(status) = StatusCode::from_u16(self.0.answer.status) else {
            return Problem::internal(&NoStatus(self.0.answer.status)).into_response();
        };
        let landed = Landed(&self.0);
        match self.0.answer.body.get() {
            "null" => (status, landed, ()).into_response(),
            body => {
                let json = [(CONTENT_TYPE, HeaderValue::from_static("application/json"))];
                (status, landed, json, Body::from(body.to_owned())).into_response()
            }
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the stored answer has the status {0}")]
struct NoStatus(u16);
