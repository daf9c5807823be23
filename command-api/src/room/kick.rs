//! `DELETE /v1/rooms/{room_id}/members/{user_id}`

use std::sync::Arc;

use axum::extract::State;
use cocotalk_application::use_case::kick::Kick;
use cocotalk_domain::id::{RoomId, UserId};
use cocotalk_edge::command::{Caller, Commands};
use cocotalk_edge::path::Path;
use cocotalk_edge::position::Answered;
use cocotalk_edge::problem::Problem;

/// Kick a member
///
/// Takes somebody out of a group, for everybody to see; for them there is no such room any more, until they are invited
/// again. The owner kicks anybody else, admins kick members. To go yourself, leave.
#[utoipa::path(
    delete,
    path = "/v1/rooms/{room_id}/members/{user_id}",
    tag = "rooms",
    params(
        ("room_id" = Uuid, Path, description = "The room"),
        ("user_id" = Uuid, Path, description = "Who goes"),
    ),
    responses(
        (status = 204, description = "They are out"),
        (status = 403, description = "`not_allowed`"),
        (status = 404, description = "`room_not_found`, `member_not_found`"),
        (status = 409, description = "`only_in_groups`"),
    ),
)]
pub(crate) async fn kick(
    State(commands): State<Arc<Commands>>,
    caller: Caller,
    Path((room_id, user_id)): Path<(RoomId, UserId)>,
) -> Result<Answered, Problem> {
    let use_case = Kick {
        room_id,
        by: caller.user_id(),
        user_id,
        at: commands.clock.now(),
    };
    commands.run(caller, &(), use_case).await
}

#[cfg(test)]
mod tests {
    use axum::http::Method;
    use cocotalk_application::use_case::Refusal;
    use cocotalk_domain::id::UserId;
    use cocotalk_domain::room::RoomError;
    use serde_json::Value;

    use crate::fake::{App, ROOM, Reply};

    async fn kick(app: &App, whom: &str) -> Reply {
        app.call(
            Method::DELETE,
            &format!("/v1/rooms/{ROOM}/members/{whom}"),
            &Value::Null,
        )
        .await
    }

    #[tokio::test]
    async fn kicking_is_answered_without_a_body() {
        let app = App::new();
        app.bus.answer(204, &());
        let reply = kick(&app, &UserId::from_u128(3).to_string()).await;
        assert_eq!(reply.is(204), Value::Null);
        assert_eq!(app.bus.only().name, "kick");
    }

    #[tokio::test]
    async fn a_person_without_an_id_is_malformed() {
        let app = App::new();
        kick(&app, "dahee").await.refused(400, "malformed_request");
        assert_eq!(app.bus.seen(), []);
    }

    #[tokio::test]
    async fn a_refusal_of_the_room_is_passed_on() {
        for (error, status, code) in [
            (RoomError::NotAllowed, 403, "not_allowed"),
            (RoomError::NoSuchRoom, 404, "room_not_found"),
            (RoomError::NoSuchMember, 404, "member_not_found"),
            (RoomError::OnlyInGroups, 409, "only_in_groups"),
        ] {
            let app = App::new();
            app.bus.refuse(Refusal::Room(error));
            let whom = UserId::from_u128(3).to_string();
            kick(&app, &whom).await.refused(status, code);
        }
    }
}
