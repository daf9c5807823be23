//! `POST /v1/rooms/{room_id}/messages`

use std::sync::Arc;

use axum::extract::State;
use cocotalk_domain::id::RoomId;
use cocotalk_edge::body::Json;
use cocotalk_edge::command::{Caller, Commands};
use cocotalk_edge::message::{self, MessageSent, PostMessage};
use cocotalk_edge::path::Path;
use cocotalk_edge::position::Answered;
use cocotalk_edge::problem::Problem;

/// Send a message
///
/// A 201 means that it is durable. The order in a room is `seq`, 1, 2, 3 ... without holes, the same for everyone.
#[utoipa::path(
    post,
    path = "/v1/rooms/{room_id}/messages",
    tag = "messages",
    params(("room_id" = Uuid, Path, description = "The room")),
    request_body(
        content = PostMessage,
        example = json!({"kind": "text", "text": "점심 뭐 먹지?"}),
    ),
    responses(
        (status = 201, description = "It is said", body = MessageSent),
        (status = 404, description = "`room_not_found`, `message_not_found`: the one that is answered"),
        (status = 409, description = "`recipient_gone`"),
        (status = 422, description = "`invalid_fields`, `mentions_no_member`, `media_not_available`"),
    ),
)]
pub(crate) async fn send(
    State(commands): State<Arc<Commands>>,
    caller: Caller,
    Path(room_id): Path<RoomId>,
    Json(message): Json<PostMessage>,
) -> Result<Answered, Problem> {
    let accepted = message::send(&commands, caller.into_order(), room_id, &message).await?;
    Ok(Answered(accepted))
}

#[cfg(test)]
mod tests {
    use axum::http::Method;
    use cocotalk_application::use_case::Refusal;
    use cocotalk_application::use_case::send_message::SentAnswer;
    use cocotalk_domain::id::{CommandId, MessageId, UserId};
    use cocotalk_domain::room::RoomError;
    use cocotalk_domain::stream::StreamId;
    use cocotalk_domain::time::Instant;
    use cocotalk_edge::command::Order;
    use serde_json::{Value, json};

    use super::*;
    use crate::fake::{App, KEY, ROOM, Reply, identity, ids};

    async fn send(app: &App, body: Value) -> Reply {
        app.call(Method::POST, &format!("/v1/rooms/{ROOM}/messages"), &body)
            .await
    }

    #[tokio::test]
    async fn a_message_is_answered_with_its_place() {
        let app = App::new();
        let sent = SentAnswer {
            room_id: ROOM,
            message_id: MessageId::from_u128(5),
            seq: 2,
            version: 3,
            sent_at: Instant::from_millis(1_767_225_600_007),
        };
        app.bus.answer(201, &sent);
        let reply = send(
            &app,
            json!({"kind": "text", "text": "안녕", "reply_to": sent.message_id}),
        )
        .await;
        let body = json!({
            "room_id": ROOM,
            "message_id": sent.message_id,
            "seq": 2,
            "version": 3,
            "sent_at": "2026-01-01T00:00:00.007Z",
        });
        assert_eq!(reply.is(201), body);
        let seen = app.bus.only();
        assert_eq!((seen.name, seen.home), ("send_message", StreamId::Room(ROOM)));
        assert_eq!(seen.message, Some(sent.message_id));
    }

    #[tokio::test]
    async fn what_is_not_valid_is_named_and_not_tried() {
        let app = App::new();
        let long = "🐿".repeat(10_001);
        for (body, pointers) in [
            (json!({"text": "no kind"}), vec!["/kind"]),
            (json!({"kind": "poem", "text": "roses"}), vec!["/kind"]),
            (json!({"kind": "text"}), vec!["/text"]),
            (json!({"kind": "text", "text": 7}), vec!["/text"]),
            (json!({"kind": "text", "text": ""}), vec!["/text"]),
            (json!({"kind": "text", "text": "nul\0"}), vec!["/text"]),
            (json!({"kind": "text", "text": long}), vec!["/text"]),
            (
                json!({"kind": "text", "text": "a", "reply_to": "that one"}),
                vec!["/reply_to"],
            ),
            (
                json!({"kind": "text", "text": "a", "mentions": ["all"]}),
                vec!["/mentions/0"],
            ),
            (
                json!({"kind": "text", "text": "a", "mentions": ids(0..51)}),
                vec!["/mentions"],
            ),
            (
                json!({"kind": "text", "text": "", "mentions": ids(0..51)}),
                vec!["/text", "/mentions"],
            ),
            (
                json!({"kind": "text", "text": "a", "media_ids": []}),
                vec!["/media_ids"],
            ),
            (json!({"kind": "text", "text": "a", "colour": "red"}), vec!["/colour"]),
            (json!({"kind": "photo"}), vec!["/media_ids"]),
            (
                json!({"kind": "photo", "media_ids": [], "reply_to": ROOM}),
                vec!["/reply_to"],
            ),
            (json!([]), vec![""]),
        ] {
            send(&app, body).await.points_at(&pointers);
        }
        assert_eq!(app.bus.seen(), []);
    }

    #[tokio::test]
    async fn there_is_no_media_yet() {
        let app = App::new();
        for kind in ["photo", "video", "file", "album"] {
            let body = json!({"kind": kind, "media_ids": [ROOM], "text": "봐"});
            send(&app, body).await.refused(422, "media_not_available");
        }
        assert_eq!(app.bus.seen(), []);
    }

    #[tokio::test]
    async fn a_text_of_10000_characters_and_50_mentions_named_twice_is_fine() {
        let app = App::new();
        let mentions: Vec<_> = (0..50).chain(0..50).map(UserId::from_u128).collect();
        let body = json!({"kind": "text", "text": "🐿".repeat(10_000), "mentions": mentions});
        send(&app, body).await.is(200);
    }

    #[tokio::test]
    async fn a_refusal_of_the_room_is_passed_on_with_its_place() {
        let (by, nobody) = (UserId::from_u128(3), UserId::from_u128(4));
        let user_ids = vec![nobody];
        for (error, status, code, pointers) in [
            (RoomError::NoSuchRoom, 404, "room_not_found", vec![]),
            (RoomError::NoSuchMessage, 404, "message_not_found", vec![]),
            (RoomError::RecipientGone, 409, "recipient_gone", vec![]),
            (
                RoomError::MentionsNoMember { user_ids },
                422,
                "mentions_no_member",
                vec!["/mentions/2"],
            ),
        ] {
            let app = App::new();
            app.bus.refuse(Refusal::Room(error));
            let reply = send(&app, json!({"kind": "text", "text": "a", "mentions": [by, by, nobody]})).await;
            reply.refused(status, code);
            assert_eq!(reply.pointers(), pointers);
        }
    }

    #[tokio::test]
    async fn the_same_message_through_the_socket_is_the_same_request() {
        let app = App::new();
        let body = json!({"kind": "text", "text": "두 문으로", "mentions": ids(3..4)});
        send(&app, body.clone()).await.is(200);
        let order = Order {
            identity: identity(),
            command_id: CommandId(KEY.parse().unwrap()),
            traceparent: None,
        };
        let message: PostMessage = serde_json::from_value(body).unwrap();
        message::send(&app.commands, order, ROOM, &message).await.unwrap();
        let seen = app.bus.seen();
        assert_eq!((seen[0].key, seen[0].request_mac), (seen[1].key, seen[1].request_mac));
    }
}
