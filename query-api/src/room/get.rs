//! `GET /v1/rooms/{room_id}`: one of my rooms, with what only its members see.

use axum::Json;
use axum::extract::State;
use cocotalk_application::row::RoomRow;
use cocotalk_domain::id::{RoomId, UserId};
use cocotalk_domain::number::Seq;
use cocotalk_domain::room::RoomKind;
use cocotalk_edge::auth::Identity;
use cocotalk_edge::path::Path;
use cocotalk_edge::position::MinPosition;
use cocotalk_edge::problem::Problem;
use cocotalk_edge::query::{Nothing, Query};
use serde::Serialize;
use utoipa::ToSchema;

use super::withheld::Withheld;
use super::{Room, Rows};
use crate::checkpoints::Projection;
use crate::names::Profiles;
use crate::state::{QueryState, no_such_room};
use crate::words::{Role, Settings};

/// A room with what a list leaves out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct WholeRoom {
    /// As in the list.
    #[serde(flatten)]
    pub room: Room,
    /// What I may do in it.
    pub my_role: Role,
    /// The first item that I may see.
    #[schema(value_type = u64)]
    pub joined_seq: Seq,
    /// The notice.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub notice: Option<String>,
    /// Who may do what.
    pub settings: Settings,
}

/// Get a room
///
/// Only its members know that it exists.
#[utoipa::path(
    get,
    path = "/v1/rooms/{room_id}",
    tag = "rooms",
    operation_id = "get_room",
    params(("room_id" = Uuid, Path, description = "The room")),
    responses(
        (status = 200, description = "The room", body = WholeRoom),
        (status = 404, description = "`room_not_found`"),
    ),
)]
pub(crate) async fn get(
    State(state): State<QueryState>,
    me: Identity,
    Path(room_id): Path<RoomId>,
    Query(Nothing {}): Query<Nothing>,
    MinPosition(position): MinPosition,
) -> Result<Json<WholeRoom>, Problem> {
    state
        .reach(&position, &[Projection::Rooms, Projection::Reads, Projection::People])
        .await?;
    // After the room: whoever is shown what is in it now is still in it.
    let room = state.room(room_id).await?;
    let seat = state.seat(me.user_id, room_id).await?;
    let my_role = my_role(&state, &room, me.user_id).await?;
    // After the head: a message of mine that is in it has moved my position already.
    let read = state.model.user_read(me.user_id, room_id).await?;
    let rows = Rows {
        room: &room,
        seat: &seat,
        read: read.as_ref(),
        withheld: None,
    };
    let withheld = Withheld::of(&*state.model, me.user_id, std::iter::once(rows)).await?;
    let rows = Rows {
        withheld: withheld.get(&room_id),
        ..rows
    };
    let profiles = Profiles::of(&*state.model, rows.people()).await?;
    let keys = state.sealing.keys(rows.subjects().chain(profiles.subjects())).await?;
    Ok(Json(WholeRoom {
        room: rows.shown(&profiles.open(&keys), &keys, state.door.clock.now()),
        my_role,
        joined_seq: seat.first_seq(),
        notice: room.notice.clone(),
        settings: room.settings.into(),
    }))
}

