//! `GET /v1/rooms/{room_id}/changes`: every event of a room since a version, as the frames that the live socket told.
//!
//! Read from the log, not from the read model: whoever saw a hole in the versions must be able to fill it at once.

use axum::Json;
use axum::extract::State;
use cocotalk_application::port::event_log::RecordedEvent;
use cocotalk_domain::event::AnyEvent;
use cocotalk_domain::id::{RoomId, UserId};
use cocotalk_domain::number::{Seq, Version};
use cocotalk_domain::room::RoomEvent;
use cocotalk_domain::stream::StreamId;
use cocotalk_edge::auth::Identity;
use cocotalk_edge::describe::bounds;
use cocotalk_edge::path::Path;
use cocotalk_edge::position::MinPosition;
use cocotalk_edge::problem::{Code, Problem};
use cocotalk_edge::query::Query;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::checkpoints::Projection;
use crate::frame::{Frame, Gone, Sight, Told, frame_of, subjects_of};
use crate::state::{QueryState, no_such_room};
use crate::viewer::Viewer;

/// Most events of one answer. Whoever is further behind is better off fetching the room anew.
const MAX_CHANGES: usize = 1_000;

/// Since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ChangesQuery {
    /// The version that is known already.
    #[param(value_type = bounds::AnyNumber)]
    pub after_version: u64,
}

/// What happened in a room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Changes {
    /// One frame an event, without holes in their versions. What is not for me is `room.changed` without data.
    pub items: Vec<Frame>,
    /// The version of the room after them.
    #[schema(value_type = u64)]
    pub version: Version,
}

/// Catch up with a room
///
/// Every event since a version, as the frames that the live socket told: one each, so that versions have no holes. What is
/// not for you is `room.changed` with its version and no data. What was deleted meanwhile has no words. At most 1,000; who is
/// further behind fetches the room anew.
#[utoipa::path(
    get,
    path = "/v1/rooms/{room_id}/changes",
    tag = "messages",
    operation_id = "list_changes",
    params(("room_id" = Uuid, Path, description = "The room"), ChangesQuery),
    responses(
        (status = 200, description = "Everything up to the newest event", body = Changes),
        (status = 409, description = "`too_far_behind`: fetch the room and its messages anew"),
        (status = 404, description = "`room_not_found`"),
    ),
)]
pub(crate) async fn list(
    State(state): State<QueryState>,
    me: Identity,
    Path(room_id): Path<RoomId>,
    Query(query): Query<ChangesQuery>,
    MinPosition(position): MinPosition,
) -> Result<Json<Changes>, Problem> {
    state.reach(&position, &[Projection::Rooms]).await?;
    // The seat after the room, so that it is at least as new; what came later still, the log says.
    let room = state.room(room_id).await?;
    let seat = state.seat(me.user_id, room_id).await?;
    let after = query.after_version;
    // The read model may be behind the log, never ahead of it.
    if room.version.0 > after.saturating_add(MAX_CHANGES as u64) {
        return Err(too_far_behind());
    }
    let events = since(&state, room_id, room.version.0, after).await?;
    let first_seq = stay(&events, me.user_id, seat.first_seq()).ok_or_else(no_such_room)?;
    let version = Version(
        events
            .last()
            .map_or(room.version.0.min(after), |newest| newest.sequence),
    );
    let events = &events[known(&events, after)..];
    let keys = state.sealing.keys(events.iter().flat_map(subjects_of)).await?;
    let hidden = state.hidden(&seat, first_seq).await?;
    let gone = Gone::of(events);
    let told = events.iter().filter_map(|event| frame_of(event, &gone, &keys));
    let items = for_viewer(told.collect(), Viewer::new(first_seq, Some(&hidden)));
    Ok(Json(Changes { items, version }))
}

fn too_far_behind() -> Problem {
    Problem::new(Code::TooFarBehind).detail(format!(
        "more than {MAX_CHANGES} events since then: fetch the room and its messages anew"
    ))
}

