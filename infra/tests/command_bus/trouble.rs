//! A log that fails, loses answers or is too slow: everybody is told, and nothing is remembered that did not happen.

use std::sync::atomic::Ordering;

use cocotalk_application::command_bus::{BusSettings, CommandError};
use cocotalk_application::contract::support::key;
use futures_util::future::join;

use crate::stage::{Ground, Outcome, command, invite, keyed, leave, said, send, sent};
use crate::watched::Step;

fn assert_unavailable(outcome: &Outcome) {
    assert!(matches!(outcome, Err(CommandError::Unavailable(_))), "{outcome:?}");
}

/// The next one has the next number.
pub(crate) async fn what_could_not_be_written_is_not_remembered(fresh: impl AsyncFn() -> Ground) {
    let ground = fresh().await;
    let node = ground.node();
    let people = node.people(3).await;
    let room_id = node.group(&people[..2]).await;
    node.accepted(command(send(room_id, people[0]))).await;
    node.log.next([Step::Fail, Step::Fail, Step::Fail, Step::Fail]);
    let key = key();
    assert_unavailable(&node.run(keyed(key, send(room_id, people[0]))).await);
    assert_unavailable(&node.run(keyed(key, send(room_id, people[0]))).await);
    assert_unavailable(&node.run(command(invite(room_id, people[0], people[2]))).await);
    assert_unavailable(&node.run(command(leave(room_id, people[1]))).await);

    let accepted = node.accepted(keyed(key, send(room_id, people[0]))).await;
    assert!(!accepted.replayed);
    assert_eq!(sent(&accepted).seq, 3);
    assert_eq!(node.refused(command(send(room_id, people[2]))).await, "room_not_found");
    assert_eq!(sent(&node.accepted(command(send(room_id, people[1]))).await).seq, 4);
    assert_eq!(said(&*ground.log, room_id).await.len(), 3);
}

/// All of it.
pub(crate) async fn a_batch_that_could_not_be_written_is_not_remembered(fresh: impl AsyncFn() -> Ground) {
    let ground = fresh().await;
    let node = ground.node();
    let people = node.people(9).await;
    let room_id = node.group(&people[..8]).await;
    let mut commands: Vec<_> = people[..8].iter().map(|by| command(send(room_id, *by))).collect();
    commands.push(command(invite(room_id, people[0], people[8])));
    // Accepted or refused, it is on a state that never came to be: it is decided again.
    commands.push(command(invite(room_id, people[1], people[8])));
    node.log.next([Step::Pass, Step::Fail]);
    let outcomes = node.together(room_id, commands).await;
    outcomes[..9].iter().for_each(assert_unavailable);
    assert!(outcomes[9].is_ok(), "{:?}", outcomes[9]);
    assert_eq!(said(&*ground.log, room_id).await.len(), 0);
    let told = sent(&node.accepted(command(send(room_id, people[8]))).await);
    assert_eq!((told.seq, told.version), (3, 3));
}

/// Asking again with the key finds it; nothing is said twice.
pub(crate) async fn what_was_written_unheard_is_found_again(fresh: impl AsyncFn() -> Ground) {
    let ground = fresh().await;
    let node = ground.node();
    let people = node.people(2).await;
    let room_id = node.group(&people).await;
    let key = key();
    node.log.next([Step::Lose]);
    assert_unavailable(&node.run(keyed(key, send(room_id, people[0]))).await);
    assert_eq!(sent(&node.accepted(command(send(room_id, people[1]))).await).seq, 3);
    let again = node.accepted(keyed(key, send(room_id, people[0]))).await;
    assert!(again.replayed);
    assert_eq!(sent(&again).seq, 2);
    assert_eq!(said(&*ground.log, room_id).await.len(), 2);
}

/// And the one after it is decided on what is there.
pub(crate) async fn a_log_that_cannot_be_locked_is_unavailable(fresh: impl AsyncFn() -> Ground) {
    let ground = fresh().await;
    let (here, there) = (ground.node(), ground.node());
    let people = here.people(3).await;
    let room_id = here.group(&people[..2]).await;
    here.accepted(command(send(room_id, people[0]))).await;
    there.accepted(command(send(room_id, people[1]))).await;
    here.log.lock_failures.store(2, Ordering::Release);
    assert_unavailable(&here.run(command(send(room_id, people[0]))).await);
    assert_eq!(sent(&here.accepted(command(send(room_id, people[0]))).await).seq, 4);
    // A refusal that cannot be asked for again is none.
    there.accepted(command(invite(room_id, people[1], people[2]))).await;
    assert_unavailable(&here.run(command(send(room_id, people[2]))).await);
    assert_eq!(sent(&here.accepted(command(send(room_id, people[2]))).await).seq, 6);
    assert_eq!(here.log.locked(), 2, "what is loaded anew does not lose");
}

/// Those that wait are not lost, and then there is room again.
pub(crate) async fn a_full_lane_is_busy(fresh: impl AsyncFn() -> Ground) {
    let ground = fresh().await;
    let node = ground.node_with(BusSettings {
        lane_queue: 1,
        ..BusSettings::default()
    });
    let people = [node.people(1).await, node.people(1).await].concat();
    let room_id = node.group(&people).await;
    node.log.hold();
    let before = node.log.appends();
    let first = node.run(command(send(room_id, people[0])));
    let others = async {
        node.log.entered(before + 1).await;
        let second = node.run(command(send(room_id, people[1])));
        let key = key();
        let third = async {
            let outcome = node.run(keyed(key, send(room_id, people[0]))).await;
            assert!(matches!(outcome, Err(CommandError::Busy)), "{outcome:?}");
            node.log.release();
        };
        let (second, ()) = join(second, third).await;
        (second, node.run(keyed(key, send(room_id, people[0]))).await)
    };
    let (first, (second, third)) = join(first, others).await;
    for (seq, outcome) in (2..).zip([first, second, third]) {
        assert_eq!(sent(&outcome.expect("it waited its turn")).seq, seq);
    }
}
