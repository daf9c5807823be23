//! `POST /v1/rooms/{room_id}/members`

use std::sync::Arc;

use axum::extract::State;
use cocotalk_application::use_case::invite::Invite;
use cocotalk_domain::id::{RoomId, UserId};
use cocotalk_edge::body::Json;
use cocotalk_edge::command::{Caller, Commands};
use cocotalk_edge::describe::bounds;
use cocotalk_edge::path::Path;
use cocotalk_edge::position::Answered;
use cocotalk_edge::problem::Problem;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::describe::RoomAt;

/// Who is invited.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct InviteMembers {
    /// The people: at least one, and no more than a group can have. Members already are passed over.
    #[schema(value_type = bounds::Invited)]
    user_ids: Vec<UserId>,
}

/// Invite people into a room
///
/// Who joins sees nothing from before. A direct room stays what it is: inviting into it opens a new group of its members
/// and the invited. Whoever cannot be invited (unknown, erased, or a block either way) is pointed at, and nobody joins.
#[utoipa::path(
    post,
    path = "/v1/rooms/{room_id}/members",
    tag = "rooms",
    params(("room_id" = Uuid, Path, description = "The room")),
    request_body(
        content = InviteMembers,
        example = json!({"user_ids": ["0198c0de-7a1c-7000-8000-000000000003"]}),
    ),
    responses(
        (status = 200, description = "They are in the group", body = RoomAt),
        (status = 201, description = "A new group, made from a direct room", body = RoomAt),
        (status = 403, description = "`not_allowed`"),
        (status = 404, description = "`room_not_found`"),
        (status = 409, description = "`cannot_be_invited`, `too_many_members`"),
        (status = 422, description = "`invalid_fields`, `too_few_members`"),
    ),
)]
pub(crate) async fn invite(
    State(commands): State<Arc<Commands>>,
    caller: Caller,
    Path(room_id): Path<RoomId>,
    Json(body): Json<InviteMembers>,
) -> Result<Answered, Problem> {
    let limits = &commands.limits;
    if body.user_ids.is_empty() {
        return Err(Problem::invalid_field(
            "/user_ids",
            "too_few",
            "name at least one person",
        ));
    }
    if body.user_ids.len() > limits.group_max_members {
        let detail = format!("a group has at most {} members", limits.group_max_members);
        return Err(Problem::invalid_field("/user_ids", "too_many", detail));
    }
    let use_case = Invite {
        room_id,
        new_room_id: RoomId(commands.clock.new_id()),
        by: caller.user_id(),
        user_ids: body.user_ids.clone(),
        min_members: limits.group_min_members,
        max_created: limits.group_create_members,
        max_members: limits.group_max_members,
        at: commands.clock.now(),
    };
    let answered = commands.run(caller, &body, use_case).await;
    answered.map_err(|problem| problem.locate(&body.user_ids))
}

#[cfg(test)]
mod tests {
    use axum::http::Method;
    use cocotalk_application::use_case::{Refusal, RoomAnswer};
    use cocotalk_domain::limits::Limits;
    use cocotalk_domain::room::RoomError;
    use serde_json::{Value, json};

    use super::*;
    use crate::fake::{App, ROOM, Reply, ids};

    async fn invite(app: &App, user_ids: Value) -> Reply {
        let body = json!({"user_ids": user_ids});
        app.call(Method::POST, &format!("/v1/rooms/{ROOM}/members"), &body)
            .await
    }

    #[tokio::test]
    async fn the_invited_are_asked_about_as_they_were_named() {
        let app = App::new();
        let named = [3, 4, 3].map(UserId::from_u128);
        assert_eq!(
            invite(&app, json!(named)).await.is(200),
            json!({"room_id": ROOM, "version": 7})
        );
        let seen = app.bus.only();
        assert_eq!((seen.name, &seen.people[..]), ("invite", &named[..]));
    }

    #[tokio::test]
    async fn an_invitation_into_a_direct_room_is_answered_with_the_new_group() {
        let app = App::new();
        let group = RoomAnswer {
            room_id: RoomId::from_u128(99),
            version: 1,
        };
        app.bus.answer(201, &group);
        let body = invite(&app, ids(3..4)).await.is(201);
        assert_eq!(body, json!({"room_id": group.room_id, "version": 1}));
    }

    #[tokio::test]
    async fn nobody_too_many_and_no_ids_are_refused() {
        let app = App::with_limits(Limits {
            group_max_members: 5,
            ..Limits::default()
        });
        invite(&app, json!([])).await.points_at(&["/user_ids"]);
        invite(&app, ids(1..7)).await.points_at(&["/user_ids"]);
        invite(&app, json!([ROOM, "dahee"])).await.points_at(&["/user_ids/1"]);
        invite(&app, json!("dahee")).await.points_at(&["/user_ids"]);
        assert_eq!(app.bus.seen(), []);
        invite(&app, ids(1..6)).await.is(200);
    }

    #[tokio::test]
    async fn whoever_cannot_be_invited_is_pointed_at() {
        let app = App::new();
        let user_ids = vec![UserId::from_u128(4), UserId::from_u128(6)];
        app.bus.refuse(Refusal::Room(RoomError::CannotBeInvited { user_ids }));
        let reply = invite(&app, ids(3..7)).await;
        reply.refused(409, "cannot_be_invited");
        reply.points_at(&["/user_ids/1", "/user_ids/3"]);
    }

    #[tokio::test]
    async fn a_group_that_would_be_too_large_and_a_setting_refuse() {
        for (error, status, code) in [
            (RoomError::TooManyMembers { max: 3_000 }, 409, "too_many_members"),
            (RoomError::NotAllowed, 403, "not_allowed"),
        ] {
            let app = App::new();
            app.bus.refuse(Refusal::Room(error));
            invite(&app, ids(3..4)).await.refused(status, code);
        }
    }
}
