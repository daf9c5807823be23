//! `GET /v1/rooms/{room_id}/members`: who is in a room, in the order in which they came.
//!
//! All of them at once: a room has at most 3,000 members, and a client that shows names needs them all.

use axum::Json;
use axum::extract::State;
use cocotalk_domain::id::{RoomId, UserId};
use cocotalk_domain::number::Seq;
use cocotalk_domain::time::Instant;
use cocotalk_edge::auth::Identity;
use cocotalk_edge::path::Path;
use cocotalk_edge::position::MinPosition;
use cocotalk_edge::problem::Problem;
use cocotalk_edge::query::{Nothing, Query};
use serde::Serialize;
use tokio::try_join;
use utoipa::ToSchema;

use crate::checkpoints::Projection;
use crate::names::Profiles;
use crate::state::{QueryState, no_such_room};
use crate::unread::Watermarks;
use crate::words::Role;

/// Who is in a room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct MemberList {
    /// The members, whoever came first first.
    pub items: Vec<Member>,
}

/// Somebody in a room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Member {
    /// Who.
    #[schema(value_type = uuid::Uuid)]
    pub user_id: UserId,
    /// The name that others see; empty where the person was erased.
    #[schema(example = "보람")]
    pub display_name: String,
    /// What they may do.
    pub role: Role,
    /// When they came.
    #[schema(value_type = String, format = DateTime)]
    pub joined_at: Instant,
    /// Up to which item they have read.
    #[schema(value_type = u64)]
    pub read_seq: Seq,
}

/// List the members of a room
///
/// All of them, in the order in which they came.
#[utoipa::path(
    get,
    path = "/v1/rooms/{room_id}/members",
    tag = "rooms",
    operation_id = "list_members",
    params(("room_id" = Uuid, Path, description = "The room")),
    responses(
        (status = 200, description = "Its members", body = MemberList),
        (status = 404, description = "`room_not_found`"),
    ),
)]
pub(crate) async fn list(
    State(state): State<QueryState>,
    me: Identity,
    Path(room_id): Path<RoomId>,
    Query(Nothing {}): Query<Nothing>,
    MinPosition(position): MinPosition,
) -> Result<Json<MemberList>, Problem> {
    state
        .reach(&position, &[Projection::Rooms, Projection::Reads, Projection::People])
        .await?;
    state.seat(me.user_id, room_id).await?;
    let (room, mut members, reads) = try_join!(
        state.room(room_id),
        async { Ok(state.model.members(room_id).await?) },
        async { Ok(state.model.reads(room_id).await?) },
    )?;
    members.sort_unstable_by_key(|member| (member.joined_seq, member.user_id));
    let watermarks = Watermarks::new(room.kind, &members, &reads);
    // Somebody may have left since their place was read.
    watermarks.get(me.user_id).ok_or_else(no_such_room)?;
    let profiles = Profiles::of(&*state.model, members.iter().map(|member| member.user_id)).await?;
    let keys = state.sealing.keys(profiles.subjects()).await?;
    let names = profiles.open(&keys);
    let items = members.iter().map(|member| Member {
        user_id: member.user_id,
        display_name: names.of(member.user_id),
        role: member.role.into(),
        joined_at: member.joined_at,
        read_seq: watermarks.get(member.user_id).unwrap_or_default(),
    });
    Ok(Json(MemberList { items: items.collect() }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::testing::world::Table;
    use crate::testing::{Api, column};

    #[tokio::test]
    async fn members_come_in_the_order_in_which_they_joined() {
        let api = Api::new();
        let [mina, jun, hana] = api.world.three();
        let first = api.world.person(0, "다희");
        let room = api.world.group(100, &[jun, mina, hana]);
        api.world.invite(room, jun, &[first]);
        api.world.say(room, hana, "어서 와");
        api.world.read(room, mina, 2);
        insta::assert_json_snapshot!(api.get(mina, &format!("/v1/rooms/{room}/members")).await.ok());
    }

    #[tokio::test]
    async fn who_left_is_not_shown_even_if_a_mark_of_theirs_is_there() {
        let api = Api::new();
        let [mina, jun, hana] = api.world.three();
        let room = api.world.group(100, &[mina, jun, hana]);
        api.world.leave(room, jun);
        let members = api.get(mina, &format!("/v1/rooms/{room}/members")).await.ok();
        assert_eq!(column(&members, "user_id"), [&json!(mina), &json!(hana)]);
    }

    #[tokio::test]
    async fn who_leaves_while_they_ask_is_not_told_who_is_there() {
        let api = Api::new();
        let [mina, jun, hana] = api.world.three();
        let room = api.world.group(100, &[mina, jun, hana]);
        api.world.hold();
        api.world.leave(room, jun);
        api.world.show(&[Table::Rooms, Table::Members, Table::Messages]);
        let answer = api.get(jun, &format!("/v1/rooms/{room}/members")).await;
        assert_eq!(answer.refused(404), "room_not_found");
    }

    #[tokio::test]
    async fn in_a_direct_room_nothing_is_read_before_the_first_mark() {
        let api = Api::new();
        let [mina, jun, _] = api.world.three();
        let room = api.world.direct(mina, jun);
        let path = format!("/v1/rooms/{room}/members");
        assert_eq!(column(&api.get(mina, &path).await.ok(), "read_seq"), [0, 0]);
        api.world.say(room, mina, "안녕");
        assert_eq!(column(&api.get(mina, &path).await.ok(), "read_seq"), [1, 0]);
        api.world.read(room, jun, 1);
        assert_eq!(column(&api.get(mina, &path).await.ok(), "read_seq"), [1, 1]);
    }

    #[tokio::test]
    async fn a_person_who_was_erased_has_no_name() {
        let api = Api::new();
        let [mina, jun, hana] = api.world.three();
        let room = api.world.group(100, &[mina, jun, hana]);
        api.world.forget(jun);
        let members = api.get(mina, &format!("/v1/rooms/{room}/members")).await.ok();
        assert_eq!(column(&members, "display_name"), ["Mina", "", "하나"]);
    }

    #[tokio::test]
    async fn a_large_room_takes_no_more_statements_than_a_small_one() {
        let api = Api::new();
        let people: Vec<_> = (1..=200).map(|n| api.world.person(n, "친구")).collect();
        let room = api.world.group(100, &people);
        api.world.statements();
        let members = api.get(people[0], &format!("/v1/rooms/{room}/members")).await.ok();
        assert_eq!(column(&members, "user_id").len(), 200);
        assert!(api.world.statements() <= 6);
    }
}
