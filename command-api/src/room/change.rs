//! `PATCH /v1/rooms/{room_id}`

use std::sync::Arc;

use axum::extract::State;
use cocotalk_application::use_case::change_room::ChangeRoom;
use cocotalk_domain::id::{RoomId, UserId};
use cocotalk_domain::limits::Limits;
use cocotalk_domain::room::Who;
use cocotalk_domain::text::{Notice, RoomName};
use cocotalk_domain::time::Instant;
use cocotalk_edge::body::{Json, object};
use cocotalk_edge::command::{Caller, Commands, FieldErrors};
use cocotalk_edge::describe::bounds;
use cocotalk_edge::path::Path;
use cocotalk_edge::position::Answered;
use cocotalk_edge::problem::{Code, Problem};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::describe::RoomAt;
use crate::nullable::Nullable;

/// What changes; what is left out stays as it is.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RoomChange {
    /// The name; null takes it away.
    #[serde(default, skip_serializing_if = "Nullable::is_absent")]
    #[schema(value_type = Option<bounds::RoomName>, required = false)]
    name: Nullable<String>,
    /// The notice; null takes it down.
    #[serde(default, skip_serializing_if = "Nullable::is_absent")]
    #[schema(value_type = Option<bounds::Notice>, required = false)]
    notice: Nullable<String>,
    /// The photo; there is no media yet, so only null, which changes nothing.
    #[serde(default, skip_serializing_if = "Nullable::is_absent")]
    #[schema(value_type = Option<Uuid>, required = false)]
    photo: Nullable<Uuid>,
    /// Who may do what.
    #[serde(
        default,
        deserialize_with = "object",
        skip_serializing_if = "SettingsChange::is_empty"
    )]
    #[schema(required = false)]
    settings: SettingsChange,
}

/// Which settings change.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SettingsChange {
    /// Who changes name, photo and notice.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    rename_by: Option<Allowed>,
    /// Who invites.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    invite_by: Option<Allowed>,
}

impl SettingsChange {
    const fn is_empty(&self) -> bool {
        self.rename_by.is_none() && self.invite_by.is_none()
    }
}

/// Who may do something.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Allowed {
    /// Every member.
    All,
    /// Owner and admins.
    Admins,
}

impl From<Allowed> for Who {
    fn from(allowed: Allowed) -> Self {
        match allowed {
            Allowed::All => Self::All,
            Allowed::Admins => Self::Admins,
        }
    }
}

/// Change a group
///
/// Name, photo and notice are changed by whom `rename_by` allows, settings by owner and admins. All of it is changed or, if
/// one change is refused, nothing. A change that leaves everything as it is is no event.
#[utoipa::path(
    patch,
    path = "/v1/rooms/{room_id}",
    tag = "rooms",
    params(("room_id" = Uuid, Path, description = "The room")),
    request_body(
        content = RoomChange,
        example = json!({"name": "주말 등산", "notice": null, "settings": {"invite_by": "admins"}}),
    ),
    responses(
        (status = 200, description = "It is so", body = RoomAt),
        (status = 403, description = "`not_allowed`"),
        (status = 404, description = "`room_not_found`"),
        (status = 409, description = "`only_in_groups`"),
        (status = 422, description = "`invalid_fields`, `media_not_available`"),
    ),
)]
pub(crate) async fn change(
    State(commands): State<Arc<Commands>>,
    caller: Caller,
    Path(room_id): Path<RoomId>,
    Json(body): Json<RoomChange>,
) -> Result<Answered, Problem> {
    let (by, at) = (caller.user_id(), commands.clock.now());
    let use_case = body.parse(room_id, by, &commands.limits, at)?;
    commands.run(caller, &body, use_case).await
}

