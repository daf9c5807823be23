//! `PUT /v1/rooms/{room_id}/members/{user_id}/role`

use std::sync::Arc;

use axum::extract::State;
use cocotalk_application::use_case::give_role::GiveRole;
use cocotalk_domain::id::{RoomId, UserId};
use cocotalk_domain::room::Role;
use cocotalk_edge::body::Json;
use cocotalk_edge::command::{Caller, Commands};
use cocotalk_edge::path::Path;
use cocotalk_edge::position::Answered;
use cocotalk_edge::problem::Problem;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::describe::RoomAt;

/// Which role somebody gets.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewRole {
    /// The role afterwards.
    role: GivenRole,
}

/// What a member may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum GivenRole {
    /// Talks, invites and renames as the settings say.
    Member,
    /// Also changes the settings and kicks members.
    Admin,
    /// Everything: the group is handed over.
    Owner,
}

impl From<GivenRole> for Role {
    fn from(role: GivenRole) -> Self {
        match role {
            GivenRole::Member => Self::Member,
            GivenRole::Admin => Self::Admin,
            GivenRole::Owner => Self::Owner,
        }
    }
}

/// Give a member a role
///
/// Only the owner of a group does, and everybody sees it. `owner` hands the group over: whoever owned it is an admin from then
/// on. The role somebody has already is no event.
#[utoipa::path(
    put,
    path = "/v1/rooms/{room_id}/members/{user_id}/role",
    tag = "rooms",
    params(
        ("room_id" = Uuid, Path, description = "The room"),
        ("user_id" = Uuid, Path, description = "Whose role"),
    ),
    request_body(content = NewRole, example = json!({"role": "admin"})),
    responses(
        (status = 200, description = "It is so", body = RoomAt),
        (status = 403, description = "`not_allowed`"),
        (status = 404, description = "`room_not_found`, `member_not_found`"),
        (status = 409, description = "`only_in_groups`, `owner_must_hand_over`"),
    ),
)]
pub(crate) async fn give_role(
    State(commands): State<Arc<Commands>>,
    caller: Caller,
    Path((room_id, user_id)): Path<(RoomId, UserId)>,
    Json(body): Json<NewRole>,
) -> Result<Answered, Problem> {
    let use_case = GiveRole {
        room_id,
        by: caller.user_id(),
        user_id,
        role: body.role.into(),
        at: commands.clock.now(),
    };
    commands.run(caller, &body, use_case).await
}

#[cfg(test)]
mod tests {
    use axum::http::Method;
    use cocotalk_application::use_case::Refusal;
    use cocotalk_domain::room::RoomError;
    use serde_json::{Value, json};

    use super::*;
    use crate::fake::{App, ROOM, Reply};

    async fn give(app: &App, body: Value) -> Reply {
        let path = format!("/v1/rooms/{ROOM}/members/{}/role", UserId::from_u128(3));
        app.call(Method::PUT, &path, &body).await
    }

    #[tokio::test]
    async fn every_role_can_be_given() {
        for role in ["member", "admin", "owner"] {
            let app = App::new();
            let reply = give(&app, json!({"role": role})).await;
            assert_eq!(reply.is(200), json!({"room_id": ROOM, "version": 7}));
            assert_eq!(app.bus.only().name, "give_role");
        }
    }

    #[tokio::test]
    async fn what_is_no_role_is_named_and_not_tried() {
        let app = App::new();
        for body in [
            json!({}),
            json!({"role": "king"}),
            json!({"role": null}),
            json!({"role": ["admin"]}),
        ] {
            give(&app, body).await.points_at(&["/role"]);
        }
        give(&app, json!({"role": "admin", "until": 1}))
            .await
            .points_at(&["/until"]);
        let path = format!("/v1/rooms/{ROOM}/members/me/role");
        let reply = app.call(Method::PUT, &path, &json!({"role": "admin"})).await;
        reply.refused(400, "malformed_request");
        assert_eq!(app.bus.seen(), []);
    }

    #[tokio::test]
    async fn a_refusal_of_the_room_is_passed_on() {
        for (error, status, code) in [
            (RoomError::NotAllowed, 403, "not_allowed"),
            (RoomError::NoSuchRoom, 404, "room_not_found"),
            (RoomError::NoSuchMember, 404, "member_not_found"),
            (RoomError::OnlyInGroups, 409, "only_in_groups"),
            (RoomError::OwnerStays, 409, "owner_must_hand_over"),
        ] {
            let app = App::new();
            app.bus.refuse(Refusal::Room(error));
            give(&app, json!({"role": "member"})).await.refused(status, code);
        }
    }
}
