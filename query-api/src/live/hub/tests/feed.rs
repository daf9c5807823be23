//! The feed may repeat, bring a suffix in another order, leave something out, and pause. Sockets are told none of that.

use std::pin::pin;

use cocotalk_application::port::event_log::RecordedEvent;
use proptest::prelude::*;

use super::*;
use crate::testing::world::{FEED, Fault, Part};

const DROPPED: &str = "cocotalk_live_dropped_events_total";
const HEALED: &str = "cocotalk_live_healed_events_total";

/// A group, its owner, and a member who is connected.
async fn group() -> (Node, RoomId, UserId, Told) {
    let world = Arc::new(World::default());
    let [mina, jun, hana] = world.three();
    let room = world.group(100, &[mina, jun, hana]);
    let node = Node::open(&world).await;
    let told = node.join(jun).await;
    (node, room, mina, told)
}

/// Some events that the feed has not brought.
fn some(node: &Node, room: RoomId, by: UserId, number: usize) -> Vec<Arc<RecordedEvent>> {
    for n in 0..number {
        node.world.say(room, by, &format!("글 {n}"));
    }
    node.world.withhold()
}

#[tokio::test(start_paused = true)]
async fn what_comes_again_is_told_once() {
    let (handle, _guard) = recorder();
    let (node, room, mina, mut told) = group().await;
    let events = some(&node, room, mina, 3);
    for again in [&events[..], &events[..], &events[1..], &events[..1]] {
        node.world.bring(again);
        tokio::task::yield_now().await;
    }
    node.has_told_all().await;
    node.world.say(room, mina, "끝");
    node.publish().await;
    assert_eq!(versions(&told.frames(), room), [2, 3, 4, 5]);
    assert_eq!((counted(&handle, DROPPED), counted(&handle, HEALED)), (6, 0));
}

