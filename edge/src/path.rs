//! The parameters in the path of a request.

use axum::extract::FromRequestParts;
use axum::extract::rejection::PathRejection;
use axum::http::request::Parts;

use crate::problem::{Code, Problem};

/// The parameters of a path. One that is no id is malformed (400), unlike an id that nothing has (404): the client built
/// the address wrongly, and no retry will find it.
#[derive(Clone, Copy, Debug)]
pub struct Path<T>(pub T);

impl<T, S> FromRequestParts<S> for Path<T>
where
    S: Send + Sync,
    axum::extract::Path<T>: FromRequestParts<S, Rejection = PathRejection>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match axum::extract::Path::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(value)) => Ok(Self(value)),
            Err(error) if error.status().is_server_error() => Err(Problem::internal(&error)),
            Err(_) => Err(Problem::new(Code::MalformedRequest)
                .detail("an id in the path is not a UUID, or the path is not UTF-8")),
        }
    }
}
