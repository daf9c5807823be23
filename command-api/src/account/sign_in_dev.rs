//! `POST /v1/dev/sessions`: a token for an account that there is, without a password. For development only.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use cocotalk_application::directory::owner;
use cocotalk_domain::id::SessionId;
use cocotalk_domain::text::Handle;
use cocotalk_edge::body::Json;
use cocotalk_edge::client::LoopbackOnly;
use cocotalk_edge::command::FieldErrors;
use cocotalk_edge::describe::bounds;
use cocotalk_edge::problem::{Code, Problem};
use cocotalk_edge::query::{Nothing, Query};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::create_dev::AccountMade;
use crate::state::DevState;

/// Who wants in.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DevSession {
    /// The handle of an account.
    #[schema(value_type = bounds::Handle)]
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
        (status = 404, description = "`user_not_found`, or `not_found`: not from this machine"),
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
    let owner = owner(&*state.accounts.log, state.accounts.claim(&handle)).await?;
    let user_id = owner.ok_or_else(|| Problem::new(Code::UserNotFound).detail("nobody has this handle"))?;
    let clock = &state.commands.clock;
    let access_token = state
        .accounts
        .tokens
        .issue(user_id, SessionId(clock.new_id()), clock.now());
    Ok((StatusCode::CREATED, axum::Json(AccountMade { user_id, access_token })).into_response())
}

#[cfg(test)]
mod tests {
    use axum::http::Method;
    use serde_json::json;

    use crate::fake::{App, ME};

    const PATH: &str = "/v1/dev/sessions";

    #[tokio::test]
    async fn whoever_has_the_handle_is_in() {
        let app = App::new();
        let told = app
            .request(Method::POST, PATH)
            .json(&json!({"handle": "taken_handle"}))
            .send()
            .await
            .is(201);
        assert_eq!(told["user_id"], ME.to_string());
        assert!(told["access_token"].is_string());
        assert_eq!(app.bus.seen(), []);
    }

    #[tokio::test]
    async fn a_free_handle_is_nobodys() {
        let request = App::new()
            .request(Method::POST, PATH)
            .json(&json!({"handle": "free_handle"}));
        request.send().await.refused(404, "user_not_found");
    }

    #[tokio::test]
    async fn there_is_nothing_for_others_than_this_machine() {
        let request = App::new()
            .request(Method::POST, PATH)
            .json(&json!({"handle": "taken_handle"}));
        request.from("192.0.2.1:4711").send().await.refused(404, "not_found");
    }
}
