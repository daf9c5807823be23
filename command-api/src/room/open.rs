//! `POST /v1/rooms`

use std::collections::HashSet;
use std::sync::Arc;

use axum::extract::State;
use cocotalk_application::use_case::open_direct::OpenDirect;
use cocotalk_application::use_case::open_group::OpenGroup;
use cocotalk_domain::id::{RoomId, UserId};
use cocotalk_domain::limits::Limits;
use cocotalk_domain::text::RoomName;
use cocotalk_edge::body::Json;
use cocotalk_edge::command::{Caller, Commands, text_error};
use cocotalk_edge::describe::bounds;
use cocotalk_edge::position::Answered;
use cocotalk_edge::problem::{Code, FieldError, Problem};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::describe::RoomAt;

/// A room to open.
///
/// It is read through [`Fields`], so that what is wrong is said with its place: a type that is told apart by a tag loses it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case", try_from = "Fields")]
pub(crate) enum OpenRoom {
    /// The one room of you and somebody, who may be yourself.
    Direct(NewDirect),
    /// A room of many.
    Group(NewGroup),
}

/// With whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct NewDirect {
    /// The other person.
    #[schema(value_type = Uuid)]
    user_id: UserId,
}

/// With whom, and what it is called.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct NewGroup {
    /// The others; repetitions and you yourself count once.
    #[schema(value_type = bounds::GroupMembers)]
    user_ids: Vec<UserId>,
    /// The name.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<bounds::RoomName>, required = false)]
    name: Option<String>,
    /// The photo; there is no media yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    photo: Option<Uuid>,
}

/// Everything that some kind of room has.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    kind: Kind,
    user_id: Option<UserId>,
    user_ids: Option<Vec<UserId>>,
    name: Option<String>,
    photo: Option<Uuid>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Direct,
    Group,
}

/// A field that this kind of room must have or cannot have; spelt as the parser spells it.
#[derive(Debug, thiserror::Error)]
enum FieldsError {
    #[error("missing field `{0}`")]
    Missing(&'static str),
    #[error("unknown field `{0}` for this kind of room")]
    Unknown(&'static str),
}

impl TryFrom<Fields> for OpenRoom {
    type Error = FieldsError;

    fn try_from(fields: Fields) -> Result<Self, FieldsError> {
        match fields.kind {
            Kind::Direct => fields.into_direct().map(Self::Direct),
            Kind::Group => fields.into_group().map(Self::Group),
        }
    }
}

impl Fields {
    fn into_direct(self) -> Result<NewDirect, FieldsError> {
        let others = [
            ("user_ids", self.user_ids.is_some()),
            ("name", self.name.is_some()),
            ("photo", self.photo.is_some()),
        ];
        match others.into_iter().find(|(_, is_there)| *is_there) {
            Some((name, _)) => Err(FieldsError::Unknown(name)),
            None => Ok(NewDirect {
                user_id: self.user_id.ok_or(FieldsError::Missing("user_id"))?,
            }),
        }
    }

    fn into_group(self) -> Result<NewGroup, FieldsError> {
        if self.user_id.is_some() {
            return Err(FieldsError::Unknown("user_id"));
        }
        Ok(NewGroup {
            user_ids: self.user_ids.ok_or(FieldsError::Missing("user_ids"))?,
            name: self.name,
            photo: self.photo,
        })
    }
}

/// Open a room
///
/// A pair has one direct room for ever: opening it again answers 200 with the same room. A group is yours; its first item
/// is the line that its members were invited.
#[utoipa::path(
    post,
    path = "/v1/rooms",
    tag = "rooms",
    request_body(
        content = OpenRoom,
        examples(
            ("direct" = (value = json!({"kind": "direct", "user_id": "0198c0de-7a1c-7000-8000-000000000001"}))),
            ("group" = (value = json!({
                "kind": "group",
                "user_ids": ["0198c0de-7a1c-7000-8000-000000000001", "0198c0de-7a1c-7000-8000-000000000002"],
                "name": "주말 등산",
            }))),
        ),
    ),
    responses(
        (status = 201, description = "It is open", body = RoomAt),
        (status = 200, description = "The direct room was open before", body = RoomAt),
        (status = 404, description = "`user_not_found`"),
        (status = 409, description = "`cannot_be_invited`"),
        (status = 422, description = "`invalid_fields`, `too_few_members`, `media_not_available`"),
    ),
)]
pub(crate) async fn open(
    State(commands): State<Arc<Commands>>,
    caller: Caller,
    Json(body): Json<OpenRoom>,
) -> Result<Answered, Problem> {
    let (by, at) = (caller.user_id(), commands.clock.now());
    match &body {
        OpenRoom::Direct(direct) => {
            let use_case = OpenDirect::new(by, direct.user_id, at);
            commands.run(caller, &body, use_case).await
        }
        OpenRoom::Group(group) => {
            let name = group.check(by, &commands.limits)?;
            let (min_members, max_members) = OpenGroup::bounds(&commands.limits);
            let use_case = OpenGroup {
                room_id: RoomId(commands.clock.new_id()),
                by,
                user_ids: group.user_ids.clone(),
                name,
                min_members,
                max_members,
                at,
            };
            let answered = commands.run(caller, &body, use_case).await;
            answered.map_err(|problem| problem.locate(&group.user_ids))
        }
    }
}