/// All events after a version that the client knows, and before them those that the read model does not show yet: only they
/// say who is still in the room. Too many of the former are for another day, too many of the latter for another moment.
async fn since(state: &QueryState, room: RoomId, shown: u64, after: u64) -> Result<Vec<RecordedEvent>, Problem> {
    let stream = StreamId::Room(room);
    let mut from = after.min(shown);
    let mut events: Vec<RecordedEvent> = Vec::new();
    loop {
        let page = state.log.load(&stream, from).await?;
        let Some(last) = page.last() else { return Ok(events) };
        from = last.sequence;
        events.extend(page);
        let known = known(&events, after);
        if events.len() - known > MAX_CHANGES {
            return Err(too_far_behind());
        }
        if known > MAX_CHANGES {
            return Err(Problem::new(Code::ReadModelBehind));
        }
    }
}

/// How many of these events the client knows already.
fn known(events: &[RecordedEvent], after: u64) -> usize {
    events.partition_point(|event| event.sequence <= after)
}

/// The first item that a person may see, given what the read model says and what the events say that it may not know yet:
/// that they came anew, or left (`None`).
fn stay(events: &[RecordedEvent], user: UserId, known: Seq) -> Option<Seq> {
    let mut stay = Some(known);
    for event in events {
        match &event.event {
            Ok(AnyEvent::Room(RoomEvent::MembersInvited(e))) if e.seq > known && e.user_ids.contains(&user) => {
                stay = Some(e.seq);
            }
            // An earlier leave is one that they have come back from.
            Ok(AnyEvent::Room(RoomEvent::MemberLeft(e))) if e.seq > known && e.user_id == user => stay = None,
            Ok(AnyEvent::Room(RoomEvent::MemberKicked(e))) if e.seq > known && e.user_id == user => stay = None,
            Ok(_) | Err(_) => {}
        }
    }
    stay
}

/// Each event as somebody sees it. What is about no item is for them if it came after their first one; so it is not if an item
/// up to that one still follows.
fn for_viewer(told: Vec<Told>, viewer: Viewer<'_>) -> Vec<Frame> {
    let came_at = told
        .iter()
        .rposition(|told| told.line_seq().is_some_and(|seq| seq <= viewer.first_seq()));
    let earlier = came_at.unwrap_or_default();
    let frame = |(index, told): (usize, Told)| match told.item_seq() {
        None if index < earlier => told.render(Sight::Version),
        None | Some(_) => told.render(told.sight(viewer)),
    };
    told.into_iter().enumerate().map(frame).collect()
}

#[cfg(test)]
mod tests {
    use cocotalk_domain::id::RoomId;
    use cocotalk_domain::number::Seq;
    use cocotalk_domain::room::Role;
    use serde_json::{Value, json};

    use crate::testing::{Api, column};

    fn path(room: RoomId, after: u64) -> String {
        format!("/v1/rooms/{room}/changes?after_version={after}")
    }

    #[tokio::test]
    async fn changes_are_one_frame_an_event() {
        let api = Api::new();
        let [mina, jun, hana] = api.world.three();
        let dahee = api.world.person(4, "다희");
        let room = api.world.group(100, &[mina, jun, hana]);
        api.world.say(room, mina, "하나");
        api.world.say_about(room, jun, "둘", Some(Seq(2)));
        api.world.invite(room, mina, &[dahee]);
        api.world.rename(room, mina, "셋");
        api.world.put_up(room, mina, "넷");
        api.world.only_admins_rename(room, mina);
        api.world.leave(room, mina);
        insta::assert_json_snapshot!(api.get(jun, &path(room, 0)).await.ok());
    }

    #[tokio::test]
    async fn only_what_came_after_the_version_is_told() {
        let api = Api::new();
        let [mina, jun, hana] = api.world.three();
        let room = api.world.group(100, &[mina, jun, hana]);
        for word in ["하나", "둘", "셋"] {
            api.world.say(room, mina, word);
        }
        let changes = api.get(jun, &path(room, 2)).await.ok();
        assert_eq!(column(&changes, "version"), [3, 4]);
        assert_eq!(changes["version"], 4);
    }

