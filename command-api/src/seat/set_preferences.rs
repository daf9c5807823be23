//! `PUT /v1/rooms/{room_id}/preferences`

use std::sync::Arc;

use axum::extract::State;
use cocotalk_application::use_case::set_preferences::SetPreferences;
use cocotalk_domain::id::RoomId;
use cocotalk_domain::limits::Limits;
use cocotalk_domain::seat::Patch;
use cocotalk_domain::text::RoomName;
use cocotalk_domain::time::Instant;
use cocotalk_edge::body::Json;
use cocotalk_edge::command::{Caller, Commands, FieldErrors};
use cocotalk_edge::describe::bounds;
use cocotalk_edge::path::Path;
use cocotalk_edge::position::Answered;
use cocotalk_edge::problem::{FieldError, Problem};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::nullable::Nullable;

/// The first instant after the years that RFC 3339 can write.
const YEAR_10000: Instant = Instant::from_millis(253_402_300_800_000);

/// What changes; what is left out stays as it is.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Preferences {
    /// No pushes until then, which is in the future; null ends it.
    #[serde(default, skip_serializing_if = "Nullable::is_absent")]
    #[schema(value_type = Option<chrono::DateTime<chrono::Utc>>, required = false)]
    muted_until: Nullable<Instant>,
    /// On top of the list, or not.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    pinned: Option<bool>,
    /// Your own name for the room; null takes it away.
    #[serde(default, skip_serializing_if = "Nullable::is_absent")]
    #[schema(value_type = Option<bounds::RoomName>, required = false)]
    alias: Nullable<String>,
}

/// Mute a room, pin it, give it a name of your own
///
/// Nobody else sees a trace of it.
#[utoipa::path(
    put,
    path = "/v1/rooms/{room_id}/preferences",
    tag = "rooms",
    params(("room_id" = Uuid, Path, description = "The room")),
    request_body(
        content = Preferences,
        example = json!({"muted_until": "2099-12-31T15:00:00.000Z", "pinned": true, "alias": null}),
    ),
    responses(
        (status = 204, description = "It is so"),
        (status = 422, description = "`invalid_fields`, `not_in_the_future`"),
        (status = 404, description = "`room_not_found`"),
    ),
)]
pub(crate) async fn set_preferences(
    State(commands): State<Arc<Commands>>,
    caller: Caller,
    Path(room_id): Path<RoomId>,
    Json(body): Json<Preferences>,
) -> Result<Answered, Problem> {
    let (muted_until, alias) = body.parse(&commands.limits)?;
    let alias = match alias {
        Patch::Keep => Patch::Keep,
        Patch::Clear => Patch::Clear,
        Patch::Set(alias) => Patch::Set(commands.data_key(caller.user_id()).await?.seal(alias.as_str())),
    };
    let use_case = SetPreferences {
        room_id,
        by: caller.user_id(),
        muted_until,
        pinned: body.pinned,
        alias,
        at: commands.clock.now(),
    };
    commands.run(caller, &body, use_case).await
}

impl Preferences {
    fn parse(&self, limits: &Limits) -> Result<(Patch<Instant>, Patch<RoomName>), Problem> {
        let mut errors = FieldErrors::default();
        let muted_until = self.muted_until.parse(|until| writable(*until));
        let muted_until = muted_until.map_err(|error| errors.push(error)).ok();
        let alias = self.alias.parse(|alias| RoomName::parse(alias, limits));
        match (muted_until, errors.text("/alias", alias)) {
            (Some(muted_until), Some(alias)) => Ok((muted_until, alias)),
            (None, _) | (_, None) => Err(errors.into_problem()),
        }
    }
}

/// The instant, if it can be written and read back.
fn writable(until: Instant) -> Result<Instant, FieldError> {
    if until < YEAR_10000 {
        Ok(until)
    } else {
        Err(FieldError::new("/muted_until", "too_large", "a year has four digits"))
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Method;
    use cocotalk_application::use_case::Refusal;
    use cocotalk_domain::seat::SeatError;
    use cocotalk_domain::stream::StreamId;
    use serde_json::{Value, json};

    use super::*;
    use crate::fake::{App, ME, ROOM, Reply};

    async fn set(app: &App, body: Value) -> Reply {
        app.call(Method::PUT, &format!("/v1/rooms/{ROOM}/preferences"), &body)
            .await
    }

    fn parsed(body: Value) -> (Patch<Instant>, Patch<RoomName>) {
        let preferences: Preferences = serde_json::from_value(body).unwrap();
        preferences.parse(&Limits::default()).unwrap()
    }

    #[test]
    fn left_out_null_and_given_are_three_things() {
        assert_eq!(parsed(json!({})), (Patch::Keep, Patch::Keep));
        assert_eq!(
            parsed(json!({"muted_until": null, "alias": null})),
            (Patch::Clear, Patch::Clear)
        );
        let alias = RoomName::parse("우리끼리", &Limits::default()).unwrap();
        assert_eq!(
            parsed(json!({"muted_until": "2026-01-01T09:00:00.007+09:00", "alias": "우리끼리"})),
            (Patch::Set(Instant::from_millis(1_767_225_600_007)), Patch::Set(alias))
        );
    }

    #[tokio::test]
    async fn preferences_are_written_to_my_own_seat() {
        let app = App::new();
        app.bus.answer(204, &());
        let reply = set(&app, json!({"pinned": true, "alias": "우리끼리"})).await;
        assert_eq!(reply.is(204), Value::Null);
        let seen = app.bus.only();
        assert_eq!(
            (seen.name, seen.writes),
            ("set_preferences", vec![StreamId::Seat(ROOM, ME)])
        );
    }

    #[tokio::test]
    async fn null_and_left_out_are_different_requests() {
        let app = App::new();
        for body in [json!({}), json!({"alias": null}), json!({"alias": "a"})] {
            set(&app, body).await.is(200);
        }
        let macs: std::collections::HashSet<_> = app.bus.seen().iter().map(|seen| seen.request_mac).collect();
        assert_eq!(macs.len(), 3);
    }

    #[tokio::test]
    async fn what_is_not_valid_is_named_and_not_tried() {
        let app = App::new();
        for (body, pointers) in [
            (json!({"muted_until": "tomorrow"}), vec!["/muted_until"]),
            (json!({"muted_until": "+12026-01-01T00:00:00Z"}), vec!["/muted_until"]),
            (json!({"pinned": "yes"}), vec!["/pinned"]),
            (json!({"alias": ""}), vec!["/alias"]),
            (json!({"alias": "가".repeat(51)}), vec!["/alias"]),
            (json!({"alias": "nul\0"}), vec!["/alias"]),
            (json!({"theme": "dark"}), vec!["/theme"]),
        ] {
            set(&app, body).await.points_at(&pointers);
        }
        assert_eq!(app.bus.seen(), []);
    }

    #[tokio::test]
    async fn a_mute_into_the_past_is_refused_with_its_place() {
        let app = App::new();
        app.bus.refuse(Refusal::Seat(SeatError::MutedIntoThePast));
        let reply = set(&app, json!({"muted_until": "1999-01-01T00:00:00Z"})).await;
        reply.refused(422, "not_in_the_future");
        reply.points_at(&["/muted_until"]);
    }
}
