//! `POST /v1/dev/sessions`: a token for an account that there is, without a password. For development only.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use cocotalk_application::error::StoreError;
use cocotalk_domain::claim::ClaimEvent;
use cocotalk_domain::event::AnyEvent;
use cocotalk_domain::id::{SessionId, UserId};
use cocotalk_domain::stream::StreamId;
use cocotalk_domain::text::Handle;
use cocotalk_edge::body::Json;
use cocotalk_edge::client::LoopbackOnly;
use cocotalk_edge::command::FieldErrors;
use cocotalk_edge::problem::{Code, Problem, ProblemDetails};
use cocotalk_edge::query::{Nothing, Query};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::create_dev::AccountMade;
use crate::state::{DevAccounts, DevState};

/// Who wants in.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DevSession {
    /// The handle of an account.
    #[schema(example = "boram_kim")]
    handle: String,
}

/// Sign in without a password
///
/// Only from this machine, and only while the server listens on a loopback address; everybody else is told that there is
/// nothing here.
#[utoipa::path(
    post,
    path = "/v1/dev/sessions",
    tag = "development",
    request_body(content = DevSession, example = json!({"handle": "boram_kim"})),
    responses(
        (status = 201, description = "You are in", body = AccountMade),
        (status = 404, description = "`user_not_found`, or `not_found`: not from this machine", body = ProblemDetails, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn sign_in_dev(
    State(state): State<DevState>,
    _: LoopbackOnly,
    Query(Nothing {}): Query<Nothing>,
    Json(body): Json<DevSession>,
) -> Result<Response, Problem> {
    let mut errors = FieldErrors::default();
    let Some(handle) = errors.text("/handle", Handle::parse(&body.handle, &state.commands.limits)) else {
        return Err(errors.into_problem());
    };
    let owner = state.accounts.owner(&handle).await?;
    let user_id = owner.ok_or_else(|| Problem::new(Code::UserNotFound).detail("nobody has this handle"))?;
    let clock = &state.commands.clock;
    let access_token = state.accounts.tokens.issue(user_id, SessionId(clock.new_id()), clock.now());
    Ok((StatusCode::CREATED, axum::Json(AccountMade { user_id, access_token })).into_response())
}

impl DevAccounts {
    /// Whose handle it is, as the log says.
    async fn owner(&self, handle: &Handle) -> Result<Option<UserId>, StoreError> {
        let claim = StreamId::Claim(self.claim(handle));
        let events = self.log.load(&claim, 0).await?;
        let taken = events.into_iter().filter_map(|recorded| match recorded.event {
            Ok(AnyEvent::Claim(ClaimEvent::Taken(taken))) => Some(taken.owner),
            Ok(_) | Err(_) => None,
        });
        Ok(taken.last())
    }
}