    #[tokio::test]
    async fn at_or_beyond_the_head_there_is_nothing() {
        let api = Api::new();
        let [mina, jun, hana] = api.world.three();
        let room = api.world.group(100, &[mina, jun, hana]);
        api.world.say(room, mina, "하나");
        for after in [2, 3, u64::MAX] {
            let changes = api.get(jun, &path(room, after)).await.ok();
            assert_eq!(changes, json!({"items": [], "version": 2}), "{after}");
        }
    }

    #[tokio::test]
    async fn what_happened_before_i_came_says_only_that_something_changed() {
        let api = Api::new();
        let [mina, jun, hana] = api.world.three();
        let dahee = api.world.person(4, "다희");
        let room = api.world.group(100, &[mina, jun, hana]);
        api.world.say(room, mina, "다희에게는 비밀");
        api.world.only_admins_rename(room, mina);
        api.world.invite(room, mina, &[dahee]);
        api.world.say_about(room, jun, "이건 봐도 돼", Some(Seq(2)));
        let changes = api.get(dahee, &path(room, 0)).await.ok();
        assert_eq!(column(&changes, "version"), [1, 2, 3, 4, 5]);
        for frame in &changes["items"].as_array().unwrap()[..3] {
            assert_eq!((&frame["type"], &frame["data"]), (&json!("room.changed"), &json!({})));
        }
        assert_eq!(changes["items"][3]["type"], "member.joined");
        let message = &changes["items"][4]["data"];
        assert_eq!(
            (&message["text"], &message["reply_to"]),
            (&json!("이건 봐도 돼"), &json!({"seq": 2}))
        );
        let later = api.get(dahee, &path(room, 4)).await.ok();
        assert_eq!(later["items"][0], changes["items"][4]);
    }

