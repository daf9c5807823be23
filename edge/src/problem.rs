//! Problems: the one shape of every refusal (RFC 9457), and the closed set of codes that clients can rely on.
//!
//! A `Problem` is made where something is refused and becomes an answer in one place, which also counts it and writes what
//! is ours to mend into the log, once. Nothing of a 5xx leaves the house but a fixed text and the request's id.

mod details;
mod example;
mod refusal;
mod store;

use std::borrow::Cow;
use std::error::Error;

use axum::http::header::{self, HeaderValue};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use cocotalk_application::error::chain;
use cocotalk_domain::id::UserId;
pub use details::{FieldError, ProblemDetails};

use crate::metrics::PROBLEMS;
use crate::scope::RequestId;

/// Makes the enum, its list and its table from rows `/// Title`, `Variant = STATUS "code"`: the doc of a code is its title. A
/// row may fix the detail as well, which is all that is ever told then.
macro_rules! codes {
    ($(#[doc = $title:literal] $variant:ident = $status:ident $code:literal $(: $detail:literal)?,)+) => {
        /// What is wrong, in one word that never changes its meaning. Each has a page under `docs/problems/`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code {
            $(#[doc = $title] $variant,)+
        }

        impl Code {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The word.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $code,)+
                }
            }

            /// The status that it is answered with.
            pub const fn status(self) -> StatusCode {
                match self {
                    $(Self::$variant => StatusCode::$status,)+
                }
            }

            /// What people read first.
            pub const fn title(self) -> &'static str {
                match self {
                    $(Self::$variant => $title.trim_ascii(),)+
                }
            }

            /// What is told about it where nothing is to be added.
            fn usual_detail(self) -> &'static str {
                self.fixed_detail().unwrap_or(self.title())
            }

            const fn fixed_detail(self) -> Option<&'static str> {
                match self {
                    $(Self::$variant => codes!(@optional $($detail)?),)+
                }
            }
        }
    };
    (@optional) => { None };
    (@optional $detail:literal) => { Some($detail) };
}

