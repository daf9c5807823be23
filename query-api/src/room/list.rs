//! `GET /v1/rooms`: my rooms, the newest activity first.
//!
//! A read-time join: nothing is kept in order of activity, since every message would then have to move its room for each of
//! its members. The heads of all of a person's rooms are read and sorted here; names only for the page.

use std::collections::HashMap;

use axum::Json;
use axum::extract::State;
use cocotalk_application::row::UserReadRow;
use cocotalk_domain::id::RoomId;
use cocotalk_edge::auth::Identity;
use cocotalk_edge::page::{self, PageQuery};
use cocotalk_edge::position::MinPosition;
use cocotalk_edge::problem::Problem;
use cocotalk_edge::query::Query;
use serde::Serialize;
use utoipa::ToSchema;

use super::withheld::Withheld;
use super::{Room, Rows};
use crate::activity::Activity;
use crate::checkpoints::Projection;
use crate::names::Profiles;
use crate::state::QueryState;

/// A page of my rooms.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct RoomList {
    /// The rooms.
    pub items: Vec<Room>,
    /// Where the next page begins; null on the last one.
    #[schema(required, example = json!(null))]
    pub next_cursor: Option<String>,
    /// Unread messages in all of my rooms, whatever the page.
    pub total_unread: u64,
}