impl NewGroup {
    /// The name, if all is valid. The room itself checks its size again; here it is a matter of the field.
    fn check(&self, by: UserId, limits: &Limits) -> Result<Option<RoomName>, Problem> {
        if self.photo.is_some() {
            return Err(Problem::new(Code::MediaNotAvailable));
        }
        let name = self
            .name
            .as_deref()
            .map(|name| RoomName::parse(name, limits))
            .transpose();
        match (self.check_size(by, limits), name) {
            (Ok(()), Ok(name)) => Ok(name),
            (Ok(()), Err(error)) => Err(Problem::invalid_fields(vec![text_error("/name", &error)])),
            (Err(problem), Ok(_)) => Err(problem),
            (Err(problem), Err(error)) => Err(problem.and_field(text_error("/name", &error))),
        }
    }

    fn check_size(&self, by: UserId, limits: &Limits) -> Result<(), Problem> {
        let others: HashSet<_> = self.user_ids.iter().filter(|user| **user != by).collect();
        let members = others.len() + 1;
        if members < limits.group_min_members {
            let (code, detail) = (
                Code::TooFewMembers,
                format!("a group has at least {} members", limits.group_min_members),
            );
            let error = FieldError::new("/user_ids", code.as_str(), detail.clone());
            return Err(Problem::new(code).detail(detail).and_field(error));
        }
        if members > limits.group_create_members {
            let detail = format!("a new group has at most {} members", limits.group_create_members);
            return Err(Problem::invalid_field("/user_ids", "too_many", detail));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Method;
    use cocotalk_application::use_case::Refusal;
    use cocotalk_domain::room::RoomError;
    use cocotalk_domain::stream::StreamId;
    use serde_json::{Value, json};

    use super::*;
    use crate::fake::{App, ME, Reply, ids};

    async fn open(app: &App, body: Value) -> Reply {
        app.call(Method::POST, "/v1/rooms", &body).await
    }

    fn group(user_ids: &Value) -> Value {
        json!({"kind": "group", "user_ids": user_ids})
    }

    #[tokio::test]
    async fn a_direct_room_is_that_of_the_pair() {
        let app = App::new();
        let peer = UserId::from_u128(3);
        open(&app, json!({"kind": "direct", "user_id": peer})).await.is(200);
        let seen = app.bus.only();
        assert_eq!((seen.name, seen.people), ("open_direct", vec![peer]));
        assert_eq!(seen.home, StreamId::Room(RoomId::direct(ME, peer)));
    }

    #[tokio::test]
    async fn a_group_is_a_new_room_of_those_named() {
        let app = App::new();
        let named = [3, 4, 3].map(UserId::from_u128);
        open(&app, json!({"kind": "group", "user_ids": named, "name": "등산"}))
            .await
            .is(200);
        let seen = app.bus.only();
        assert_eq!((seen.name, &seen.people[..]), ("open_group", &named[..]));
    }

    #[tokio::test]
    async fn a_group_of_fewer_than_three_is_refused() {
        let app = App::new();
        let (me, one) = (ME, UserId::from_u128(3));
        for user_ids in [json!([]), json!([one]), json!([one, one]), json!([one, me])] {
            let reply = open(&app, group(&user_ids)).await;
            reply.refused(422, "too_few_members");
            reply.points_at(&["/user_ids"]);
        }
        assert_eq!(app.bus.seen(), []);
    }

    #[tokio::test]
    async fn a_group_of_too_many_is_refused_but_repetitions_count_once() {
        let limits = Limits {
            group_create_members: 5,
            ..Limits::default()
        };
        assert_eq!(
            json!(bounds::GroupMembers::of(&limits))["maxItems"],
            4,
            "and who makes it"
        );
        let app = App::with_limits(limits);
        open(&app, group(&ids(10..14))).await.is(200);
        open(&app, group(&ids(10..15))).await.points_at(&["/user_ids"]);
        let once = [10, 11, 12, 13, 10, 11].map(UserId::from_u128);
        open(&app, group(&json!(once))).await.is(200);
    }

    #[tokio::test]
    async fn what_is_not_valid_is_named_and_not_tried() {
        let app = App::new();
        let two = ids(3..5);
        for (body, pointers) in [
            (json!({}), vec!["/kind"]),
            (json!({"kind": "circle"}), vec!["/kind"]),
            (json!({"kind": "direct"}), vec!["/user_id"]),
            (json!({"kind": "direct", "user_id": "nobody"}), vec!["/user_id"]),
            (json!({"kind": "direct", "user_id": ME, "name": "a"}), vec!["/name"]),
            (
                json!({"kind": "direct", "user_id": ME, "user_ids": two}),
                vec!["/user_ids"],
            ),
            (json!({"kind": "group"}), vec!["/user_ids"]),
            (
                json!({"kind": "group", "user_ids": two, "user_id": ME}),
                vec!["/user_id"],
            ),
            (
                json!({"kind": "group", "user_ids": [ME, "nobody"]}),
                vec!["/user_ids/1"],
            ),
            (json!({"kind": "group", "user_ids": two, "name": ""}), vec!["/name"]),
            (
                json!({"kind": "group", "user_ids": two, "name": "가".repeat(51)}),
                vec!["/name"],
            ),
            (
                json!({"kind": "group", "user_ids": [], "name": ""}),
                vec!["/user_ids", "/name"],
            ),
            (
                json!({"kind": "group", "user_ids": two, "surprise": 1}),
                vec!["/surprise"],
            ),
        ] {
            open(&app, body).await.points_at(&pointers);
        }
        let with_photo = json!({"kind": "group", "user_ids": two, "photo": ME});
        open(&app, with_photo).await.refused(422, "media_not_available");
        assert_eq!(app.bus.seen(), []);
    }

    #[tokio::test]
    async fn whoever_cannot_be_in_it_is_pointed_at() {
        let app = App::new();
        let user_ids = vec![UserId::from_u128(4), UserId::from_u128(6)];
        app.bus.refuse(Refusal::Room(RoomError::CannotBeInvited { user_ids }));
        let reply = open(&app, group(&ids(3..7))).await;
        reply.refused(409, "cannot_be_invited");
        reply.points_at(&["/user_ids/1", "/user_ids/3"]);

        let nobody = UserId::from_u128(8);
        app.bus.refuse(Refusal::NoSuchPerson(nobody));
        let reply = open(&app, json!({"kind": "direct", "user_id": nobody})).await;
        reply.refused(404, "user_not_found");
    }
}
