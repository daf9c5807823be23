//! `POST /v1/dev/accounts`: until there is sign-up, and for development ever after.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use cocotalk_application::command_bus::{Accepted, Command};
use cocotalk_application::port::event_log::{CommandKey, Metadata};
use cocotalk_application::sealing::hmac;
use cocotalk_application::use_case::register::{Register, RegisteredAnswer, claim_id};
use cocotalk_domain::claim::ClaimKind;
use cocotalk_domain::id::{SessionId, UserId};
use cocotalk_domain::sealed::Sealed;
use cocotalk_domain::stream::ClaimId;
use cocotalk_domain::text::{DisplayName, Handle};
use cocotalk_edge::body::{Json, canonical};
use cocotalk_edge::client::LoopbackOnly;
use cocotalk_edge::command::{Commands, FieldErrors, traceparent};
use cocotalk_edge::describe::bounds;
use cocotalk_edge::idempotency::Idempotency;
use cocotalk_edge::position::Landed;
use cocotalk_edge::problem::Problem;
use cocotalk_edge::query::{Nothing, Query};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::state::{DevAccounts, DevState};

/// The namespace of those who ask for a handle, before they are anybody: a retry is recognised under the handle's claim.
const APPLICANTS: Uuid = Uuid::from_u128(0x2b1e_4c7d_58a9_4f36_8d02_c0c0_7a1c_0002);

/// An account to make.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewAccount {
    /// The name to be found by.
    #[schema(value_type = bounds::Handle)]
    handle: String,
    /// The name that others see.
    #[schema(value_type = bounds::DisplayName)]
    display_name: String,
}

/// Who you are now.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct AccountMade {
    /// Your id.
    #[schema(value_type = Uuid)]
    pub(super) user_id: UserId,
    /// A token for `Authorization: Bearer`.
    #[schema(example = "<access token>")]
    pub(super) access_token: String,
}

/// What is known of a person from the beginning, sealed as one.
#[derive(Serialize)]
struct Profile<'a> {
    handle: &'a str,
    display_name: &'a str,
}

/// Make an account without signing up
///
/// Only from this machine, and only while the server listens on a loopback address; everybody else is told that there is
/// nothing here. A retry with the same key gets the same account, with a new token.
#[utoipa::path(
    post,
    path = "/v1/dev/accounts",
    tag = "development",
    request_body(content = NewAccount, example = json!({"handle": "boram_kim", "display_name": "보람"})),
    responses(
        (status = 201, description = "It is yours", body = AccountMade),
        (status = 404, description = "`not_found`: not from this machine"),
        (status = 409, description = "`handle_taken`"),
    ),
)]
pub(crate) async fn create_dev(
    State(state): State<DevState>,
    _: LoopbackOnly,
    Query(Nothing {}): Query<Nothing>,
    idempotency: Idempotency,
    headers: HeaderMap,
    Json(body): Json<NewAccount>,
) -> Result<Response, Problem> {
    let DevState { commands, accounts, .. } = &state;
    let mut errors = FieldErrors::default();
    let handle = errors.text("/handle", Handle::parse(&body.handle, &commands.limits));
    let display_name = DisplayName::parse(&body.display_name, &commands.limits);
    let (Some(handle), Some(display_name)) = (handle, errors.text("/display_name", display_name)) else {
        return Err(errors.into_problem());
    };
    let (user_id, claim) = (UserId(commands.clock.new_id()), accounts.claim(&handle));
    let metadata = Metadata {
        actor: user_id.to_string(),
        command_id: idempotency.command_id.to_string(),
        session_id: None,
        traceparent: traceparent(&headers).map(|parent| parent.to_string()),
    };
    let command = Command {
        key: CommandKey {
            actor: Uuid::new_v5(&APPLICANTS, &claim.0),
            command_id: idempotency.command_id,
        },
        request_mac: hmac(&accounts.pepper, &idempotency.fingerprint(&canonical(&body))),
        metadata: Arc::new(metadata),
        use_case: Box::new(Register {
            user_id,
            handle: claim,
            profile: seal_profile(commands, user_id, &handle, &display_name).await?,
            at: commands.clock.now(),
        }),
    };
    let accepted = commands.bus.execute(command).await?;
    answer(&state, &accepted)
}

/// Seals the profile with a new key. Where the handle turns out to be taken the key is for nobody, and harmless.
async fn seal_profile(
    commands: &Commands,
    user_id: UserId,
    handle: &Handle,
    display_name: &DisplayName,
) -> Result<Sealed, Problem> {
    let profile = Profile {
        handle: handle.as_str(),
        display_name: display_name.as_str(),
    };
    let profile = serde_json::to_string(&profile).expect("a profile is plain data");
    Ok(commands.sealing.create(user_id).await?.seal(&profile))
}

/// The answer: whose account it is comes from what was stored, the token is new each time.
fn answer(state: &DevState, accepted: &Accepted) -> Result<Response, Problem> {
    let registered = serde_json::from_str(accepted.answer.body.get());
    let RegisteredAnswer { user_id } = registered.map_err(|error| Problem::internal(&error))?;
    let clock = &state.commands.clock;
    let made = AccountMade {
        user_id,
        access_token: state
            .accounts
            .tokens
            .issue(user_id, SessionId(clock.new_id()), clock.now()),
    };
    Ok((StatusCode::CREATED, Landed(accepted), axum::Json(made)).into_response())
}