    #[tokio::test]
    async fn roles_and_kicks_are_told_as_the_items_that_history_shows() {
        let api = Api::new();
        let [mina, jun, hana] = api.world.three();
        let room = api.world.group(100, &[mina, jun, hana]);
        api.world.give(room, mina, jun, Role::Admin);
        api.world.kick(room, jun, hana);
        api.world.give(room, mina, jun, Role::Owner);
        let changes = api.get(mina, &path(room, 1)).await.ok();
        let history = api.get(mina, &format!("/v1/rooms/{room}/messages?after=1")).await.ok();
        let told: Vec<(&Value, &Value)> = changes["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|frame| (&frame["type"], &frame["data"]))
            .collect();
        let items = &history["items"];
        assert_eq!(
            told,
            [
                (
                    &json!("member.role_changed"),
                    &json!({"user_ids": [jun], "role": "admin", "item": items[0]})
                ),
                (&json!("member.kicked"), &json!({"user_ids": [hana], "item": items[1]})),
                (
                    &json!("member.role_changed"),
                    &json!({"user_ids": [jun], "role": "owner", "item": items[2]})
                ),
                (
                    &json!("member.role_changed"),
                    &json!({"user_ids": [mina], "role": "admin"})
                ),
            ]
        );
        let line = |index: usize| ["kind", "author_id", "members", "role"].map(|field| items[index][field].clone());
        assert_eq!(
            line(0),
            [json!("role_changed"), json!(mina), json!([jun]), json!("admin")]
        );
        assert_eq!(line(1), [json!("kicked"), json!(jun), json!([hana]), Value::Null]);
    }

    #[tokio::test]
    async fn who_was_kicked_and_came_back_is_told_nothing_from_the_time_before() {
        let api = Api::new();
        let [mina, jun, hana] = api.world.three();
        let room = api.world.group(100, &[mina, jun, hana]);
        api.world.hold();
        api.world.kick(room, mina, jun);
        api.world.give(room, mina, hana, Role::Admin);
        for after in [0, 1, 2, 3, 9] {
            let answer = api.get(jun, &path(room, after)).await;
            assert_eq!(answer.refused(404), "room_not_found", "{after}");
        }
        api.world.invite(room, mina, &[jun]);
        let changes = api.get(jun, &path(room, 1)).await.ok();
        assert_eq!(
            column(&changes, "type"),
            ["room.changed", "room.changed", "member.joined"]
        );
    }

    #[tokio::test]
    async fn settings_that_change_after_i_came_are_told() {
        let api = Api::new();
        let [mina, jun, hana] = api.world.three();
        let dahee = api.world.person(4, "다희");
        let room = api.world.group(100, &[mina, jun, hana]);
        api.world.invite(room, mina, &[dahee]);
        api.world.only_admins_rename(room, mina);
        for after in [0, 2] {
            let changes = api.get(dahee, &path(room, after)).await.ok();
            let last = changes["items"].as_array().unwrap().last().unwrap();
            assert_eq!(last["data"]["settings"]["rename_by"], "admins", "{after}");
        }
    }

    #[tokio::test]
    async fn who_came_back_is_told_nothing_from_the_time_before() {
        let api = Api::new();
        let [mina, jun, hana] = api.world.three();
        let room = api.world.group(100, &[mina, jun, hana]);
        api.world.say(room, mina, "있을 때");
        api.world.leave(room, jun);
        api.world.say(room, mina, "없을 때");
        api.world.invite(room, mina, &[jun]);
        let changes = api.get(jun, &path(room, 0)).await.ok();
        let types = column(&changes, "type");
        let nothing = json!("room.changed");
        assert_eq!(types, [&nothing, &nothing, &nothing, &nothing, &json!("member.joined")]);
    }

    #[tokio::test]
    async fn a_leave_that_the_read_model_does_not_know_yet_counts_whatever_the_client_knows() {
        let api = Api::new();
        let [mina, jun, hana] = api.world.three();
        let room = api.world.group(100, &[mina, jun, hana]);
        api.world.hold();
        api.world.leave(room, jun);
        api.world.say(room, mina, "없을 때");
        api.world.say(room, mina, "아직도 없을 때");
        for after in [0, 1, 2, 3, 4, 9] {
            let answer = api.get(jun, &path(room, after)).await;
            assert_eq!(answer.refused(404), "room_not_found", "{after}");
        }
        api.world.invite(room, mina, &[jun]);
        let changes = api.get(jun, &path(room, 3)).await.ok();
        assert_eq!(column(&changes, "type"), ["room.changed", "member.joined"]);
    }

    #[tokio::test]
    async fn who_knows_more_than_the_read_model_is_told_the_rest() {
        let api = Api::new();
        let [mina, jun, hana] = api.world.three();
        let room = api.world.group(100, &[mina, jun, hana]);
        api.world.hold();
        for word in ["하나", "둘", "셋"] {
            api.world.say(room, mina, word);
        }
        let changes = api.get(jun, &path(room, 3)).await.ok();
        assert_eq!(column(&changes, "version"), [4]);
        for after in [4, 5, u64::MAX] {
            let changes = api.get(jun, &path(room, after)).await.ok();
            assert_eq!(changes, json!({"items": [], "version": 4}), "{after}");
        }
    }

    #[tokio::test]
    async fn a_read_model_that_is_too_far_behind_to_say_who_is_there_is_waited_for() {
        let api = Api::new();
        let [mina, jun, hana] = api.world.three();
        let room = api.world.group(100, &[mina, jun, hana]);
        api.world.hold();
        for _ in 0..1_001 {
            api.world.say(room, mina, "글");
        }
        api.get(jun, &path(room, 1_001)).await.ok();
        let answer = api.get(jun, &path(room, 1_002)).await;
        assert_eq!(answer.refused(503), "read_model_behind");
        assert_eq!(answer.headers["retry-after"], "1");
        api.world.release();
        api.get(jun, &path(room, 1_002)).await.ok();
    }

    #[tokio::test]
    async fn a_direct_room_that_i_left_begins_anew() {
        let api = Api::new();
        let [mina, jun, _] = api.world.three();
        let room = api.world.direct(mina, jun);
        api.world.say(room, mina, "옛날 이야기");
        api.world.hide(room, jun);
        api.world.say(room, mina, "거기 있어?");
        let types = |changes: Value| -> Vec<Value> { column(&changes, "type").into_iter().cloned().collect() };
        let told = api.get(jun, &path(room, 0)).await.ok();
        assert_eq!(types(told), ["room.changed", "room.changed", "message.sent"]);
        let told = api.get(mina, &path(room, 0)).await.ok();
        assert_eq!(types(told), ["room.created", "message.sent", "message.sent"]);
    }

    #[tokio::test]
    async fn an_event_that_cannot_be_read_is_a_change_without_data() {
        let api = Api::new();
        let [mina, jun, hana] = api.world.three();
        let room = api.world.group(100, &[mina, jun, hana]);
        api.world.garble(room);
        api.world.say(room, mina, "둘");
        let changes = api.get(jun, &path(room, 1)).await.ok();
        let garbled = &changes["items"][0];
        assert_eq!(
            (&garbled["type"], &garbled["data"]),
            (&json!("room.changed"), &json!({}))
        );
        assert_eq!(
            (&garbled["version"], &garbled["at"]),
            (&json!(2), &json!("2026-01-01T00:00:02.000Z"))
        );
        assert_eq!(changes["items"][1]["type"], "message.sent");
    }

    #[tokio::test]
    async fn more_than_a_thousand_are_too_far_behind() {
        let api = Api::new();
        let [mina, jun, hana] = api.world.three();
        let room = api.world.group(100, &[mina, jun, hana]);
        for _ in 0..1_000 {
            api.world.say(room, mina, "글");
        }
        let changes = api.get(jun, &path(room, 1)).await.ok();
        assert_eq!(
            (column(&changes, "version").len(), &changes["version"]),
            (1_000, &json!(1_001))
        );
        assert_eq!(api.get(jun, &path(room, 0)).await.refused(409), "too_far_behind");
        // The log alone knows of the one that the read model does not show yet.
        api.world.garble(room);
        assert_eq!(api.get(jun, &path(room, 1)).await.refused(409), "too_far_behind");
    }

    #[tokio::test]
    async fn a_version_is_needed() {
        let api = Api::new();
        let [mina, jun, hana] = api.world.three();
        let room = api.world.group(100, &[mina, jun, hana]);
        for query in [
            "",
            "?after_version=",
            "?after_version=x",
            "?after_version=-1",
            "?after=1",
        ] {
            api.get(mina, &format!("/v1/rooms/{room}/changes{query}"))
                .await
                .refused(422);
        }
    }

    #[tokio::test]
    async fn what_i_have_hidden_and_what_is_older_than_my_time_says_only_that_something_changed() {
        let api = Api::new();
        let [mina, jun, hana] = api.world.three();
        let dahee = api.world.person(4, "다희");
        let room = api.world.group(100, &[mina, jun, hana]);
        api.world.say(room, mina, "하나");
        api.world.invite(room, mina, &[dahee]);
        api.world.edit(room, Seq(2), "둘");
        api.world.react(room, mina, Seq(2), Some("👍"));
        api.world.hide_message(room, jun, Seq(2));
        api.world.only_admins_rename(room, mina);
        for (by, types) in [
            (hana, ["message.edited", "reaction.changed", "room.changed"]),
            (jun, ["room.changed"; 3]),
            (dahee, ["room.changed"; 3]),
        ] {
            let changes = api.get(by, &path(room, 3)).await.ok();
            assert_eq!(column(&changes, "type"), types);
            assert!(
                changes["items"][2]["data"]["settings"].is_object(),
                "settings are for everybody"
            );
        }
    }
}