/// List my rooms
///
/// The newest activity first. A direct room is in the list when it has an item that you may see. The cursor is a place in
/// that order: what is said between two pages moves rooms before it, and no room comes twice.
#[utoipa::path(
    get,
    path = "/v1/rooms",
    tag = "rooms",
    operation_id = "list_rooms",
    params(PageQuery),
    responses(
        (status = 200, description = "A page of my rooms", body = RoomList),
        (status = 422, description = "`invalid_cursor`"),
    ),
)]
pub(crate) async fn list(
    State(state): State<QueryState>,
    me: Identity,
    Query(query): Query<PageQuery>,
    MinPosition(position): MinPosition,
) -> Result<Json<RoomList>, Problem> {
    let limit = page::limit(query.limit, &state.door.limits)?;
    let after = query
        .cursor
        .as_deref()
        .map(page::decode_cursor::<Activity>)
        .transpose()?;
    state
        .reach(&position, &[Projection::Rooms, Projection::Reads, Projection::People])
        .await?;

    let seats = state.model.user_rooms(me.user_id).await?;
    let ids: Vec<RoomId> = seats.iter().map(|seat| seat.room_id).collect();
    let rooms = state.model.rooms(&ids).await?;
    // After the heads: a message of mine that is in them has moved my position already.
    let reads = state.model.user_reads(me.user_id).await?;
    let reads: HashMap<RoomId, UserReadRow> = reads.into_iter().map(|read| (read.room_id, read)).collect();

    let all = || {
        seats.iter().filter_map(|seat| {
            // A room that is not there yet will be when its projection has come so far.
            let room = rooms.get(&seat.room_id)?;
            let read = reads.get(&seat.room_id);
            let withheld = None;
            Some(Rows {
                room,
                seat,
                read,
                withheld,
            })
        })
    };
    let withheld = Withheld::of(&*state.model, me.user_id, all()).await?;

    let mut total_unread = 0;
    let mut listed: Vec<(Activity, Rows<'_>)> = Vec::with_capacity(seats.len());
    for rows in all() {
        let rows = Rows {
            withheld: withheld.get(&rows.room.room_id),
            ..rows
        };
        total_unread += rows.unread_count();
        if let Some(activity) = rows.activity()
            && after.is_none_or(|after| activity > after)
        {
            listed.push((activity, rows));
        }
    }
    listed.sort_unstable_by_key(|(activity, _)| *activity);
    let more = listed.len() > limit;
    listed.truncate(limit);
    let last = listed.last().filter(|_| more);
    let next_cursor = last.map(|(activity, _)| page::encode_cursor(activity));

    let people = listed.iter().flat_map(|(_, rows)| rows.people());
    let profiles = Profiles::of(&*state.model, people).await?;
    let subjects = listed.iter().flat_map(|(_, rows)| rows.subjects());
    let keys = state.sealing.keys(subjects.chain(profiles.subjects())).await?;
    let (names, now) = (profiles.open(&keys), state.door.clock.now());
    let items = listed.iter().map(|(_, rows)| rows.shown(&names, &keys, now)).collect();
    Ok(Json(RoomList {
        items,
        next_cursor,
        total_unread,
    }))
}

#[cfg(test)]
mod tests {
    use cocotalk_domain::time::Instant;
    use serde_json::{Value, json};

    use crate::testing::world::Table;
    use crate::testing::{Api, NOW, column};

    const ROOMS: &str = "/v1/rooms";

    #[tokio::test]
    async fn the_newest_activity_comes_first_with_all_that_a_list_needs() {
        let api = Api::new();
        let [mina, jun, hana] = api.world.three();
        let group = api.world.group(100, &[mina, jun, hana]);
        let direct = api.world.direct(mina, jun);
        api.world.say(direct, jun, "두 번째 방");
        api.world.rename(group, mina, "주말 등산");
        api.world.say(group, hana, "첫 번째 방이 다시 위로");
        insta::assert_json_snapshot!(api.get(mina, ROOMS).await.ok());
    }

    #[tokio::test]
    async fn a_direct_room_is_listed_while_it_has_an_item_that_i_may_see() {
        let api = Api::new();
        let [mina, jun, _] = api.world.three();
        let room = api.world.direct(mina, jun);
        assert_eq!(api.get(jun, ROOMS).await.ok()["items"], json!([]));
        api.world.say(room, mina, "안녕");
        assert_eq!(column(&api.get(jun, ROOMS).await.ok(), "unread_count"), [1]);

        api.world.hide(room, jun);
        let left = api.get(jun, ROOMS).await.ok();
        assert_eq!((&left["items"], &left["total_unread"]), (&json!([]), &json!(0)));
        assert_eq!(column(&api.get(mina, ROOMS).await.ok(), "unread_count"), [0]);

        api.world.say(room, mina, "거기 있어?");
        let back = api.get(jun, ROOMS).await.ok();
        assert_eq!(
            (&back["items"][0]["last_item"]["seq"], &back["total_unread"]),
            (&json!(2), &json!(1))
        );
    }

    #[tokio::test]
    async fn a_direct_room_with_oneself_has_oneself_as_peer() {
        let api = Api::new();
        let [mina, ..] = api.world.three();
        let room = api.world.direct(mina, mina);
        api.world.say(room, mina, "장보기: 우유");
        let listed = &api.get(mina, ROOMS).await.ok()["items"][0];
        assert_eq!(
            (&listed["peer_id"], &listed["member_count"], &listed["unread_count"]),
            (&json!(mina), &json!(1), &json!(0))
        );
    }

    #[tokio::test]
    async fn a_group_that_i_left_is_not_listed() {
        let api = Api::new();
        let [mina, jun, hana] = api.world.three();
        let room = api.world.group(100, &[mina, jun, hana]);
        api.world.say(room, mina, "하나");
        api.world.leave(room, jun);
        let rooms = api.get(jun, ROOMS).await.ok();
        assert_eq!((&rooms["items"], &rooms["total_unread"]), (&json!([]), &json!(0)));
    }

    #[tokio::test]
    async fn lines_and_my_own_messages_are_never_unread() {
        let api = Api::new();
        let [mina, jun, hana] = api.world.three();
        let room = api.world.group(100, &[mina, jun, hana]);
        api.world.rename(room, mina, "이름");
        assert_eq!(column(&api.get(jun, ROOMS).await.ok(), "unread_count"), [0]);
        api.world.say(room, mina, "하나");
        api.world.say(room, mina, "둘");
        assert_eq!(column(&api.get(jun, ROOMS).await.ok(), "unread_count"), [2]);
        api.world.read(room, jun, 3);
        assert_eq!(column(&api.get(jun, ROOMS).await.ok(), "unread_count"), [1]);
        api.world.say(room, jun, "셋");
        assert_eq!(column(&api.get(jun, ROOMS).await.ok(), "unread_count"), [0]);
    }

    #[tokio::test]
    async fn an_invitee_has_nothing_unread_from_before() {
        let api = Api::new();
        let [mina, jun, hana] = api.world.three();
        let dahee = api.world.person(4, "다희");
        let room = api.world.group(100, &[mina, jun, hana]);
        api.world.say(room, mina, "둘만의 비밀");
        api.world.invite(room, mina, &[dahee]);
        let rooms = api.get(dahee, ROOMS).await.ok();
        let listed = &rooms["items"][0];
        assert_eq!((&listed["unread_count"], &listed["read_seq"]), (&json!(0), &json!(3)));
        api.world.say(room, mina, "어서 와");
        assert_eq!(column(&api.get(dahee, ROOMS).await.ok(), "unread_count"), [1]);
    }

    #[tokio::test]
    async fn what_is_read_past_the_head_is_not_less_than_nothing_unread() {
        let api = Api::new();
        let [mina, jun, hana] = api.world.three();
        let room = api.world.group(100, &[mina, jun, hana]);
        api.world.say(room, mina, "하나");
        api.world.read(room, jun, 2);
        api.world.forget_head(room);
        assert_eq!(api.get(jun, ROOMS).await.ok()["total_unread"], 0);
    }

    #[tokio::test]
    async fn my_own_message_is_read_before_the_positions_know_it() {
        let api = Api::new();
        let [mina, jun, hana] = api.world.three();
        let room = api.world.group(100, &[mina, jun, hana]);
        api.world.say(room, mina, "하나");
        api.world.hold_one("reads");
        api.world.show(&[Table::Rooms, Table::Messages]);
        let seq = api.world.say(room, jun, "둘");
        api.world.show(&[Table::Rooms, Table::Messages]);
        let rooms = api.get(jun, ROOMS).await.ok();
        let listed = &rooms["items"][0];
        assert_eq!(
            (&listed["read_seq"], &listed["unread_count"], &rooms["total_unread"]),
            (&json!(seq), &json!(0), &json!(0))
        );
        assert_eq!(api.get(mina, ROOMS).await.ok()["total_unread"], 1);
    }

    #[tokio::test]
    async fn what_is_mine_alone_is_shown_to_me_alone() {
        let api = Api::new();
        let [mina, jun, hana] = api.world.three();
        let room = api.world.group(100, &[mina, jun, hana]);
        let until = Instant::from_millis(NOW.millis() + 3_600_000);
        api.world.prefer(room, jun, until, "우리끼리");
        let own = &api.get(jun, ROOMS).await.ok()["items"][0];
        assert_eq!(
            (&own["muted_until"], &own["pinned"], &own["alias"]),
            (&json!(until), &json!(true), &json!("우리끼리"))
        );
        let theirs = &api.get(mina, ROOMS).await.ok()["items"][0];
        assert_eq!(
            (&theirs["muted_until"], &theirs["pinned"], &theirs["alias"]),
            (&Value::Null, &json!(false), &Value::Null)
        );
    }

    #[tokio::test]
    async fn a_mute_that_is_over_is_not_shown() {
        let api = Api::new();
        let [mina, jun, hana] = api.world.three();
        let room = api.world.group(100, &[mina, jun, hana]);
        api.world.prefer(room, jun, NOW, "우리끼리");
        assert_eq!(column(&api.get(jun, ROOMS).await.ok(), "muted_until"), [&Value::Null]);
    }

    #[tokio::test]
    async fn at_most_four_members_are_shown() {
        let api = Api::new();
        let people: Vec<_> = (1..=6).map(|n| api.world.person(n, &format!("person {n}"))).collect();
        api.world.group(100, &people);
        let listed = &api.get(people[5], ROOMS).await.ok()["items"][0];
        assert_eq!(listed["members_sample"].as_array().unwrap().len(), 4);
        assert_eq!(listed["member_count"], 6);
    }

    #[tokio::test]
    async fn a_person_who_was_erased_has_neither_name_nor_words() {
        let api = Api::new();
        let [mina, jun, _] = api.world.three();
        let room = api.world.direct(mina, jun);
        api.world.say(room, jun, "내 비밀");
        api.world.forget(jun);
        let listed = &api.get(mina, ROOMS).await.ok()["items"][0];
        assert_eq!(listed["last_item"]["preview"], Value::Null);
        assert_eq!(listed["members_sample"][1]["display_name"], "");
        assert_eq!(listed["last_item"]["author_id"], json!(jun));
    }

    #[tokio::test]
    async fn a_long_text_is_shown_short() {
        let api = Api::new();
        let [mina, jun, _] = api.world.three();
        let room = api.world.direct(mina, jun);
        api.world.say(room, jun, &"한글".repeat(1_000));
        let listed = &api.get(mina, ROOMS).await.ok()["items"][0];
        assert_eq!(listed["last_item"]["preview"], "한글".repeat(50));
    }

    #[tokio::test]
    async fn pages_go_on_where_the_cursor_is_whatever_is_said_meanwhile() {
        let api = Api::new();
        let [mina, ..] = api.world.three();
        let mut rooms = Vec::new();
        for n in 10..17 {
            let other = api.world.person(n, "친구");
            let room = api.world.direct(mina, other);
            api.world.say(room, other, "하나");
            rooms.insert(0, (room, other));
        }
        let mut found = Vec::new();
        let mut path = format!("{ROOMS}?limit=3");
        loop {
            let page = api.get(mina, &path).await.ok();
            found.extend(column(&page, "room_id").into_iter().cloned());
            let Some(cursor) = page["next_cursor"].as_str() else {
                assert_eq!(page["next_cursor"], Value::Null);
                break;
            };
            assert_eq!(page["items"].as_array().unwrap().len(), 3);
            path = format!("{ROOMS}?limit=3&cursor={cursor}");
            // A room that has been seen comes to the top.
            api.world.say(rooms[0].0, rooms[0].1, "또 하나");
        }
        let expected: Vec<Value> = rooms.iter().map(|(room, _)| json!(room)).collect();
        assert_eq!(found, expected);
    }

    #[tokio::test]
    async fn total_unread_is_over_all_rooms_whatever_the_page() {
        let api = Api::new();
        let [mina, ..] = api.world.three();
        for n in 10..15 {
            let other = api.world.person(n, "친구");
            api.world.say(api.world.direct(mina, other), other, "하나");
        }
        let page = api.get(mina, &format!("{ROOMS}?limit=1")).await.ok();
        assert_eq!(page["total_unread"], 5);
        let cursor = page["next_cursor"].as_str().unwrap();
        let page = api.get(mina, &format!("{ROOMS}?limit=1&cursor={cursor}")).await.ok();
        assert_eq!(page["total_unread"], 5);
    }

    #[tokio::test]
    async fn a_list_refuses_what_it_does_not_understand() {
        let api = Api::new();
        let [mina, ..] = api.world.three();
        for (query, code) in [
            ("limit=0", "invalid_query"),
            ("limit=101", "invalid_query"),
            ("limit=-1", "invalid_query"),
            ("limit=many", "invalid_query"),
            ("limit=1&limit=2", "invalid_query"),
            ("cursor=junk", "invalid_cursor"),
            ("cursor=", "invalid_cursor"),
            ("order=name", "unknown_query_parameter"),
        ] {
            let answer = api.get(mina, &format!("{ROOMS}?{query}")).await;
            assert_eq!(answer.refused(422), code, "{query}");
        }
        for limit in [1, 100] {
            api.get(mina, &format!("{ROOMS}?limit={limit}")).await.ok();
        }
    }

    #[tokio::test]
    async fn a_long_list_takes_no_more_statements_than_a_short_one() {
        let api = Api::new();
        let [mina, ..] = api.world.three();
        let mut statements = Vec::new();
        for n in 10..60 {
            let other = api.world.person(n, "친구");
            api.world.say(api.world.direct(mina, other), other, "하나");
            api.world.statements();
            api.get(mina, ROOMS).await.ok();
            statements.push(api.world.statements());
        }
        assert!(statements.iter().all(|count| *count <= 5), "{statements:?}");
    }

    #[tokio::test]
    async fn what_i_have_hidden_is_neither_unread_nor_the_newest() {
        let api = Api::new();
        let [mina, jun, hana] = api.world.three();
        let room = api.world.group(100, &[mina, jun, hana]);
        let seqs: Vec<_> = ["하나", "둘", "셋", "넷"]
            .map(|word| api.world.say(room, mina, word))
            .into();
        let listed = async |by| api.get(by, ROOMS).await.ok()["items"][0].clone();
        api.world.hide_message(room, jun, seqs[1]);
        let shown = listed(jun).await;
        assert_eq!(
            (&shown["unread_count"], &shown["last_item"]["preview"]),
            (&json!(3), &json!("넷"))
        );
        api.world.hide_message(room, jun, seqs[3]);
        api.world.hide_message(room, jun, seqs[2]);
        let shown = listed(jun).await;
        assert_eq!(
            (&shown["unread_count"], &shown["last_item"]["preview"]),
            (&json!(1), &json!("하나"))
        );
        assert_eq!(
            (&shown["last_item"]["seq"], &shown["last_seq"]),
            (&json!(seqs[0]), &json!(seqs[3]))
        );
        api.world.read(room, jun, seqs[2].0);
        assert_eq!(listed(jun).await["unread_count"], 0);
        assert_eq!(listed(hana).await["unread_count"], 4);
        let one = api.get(jun, &format!("{ROOMS}/{room}")).await.ok();
        assert_eq!(one["last_item"], listed(jun).await["last_item"]);
    }

    #[tokio::test]
    async fn a_room_is_listed_with_its_newest_item_as_it_became() {
        let api = Api::new();
        let [mina, jun, _] = api.world.three();
        let room = api.world.direct(mina, jun);
        let seq = api.world.say(room, mina, "하나");
        api.world.edit(room, seq, "둘");
        let last_item = async || api.get(jun, ROOMS).await.ok()["items"][0]["last_item"].clone();
        assert_eq!(last_item().await["preview"], "둘");
        api.world.delete(room, seq);
        let shown = last_item().await;
        assert_eq!((&shown["preview"], &shown["deleted"]), (&Value::Null, &json!(true)));
        assert_eq!(
            api.get(jun, ROOMS).await.ok()["total_unread"],
            1,
            "a deleted message still counts"
        );
    }
}
