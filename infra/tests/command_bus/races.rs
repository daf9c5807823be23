//! Decisions on a state that somebody else makes old, or that never came to be.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use cocotalk_application::command_bus::CommandError;
use cocotalk_application::contract::support::{at, stream_events};
use cocotalk_application::position::Position;
use cocotalk_application::use_case::open_direct::OpenDirect;
use cocotalk_domain::event::AnyEvent;
use cocotalk_domain::id::RoomId;
use cocotalk_domain::seat::SeatEvent;
use cocotalk_domain::stream::StreamId;

use crate::stage::{Ground, command, events, invite, leave, read, send, sent};
use crate::watched::Step;

/// A person reads here what was said there; how far they have read is what they saw.
pub(crate) async fn what_is_read_beside_is_the_newest(fresh: impl AsyncFn() -> Ground) {
    let ground = fresh().await;
    let (here, there) = (ground.node(), ground.node());
    let people = here.people(2).await;
    let room_id = here.group(&people).await;
    here.accepted(command(send(room_id, people[0]))).await;
    for _ in 0..3 {
        there.accepted(command(send(room_id, people[0]))).await;
    }
    here.accepted(command(read(room_id, people[1], 5))).await;
    let seat = stream_events(&*ground.log, StreamId::Seat(room_id, people[1])).await;
    let read_seqs: Vec<u64> = seat
        .iter()
        .filter_map(|recorded| match &recorded.event {
            Ok(AnyEvent::Seat(SeatEvent::ReadAdvanced(e))) => Some(e.read_seq.0),
            Ok(_) | Err(_) => None,
        })
        .collect();
    assert_eq!(read_seqs, [5]);
}

/// The room is only read, but it is read as committed.
pub(crate) async fn whoever_left_elsewhere_does_nothing_to_their_seat(fresh: impl AsyncFn() -> Ground) {
    let ground = fresh().await;
    let (here, there) = (ground.node(), ground.node());
    let people = here.people(3).await;
    let room_id = here.group(&people).await;
    here.accepted(command(send(room_id, people[0]))).await;
    there.accepted(command(leave(room_id, people[1]))).await;
    let before = events(&*ground.log).await;
    let word = here.refused(command(read(room_id, people[1], 2))).await;
    assert_eq!(word, "room_not_found");
    assert_eq!(events(&*ground.log).await, before);
}

/// What was there when they left stays hidden.
pub(crate) async fn leaving_a_direct_room_hides_what_was_said_elsewhere(fresh: impl AsyncFn() -> Ground) {
    let ground = fresh().await;
    let (here, there) = (ground.node(), ground.node());
    let people = here.people(2).await;
    let room_id = RoomId::direct(people[0], people[1]);
    here.accepted(command(OpenDirect::new(people[0], people[1], at(1))))
        .await;
    here.accepted(command(send(room_id, people[1]))).await;
    let newest = sent(&there.accepted(command(send(room_id, people[1]))).await).seq;
    here.accepted(command(leave(room_id, people[0]))).await;
    let seat = stream_events(&*ground.log, StreamId::Seat(room_id, people[0])).await;
    let [Ok(AnyEvent::Seat(SeatEvent::FloorRaised(raised)))] =
        &seat.iter().map(|e| e.event.clone()).collect::<Vec<_>>()[..]
    else {
        panic!("the floor is raised once, not {seat:?}");
    };
    assert_eq!(raised.floor_seq.0, newest + 1);
}

/// They left in a batch that failed, while somebody else wrote as many events as it had: they are a member.
pub(crate) async fn a_refusal_on_a_state_that_never_was_is_none(fresh: impl AsyncFn() -> Ground) {
    let ground = fresh().await;
    let (here, there) = (ground.node(), Arc::new(ground.node()));
    let people = here.people(3).await;
    let room_id = here.group(&people).await;
    here.accepted(command(send(room_id, people[0]))).await;
    let (other, author) = (Arc::clone(&there), people[0]);
    let meanwhile = async move {
        other.accepted(command(send(room_id, author))).await;
    };
    // The door, then the batch: somebody is faster, and the lock that would set it right is not to be had.
    here.log.next([Step::Pass, Step::After(Box::pin(meanwhile))]);
    here.log.lock_failures.store(1, Ordering::Release);
    let outcomes = here
        .together(
            room_id,
            vec![command(leave(room_id, people[1])), command(send(room_id, people[1]))],
        )
        .await;
    assert!(matches!(outcomes[0], Err(CommandError::Unavailable(_))), "{outcomes:?}");
    assert!(outcomes[1].is_ok(), "a member is refused: {outcomes:?}");
}

/// The invitation that made the second one needless was itself refused.
pub(crate) async fn nothing_to_do_on_a_state_that_never_was_is_none(fresh: impl AsyncFn() -> Ground) {
    let ground = fresh().await;
    let (here, there) = (ground.node(), Arc::new(ground.node()));
    let people = here.people(4).await;
    let room_id = here.group(&people[..3]).await;
    here.accepted(command(send(room_id, people[0]))).await;
    let (other, gone) = (Arc::clone(&there), people[1]);
    let meanwhile = async move {
        other.accepted(command(leave(room_id, gone))).await;
    };
    here.log.next([Step::Pass, Step::After(Box::pin(meanwhile))]);
    let outcomes = here
        .together(
            room_id,
            vec![
                command(invite(room_id, people[1], people[3])),
                command(invite(room_id, people[2], people[3])),
            ],
        )
        .await;
    assert!(matches!(outcomes[0], Err(CommandError::Refused(_))), "{outcomes:?}");
    assert!(outcomes[1].is_ok(), "{outcomes:?}");
    here.accepted(command(send(room_id, people[3]))).await;
}

/// A query that waits for the second one's position sees whom the first one let in.
pub(crate) async fn nothing_to_do_under_lock_answers_with_what_made_it_needless(fresh: impl AsyncFn() -> Ground) {
    let ground = fresh().await;
    let (here, there) = (ground.node(), Arc::new(ground.node()));
    let people = here.people(4).await;
    let room_id = here.group(&people[..2]).await;
    here.accepted(command(send(room_id, people[0]))).await;
    let (other, by, guest) = (Arc::clone(&there), people[0], people[3]);
    let meanwhile = async move {
        other.accepted(command(invite(room_id, by, guest))).await;
    };
    here.log.next([Step::Pass, Step::After(Box::pin(meanwhile))]);
    let mut both = invite(room_id, people[1], people[2]);
    both.user_ids.push(people[3]);
    let outcomes = here
        .together(
            room_id,
            vec![command(invite(room_id, people[0], people[2])), command(both)],
        )
        .await;
    assert!(here.log.locked() > 0);
    let positions: Vec<_> = outcomes
        .into_iter()
        .map(|outcome| outcome.expect("nobody is refused").position)
        .collect();
    let slice = StreamId::Room(room_id).slice();
    let place = |position: &Position| {
        let named = position.places().iter().find(|(named, _)| *named == slice);
        named.map(|(_, pos)| *pos)
    };
    assert!(place(&positions[1]) >= place(&positions[0]), "{positions:?}");
}
