//! The JSON body of a request, parsed strictly: what is wrong is said with its place, and what is unknown is refused.
//!
//! The common case is one `serde_json::from_slice`. Only a body that it refuses is parsed again to find out where.

mod diagnose;

pub use self::diagnose::shorten;

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{FromRef, FromRequest, Request};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};

use crate::door::Door;
use crate::problem::{Code, Problem};

/// A JSON body: at most [`Limits::body_bytes`](cocotalk_domain::limits::Limits::body_bytes), an object, with every field that `T` requires and none that it does not know.
///
/// `T` derives `Deserialize` with `deny_unknown_fields`, its nested structs too and with [`object`].
#[derive(Clone, Copy, Debug)]
pub struct Json<T>(pub T);

impl<T: Serialize> Json<T> {
    /// The body for the request's fingerprint.
    pub fn canonical(&self) -> Vec<u8> {
        canonical(&self.0)
    }
}

/// A parsed body written again: equal for bodies that mean the same, however they were spelt.
pub fn canonical(body: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(body).expect("a parsed body is plain data")
}

impl<T, S> FromRequest<S> for Json<T>
where
    T: DeserializeOwned,
    S: Send + Sync,
    Arc<Door>: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        check_content_type(request.headers())?;
        let door = Arc::<Door>::from_ref(state);
        let bytes = read(request.into_body(), &door).await?;
        parse(&bytes).map(Self)
    }
}

/// Parses a body that was read already; a frame of the socket goes through here too.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    // Checked here because a derived `Deserialize` of a struct also takes an array of its fields in order.
    let is_object = bytes.trim_ascii_start().first() == Some(&b'{');
    match serde_json::from_slice(bytes) {
        Ok(value) if is_object => Ok(value),
        Ok(_) => Err(diagnose::not_an_object(bytes)),
        Err(_) => Err(diagnose::refusal::<T>(bytes)),
    }
}

/// For a nested struct: an object, not an array of its fields in order. Use with `#[serde(deserialize_with = "...")]`.
pub fn object<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    struct Object<T>(std::marker::PhantomData<T>);

    impl<'de, T: Deserialize<'de>> serde::de::Visitor<'de> for Object<T> {
        type Value = T;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
            T::deserialize(serde::de::value::MapAccessDeserializer::new(map))
        }
    }

    deserializer.deserialize_map(Object(std::marker::PhantomData))
}

fn check_content_type(headers: &HeaderMap) -> Result<(), Problem> {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let mut parts = value.unwrap_or_default().split(';').map(str::trim);
    let is_json = parts
        .next()
        .is_some_and(|essence| essence.eq_ignore_ascii_case("application/json"));
    // JSON is UTF-8 (RFC 8259) and has no parameters, but many clients send this one.
    let is_utf8 = parts.all(|parameter| {
        parameter.split_once('=').is_none_or(|(name, value)| {
            !name.trim().eq_ignore_ascii_case("charset") || value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
        })
    });
    if is_json && is_utf8 {
        Ok(())
    } else {
        Err(Problem::new(Code::UnsupportedMediaType).detail("send Content-Type: application/json, in UTF-8"))
    }
}

async fn read(body: Body, door: &Door) -> Result<Bytes, Problem> {
    let max = door.limits.body_bytes;
    let too_large = || Problem::new(Code::PayloadTooLarge).detail(format!("a body has at most {max} bytes"));
    let announced = axum::body::HttpBody::size_hint(&body).lower();
    if usize::try_from(announced).is_ok_and(|announced| announced > max) {
        return Err(too_large());
    }
    match tokio::time::timeout(door.body_timeout, Limited::new(body, max).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => Err(Problem::new(Code::MalformedRequest).detail("the body ended early")),
        Err(_elapsed) => {
            let millis = door.body_timeout.as_millis();
            Err(Problem::new(Code::BodyTooSlow).detail(format!("a body must arrive within {millis} ms")))
        }
    }
}
