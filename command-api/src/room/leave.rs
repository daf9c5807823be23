//! `DELETE /v1/rooms/{room_id}/members/me`

use std::sync::Arc;

use axum::extract::State;
use cocotalk_application::use_case::leave::Leave;
use cocotalk_domain::id::RoomId;
use cocotalk_edge::command::{Caller, Commands};
use cocotalk_edge::path::Path;
use cocotalk_edge::position::Answered;
use cocotalk_edge::problem::Problem;

/// Leave a room
///
/// In a group the rest see a line, and the room is gone for you; the last one closes it. A direct room goes from your list
/// without anybody noticing and comes back with its next message; what was before stays hidden from you.
#[utoipa::path(
    delete,
    path = "/v1/rooms/{room_id}/members/me",
    tag = "rooms",
    params(("room_id" = Uuid, Path, description = "The room")),
    responses(
        (status = 204, description = "You have left"),
        (status = 404, description = "`room_not_found`"),
    ),
)]
pub(crate) async fn leave(
    State(commands): State<Arc<Commands>>,
    caller: Caller,
    Path(room_id): Path<RoomId>,
) -> Result<Answered, Problem> {
    let use_case = Leave {
        room_id,
        by: caller.user_id(),
        at: commands.clock.now(),
    };
    commands.run(caller, &(), use_case).await
}

#[cfg(test)]
mod tests {
    use axum::http::Method;
    use cocotalk_application::use_case::Refusal;
    use cocotalk_domain::room::RoomError;
    use serde_json::Value;

    use crate::fake::{App, ROOM, Reply};

    async fn leave(app: &App) -> Reply {
        app.call(Method::DELETE, &format!("/v1/rooms/{ROOM}/members/me"), &Value::Null)
            .await
    }

    #[tokio::test]
    async fn leaving_is_answered_without_a_body() {
        let app = App::new();
        app.bus.answer(204, &());
        let reply = leave(&app).await;
        assert_eq!(reply.is(204), Value::Null);
        assert_eq!(reply.header("content-type"), None);
        assert_eq!(app.bus.only().name, "leave");
    }

    #[tokio::test]
    async fn who_is_no_member_finds_no_such_room() {
        let app = App::new();
        app.bus.refuse(Refusal::Room(RoomError::NoSuchRoom));
        leave(&app).await.refused(404, "room_not_found");
    }
}
