//! Frames as clients are told them.

use std::collections::BTreeSet;
use std::sync::Arc;

use cocotalk_application::sealing::Sealing;
use cocotalk_domain::stream::StreamId;
use serde_json::{Value, json};

use super::*;
use crate::testing::{Api, NOW, World};

/// Every event of a stream as it is told.
async fn told(world: &Arc<World>, stream: StreamId) -> Vec<Option<Told>> {
    let events = world.events(stream);
    let keys = Sealing::new(Arc::<World>::clone(world));
    let keys = keys.keys(events.iter().flat_map(subjects_of)).await.unwrap();
    events
        .iter()
        .map(|event| frame_of(event, &Gone::default(), &keys))
        .collect()
}

async fn last(world: &Arc<World>, stream: StreamId) -> Told {
    told(world, stream).await.pop().unwrap().unwrap()
}

fn json_of(frame: &Frame) -> Value {
    serde_json::to_value(frame).unwrap()
}

#[tokio::test]
async fn a_message_is_told_as_the_item_that_history_shows() {
    let api = Api::new();
    let [mina, jun, hana] = api.world.three();
    let room = api.world.group(100, &[mina, jun, hana]);
    api.world.say(room, mina, &"점심 ".repeat(50));
    api.world.say_about(room, jun, "냉면", Some(Seq(2)));
    let frames = told(&api.world, StreamId::Room(room)).await;
    let history = api.get(hana, &format!("/v1/rooms/{room}/messages")).await.ok();
    let shown = json_of(frames[2].as_ref().unwrap().whole());
    assert_eq!(shown["data"], history["items"][2]);
}

#[tokio::test]
async fn the_author_is_not_counted_and_nobody_beyond_99() {
    let world = Arc::new(World::default());
    let people: Vec<UserId> = (1..=102).map(|n| world.person(n, "친구")).collect();
    let (large, alone) = (world.group(100, &people), world.direct(people[0], people[0]));
    for (room, number) in [(large, 99), (alone, 0)] {
        world.say(room, people[0], "안녕");
        let frame = json_of(last(&world, StreamId::Room(room)).await.whole());
        assert_eq!(frame["data"]["unread_member_count"], number);
    }
}

#[tokio::test]
async fn what_is_seen_follows_from_the_first_item_one_may_see() {
    let world = Arc::new(World::default());
    let [mina, jun, hana] = world.three();
    let room = world.group(100, &[mina, jun, hana]);
    for word in ["하나", "둘", "셋"] {
        world.say(room, mina, word);
    }
    world.say_about(room, jun, "응", Some(Seq(3)));
    let told = last(&world, StreamId::Room(room)).await;
    let sights = [3, 4, 5, 6].map(|first_seq| told.sight(Seq(first_seq).into()));
    assert_eq!(
        sights,
        [
            Sight::Whole,
            Sight::WithoutAnswered,
            Sight::WithoutAnswered,
            Sight::Version
        ]
    );
    assert_eq!(told.render(Sight::Whole), *told.whole());

    let mut whole = json_of(told.whole());
    let partly = json_of(&told.render(Sight::WithoutAnswered));
    whole["data"]["reply_to"] = json!({"seq": 3});
    assert_eq!(partly, whole);
    let version = json_of(&told.render(Sight::Version));
    whole["data"] = json!({});
    whole["type"] = json!("room.changed");
    assert_eq!(version, whole);
}

#[tokio::test]
async fn a_message_without_an_answer_has_two_renderings() {
    let world = Arc::new(World::default());
    let [mina, jun, _] = world.three();
    let room = world.direct(mina, jun);
    world.say(room, mina, "하나");
    let told = last(&world, StreamId::Room(room)).await;
    assert_eq!(
        (told.sight(Seq(1).into()), told.sight(Seq(2).into())),
        (Sight::Whole, Sight::Version)
    );
}

#[tokio::test]
async fn the_beginning_of_a_direct_room_has_no_line() {
    let world = Arc::new(World::default());
    let [mina, jun, _] = world.three();
    let room = world.direct(mina, jun);
    let told = last(&world, StreamId::Room(room)).await;
    let frame = json_of(told.whole());
    assert_eq!(frame["data"], json!({"kind": "direct", "user_ids": [mina, jun]}));
    assert_eq!(
        (told.sight(Seq(1).into()), told.sight(Seq(2).into())),
        (Sight::Whole, Sight::Version)
    );
}

