//! The query string of a request, parsed strictly: a parameter that is unknown, repeated or not valid is named.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use crate::problem::{Code, FieldError, Problem};

/// What axum says before the reason.
const PREAMBLE: &str = "Failed to deserialize query string: ";

/// The parameters of a query. `T` derives `Deserialize` with `deny_unknown_fields`.
#[derive(Clone, Copy, Debug)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        if !is_utf8(parts.uri.query().unwrap_or_default()) {
            return Err(Problem::new(Code::MalformedRequest).detail("the query is not UTF-8"));
        }
        match axum::extract::Query::try_from_uri(&parts.uri) {
            Ok(axum::extract::Query(query)) => Ok(Self(query)),
            Err(rejection) => Err(refusal(&rejection.body_text())),
        }
    }
}

/// The problem with one parameter.
pub fn invalid(name: &str, detail: impl Into<String>) -> Problem {
    about(Code::InvalidQuery, name, "invalid_value", detail)
}

/// A call without parameters: refuses any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

fn about(code: Code, name: &str, word: &'static str, detail: impl Into<String>) -> Problem {
    let detail = detail.into();
    Problem::new(code)
        .detail(format!("{name}: {detail}"))
        .and_field(FieldError::new(format!("/{name}"), word, detail))
}

/// From "name: reason", or a reason that quotes the name.
fn refusal(text: &str) -> Problem {
    let text = text.strip_prefix(PREAMBLE).unwrap_or(text);
    let quoted = |kind: &str| {
        text.split_once(kind)
            .and_then(|(_, rest)| Some(rest.split_once('`')?.0))
    };
    if let Some(name) = quoted("unknown field `") {
        return about(Code::UnknownQueryParameter, name, "unknown", "no such parameter here");
    }
    if let Some(name) = quoted("duplicate field `") {
        return about(Code::InvalidQuery, name, "repeated", "given more than once");
    }
    if let Some(name) = quoted("missing field `") {
        return about(Code::InvalidQuery, name, "missing", "is required");
    }
    match text.split_once(": ") {
        Some((name, reason)) => invalid(name, reason),
        None => Problem::new(Code::InvalidQuery).detail(text.to_owned()),
    }
}

/// Whether the query is UTF-8 once its percent signs are decoded; the parser would put replacement characters instead.
fn is_utf8(query: &str) -> bool {
    if !query.contains('%') {
        return true;
    }
    let mut bytes = Vec::with_capacity(query.len());
    let mut rest = query.as_bytes();
    while let [byte, tail @ ..] = rest {
        let escaped = match (byte, tail) {
            (b'%', [high, low, ..]) => hex(*high).zip(hex(*low)),
            _ => None,
        };
        bytes.push(escaped.map_or(*byte, |(high, low)| high << 4 | low));
        rest = if escaped.is_some() { &tail[2..] } else { tail };
    }
    std::str::from_utf8(&bytes).is_ok()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|digit| digit as u8)
}
