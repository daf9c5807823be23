//! `PATCH /v1/rooms/{room_id}/messages/{message_id}`

use std::sync::Arc;

use axum::extract::State;
use cocotalk_application::use_case::edit_message::EditMessage;
use cocotalk_domain::id::{MessageId, RoomId};
use cocotalk_domain::text::MessageText;
use cocotalk_edge::body::Json;
use cocotalk_edge::command::{Caller, Commands, FieldErrors};
use cocotalk_edge::describe::bounds;
use cocotalk_edge::message::seal_text;
use cocotalk_edge::path::Path;
use cocotalk_edge::position::Answered;
use cocotalk_edge::problem::Problem;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::describe::MessageAt;

/// The message in other words.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MessageChange {
    /// What it says from now on.
    #[schema(value_type = bounds::MessageText)]
    text: String,
}

/// Edit a message
///
/// Its author does, within 24 hours (`message_change_s`). Whom it mentions, what it answers and the reactions to it stay.
#[utoipa::path(
    patch,
    path = "/v1/rooms/{room_id}/messages/{message_id}",
    tag = "messages",
    params(
        ("room_id" = Uuid, Path, description = "The room"),
        ("message_id" = Uuid, Path, description = "The message"),
    ),
    request_body(content = MessageChange, example = json!({"text": "점심은 냉면!"})),
    responses(
        (status = 200, description = "It says so", body = MessageAt),
        (status = 403, description = "`not_allowed`: somebody else wrote it"),
        (status = 404, description = "`room_not_found`, `message_not_found`"),
        (status = 409, description = "`message_deleted`, `message_too_old`"),
    ),
)]
pub(crate) async fn edit(
    State(commands): State<Arc<Commands>>,
    caller: Caller,
    Path((room_id, message_id)): Path<(RoomId, MessageId)>,
    Json(body): Json<MessageChange>,
) -> Result<Answered, Problem> {
    let mut errors = FieldErrors::default();
    let text = errors.text("/text", MessageText::parse(&body.text, &commands.limits));
    let text = text.ok_or_else(|| errors.into_problem())?;
    let key = commands.data_key(caller.user_id()).await?;
    let (sealed, preview) = seal_text(&key, &text);
    let use_case = EditMessage {
        room_id,
        message_id,
        by: caller.user_id(),
        body: sealed,
        preview,
        within_s: commands.limits.message_change_s,
        at: commands.clock.now(),
    };
    commands.run(caller, &body, use_case).await
}

#[cfg(test)]
mod tests {
    use axum::http::Method;
    use cocotalk_application::use_case::{MessageAnswer, Refusal};
    use cocotalk_domain::room::RoomError;
    use cocotalk_domain::stream::StreamId;
    use serde_json::{Value, json};

    use crate::fake::{App, MESSAGE, ROOM, Reply};

    async fn edit(app: &App, body: Value) -> Reply {
        app.call(Method::PATCH, &format!("/v1/rooms/{ROOM}/messages/{MESSAGE}"), &body)
            .await
    }

    #[tokio::test]
    async fn an_edit_is_answered_with_the_place_of_its_message() {
        let app = App::new();
        let answer = MessageAnswer {
            room_id: ROOM,
            message_id: MESSAGE,
            seq: 2,
            version: 9,
        };
        app.bus.answer(200, &answer);
        let reply = edit(&app, json!({"text": "다른 말"})).await;
        let body = json!({"room_id": ROOM, "message_id": MESSAGE, "seq": 2, "version": 9});
        assert_eq!(reply.is(200), body);
        let seen = app.bus.only();
        assert_eq!((seen.name, seen.home), ("edit_message", StreamId::Room(ROOM)));
        assert_eq!((seen.message, seen.writes), (Some(MESSAGE), vec![StreamId::Room(ROOM)]));
    }

    #[tokio::test]
    async fn what_is_not_valid_is_named_and_not_tried() {
        let app = App::new();
        for (body, pointers) in [
            (json!({}), vec!["/text"]),
            (json!({"text": null}), vec!["/text"]),
            (json!({"text": ""}), vec!["/text"]),
            (json!({"text": "nul\0"}), vec!["/text"]),
            (json!({"text": "가".repeat(10_001)}), vec!["/text"]),
            (json!({"text": "a", "kind": "text"}), vec!["/kind"]),
            (json!({"text": "a", "mentions": []}), vec!["/mentions"]),
            (json!("a"), vec![""]),
        ] {
            edit(&app, body).await.points_at(&pointers);
        }
        assert_eq!(app.bus.seen(), []);
    }

    #[tokio::test]
    async fn a_refusal_is_passed_on() {
        for (error, status, code) in [
            (RoomError::NoSuchRoom, 404, "room_not_found"),
            (RoomError::NoSuchMessage, 404, "message_not_found"),
            (RoomError::NotAllowed, 403, "not_allowed"),
            (RoomError::MessageDeleted, 409, "message_deleted"),
            (RoomError::MessageTooOld { seconds: 86_400 }, 409, "message_too_old"),
        ] {
            let app = App::new();
            app.bus.refuse(Refusal::Room(error));
            edit(&app, json!({"text": "a"})).await.refused(status, code);
        }
    }

    #[tokio::test]
    async fn another_text_is_another_request() {
        let app = App::new();
        for text in ["하나", "하나", "둘"] {
            edit(&app, json!({"text": text})).await.is(200);
        }
        let macs: Vec<_> = app.bus.seen().iter().map(|seen| seen.request_mac).collect();
        assert_eq!(macs[0], macs[1]);
        assert_ne!(macs[0], macs[2]);
    }
}
