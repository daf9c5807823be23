//! From a request to a command: who asks, which command it is, and the answer once it has run.
//!
//! HTTP handlers take a [`Caller`] and hand it to [`Commands::run`] with the parsed body and a use case. The live socket,
//! which has no request, makes an [`Order`] itself.

use std::sync::Arc;

use axum::extract::{FromRef, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName};
use cocotalk_application::command_bus::{Accepted, Command, CommandBus};
use cocotalk_application::port::clock::Clock;
use cocotalk_application::port::event_log::{CommandKey, Metadata};
use cocotalk_application::sealing::{DataKey, Sealing};
use cocotalk_application::trace::TraceParent;
use cocotalk_application::use_case::UseCase;
use cocotalk_domain::id::{CommandId, UserId};
use cocotalk_domain::limits::Limits;
use cocotalk_domain::text::TextError;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::auth::Identity;
use crate::body::canonical;
use crate::door::Door;
use crate::idempotency::Idempotency;
use crate::position::Answered;
use crate::problem::{Code, FieldError, Problem};
use crate::query::{Nothing, Query};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Who orders which command, and from where.
#[derive(Clone, Debug)]
pub struct Order {
    /// Who, and by which session.
    pub identity: Identity,
    /// Which: the idempotency key, or a new id.
    pub command_id: CommandId,
    /// The place in a trace that the request brought along: see [`traceparent`].
    pub traceparent: Option<TraceParent>,
}

/// An authenticated request for a command. It has no query parameters: any is refused.
#[derive(Clone, Debug)]
pub struct Caller {
    identity: Identity,
    idempotency: Idempotency,
    traceparent: Option<TraceParent>,
}

impl Caller {
    /// Who asks.
    pub const fn user_id(&self) -> UserId {
        self.identity.user_id
    }

    /// What is ordered, for a command whose fingerprint is made elsewhere.
    pub fn into_order(self) -> Order {
        Order {
            identity: self.identity,
            command_id: self.idempotency.command_id,
            traceparent: self.traceparent,
        }
    }
}

impl<S> FromRequestParts<S> for Caller
where
    S: Send + Sync,
    Arc<Door>: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let CallerWith(caller, Nothing {}) = CallerWith::from_request_parts(parts, state).await?;
        Ok(caller)
    }
}

/// An authenticated request for a command that has these query parameters and no others. They are part of what makes two
/// requests the same.
#[derive(Clone, Debug)]
pub struct CallerWith<Q>(pub Caller, pub Q);

impl<S, Q> FromRequestParts<S> for CallerWith<Q>
where
    S: Send + Sync,
    Q: DeserializeOwned + Send,
    Arc<Door>: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let identity = Identity::from_request_parts(parts, state).await?;
        let Query(query) = Query::from_request_parts(parts, state).await?;
        let caller = Caller {
            identity,
            idempotency: Idempotency::from_request_parts(parts, state).await?,
            traceparent: traceparent(&parts.headers),
        };
        Ok(Self(caller, query))
    }
}

/// The W3C trace context of a request. One that is not well-formed is passed over, as the standard asks: it goes into the
/// log as it is, so nothing else may come in by this door.
pub fn traceparent(headers: &HeaderMap) -> Option<TraceParent> {
    headers.get(TRACEPARENT)?.to_str().ok()?.parse().ok()
}

/// What it takes to run commands, whichever door they come through.
pub struct Commands {
    /// Runs them.
    pub bus: Arc<dyn CommandBus>,
    /// Seals what people wrote.
    pub sealing: Arc<Sealing>,
    /// Stamps ids and instants.
    pub clock: Arc<dyn Clock>,
    /// What people may write.
    pub limits: Arc<Limits>,
}

impl Commands {
    /// The key that seals what a person writes. Whoever has none is erased, and so is their word.
    pub async fn data_key(&self, user: UserId) -> Result<Arc<DataKey>, Problem> {
        self.sealing
            .key(user)
            .await?
            .ok_or_else(|| Problem::new(Code::InvalidToken).detail("there is no such account any more"))
    }

    /// Runs what a request asks for; `body` is the parsed body, `()` where there is none.
    pub async fn run(
        &self,
        caller: Caller,
        body: &(impl Serialize + Sync),
        use_case: impl UseCase,
    ) -> Result<Answered, Problem> {
        let key = self.data_key(caller.user_id()).await?;
        let request_mac = key.request_mac(&caller.idempotency.fingerprint(&canonical(body)));
        let accepted = self.execute(caller.into_order(), request_mac, use_case).await?;
        Ok(Answered(accepted))
    }

    /// Runs a command whose fingerprint is made.
    pub async fn execute(
        &self,
        order: Order,
        request_mac: [u8; 32],
        use_case: impl UseCase,
    ) -> Result<Accepted, Problem> {
        let Order {
            identity,
            command_id,
            traceparent,
        } = order;
        let command = Command {
            key: CommandKey {
                actor: identity.user_id.uuid(),
                command_id,
            },
            request_mac,
            metadata: Arc::new(Metadata {
                actor: identity.user_id.to_string(),
                command_id: command_id.to_string(),
                session_id: Some(identity.session_id.to_string()),
                traceparent: traceparent.map(|parent| parent.to_string()),
            }),
            use_case: Box::new(use_case),
        };
        Ok(self.bus.execute(command).await?)
    }
}

/// What is wrong with the fields of a body, gathered so that all of it is told at once.
#[derive(Debug, Default)]
pub struct FieldErrors(Vec<FieldError>);

impl FieldErrors {
    /// The value, or one more thing that is wrong.
    pub fn text<T>(&mut self, pointer: &str, parsed: Result<T, TextError>) -> Option<T> {
        parsed.map_err(|error| self.0.push(text_error(pointer, &error))).ok()
    }

    /// One more thing that is wrong.
    pub fn push(&mut self, error: FieldError) {
        self.0.push(error);
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The refusal.
    pub fn into_problem(self) -> Problem {
        Problem::invalid_fields(self.0)
    }
}

/// The refusal of one text.
pub fn text_error(pointer: &str, error: &TextError) -> FieldError {
    FieldError::new(pointer, error.code(), error.to_string())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn only_a_well_formed_trace_is_taken_along() {
        let given = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(TRACEPARENT, HeaderValue::from_str(value).unwrap());
            traceparent(&headers)
        };
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert_eq!(given(good).map(|parent| parent.to_string()).as_deref(), Some(good));
        for bad in [
            "",
            "00",
            &good.to_uppercase(),
            &good.replace('b', "-"),
            &good.replacen("00", "ff", 1),
        ] {
            assert_eq!(given(bad), None, "{bad}");
        }
        assert_eq!(traceparent(&HeaderMap::new()), None);
    }

    #[test]
    fn everything_that_is_wrong_is_told_at_once() {
        let mut errors = FieldErrors::default();
        assert_eq!(errors.text("/a", Ok(1)), Some(1));
        assert_eq!(errors.text::<u8>("/b", Err(TextError::Blank)), None);
        errors.push(FieldError::new("/c", "missing", "is required"));
        assert_eq!(errors.0.len(), 2);
        assert_eq!(errors.into_problem().code(), Code::InvalidFields);
    }
}
