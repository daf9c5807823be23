//! What a command only reads, it reads as committed; what changes nothing is answered all the same.

use cocotalk_application::contract::support::stream_events;
use cocotalk_application::port::event_log::LogReader;
use cocotalk_domain::event::AnyEvent;
use cocotalk_domain::id::{RoomId, UserId};
use cocotalk_domain::seat::SeatEvent;
use cocotalk_domain::stream::StreamId;

use crate::stage::{Ground, command, events, invite, read, send, sent};
use crate::watched::Step;

/// Up to which item, and how many messages that is, each time.
async fn reads(log: &dyn LogReader, room_id: RoomId, user: UserId) -> Vec<(u64, u64)> {
    let events = stream_events(log, StreamId::Seat(room_id, user)).await;
    let advanced = events.into_iter().filter_map(|recorded| match recorded.event {
        Ok(AnyEvent::Seat(SeatEvent::ReadAdvanced(e))) => Some((e.read_seq.0, e.read_cnt.0)),
        Ok(_) | Err(_) => None,
    });
    advanced.collect()
}

/// And an own message moves it along without an event.
pub(crate) async fn beyond_the_newest_item_it_stops_there(fresh: impl AsyncFn() -> Ground) {
    let ground = fresh().await;
    let node = ground.node();
    let people = node.people(2).await;
    let room_id = node.group(&people).await;
    for _ in 0..3 {
        node.accepted(command(send(room_id, people[0]))).await;
    }
    node.accepted(command(read(room_id, people[1], u64::MAX))).await;
    assert_eq!(reads(&*ground.log, room_id, people[1]).await, [(4, 3)]);
    node.accepted(command(read(room_id, people[0], 1_000))).await;
    assert_eq!(reads(&*ground.log, room_id, people[0]).await, []);
}

/// It waits for the next batch.
pub(crate) async fn what_is_read_after_a_send_of_its_batch_is_committed(fresh: impl AsyncFn() -> Ground) {
    let ground = fresh().await;
    let node = ground.node();
    let people = node.people(3).await;
    let room_id = node.group(&people).await;
    let before = node.log.appends();
    let commands = vec![
        command(read(room_id, people[2], 1_000)),
        command(send(room_id, people[0])),
        command(read(room_id, people[1], 1_000)),
        command(send(room_id, people[0])),
        command(read(room_id, people[2], 1_000)),
    ];
    let outcomes = node.together(room_id, commands).await;
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    assert_eq!(
        node.log.appends() - before,
        3,
        "the door, the sends, the reads after them"
    );
    // Whoever came before the sends had nothing to read yet.
    assert_eq!(reads(&*ground.log, room_id, people[2]).await, [(3, 2)]);
    assert_eq!(reads(&*ground.log, room_id, people[1]).await, [(3, 2)]);
}

/// The send before it failed, so there is nothing new.
pub(crate) async fn what_was_not_written_is_not_read(fresh: impl AsyncFn() -> Ground) {
    let ground = fresh().await;
    let node = ground.node();
    let people = node.people(2).await;
    let room_id = node.group(&people).await;
    node.accepted(command(send(room_id, people[0]))).await;
    node.log.next([Step::Pass, Step::Fail]);
    let commands = vec![
        command(send(room_id, people[0])),
        command(read(room_id, people[1], 1_000)),
    ];
    let outcomes = node.together(room_id, commands).await;
    assert!(outcomes[0].is_err());
    assert!(outcomes[1].is_ok(), "{outcomes:?}");
    assert_eq!(reads(&*ground.log, room_id, people[1]).await, [(2, 1)]);
    assert_eq!(sent(&node.accepted(command(send(room_id, people[0]))).await).seq, 3);
}

/// Whoever waits for that sees what made it needless.
pub(crate) async fn what_changes_nothing_answers_with_the_heads(fresh: impl AsyncFn() -> Ground) {
    let ground = fresh().await;
    let node = ground.node();
    let people = node.people(2).await;
    let room_id = node.group(&people).await;
    node.accepted(command(send(room_id, people[0]))).await;
    node.accepted(command(read(room_id, people[1], 2))).await;
    let before = events(&*ground.log).await;
    let slice = StreamId::Room(room_id).slice();
    let head = ground.log.heads().await.expect("it can be read")[slice.index()];
    assert!(head >= 3);
    for needless in [
        command(read(room_id, people[1], 2)),
        command(read(room_id, people[1], 1)),
        command(invite(room_id, people[0], people[1])),
    ] {
        let accepted = node.accepted(needless).await;
        assert!(!accepted.replayed);
        assert!(accepted.position.places().contains(&(slice, head)), "{accepted:?}");
    }
    assert_eq!(events(&*ground.log).await, before);
    assert_eq!(node.log.locked(), 0, "nothing moved, so nothing is decided twice");
}