#[tokio::test(start_paused = true)]
async fn what_comes_in_another_order_at_once_is_put_in_order_without_the_log() {
    let (handle, _guard) = recorder();
    let (node, room, mina, mut told) = group().await;
    let mut events = some(&node, room, mina, 4);
    events.reverse();
    node.world.fault(Part::Log, Some(Fault::Away));
    node.world.bring(&events[..2]);
    node.world.bring(&events[1..]);
    node.has_told_all().await;
    assert_eq!(versions(&told.frames(), room), [2, 3, 4, 5]);
    assert_eq!((counted(&handle, DROPPED), counted(&handle, HEALED)), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn what_comes_too_early_is_told_after_what_the_log_has_before_it() {
    let (handle, _guard) = recorder();
    let (node, room, mina, mut told) = group().await;
    let events = some(&node, room, mina, 3);
    node.world.bring(&events[2..]);
    node.has_told_all().await;
    node.world.bring(&events[..2]);
    node.world.say(room, mina, "끝");
    node.publish().await;
    assert_eq!(versions(&told.frames(), room), [2, 3, 4, 5]);
    assert_eq!((counted(&handle, DROPPED), counted(&handle, HEALED)), (2, 3));
}

#[tokio::test(start_paused = true)]
async fn only_the_slice_with_the_hole_is_read_from_the_log() {
    let (node, room, mina, mut told) = group().await;
    let events = some(&node, room, mina, 3);
    let before = node.world.statements_of(Part::Log);
    node.world.bring(&events[1..]);
    node.has_told_all().await;
    assert_eq!(versions(&told.frames(), room), [2, 3, 4]);
    assert_eq!(node.world.statements_of(Part::Log) - before, 1);
}

#[tokio::test(start_paused = true)]
async fn a_listener_that_fell_behind_catches_up_from_the_log() {
    let (handle, _guard) = recorder();
    let (node, room, mina, mut told) = group().await;
    let number = 3 * FEED;
    for event in some(&node, room, mina, number) {
        node.world.bring(&[event]);
    }
    node.has_told_all().await;
    let expected: Vec<u64> = (2..2 + number as u64).collect();
    assert_eq!(versions(&told.frames(), room), expected);
    assert!(counted(&handle, HEALED) >= 2 * FEED as u64);
}

#[tokio::test(start_paused = true)]
async fn a_feed_that_pauses_goes_on_where_it_was() {
    let (node, room, mina, mut told) = group().await;
    let missed = some(&node, room, mina, 2);
    tokio::time::sleep(Duration::from_mins(2)).await;
    assert_eq!(versions(&told.frames(), room), [0; 0], "the log alone has them");
    node.world.bring(&missed);
    node.has_told_all().await;
    assert_eq!(versions(&told.frames(), room), [2, 3]);
}

#[tokio::test(start_paused = true)]
async fn what_the_log_does_not_have_is_not_told() {
    let (node, room, mina, mut told) = group().await;
    let events = some(&node, room, mina, 1);
    let forged = RecordedEvent {
        slice_pos: events[0].slice_pos + 5,
        ..(*events[0]).clone()
    };
    node.world.bring(&[Arc::new(forged)]);
    node.has_told_all().await;
    assert_eq!(versions(&told.frames(), room), [2], "what it has up to there");
    node.world.say(room, mina, "끝");
    node.publish().await;
    assert_eq!(versions(&told.frames(), room), [3]);
}

fn heartbeats(told: &mut Told) -> Vec<String> {
    let outgoing = std::iter::from_fn(|| told.outbox.try_recv().ok());
    let beats = outgoing.filter_map(|outgoing| match outgoing {
        Outgoing::Heartbeat(frame) => Some(parse(&frame)["cursor"].as_str().unwrap().to_owned()),
        Outgoing::Frames(_) | Outgoing::Frame(_) | Outgoing::Reconnect => None,
    });
    beats.collect()
}

#[tokio::test(start_paused = true)]
async fn while_a_hole_cannot_be_filled_hearts_beat_sockets_wait_and_nothing_is_skipped() {
    for fault in [Fault::Away, Fault::Silent] {
        let (node, room, mina, mut told) = group().await;
        let before = Cursor(node.world.heads()).to_string();
        let events = some(&node, room, mina, 3);
        node.world.fault(Part::Log, Some(fault));
        node.world.bring(&events[2..]);
        tokio::time::sleep(Duration::from_mins(2)).await;
        let beats = heartbeats(&mut told);
        assert!((3..=5).contains(&beats.len()), "{fault:?}: {} beats", beats.len());
        assert!(beats.iter().all(|cursor| *cursor == before), "{fault:?}");
        assert_eq!(versions(&told.frames(), room), [0; 0], "{fault:?}");
        // Whoever comes now is told to come back: the read model shows what cannot be told.
        let refused = ends(node.hub.join(mina, None)).await;
        assert!(matches!(refused, Err(JoinError::FeedBehind)), "{fault:?}");
        if fault == Fault::Away {
            node.world.fault(Part::Log, None);
            node.has_told_all().await;
            assert_eq!(versions(&told.frames(), room), [2, 3, 4]);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn while_keys_cannot_be_had_nothing_is_told_and_then_everything() {
    let (node, room, mina, mut told) = group().await;
    node.world.fault(Part::Keys, Some(Fault::Away));
    node.world.say(room, mina, "하나");
    node.world.publish();
    node.world.say(room, mina, "둘");
    node.world.publish();
    tokio::time::sleep(Duration::from_mins(1)).await;
    assert_eq!(told.types(room), [""; 0]);
    node.world.fault(Part::Keys, None);
    node.has_told_all().await;
    let texts: Vec<Value> = told
        .frames()
        .iter()
        .map(|frame| frame["data"]["text"].clone())
        .collect();
    assert_eq!(texts, ["하나", "둘"]);
}

#[tokio::test(start_paused = true)]
async fn a_hub_that_waits_for_the_log_can_be_stopped() {
    for (part, fault) in [
        (Part::Log, Fault::Away),
        (Part::Log, Fault::Silent),
        (Part::Keys, Fault::Away),
    ] {
        let (node, room, mina, mut told) = group().await;
        let events = some(&node, room, mina, 2);
        node.world.fault(part, Some(fault));
        node.world.bring(&events[1..]);
        tokio::time::sleep(Duration::from_secs(10)).await;
        node.stop.cancel();
        node.tasks.close();
        ends(node.tasks.wait()).await;
        let outgoing = std::iter::from_fn(|| told.outbox.try_recv().ok());
        assert!(matches!(outgoing.last(), Some(Outgoing::Reconnect)), "{part:?}");
        let refused = node.hub.join(mina, None).await;
        assert!(refused.is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However the feed repeats, reorders and leaves out: each room's versions are told once, in order, without a hole.
    #[test]
    fn whatever_the_feed_does_every_event_is_told_once_and_in_order(
        speakers in proptest::collection::vec(0..3_usize, 1..30),
        brought in proptest::collection::vec((any::<prop::sample::Index>(), 1..6_usize, any::<bool>()), 0..20),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let world = Arc::new(World::default());
            let people = world.three();
            let rooms = [world.group(100, &people), world.direct(people[0], people[1]), world.group(102, &people)];
            let node = Node::open(&world).await;
            let mut told = node.join(people[1]).await;
            for room in &speakers {
                world.say(rooms[*room], people[0], "글");
            }
            let events = world.withhold();
            for (from, number, pause) in &brought {
                let from = from.index(events.len());
                let mut some = events[from..events.len().min(from + number)].to_vec();
                some.reverse();
                world.bring(&some);
                if *pause {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
            world.bring(&events);
            node.has_told_all().await;
            let frames = told.frames();
            for (index, room) in rooms.iter().enumerate() {
                let said = speakers.iter().filter(|speaker| **speaker == index).count() as u64;
                assert_eq!(versions(&frames, *room), (2..2 + said).collect::<Vec<u64>>());
            }
        });
    }
}

#[tokio::test(start_paused = true)]
async fn a_join_goes_on_while_a_hole_is_waited_for_if_the_read_model_shows_no_more() {
    let (node, room, mina, _told) = group().await;
    node.world.hold();
    let events = some(&node, room, mina, 2);
    node.world.fault(Part::Log, Some(Fault::Away));
    node.world.bring(&events[1..]);
    let mut told = pin!(node.join(mina));
    let mut told = ends(&mut told).await;
    node.world.fault(Part::Log, None);
    node.has_told_all().await;
    assert_eq!(versions(&told.frames(), room), [2, 3]);
}