codes! {
    // codes:begin
    /// The body is not JSON
    MalformedJson = BAD_REQUEST "malformed_json",
    /// The request cannot be understood
    MalformedRequest = BAD_REQUEST "malformed_request",
    /// The frame cannot be understood
    BadFrame = BAD_REQUEST "bad_frame",
    /// Sign in first
    Unauthenticated = UNAUTHORIZED "unauthenticated",
    /// The access token is not valid
    InvalidToken = UNAUTHORIZED "invalid_token",
    /// The access token has expired
    ExpiredToken = UNAUTHORIZED "expired_token",
    /// Not allowed
    NotAllowed = FORBIDDEN "not_allowed",
    /// There is nothing here
    NotFound = NOT_FOUND "not_found",
    /// No such room
    RoomNotFound = NOT_FOUND "room_not_found",
    /// No such member
    MemberNotFound = NOT_FOUND "member_not_found",
    /// No such message
    MessageNotFound = NOT_FOUND "message_not_found",
    /// No such person
    UserNotFound = NOT_FOUND "user_not_found",
    /// Not with this method
    MethodNotAllowed = METHOD_NOT_ALLOWED "method_not_allowed",
    /// The body did not arrive in time
    BodyTooSlow = REQUEST_TIMEOUT "body_too_slow",
    /// The handle is taken
    HandleTaken = CONFLICT "handle_taken",
    /// The account exists already
    AccountExists = CONFLICT "account_exists",
    /// The room exists already
    RoomExists = CONFLICT "room_exists",
    /// Only a group can do this
    OnlyInGroups = CONFLICT "only_in_groups",
    /// The owner must hand the group over
    OwnerMustHandOver = CONFLICT "owner_must_hand_over",
    /// The group would be too large
    TooManyMembers = CONFLICT "too_many_members",
    /// Some people cannot be invited
    CannotBeInvited = CONFLICT "cannot_be_invited",
    /// The recipient is gone
    RecipientGone = CONFLICT "recipient_gone",
    /// The message was deleted
    MessageDeleted = CONFLICT "message_deleted",
    /// The message is too old to be changed
    MessageTooOld = CONFLICT "message_too_old",
    /// The message has enough kinds of reactions
    TooManyReactions = CONFLICT "too_many_reactions",
    /// Enough messages of the room are hidden
    TooManyHidden = CONFLICT "too_many_hidden",
    /// Too far behind to catch up
    TooFarBehind = CONFLICT "too_far_behind",
    /// The request is too large
    PayloadTooLarge = PAYLOAD_TOO_LARGE "payload_too_large",
    /// The body must be application/json
    UnsupportedMediaType = UNSUPPORTED_MEDIA_TYPE "unsupported_media_type",
    /// Some fields are not valid
    InvalidFields = UNPROCESSABLE_ENTITY "invalid_fields",
    /// A query parameter is not known
    UnknownQueryParameter = UNPROCESSABLE_ENTITY "unknown_query_parameter",
    /// A query parameter is not valid
    InvalidQuery = UNPROCESSABLE_ENTITY "invalid_query",
    /// The cursor is not valid
    InvalidCursor = UNPROCESSABLE_ENTITY "invalid_cursor",
    /// The position is not valid
    InvalidPosition = UNPROCESSABLE_ENTITY "invalid_position",
    /// The idempotency key is not valid
    InvalidIdempotencyKey = UNPROCESSABLE_ENTITY "invalid_idempotency_key",
    /// The idempotency key was used for another request
    IdempotencyKeyReused = UNPROCESSABLE_ENTITY "idempotency_key_reused",
    /// The group would be too small
    TooFewMembers = UNPROCESSABLE_ENTITY "too_few_members",
    /// A reaction is one emoji
    InvalidEmoji = UNPROCESSABLE_ENTITY "invalid_emoji",
    /// Only members can be mentioned
    MentionsNoMember = UNPROCESSABLE_ENTITY "mentions_no_member",
    /// The time is not in the future
    NotInTheFuture = UNPROCESSABLE_ENTITY "not_in_the_future",
    /// Media is not available
    MediaNotAvailable = UNPROCESSABLE_ENTITY "media_not_available",
    /// This address speaks WebSocket
    UpgradeRequired = UPGRADE_REQUIRED "upgrade_required",
    /// Too many requests
    RateLimited = TOO_MANY_REQUESTS "rate_limited",
    /// Something went wrong here
    InternalError = INTERNAL_SERVER_ERROR "internal_error":
        "something went wrong on our side; the request id tells us what",
    /// The store is not available
    StorageUnavailable = SERVICE_UNAVAILABLE "storage_unavailable":
        "the store cannot take writes now; nothing that was acknowledged is lost, try again",
    /// The answer would be older than was asked for
    ReadModelBehind = SERVICE_UNAVAILABLE "read_model_behind":
        "what you have seen elsewhere has not arrived here yet, try again",
    /// The server is busy
    Busy = SERVICE_UNAVAILABLE "busy":
        "too much is waiting already, try again",
    /// The request took too long
    Timeout = SERVICE_UNAVAILABLE "timeout":
        "no answer in time; whether it was carried out is not known, try again with the same key",
    /// The server is starting
    Starting = SERVICE_UNAVAILABLE "starting":
        "not ready yet, try again",
    /// The server is shutting down
    ShuttingDown = SERVICE_UNAVAILABLE "shutting_down":
        "going away, try again and another server answers",
    // codes:end
}

/// A refusal on its way to whoever asked.
#[derive(Debug)]
pub struct Problem(Box<Parts>);

#[derive(Debug)]
struct Parts {
    code: Code,
    detail: Cow<'static, str>,
    errors: Vec<FieldError>,
    retry_after_s: Option<u32>,
    cause: Option<String>,
}

impl Problem {
    /// The problem with this code and nothing to add.
    pub fn new(code: Code) -> Self {
        let unavailable = code.status() == StatusCode::SERVICE_UNAVAILABLE;
        Self(Box::new(Parts {
            code,
            detail: Cow::Borrowed(code.usual_detail()),
            errors: Vec::new(),
            retry_after_s: unavailable.then_some(1),
            cause: None,
        }))
    }

