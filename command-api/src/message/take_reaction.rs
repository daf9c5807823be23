//! `DELETE /v1/rooms/{room_id}/messages/{message_id}/reactions/{emoji}`

use std::sync::Arc;

use axum::extract::State;
use cocotalk_application::use_case::react::{React, Reaction};
use cocotalk_domain::id::{MessageId, RoomId};
use cocotalk_domain::text::Emoji;
use cocotalk_edge::command::{Caller, Commands};
use cocotalk_edge::path::Path;
use cocotalk_edge::position::Answered;
use cocotalk_edge::problem::{Code, Problem};

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
        ("emoji" = String, Path, description = "One Unicode emoji, percent-encoded", example = "👍"),
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
    Path((room_id, message_id, emoji)): Path<(RoomId, MessageId, String)>,
) -> Result<Answered, Problem> {
    let use_case = React {
        room_id,
        message_id,
        by: caller.user_id(),
        emoji: Emoji::parse(&emoji).map_err(|_| Problem::new(Code::InvalidEmoji))?,
        reaction: Reaction::Take,
        max_kinds: commands.limits.reaction_kinds,
        at: commands.clock.now(),
    };
    commands.run(caller, &(), use_case).await
}