impl RoomChange {
    fn parse(&self, room_id: RoomId, by: UserId, limits: &Limits, at: Instant) -> Result<ChangeRoom, Problem> {
        match self.photo {
            Nullable::Absent | Nullable::Null => {}
            Nullable::Value(_) => return Err(Problem::new(Code::MediaNotAvailable)),
        }
        let mut errors = FieldErrors::default();
        let name = self.name.parse(|name| RoomName::parse(name, limits));
        let notice = self.notice.parse(|notice| Notice::parse(notice, limits));
        let (Some(name), Some(notice)) = (errors.text("/name", name), errors.text("/notice", notice)) else {
            return Err(errors.into_problem());
        };
        Ok(ChangeRoom {
            room_id,
            by,
            name,
            notice,
            rename_by: self.settings.rename_by.map(Who::from),
            invite_by: self.settings.invite_by.map(Who::from),
            at,
        })
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Method;
    use cocotalk_application::use_case::Refusal;
    use cocotalk_domain::room::RoomError;
    use cocotalk_domain::seat::Patch;
    use serde_json::{Value, json};

    use super::*;
    use crate::fake::{App, ME, ROOM, Reply};

    async fn change(app: &App, body: Value) -> Reply {
        app.call(Method::PATCH, &format!("/v1/rooms/{ROOM}"), &body).await
    }

    fn parsed(body: Value) -> ChangeRoom {
        let change: RoomChange = serde_json::from_value(body).unwrap();
        let at = Instant::from_millis(1);
        change.parse(ROOM, ME, &Limits::default(), at).unwrap()
    }

    #[test]
    fn what_is_left_out_stays_and_null_takes_away() {
        let change = parsed(json!({}));
        assert_eq!((change.name, change.notice), (Patch::Keep, Patch::Keep));
        assert_eq!((change.rename_by, change.invite_by), (None, None));
        let change = parsed(json!({"name": null, "notice": null}));
        assert_eq!((change.name, change.notice), (Patch::Clear, Patch::Clear));
    }

    #[test]
    fn names_notices_and_settings_are_taken_over() {
        let change = parsed(json!({"name": "등산", "notice": "토요일\n7시", "settings": {"invite_by": "admins"}}));
        let limits = Limits::default();
        assert_eq!(change.name, Patch::Set(RoomName::parse("등산", &limits).unwrap()));
        assert_eq!(
            change.notice,
            Patch::Set(Notice::parse("토요일\n7시", &limits).unwrap())
        );
        assert_eq!((change.rename_by, change.invite_by), (None, Some(Who::Admins)));
    }

    #[tokio::test]
    async fn a_change_is_answered_with_the_version() {
        let app = App::new();
        let reply = change(&app, json!({"name": "등산"})).await;
        assert_eq!(reply.is(200), json!({"room_id": ROOM, "version": 7}));
        assert_eq!(app.bus.only().name, "change_room");
    }

    #[tokio::test]
    async fn an_empty_change_is_for_the_room_to_answer() {
        let app = App::new();
        change(&app, json!({})).await.is(200);
        change(&app, json!({"settings": {}, "photo": null})).await.is(200);
        assert_eq!(app.bus.seen().len(), 2);
    }

    #[tokio::test]
    async fn what_is_not_valid_is_named_and_not_tried() {
        let app = App::new();
        let long = "가".repeat(51);
        for (body, pointers) in [
            (json!({"name": ""}), vec!["/name"]),
            (json!({"name": long}), vec!["/name"]),
            (json!({"name": "nul\0"}), vec!["/name"]),
            (json!({"notice": "nul\0"}), vec!["/notice"]),
            (json!({"name": "", "notice": ""}), vec!["/name", "/notice"]),
            (
                json!({"settings": {"rename_by": "nobody"}}),
                vec!["/settings/rename_by"],
            ),
            (json!({"settings": {"photo_by": "all"}}), vec!["/settings/photo_by"]),
            (json!({"settings": null}), vec!["/settings"]),
            (json!({"colour": "red"}), vec!["/colour"]),
        ] {
            change(&app, body).await.points_at(&pointers);
        }
        let photo = json!({"photo": ROOM});
        change(&app, photo).await.refused(422, "media_not_available");
        assert_eq!(app.bus.seen(), []);
    }

    #[tokio::test]
    async fn a_refusal_of_the_room_is_passed_on() {
        for (error, status, code) in [
            (RoomError::NotAllowed, 403, "not_allowed"),
            (RoomError::NoSuchRoom, 404, "room_not_found"),
            (RoomError::OnlyInGroups, 409, "only_in_groups"),
        ] {
            let app = App::new();
            app.bus.refuse(Refusal::Room(error));
            change(&app, json!({"name": "a"})).await.refused(status, code);
        }
    }
}
