//! `PUT` and `DELETE /v1/rooms/{room_id}/messages/{message_id}/reactions/{emoji}`

use std::sync::Arc;

use axum::extract::State;
use cocotalk_application::use_case::react::{React, Reaction};
use cocotalk_domain::id::{MessageId, RoomId};
use cocotalk_domain::text::Emoji;
use cocotalk_edge::command::{Caller, Commands};
use cocotalk_edge::describe::bounds;
use cocotalk_edge::path::Path;
use cocotalk_edge::position::Answered;
use cocotalk_edge::problem::{Code, Problem};

/// React to a message
///
/// One per person and message: a second one replaces the first. A message has at most 20 kinds of reactions.
#[utoipa::path(
    put,
    path = "/v1/rooms/{room_id}/messages/{message_id}/reactions/{emoji}",
    tag = "messages",
    params(
        ("room_id" = Uuid, Path, description = "The room"),
        ("message_id" = Uuid, Path, description = "The message"),
        ("emoji" = bounds::Emoji, Path, description = "One Unicode emoji, percent-encoded", example = "👍"),
    ),
    responses(
        (status = 204, description = "It is there"),
        (status = 404, description = "`room_not_found`, `message_not_found`"),
        (status = 409, description = "`message_deleted`, `too_many_reactions`"),
        (status = 422, description = "`invalid_emoji`"),
    ),
)]
pub(crate) async fn put_reaction(
    State(commands): State<Arc<Commands>>,
    caller: Caller,
    Path(place): Path<Place>,
) -> Result<Answered, Problem> {
    react(&commands, caller, place, Reaction::Put).await
}

/// Take a reaction back
///
/// If it is not yours, or another one of yours is there, nothing changes.
#[utoipa::path(
    delete,
    path = "/v1/rooms/{room_id}/messages/{message_id}/reactions/{emoji}",
    tag = "messages",
    params(
        ("room_id" = Uuid, Path, description = "The room"),
        ("message_id" = Uuid, Path, description = "The message"),
        ("emoji" = bounds::Emoji, Path, description = "One Unicode emoji, percent-encoded", example = "👍"),
    ),
    responses(
        (status = 204, description = "It is not there"),
        (status = 404, description = "`room_not_found`, `message_not_found`"),
        (status = 422, description = "`invalid_emoji`"),
    ),
)]
pub(crate) async fn take_reaction(
    State(commands): State<Arc<Commands>>,
    caller: Caller,
    Path(place): Path<Place>,
) -> Result<Answered, Problem> {
    react(&commands, caller, place, Reaction::Take).await
}

/// What the address names.
type Place = (RoomId, MessageId, String);

async fn react(
    commands: &Commands,
    caller: Caller,
    (room_id, message_id, emoji): Place,
    reaction: Reaction,
) -> Result<Answered, Problem> {
    let use_case = React {
        room_id,
        message_id,
        by: caller.user_id(),
        emoji: Emoji::parse(&emoji).map_err(|_| Problem::new(Code::InvalidEmoji))?,
        reaction,
        max_kinds: commands.limits.reaction_kinds,
        at: commands.clock.now(),
    };
    commands.run(caller, &(), use_case).await
}

#[cfg(test)]
mod tests {
    use axum::http::Method;
    use cocotalk_application::use_case::Refusal;
    use cocotalk_domain::room::RoomError;
    use cocotalk_domain::stream::StreamId;
    use serde_json::Value;

    use crate::fake::{App, MESSAGE, ROOM, Reply};

    /// 👍, as clients write it.
    const LIKE: &str = "%F0%9F%91%8D";

    async fn react(app: &App, method: Method, emoji: &str) -> Reply {
        let path = format!("/v1/rooms/{ROOM}/messages/{MESSAGE}/reactions/{emoji}");
        app.call(method, &path, &Value::Null).await
    }

    #[tokio::test]
    async fn a_reaction_comes_and_goes_by_the_same_address() {
        let app = App::new();
        for method in [Method::PUT, Method::DELETE] {
            app.bus.answer(204, &());
            assert_eq!(react(&app, method, LIKE).await.is(204), Value::Null);
        }
        let seen = app.bus.seen();
        assert!(
            seen.iter()
                .all(|seen| seen.name == "react" && seen.message == Some(MESSAGE))
        );
        assert_eq!(seen[0].writes, [StreamId::Room(ROOM)]);
        assert_ne!(seen[0].request_mac, seen[1].request_mac);
    }

    #[tokio::test]
    async fn a_reaction_is_one_emoji() {
        let app = App::new();
        for emoji in [
            "a",
            "1",
            "%20",
            "%F0%9F%91%8D%F0%9F%91%8D",
            "%F0%9F%91%8D%20",
            ":+1:",
            "%00",
        ] {
            for method in [Method::PUT, Method::DELETE] {
                react(&app, method, emoji).await.refused(422, "invalid_emoji");
            }
        }
        react(&app, Method::PUT, "%FF").await.refused(400, "malformed_request");
        assert_eq!(app.bus.seen(), []);
    }

    #[tokio::test]
    async fn a_refusal_is_passed_on() {
        for (error, status, code) in [
            (RoomError::NoSuchMessage, 404, "message_not_found"),
            (RoomError::MessageDeleted, 409, "message_deleted"),
            (RoomError::TooManyReactions { max: 20 }, 409, "too_many_reactions"),
        ] {
            let app = App::new();
            app.bus.refuse(Refusal::Room(error));
            react(&app, Method::PUT, LIKE).await.refused(status, code);
        }
    }
}
