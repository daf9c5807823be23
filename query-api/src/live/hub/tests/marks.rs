//! What is left to read is told as it is at the mark's own place in the log, wherever the read model is.

use cocotalk_application::port::event_log::RecordedEvent;
use cocotalk_domain::event::AnyEvent;
use cocotalk_domain::room::RoomEvent;
use cocotalk_domain::stream::StreamId;
use proptest::prelude::*;
use serde_json::json;
use tokio::time::Instant;

use super::super::super::marks::mark_of;
use super::*;
use crate::testing::world::{Fault, Part};

/// A group in which three messages were said before the hub opened, and Jun with a socket.
async fn quiet_group() -> (Node, RoomId, [UserId; 2], Told) {
    let world = Arc::new(World::default());
    let [mina, jun, hana] = world.three();
    let room = world.group(100, &[mina, jun, hana]);
    for text in ["하나", "둘", "셋"] {
        world.say(room, mina, text);
    }
    let node = Node::open(&world).await;
    let told = node.join(jun).await;
    (node, room, [mina, jun], told)
}

/// The read positions and numbers that a socket was told.
fn numbers(frames: &[Value]) -> Vec<(u64, u64)> {
    let own = frames.iter().filter(|frame| frame["type"] == "unread.changed");
    let number = |frame: &Value| {
        let data = &frame["data"];
        (
            data["read_seq"].as_u64().unwrap(),
            data["unread_count"].as_u64().unwrap(),
        )
    };
    own.map(number).collect()
}

#[tokio::test(start_paused = true)]
async fn messages_that_are_told_and_not_projected_count() {
    let (node, room, [mina, jun], mut told) = quiet_group().await;
    node.world.hold();
    node.world.say(room, mina, "넷");
    node.publish().await;
    node.world.read(room, jun, 3);
    node.publish().await;
    assert_eq!(numbers(&told.frames()), [(3, 2)]);
    // All in one commit.
    node.world.say(room, mina, "다섯");
    node.world.read(room, jun, 4);
    node.world.say(room, mina, "여섯");
    node.publish().await;
    assert_eq!(numbers(&told.frames()), [(4, 2)]);
}

#[tokio::test(start_paused = true)]
async fn messages_that_are_projected_and_not_told_do_not_count() {
    let (node, room, [mina, jun], mut told) = quiet_group().await;
    node.world.read(room, jun, 3);
    let mark = node.world.withhold();
    node.world.say(room, mina, "넷");
    node.world.say(room, mina, "다섯");
    node.world.bring(&mark);
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(numbers(&told.frames()), [(3, 1)], "what comes after it adds to that");
    node.publish().await;
    assert_eq!(told.types(room), ["message.sent", "message.sent"]);
}

#[tokio::test(start_paused = true)]
async fn in_a_quiet_room_what_the_row_does_not_show_yet_is_found_in_the_log() {
    let world = Arc::new(World::default());
    let [mina, jun, hana] = world.three();
    let room = world.group(100, &[mina, jun, hana]);
    world.hold();
    world.say(room, mina, "하나");
    world.rename(room, mina, "이름");
    world.say(room, mina, "둘");
    world.only_admins_rename(room, mina);
    let node = Node::open(&world).await;
    world.release();
    let mut told = node.join(jun).await;
    world.hold();
    // As if it had not come far yet when the hub opened.
    world.show_past(room, 1);
    world.read(room, jun, 2);
    node.publish().await;
    assert_eq!(numbers(&told.frames()), [(2, 1)]);
    world.show_past(room, 0);
    world.read(room, jun, 3);
    node.publish().await;
    assert_eq!(numbers(&told.frames()), [(3, 1)], "there is no row at all");
}

#[tokio::test(start_paused = true)]
async fn a_number_that_cannot_be_known_is_not_told() {
    let (node, room, [mina, jun], mut told) = quiet_group().await;
    node.world.read(room, jun, 2);
    let mark = node.world.withhold();
    for _ in 0..150 {
        node.world.say(room, mina, "글");
    }
    node.world.bring(&mark);
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(
        told.types(room),
        ["read.advanced"],
        "the row is too new to be looked behind"
    );
}

#[tokio::test(start_paused = true)]
async fn live_sockets_do_not_wait_for_a_number() {
    for fault in [Fault::Away, Fault::Silent] {
        let (node, room, [mina, jun], mut told) = quiet_group().await;
        node.world.fault(Part::Model, Some(fault));
        let since = Instant::now();
        node.world.read(room, jun, 2);
        node.publish().await;
        assert!(
            since.elapsed() <= Duration::from_millis(250),
            "{fault:?}: {:?}",
            since.elapsed()
        );
        assert_eq!(told.types(room), ["read.advanced"], "{fault:?}");
        let since = Instant::now();
        node.world.read(room, jun, 3);
        node.publish().await;
        assert_eq!(
            since.elapsed(),
            Duration::ZERO,
            "{fault:?}: it is left alone for a moment"
        );
        assert_eq!(told.types(room), ["read.advanced"], "{fault:?}");
        // Where events say it, nobody is asked.
        node.world.say(room, mina, "넷");
        node.world.read(room, jun, 4);
        node.publish().await;
        assert_eq!(numbers(&told.frames()), [(4, 1)], "{fault:?}");
        node.world.fault(Part::Model, None);
    }
}