#[tokio::test]
async fn the_last_leave_closes_the_room() {
    let world = Arc::new(World::default());
    let people = world.three();
    let room = world.group(100, &people);
    for person in people {
        world.leave(room, person);
    }
    let frame = json_of(last(&world, StreamId::Room(room)).await.whole());
    assert_eq!((&frame["type"], &frame["data"]), (&json!("room.closed"), &json!({})));
}

#[tokio::test]
async fn what_happens_to_a_seat_has_no_version() {
    let world = Arc::new(World::default());
    let [mina, jun, _] = world.three();
    let room = world.direct(mina, jun);
    world.say(room, mina, "안녕");
    world.read(room, jun, 1);
    world.prefer(room, jun, NOW, "우리끼리");
    world.hide(room, jun);
    let frames = told(&world, StreamId::Seat(room, jun)).await;
    let frames: Vec<Value> = frames
        .iter()
        .map(|told| json_of(told.as_ref().unwrap().whole()))
        .collect();
    assert!(
        frames
            .iter()
            .all(|frame| frame.get("version").is_none() && frame["room_id"] == json!(room))
    );
    let told: Vec<(&Value, &Value)> = frames.iter().map(|frame| (&frame["type"], &frame["data"])).collect();
    let preferences = json!({"muted_until": NOW, "pinned": true, "alias": "우리끼리"});
    assert_eq!(
        told,
        [
            (
                &json!("read.advanced"),
                &json!({"reads": [{"user_id": jun, "read_seq": 1}]})
            ),
            (&json!("seat.changed"), &json!({"preferences": preferences})),
            (&json!("seat.changed"), &json!({})),
        ]
    );
}

#[tokio::test]
async fn several_marks_are_one_frame() {
    let world = Arc::new(World::default());
    let [mina, jun, _] = world.three();
    let room = world.direct(mina, jun);
    world.say(room, mina, "안녕");
    world.read(room, jun, 1);
    let one = last(&world, StreamId::Seat(room, jun)).await;
    let reads = vec![MemberRead {
        user_id: jun,
        read_seq: Seq(1),
    }];
    let whole = one.whole();
    let newest = world.events(StreamId::Seat(room, jun)).pop().unwrap();
    assert_eq!(read_advanced(&newest, room, whole.at, reads), *whole);
}

#[tokio::test]
async fn the_trace_that_a_request_brought_along_is_shown_to_whom_the_frame_is_for() {
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let world = Arc::new(World::default());
    let [mina, jun, _] = world.three();
    let room = world.direct(mina, jun);
    world.say(room, mina, "하나");
    let untraced = last(&world, StreamId::Room(room)).await;
    assert_eq!(json_of(untraced.whole()).get("traceparent"), None);
    world.trace(trace);
    world.say(room, mina, "둘");
    let told = last(&world, StreamId::Room(room)).await;
    assert_eq!(json_of(told.whole())["traceparent"], trace);
    assert_eq!(json_of(&told.render(Sight::Version)).get("traceparent"), None);
    world.read(room, jun, 2);
    let read = last(&world, StreamId::Seat(room, jun)).await;
    assert_eq!(json_of(read.whole())["traceparent"], trace);
    world.trace("00-nonsense");
    world.say(room, mina, "셋");
    let told = last(&world, StreamId::Room(room)).await;
    assert_eq!(json_of(told.whole()).get("traceparent"), None);
}

#[tokio::test]
async fn only_the_keys_that_a_frame_needs_are_asked_for() {
    let world = Arc::new(World::default());
    let [mina, jun, hana] = world.three();
    let room = world.group(100, &[mina, jun, hana]);
    world.say(room, mina, "하나");
    world.say_about(room, jun, "둘", Some(Seq(2)));
    world.rename(room, hana, "이름");
    world.prefer(room, hana, NOW, "우리끼리");
    let mut events = world.events(StreamId::Room(room));
    events.extend(world.events(StreamId::Seat(room, hana)));
    let subjects: Vec<Vec<UserId>> = events.iter().map(|event| subjects_of(event).collect()).collect();
    assert_eq!(subjects, [vec![], vec![mina], vec![jun, mina], vec![], vec![hana]]);
}

#[tokio::test]
async fn a_message_of_somebody_erased_has_no_words() {
    let world = Arc::new(World::default());
    let [mina, jun, _] = world.three();
    let room = world.direct(mina, jun);
    world.say(room, mina, "내 비밀");
    world.forget(mina);
    let frame = json_of(last(&world, StreamId::Room(room)).await.whole());
    assert_eq!((frame["data"].get("text"), &frame["data"]["seq"]), (None, &json!(1)));
}