    /// Something is broken on our side: `cause` goes to the log and nowhere else.
    pub fn internal(cause: &(dyn Error + 'static)) -> Self {
        Self::new(Code::InternalError).caused_by(cause)
    }

    /// One field of the body is not valid.
    pub fn invalid_field(pointer: impl Into<String>, code: &'static str, detail: impl Into<String>) -> Self {
        Self::invalid_fields(vec![FieldError::new(pointer, code, detail)])
    }

    /// These fields of the body are not valid.
    pub fn invalid_fields(errors: Vec<FieldError>) -> Self {
        let mut problem = Self::new(Code::InvalidFields);
        problem.0.errors = errors;
        problem
    }

    /// What was wrong this time. A code with a fixed text keeps that.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        if self.0.code.fixed_detail().is_none() {
            self.0.detail = detail.into();
        }
        self
    }

    /// One more field that was not valid.
    #[must_use]
    pub fn and_field(mut self, error: FieldError) -> Self {
        self.0.errors.push(error);
        self
    }

    /// When a try makes sense again.
    #[must_use]
    pub fn retry_after_s(mut self, seconds: u32) -> Self {
        self.0.retry_after_s = Some(seconds);
        self
    }

    /// Why, for the log.
    #[must_use]
    pub fn caused_by(mut self, cause: &(dyn Error + 'static)) -> Self {
        self.0.cause = Some(chain(cause));
        self
    }

    /// The refusal of some people (who cannot be invited, who are no members) with pointers to where each of them stands in
    /// `user_ids`, the list of the request that named them.
    #[must_use]
    pub fn locate(mut self, user_ids: &[UserId]) -> Self {
        for error in &mut self.0.errors {
            let place = error
                .about
                .take()
                .and_then(|user| user_ids.iter().position(|id| *id == user));
            if let Some(place) = place {
                error.pointer = format!("{}/{place}", error.pointer);
            }
        }
        self
    }

    /// What is wrong.
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// As clients see it; counts it, and writes what is ours to mend into the log.
    pub fn into_details(self, request_id: Option<RequestId>) -> ProblemDetails {
        let Parts {
            code,
            detail,
            errors,
            cause,
            ..
        } = *self.0;
        metrics::counter!(PROBLEMS, "code" => code.as_str()).increment(1);
        let request_id = request_id.map(|id| id.to_string());
        log(code, request_id.as_deref().unwrap_or_default(), cause.as_deref());
        ProblemDetails::new(code, detail, request_id, errors)
    }

    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::with_capacity(3);
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if let Some(seconds) = self.0.retry_after_s {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if self.0.code.status() == StatusCode::UNAUTHORIZED {
            // RFC 6750: a request that brought no token is not told that its token is wrong.
            let challenge = if self.0.code == Code::Unauthenticated {
                "Bearer realm=\"cocotalk\""
            } else {
                "Bearer realm=\"cocotalk\", error=\"invalid_token\""
            };
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        headers
    }
}

/// Writes what somebody must look at: what has a cause, and what should never happen. That the server is busy is told by
/// the counter of problems; a line for each refused request would only make it busier.
fn log(code: Code, request_id: &str, cause: Option<&str>) {
    let name = code.as_str();
    match cause {
        Some(cause) if code.status().is_server_error() => {
            tracing::error!(
                request.id = request_id,
                problem.code = name,
                error = cause,
                "answered {name}: {cause}"
            );
        }
        None if code == Code::Timeout => {
            tracing::warn!(request.id = request_id, problem.code = name, "answered {name}");
        }
        None if code == Code::InternalError => {
            tracing::error!(request.id = request_id, problem.code = name, "answered {name}");
        }
        cause => tracing::debug!(
            request.id = request_id,
            problem.code = name,
            error = cause,
            "answered {name}"
        ),
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, headers) = (self.0.code.status(), self.headers());
        let details = self.into_details(RequestId::current());
        let body = serde_json::to_vec(&details).expect("a problem is plain data");
        (status, headers, body).into_response()
    }
}
