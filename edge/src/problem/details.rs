//! A problem as it is written on the wire.

use std::borrow::Cow;

use cocotalk_domain::id::UserId;
use serde::Serialize;
use utoipa::ToSchema;

use super::Code;

/// One field that was not valid, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// Where: a JSON pointer into the body.
    pub pointer: String,
    /// What, in one word.
    #[schema(value_type = String)]
    pub code: &'static str,
    /// What, for people.
    pub detail: String,
    /// Whom it is about, until it is known where they stand in the body.
    #[serde(skip)]
    pub(super) about: Option<UserId>,
}

impl FieldError {
    /// A field that is not valid.
    pub fn new(pointer: impl Into<String>, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            pointer: pointer.into(),
            code,
            detail: detail.into(),
            about: None,
        }
    }
}

/// A problem as clients see it, over HTTP and over the socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(example = json!(Code::RoomNotFound.example()))]
pub struct ProblemDetails {
    /// Where the page about this code is.
    #[serde(rename = "type")]
    pub kind: String,
    /// What people read first.
    #[schema(value_type = String)]
    pub title: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// What was wrong this time, for people.
    #[schema(value_type = String)]
    pub detail: Cow<'static, str>,
    /// What is wrong, in one word that never changes its meaning.
    #[schema(value_type = String)]
    pub code: &'static str,
    /// What to tell us when you ask about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// The fields that were not valid.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
}

impl ProblemDetails {
    /// What everything but the request follows from.
    pub(super) fn new(
        code: Code,
        detail: Cow<'static, str>,
        request_id: Option<String>,
        errors: Vec<FieldError>,
    ) -> Self {
        Self {
            kind: format!("/docs/problems/{}", code.as_str()),
            title: code.title(),
            status: code.status().as_u16(),
            detail,
            code: code.as_str(),
            request_id,
            errors,
        }
    }
}
