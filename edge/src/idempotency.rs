//! `Idempotency-Key`: the id of a command, chosen by the client so that a retry is recognised, and the fingerprint that tells
//! a retry from another request with the same key.

use std::sync::Arc;

use axum::extract::{FromRef, FromRequestParts, OriginalUri};
use axum::http::request::Parts;
use axum::http::{HeaderName, Method};
use cocotalk_domain::id::CommandId;
use uuid::Uuid;

use crate::door::Door;
use crate::problem::{Code, Problem};

/// The header.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The key of a command, and the line of the request that brought it.
#[derive(Clone, Debug)]
pub struct Idempotency {
    /// The id of the command: what the client sent, or a new one.
    pub command_id: CommandId,
    method: Method,
    target: String,
}

impl Idempotency {
    /// What is equal for two requests that ask for the same; `body` is [`crate::body::canonical`], empty where there is none.
    pub fn fingerprint(&self, body: &[u8]) -> Vec<u8> {
        fingerprint(&self.method, &self.target, body)
    }
}

/// What is equal for two requests that ask for the same, whichever door they come through: method, target and body, each
/// after its length. To be fed to `DataKey::request_mac` and kept nowhere.
///
/// The case of the target's letters does not count: ids and percent-encoding may be spelt either way.
pub fn fingerprint(method: &Method, target: &str, body: &[u8]) -> Vec<u8> {
    let target = target.to_ascii_lowercase();
    let parts = [method.as_str().as_bytes(), target.as_bytes(), body];
    let mut bytes = Vec::with_capacity(parts.iter().map(|part| part.len() + 8).sum());
    for part in parts {
        bytes.extend_from_slice(&(part.len() as u64).to_le_bytes());
        bytes.extend_from_slice(part);
    }
    bytes
}

impl<S> FromRequestParts<S> for Idempotency
where
    S: Send + Sync,
    Arc<Door>: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let mut keys = parts.headers.get_all(IDEMPOTENCY_KEY).iter();
        let command_id = match (keys.next(), keys.next()) {
            (None, _) => CommandId(Arc::<Door>::from_ref(state).clock.new_id()),
            (Some(key), None) => CommandId(parse(key.as_bytes())?),
            (Some(_), Some(_)) => {
                return Err(Problem::new(Code::InvalidIdempotencyKey).detail("send one Idempotency-Key, not several"));
            }
        };
        // A nested router sees only the rest of the path.
        let uri = parts
            .extensions
            .get::<OriginalUri>()
            .map_or(&parts.uri, |original| &original.0);
        Ok(Self {
            command_id,
            method: parts.method.clone(),
            target: uri.path_and_query().map_or("/", |target| target.as_str()).to_owned(),
        })
    }
}

/// Only the usual spelling, so that the key means the same to every client library.
fn parse(key: &[u8]) -> Result<Uuid, Problem> {
    let usual = key.len() == uuid::fmt::Hyphenated::LENGTH;
    usual.then(|| Uuid::try_parse_ascii(key).ok()).flatten().ok_or_else(|| {
        Problem::new(Code::InvalidIdempotencyKey)
            .detail("a UUID such as 0198c0de-7a1c-7000-8000-00000000000a is expected")
    })
}