impl DevAccounts {
    /// The claim on a handle.
    pub(super) fn claim(&self, handle: &Handle) -> ClaimId {
        claim_id(&self.pepper, ClaimKind::Handle, handle.as_str())
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Method;
    use cocotalk_application::use_case::Refusal;
    use cocotalk_domain::claim::ClaimError;
    use cocotalk_domain::stream::StreamId;
    use serde_json::{Value, json};

    use super::*;
    use crate::fake::{App, DAY, NOW, Reply, dev_accounts};

    const PATH: &str = "/v1/dev/accounts";

    async fn create(app: &App, body: Value) -> Reply {
        app.request(Method::POST, PATH).json(&body).send().await
    }

    fn boram() -> Value {
        json!({"handle": "boram_kim", "display_name": "보람"})
    }

    fn registered(app: &App, user_id: UserId) {
        app.bus.answer(201, &RegisteredAnswer { user_id });
    }

    #[tokio::test]
    async fn an_account_comes_with_a_token_of_a_day() {
        let app = App::new();
        let user_id = UserId::from_u128(77);
        registered(&app, user_id);
        let reply = create(&app, boram()).await;
        let body = reply.is(201);
        assert_eq!(body["user_id"], json!(user_id));
        assert!(reply.header("x-position").is_some());
        let identity = app.tokens.verify(body["access_token"].as_str().unwrap(), NOW).unwrap();
        assert_eq!(identity.user_id, user_id);
        assert_eq!(identity.expires_at.millis() - NOW.millis(), DAY.as_millis() as i64);
    }

    #[tokio::test]
    async fn the_handle_is_claimed_under_a_name_that_tells_nothing() {
        let app = App::new();
        registered(&app, UserId::from_u128(77));
        create(&app, boram()).await.is(201);
        let seen = app.bus.only();
        let mac = hmac(&dev_accounts().pepper, b"handle\0boram_kim");
        let claim = ClaimId(mac[..16].try_into().unwrap());
        let (StreamId::Claim(_), [home, StreamId::Account(user_id)]) = (seen.home, &seen.writes[..]) else {
            panic!("{:?}", seen.writes)
        };
        assert_eq!((seen.name, *home), ("register", StreamId::Claim(claim)));
        assert!(app.vault.has(*user_id), "the key is there before the command");
        assert_eq!(seen.key.actor, Uuid::new_v5(&APPLICANTS, &claim.0));
    }

    #[tokio::test]
    async fn a_replay_is_answered_with_the_stored_account_and_a_token() {
        let app = App::new();
        let user_id = UserId::from_u128(77);
        app.bus.replay(201, &RegisteredAnswer { user_id });
        let reply = create(&app, boram()).await;
        let body = reply.is(201);
        assert_eq!(reply.header("idempotent-replayed"), Some("true"));
        let identity = app.tokens.verify(body["access_token"].as_str().unwrap(), NOW).unwrap();
        assert_eq!((identity.user_id, &body["user_id"]), (user_id, &json!(user_id)));
    }

    #[tokio::test]
    async fn a_retry_is_recognised_by_handle_key_and_body() {
        let app = App::new();
        for body in [
            boram(),
            boram(),
            json!({"handle": "boram_kim", "display_name": "람"}),
            json!({"handle": "boram_lee", "display_name": "보람"}),
        ] {
            registered(&app, UserId::from_u128(77));
            create(&app, body).await.is(201);
        }
        let [one, same, other_name, other_handle] = <[_; 4]>::try_from(app.bus.seen()).unwrap();
        assert_eq!((one.key, one.request_mac), (same.key, same.request_mac));
        assert_eq!(one.key, other_name.key);
        assert_ne!(one.request_mac, other_name.request_mac);
        assert_ne!(one.key, other_handle.key);
    }

    #[tokio::test]
    async fn a_taken_handle_is_refused() {
        let app = App::new();
        app.bus.refuse(Refusal::Claim(ClaimError::Taken(ClaimKind::Handle)));
        create(&app, boram()).await.refused(409, "handle_taken");
    }

    #[tokio::test]
    async fn what_is_not_valid_is_named_at_once_and_not_tried() {
        let app = App::new();
        for (body, pointers) in [
            (json!({"handle": "abc", "display_name": "보람"}), vec!["/handle"]),
            (json!({"handle": "Capital1", "display_name": "보람"}), vec!["/handle"]),
            (
                json!({"handle": "boram_kim", "display_name": "가".repeat(21)}),
                vec!["/display_name"],
            ),
            (
                json!({"handle": "", "display_name": "nul\0"}),
                vec!["/handle", "/display_name"],
            ),
            (json!({"handle": "boram_kim"}), vec!["/display_name"]),
            (json!({"handle": 7, "display_name": "보람"}), vec!["/handle"]),
            (
                json!({"handle": "boram_kim", "display_name": "a", "role": "admin"}),
                vec!["/role"],
            ),
        ] {
            create(&app, body).await.points_at(&pointers);
        }
        assert_eq!(app.bus.seen(), []);
    }

    #[tokio::test]
    async fn there_is_nothing_for_others_than_this_machine() {
        let app = App::new();
        for (name, value) in [
            ("x-forwarded-for", "127.0.0.1"),
            ("forwarded", "for=203.0.113.7"),
            ("host", "chat.example.com"),
        ] {
            let request = app.request(Method::POST, PATH).json(&boram()).header(name, value);
            request.send().await.refused(404, "not_found");
        }
        let request = app.request(Method::POST, PATH).json(&boram()).from("192.0.2.1:4711");
        request.send().await.refused(404, "not_found");
        assert_eq!(app.bus.seen(), []);
    }

    #[tokio::test]
    async fn there_is_nothing_where_it_is_not_served() {
        let app = App::without_dev_accounts();
        create(&app, boram()).await.refused(404, "not_found");
    }

    #[tokio::test]
    async fn it_takes_no_parameters() {
        let app = App::new();
        let request = app.request(Method::POST, "/v1/dev/accounts?q=1").json(&boram());
        request.send().await.refused(422, "unknown_query_parameter");
    }
}