#[tokio::test(start_paused = true)]
async fn without_the_log_the_row_is_believed() {
    let (node, room, [_, jun], mut told) = quiet_group().await;
    node.world.fault(Part::Log, Some(Fault::Away));
    node.world.read(room, jun, 2);
    node.publish().await;
    assert_eq!(numbers(&told.frames()), [(2, 2)]);
}

#[tokio::test(start_paused = true)]
async fn a_room_in_which_something_happens_costs_no_question() {
    let (node, room, [mina, jun], mut told) = quiet_group().await;
    node.world.say(room, mina, "넷");
    node.publish().await;
    node.world.statements();
    for seq in 2..=5 {
        node.world.read(room, jun, seq);
        node.publish().await;
    }
    assert_eq!(numbers(&told.frames()), [(2, 3), (3, 2), (4, 1), (5, 0)]);
    assert_eq!(node.world.statements(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_hidden_from_me_is_not_left_to_read() {
    let world = Arc::new(World::default());
    let [mina, jun, _] = world.three();
    let room = world.direct(mina, jun);
    for text in ["하나", "둘", "셋"] {
        world.say(room, mina, text);
    }
    world.hide(room, jun);
    world.say(room, mina, "넷");
    let node = Node::open(&world).await;
    let mut told = node.join(jun).await;
    world.read(room, jun, 1);
    node.publish().await;
    assert_eq!(numbers(&told.frames()), [(1, 1)], "the floor is in the row");
    world.hold();
    world.hide(room, jun);
    world.say(room, mina, "다섯");
    world.read(room, jun, 2);
    node.publish().await;
    assert_eq!(numbers(&told.frames()), [(2, 1)], "the floor is in an event");
}

#[tokio::test(start_paused = true)]
async fn whether_a_room_is_told_of_marks_follows_from_its_events() {
    let world = Arc::new(World::default());
    let people: Vec<UserId> = (1..=101).map(|n| world.person(n, "친구")).collect();
    let room = world.group(500, &people[..100]);
    let node = Node::open(&world).await;
    let mut told = node.join(people[1]).await;
    world.hold();
    world.say(room, people[0], "안녕");
    world.read(room, people[2], 2);
    node.publish().await;
    assert_eq!(told.types(room), ["message.sent", "read.advanced"]);
    world.invite(room, people[0], &people[100..]);
    world.read(room, people[3], 2);
    node.publish().await;
    assert_eq!(told.types(room), ["member.joined"], "with 101 nobody is told");
    world.leave(room, people[100]);
    world.read(room, people[4], 2);
    node.publish().await;
    assert_eq!(told.types(room), ["member.left", "read.advanced"]);
}

#[tokio::test(start_paused = true)]
async fn marks_are_told_to_whoever_was_there_also_where_somebody_comes_or_goes_in_the_same_commit() {
    let (node, room, [mina, jun], mut stays) = quiet_group().await;
    let dahee = node.world.person(4, "다희");
    let mut comes = node.join(dahee).await;
    node.world.read(room, jun, 2);
    node.world.invite(room, mina, &[dahee]);
    node.world.read(room, jun, 3);
    node.publish().await;
    let all = ["read.advanced", "member.joined", "read.advanced"];
    assert_eq!(comes.types(room), all[1..], "the first mark was before their time");
    let of_room =
        |types: Vec<String>| -> Vec<String> { types.into_iter().filter(|kind| *kind != "unread.changed").collect() };
    assert_eq!(of_room(stays.types(room)), all);
    node.world.read(room, jun, 4);
    node.world.leave(room, dahee);
    node.publish().await;
    assert_eq!(comes.types(room), ["read.advanced", "member.left"]);
}

#[tokio::test(start_paused = true)]
async fn a_mark_before_a_leave_is_not_replayed_with_what_was_left_after_it() {
    let world = Arc::new(World::default());
    let [mina, jun, _] = world.three();
    let room = world.direct(mina, jun);
    for text in ["하나", "둘"] {
        world.say(room, mina, text);
    }
    let node = Node::open(&world).await;
    let cursor = node.join(jun).await.now.to_string();
    world.read(room, jun, 1);
    world.hide(room, jun);
    world.say(room, mina, "셋");
    world.say(room, mina, "넷");
    world.read(room, jun, 3);
    node.publish().await;
    let told = Told::of(node.hub.join(jun, Some(&cursor)).await.unwrap());
    assert_eq!(
        numbers(&told.missed),
        [(3, 1)],
        "of the first one nobody knows it any more"
    );
}

#[tokio::test(start_paused = true)]
async fn who_is_replayed_gets_the_numbers_of_then() {
    let (node, room, [mina, jun], told) = quiet_group().await;
    let cursor = told.cursor.to_string();
    node.world.read(room, jun, 2);
    node.world.say(room, mina, "넷");
    node.world.read(room, jun, 3);
    node.world.say(room, mina, "다섯");
    node.publish().await;
    for _ in 0..2 {
        let told = Told::of(node.hub.join(jun, Some(&cursor)).await.unwrap());
        assert_eq!(numbers(&told.missed), [(2, 2), (3, 2)]);
        // It does not depend on where the read model is meanwhile.
        node.world.hold();
        node.world.show_past(room, 4);
    }
}

/// What a person has not read of a room at a place of its slice, recounted from the log.
fn recounted(events: &[Arc<RecordedEvent>], room: RoomId, mark: &RecordedEvent) -> (u64, u64) {
    let read_seq = mark_of(mark).unwrap().read_seq;
    let sent = events.iter().filter_map(|event| match &event.event {
        Ok(AnyEvent::Room(RoomEvent::MessageSent(sent))) if event.stream == StreamId::Room(room) => Some((event, sent)),
        _ => None,
    });
    let unread = sent.filter(|(event, sent)| event.slice_pos < mark.slice_pos && sent.seq > read_seq);
    (read_seq.0, unread.count() as u64)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is said, read, projected and told in which order: every number is that of a recount at its place.
    #[test]
    fn every_number_equals_a_recount(
        before in 0..4_usize,
        steps in proptest::collection::vec((0..6_u8, 0..3_usize), 1..25),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let world = Arc::new(World::default());
            let [mina, jun, hana] = world.three();
            let room = world.group(100, &[mina, jun, hana]);
            let mut seq = 1;
            let say = |seq: &mut u64| {
                *seq = world.say(room, mina, "글").0;
            };
            (0..before).for_each(|_| say(&mut seq));
            let node = Node::open(&world).await;
            let mut told = node.join(jun).await;
            let (mut events, mut unpublished, mut read) = (Vec::new(), Vec::new(), 1);
            for (step, brought) in steps {
                match step {
                    0 | 1 => say(&mut seq),
                    2 if read < seq => {
                        read += 1;
                        world.read(room, jun, read);
                    }
                    2 => {}
                    3 => world.hold(),
                    4 => world.release(),
                    _ => world.only_admins_rename(room, mina),
                }
                unpublished.extend(world.withhold());
                let brought: Vec<_> = unpublished.drain(..unpublished.len().min(brought)).collect();
                world.bring(&brought);
                events.extend(brought);
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            world.bring(&unpublished);
            events.append(&mut unpublished);
            node.has_told_all().await;
            let all = world.events(StreamId::Room(room)).into_iter().map(Arc::new).collect::<Vec<_>>();
            let marks = events.iter().filter(|event| mark_of(event).is_some());
            let expected: Vec<(u64, u64)> = marks.map(|mark| recounted(&all, room, mark)).collect();
            assert_eq!(numbers(&told.frames()), expected);
        });
    }
}

#[tokio::test(start_paused = true)]
async fn the_socket_that_marked_is_told_no_number_and_the_others_are() {
    let (node, room, [_, jun], mut first) = quiet_group().await;
    let mut second = node.join(jun).await;
    let command = CommandId::from_u128(77);
    node.hub.remember(command, first.id);
    node.world.command(command);
    node.world.read(room, jun, 4);
    node.publish().await;
    assert_eq!(numbers(&first.frames()), []);
    let frames = second.frames();
    assert_eq!(numbers(&frames), [(4, 0)]);
    assert_eq!(frames[1]["data"]["reads"], json!([{"user_id": jun, "read_seq": 4}]));
}

#[tokio::test(start_paused = true)]
async fn who_comes_while_a_mark_is_made_ready_is_told_its_number() {
    let (node, room, [mina, jun], told) = quiet_group().await;
    node.hub.leave(told.id);
    let _stays = node.join(mina).await;
    node.world.hold();
    node.world.fault(Part::Keys, Some(Fault::Away));
    node.world.say(room, mina, "넷");
    node.world.read(room, jun, 4);
    node.world.publish();
    tokio::time::sleep(A_WHILE).await;
    let mut told = node.join(jun).await;
    node.world.fault(Part::Keys, None);
    node.has_told_all().await;
    assert_eq!(numbers(&told.frames()), [(4, 1)]);
}