/// Who owns a group is known from its head, and in a direct room there is nothing to own; else their own row is asked.
async fn my_role(state: &QueryState, room: &RoomRow, me: UserId) -> Result<Role, Problem> {
    match room.kind {
        RoomKind::Direct => Ok(Role::Member),
        RoomKind::Group if room.owner_id == Some(me) => Ok(Role::Owner),
        RoomKind::Group => {
            let mine = state.model.member(room.room_id, me).await?;
            mine.map(|member| member.role.into()).ok_or_else(no_such_room)
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::testing::Api;

    #[tokio::test]
    async fn a_group_is_shown_with_what_its_members_see() {
        let api = Api::new();
        let [mina, jun, hana] = api.world.three();
        let room = api.world.group(100, &[mina, jun, hana]);
        api.world.rename(room, jun, "주말 등산");
        api.world.put_up(room, mina, "토요일 7시");
        api.world.only_admins_rename(room, mina);
        api.world.say(room, hana, "네!");
        insta::assert_json_snapshot!(api.get(jun, &format!("/v1/rooms/{room}")).await.ok());
    }

    #[tokio::test]
    async fn a_direct_room_without_messages_is_shown() {
        let api = Api::new();
        let [mina, jun, _] = api.world.three();
        let room = api.world.direct(mina, jun);
        insta::assert_json_snapshot!(api.get(jun, &format!("/v1/rooms/{room}")).await.ok());
    }

    #[tokio::test]
    async fn everybody_is_told_their_own_role() {
        let api = Api::new();
        let [mina, jun, hana] = api.world.three();
        let room = api.world.group(100, &[mina, jun, hana]);
        for (person, role) in [(mina, "owner"), (jun, "member")] {
            let seen = api.get(person, &format!("/v1/rooms/{room}")).await.ok();
            assert_eq!(seen["my_role"], role);
        }
        api.world.leave(room, mina);
        let seen = api.get(jun, &format!("/v1/rooms/{room}")).await.ok();
        assert_eq!(seen["my_role"], "owner", "the earliest joined follows");
    }

    #[tokio::test]
    async fn joined_seq_is_the_first_item_that_i_may_see() {
        let api = Api::new();
        let [mina, jun, hana] = api.world.three();
        let dahee = api.world.person(4, "다희");
        let group = api.world.group(100, &[mina, jun, hana]);
        api.world.say(group, mina, "하나");
        api.world.invite(group, mina, &[dahee]);
        let seen = api.get(dahee, &format!("/v1/rooms/{group}")).await.ok();
        assert_eq!((&seen["joined_seq"], &seen["read_seq"]), (&json!(3), &json!(3)));

        let direct = api.world.direct(mina, jun);
        api.world.say(direct, mina, "하나");
        api.world.hide(direct, jun);
        let seen = api.get(jun, &format!("/v1/rooms/{direct}")).await.ok();
        assert_eq!((&seen["joined_seq"], &seen["member_count"]), (&json!(2), &json!(2)));
        assert!(seen.get("last_item").is_none());
        assert_eq!((&seen["last_seq"], &seen["unread_count"]), (&json!(1), &json!(0)));
    }

    #[tokio::test]
    async fn a_stranger_finds_no_such_room_at_any_door() {
        let api = Api::new();
        let [mina, jun, hana] = api.world.three();
        let stranger = api.world.person(9, "stranger");
        let rooms = [
            api.world.group(100, &[mina, jun, hana]),
            api.world.direct(mina, jun),
            cocotalk_domain::id::RoomId::from_u128(404),
        ];
        api.world.say(rooms[0], mina, "비밀");
        for room in rooms {
            for door in ["", "/members", "/messages", "/changes?after_version=0"] {
                let answer = api.get(stranger, &format!("/v1/rooms/{room}{door}")).await;
                assert_eq!(answer.refused(404), "room_not_found", "{door}");
            }
        }
    }

    #[tokio::test]
    async fn who_left_finds_no_such_room_at_any_door() {
        let api = Api::new();
        let [mina, jun, hana] = api.world.three();
        let room = api.world.group(100, &[mina, jun, hana]);
        api.world.leave(room, jun);
        for door in ["", "/members", "/messages", "/changes?after_version=0"] {
            let answer = api.get(jun, &format!("/v1/rooms/{room}{door}")).await;
            assert_eq!(answer.refused(404), "room_not_found", "{door}");
        }
    }

    #[tokio::test]
    async fn nobody_is_let_in_without_a_token_and_no_parameter_is_known() {
        let api = Api::new();
        let [mina, jun, hana] = api.world.three();
        let room = api.world.group(100, &[mina, jun, hana]);
        for door in ["", "/members", "/messages", "/changes?after_version=0"] {
            let path = format!("/v1/rooms/{room}{door}");
            assert_eq!(api.get_unsigned(&path).await.refused(401), "unauthenticated");
            let sign = if path.contains('?') { '&' } else { '?' };
            let answer = api.get(mina, &format!("{path}{sign}q=1")).await;
            assert_eq!(answer.refused(422), "unknown_query_parameter");
        }
        assert_eq!(
            api.get(mina, "/v1/rooms/nonsense").await.refused(400),
            "malformed_request"
        );
    }

    #[tokio::test]
    async fn an_account_that_asks_too_often_must_wait() {
        let api = Api::with_queries_per_minute(2);
        let [mina, jun, _] = api.world.three();
        for _ in 0..2 {
            api.get(mina, "/v1/rooms").await.ok();
        }
        let refused = api.get(mina, "/v1/rooms").await;
        assert_eq!(refused.refused(429), "rate_limited");
        assert!(refused.headers.contains_key("retry-after"));
        api.get(jun, "/v1/rooms").await.ok();
    }
}