#[tokio::test]
async fn an_edit_and_a_deletion_are_told_as_the_item_after_them() {
    let api = Api::new();
    let [mina, jun, hana] = api.world.three();
    let room = api.world.group(100, &[mina, jun, hana]);
    api.world.say(room, mina, "점심 뭐 먹지?");
    api.world.say_about(room, jun, "냉면", Some(Seq(2)));
    api.world.react(room, hana, Seq(3), Some("👍"));
    api.world.edit(room, Seq(3), "비빔냉면");
    let edited = json_of(last(&api.world, StreamId::Room(room)).await.whole());
    let shown = async || {
        let mut items = api.get(mina, &format!("/v1/rooms/{room}/messages")).await.ok();
        let mut item = items["items"][2].take();
        for reaction in item["reactions"].as_array_mut().unwrap() {
            reaction.as_object_mut().unwrap().remove("mine");
        }
        item
    };
    assert_eq!(
        (&edited["type"], &edited["data"]),
        (&json!("message.edited"), &shown().await)
    );
    api.world.delete(room, Seq(3));
    let deleted = json_of(last(&api.world, StreamId::Room(room)).await.whole());
    assert_eq!(
        (&deleted["type"], &deleted["data"]),
        (&json!("message.deleted"), &shown().await)
    );
}

#[tokio::test]
async fn a_reaction_is_told_with_what_it_comes_to() {
    let world = Arc::new(World::default());
    let [mina, jun, _] = world.three();
    let room = world.direct(mina, jun);
    world.say(room, mina, "어때?");
    world.react(room, jun, Seq(1), Some("👍"));
    let told = last(&world, StreamId::Room(room)).await;
    let frame = json_of(told.whole());
    assert_eq!(frame["type"], "reaction.changed");
    assert_eq!(
        (
            &frame["data"]["emoji"],
            &frame["data"]["user_id"],
            &frame["data"]["reactions"]
        ),
        (&json!("👍"), &json!(jun), &json!([{"emoji": "👍", "count": 1}]))
    );
    world.react(room, jun, Seq(1), None);
    let frame = json_of(last(&world, StreamId::Room(room)).await.whole());
    assert_eq!(
        (&frame["data"]["emoji"], &frame["data"]["reactions"]),
        (&Value::Null, &json!([]))
    );
}

#[tokio::test]
async fn what_somebody_has_hidden_is_not_told_to_them() {
    let world = Arc::new(World::default());
    let [mina, jun, hana] = world.three();
    let room = world.group(100, &[mina, jun, hana]);
    world.say(room, mina, "하나");
    world.say_about(room, jun, "둘", Some(Seq(2)));
    world.edit(room, Seq(2), "셋");
    world.react(room, jun, Seq(2), Some("👍"));
    let hidden = BTreeSet::from([Seq(2)]);
    let told = told(&world, StreamId::Room(room)).await;
    let viewer = Viewer::new(Seq(1), Some(&hidden));
    let sights: Vec<Sight> = told.iter().flatten().map(|told| told.sight(viewer)).collect();
    assert_eq!(
        sights,
        [
            Sight::Whole,
            Sight::Version,
            Sight::WithoutAnswered,
            Sight::Version,
            Sight::Version
        ]
    );
    let lines: Vec<Option<Seq>> = told.iter().flatten().map(Told::line_seq).collect();
    assert_eq!(lines, [Some(Seq(1)), Some(Seq(2)), Some(Seq(3)), None, None]);
}

#[tokio::test]
async fn what_is_gone_has_no_words_wherever_it_was_said() {
    let world = Arc::new(World::default());
    let [mina, jun, hana] = world.three();
    let room = world.group(100, &[mina, jun, hana]);
    world.say(room, mina, "비밀");
    world.edit(room, Seq(2), "더한 비밀");
    world.say_about(room, jun, "뭐?", Some(Seq(2)));
    world.delete(room, Seq(2));
    let events = world.events(StreamId::Room(room));
    let keys = Sealing::new(Arc::<World>::clone(&world));
    let keys = keys.keys(events.iter().flat_map(subjects_of)).await.unwrap();
    let gone = Gone::of(&events);
    let told = events.iter().filter_map(|event| frame_of(event, &gone, &keys));
    let frames: Vec<Value> = told.map(|told| json_of(told.whole())).collect();
    assert!(!json!(frames).to_string().contains("비밀"));
    assert!(frames[1..3].iter().all(|frame| frame["data"]["deleted"] == true));
    assert_eq!(frames[3]["data"]["text"], "뭐?");
    assert_eq!(frames[3]["data"]["reply_to"]["deleted"], true);
}
