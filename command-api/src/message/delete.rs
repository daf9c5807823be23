//! `DELETE /v1/rooms/{room_id}/messages/{message_id}`

use std::sync::Arc;

use axum::extract::State;
use cocotalk_application::use_case::delete_message::DeleteMessage;
use cocotalk_application::use_case::hide_message::HideMessage;
use cocotalk_domain::id::{MessageId, RoomId};
use cocotalk_edge::command::{CallerWith, Commands};
use cocotalk_edge::path::Path;
use cocotalk_edge::position::Answered;
use cocotalk_edge::problem::Problem;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

/// For whom a message is deleted.
#[derive(Clone, Copy, Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Deletion {
    /// `me` hides it from you alone; without it, it is deleted for everyone.
    #[serde(rename = "for")]
    #[param(inline)]
    whom: Option<Whom>,
}

/// For whom.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Whom {
    /// For whoever asks, and nobody else sees it.
    Me,
}

/// Delete a message
///
/// For everyone: its author may within 24 hours (`message_change_s`), owner and admins of a group always. It keeps its place
/// and has no text any more. With `for=me` it is hidden from you alone, for good; nobody else can see that. A message that is
/// deleted or hidden already stays so.
#[utoipa::path(
    delete,
    path = "/v1/rooms/{room_id}/messages/{message_id}",
    tag = "messages",
    params(
        ("room_id" = Uuid, Path, description = "The room"),
        ("message_id" = Uuid, Path, description = "The message"),
        Deletion,
    ),
    responses(
        (status = 204, description = "It is gone"),
        (status = 403, description = "`not_allowed`: somebody else wrote it"),
        (status = 404, description = "`room_not_found`, `message_not_found`"),
        (status = 409, description = "`message_too_old`, `too_many_hidden`"),
    ),
)]
pub(crate) async fn delete(
    State(commands): State<Arc<Commands>>,
    CallerWith(caller, Deletion { whom }): CallerWith<Deletion>,
    Path((room_id, message_id)): Path<(RoomId, MessageId)>,
) -> Result<Answered, Problem> {
    let (by, at) = (caller.user_id(), commands.clock.now());
    match whom {
        None => {
            let use_case = DeleteMessage {
                room_id,
                message_id,
                by,
                within_s: commands.limits.message_change_s,
                at,
            };
            commands.run(caller, &(), use_case).await
        }
        Some(Whom::Me) => {
            let use_case = HideMessage {
                room_id,
                message_id,
                by,
                max: commands.limits.hidden_messages,
                at,
            };
            commands.run(caller, &(), use_case).await
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Method;
    use cocotalk_application::use_case::Refusal;
    use cocotalk_domain::room::RoomError;
    use cocotalk_domain::seat::SeatError;
    use cocotalk_domain::stream::StreamId;
    use serde_json::Value;

    use crate::fake::{App, ME, MESSAGE, ROOM, Reply};

    async fn delete(app: &App, query: &str) -> Reply {
        let path = format!("/v1/rooms/{ROOM}/messages/{MESSAGE}{query}");
        app.call(Method::DELETE, &path, &Value::Null).await
    }

    #[tokio::test]
    async fn for_everyone_the_room_is_written_and_for_me_my_seat() {
        for (query, name, written) in [
            ("", "delete_message", StreamId::Room(ROOM)),
            ("?for=me", "hide_message", StreamId::Seat(ROOM, ME)),
        ] {
            let app = App::new();
            app.bus.answer(204, &());
            assert_eq!(delete(&app, query).await.is(204), Value::Null);
            let seen = app.bus.only();
            assert_eq!((seen.name, seen.home), (name, StreamId::Room(ROOM)));
            assert_eq!((seen.message, seen.writes), (Some(MESSAGE), vec![written]));
        }
    }

    #[tokio::test]
    async fn for_whom_is_part_of_the_request() {
        let app = App::new();
        for query in ["", "?for=me"] {
            app.bus.answer(204, &());
            delete(&app, query).await.is(204);
        }
        let macs: Vec<_> = app.bus.seen().iter().map(|seen| seen.request_mac).collect();
        assert_ne!(macs[0], macs[1]);
    }

    #[tokio::test]
    async fn for_anybody_else_is_no_such_thing() {
        let app = App::new();
        for (query, code) in [
            ("?for=everyone", "invalid_query"),
            ("?for=", "invalid_query"),
            ("?for=me&for=me", "invalid_query"),
            ("?of=me", "unknown_query_parameter"),
        ] {
            delete(&app, query).await.refused(422, code);
        }
        assert_eq!(app.bus.seen(), []);
    }

    #[tokio::test]
    async fn a_refusal_is_passed_on() {
        for (refusal, status, code) in [
            (RoomError::NoSuchMessage.into(), 404, "message_not_found"),
            (RoomError::NotAllowed.into(), 403, "not_allowed"),
            (RoomError::MessageTooOld { seconds: 9 }.into(), 409, "message_too_old"),
            (SeatError::TooManyHidden { max: 9 }.into(), 409, "too_many_hidden"),
        ] {
            let app = App::new();
            let refusal: Refusal = refusal;
            app.bus.refuse(refusal);
            delete(&app, "").await.refused(status, code);
        }
    }
}
