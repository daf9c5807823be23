//! `PUT /v1/rooms/{room_id}/read-marker`

use std::sync::Arc;

use axum::extract::State;
use cocotalk_application::use_case::mark_read::MarkRead;
use cocotalk_domain::id::RoomId;
use cocotalk_edge::body::Json;
use cocotalk_edge::command::{Caller, Commands};
use cocotalk_edge::describe::bounds;
use cocotalk_edge::path::Path;
use cocotalk_edge::position::Answered;
use cocotalk_edge::problem::Problem;
use cocotalk_edge::seq::GivenSeq;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How far one has read.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReadMarker {
    /// The item up to which everything is read; beyond the newest it is the newest.
    #[schema(value_type = bounds::SeqNumber)]
    seq: GivenSeq,
}

/// Mark a room read
///
/// Only forward: an earlier item changes nothing. A 204 means that it is durable.
#[utoipa::path(
    put,
    path = "/v1/rooms/{room_id}/read-marker",
    tag = "rooms",
    params(("room_id" = Uuid, Path, description = "The room")),
    request_body(content = ReadMarker, example = json!({"seq": 12})),
    responses(
        (status = 204, description = "Read up to there, or further already"),
        (status = 404, description = "`room_not_found`"),
    ),
)]
pub(crate) async fn mark_read(
    State(commands): State<Arc<Commands>>,
    caller: Caller,
    Path(room_id): Path<RoomId>,
    Json(body): Json<ReadMarker>,
) -> Result<Answered, Problem> {
    let use_case = MarkRead {
        room_id,
        by: caller.user_id(),
        seq: body.seq.seq(),
        at: commands.clock.now(),
    };
    commands.run(caller, &body, use_case).await
}

#[cfg(test)]
mod tests {
    use axum::http::Method;
    use cocotalk_domain::limits::SEQ_MAX;
    use cocotalk_domain::stream::StreamId;
    use serde_json::{Value, json};

    use crate::fake::{App, ME, ROOM, Reply};

    async fn mark(app: &App, body: Value) -> Reply {
        app.call(Method::PUT, &format!("/v1/rooms/{ROOM}/read-marker"), &body)
            .await
    }

    #[tokio::test]
    async fn a_seq_is_a_whole_number_below_2_to_the_53() {
        let app = App::new();
        for seq in [json!(0), json!(SEQ_MAX)] {
            app.bus.answer(204, &());
            mark(&app, json!({"seq": seq})).await.is(204);
        }
        for seq in [json!(-1), json!(1.5), json!("2"), json!(null), json!(SEQ_MAX + 1)] {
            mark(&app, json!({"seq": seq})).await.points_at(&["/seq"]);
        }
        mark(&app, json!({})).await.points_at(&["/seq"]);
        mark(&app, json!({"seq": 1, "at": 2})).await.points_at(&["/at"]);
        assert_eq!(app.bus.seen().len(), 2);
    }

    #[tokio::test]
    async fn my_seat_is_written_and_the_room_only_read() {
        let app = App::new();
        mark(&app, json!({"seq": 3})).await;
        let seen = app.bus.only();
        assert_eq!((seen.name, seen.home), ("mark_read", StreamId::Room(ROOM)));
        assert_eq!(seen.writes, [StreamId::Seat(ROOM, ME)]);
    }
}
