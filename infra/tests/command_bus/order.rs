//! One room, many senders: one order, and everybody is told their place in it.

use cocotalk_application::contract::support::{id, key, slice_events};
use cocotalk_application::port::event_log::{CommandKey, EventLog as _, LogReader as _};
use cocotalk_application::position::Position;
use cocotalk_application::use_case::UseCase;
use cocotalk_domain::id::UserId;
use cocotalk_domain::stream::Slice;

use crate::stage::{
    Ground, Node, assert_told_as_logged, command, handle, invite, keyed, leave, read, register, said, send, sent,
};

/// All of them at the same time.
pub(crate) async fn many_senders_of_one_room_are_all_accepted_in_the_order_of_the_log(fresh: impl AsyncFn() -> Ground) {
    let ground = fresh().await;
    let node = ground.node();
    let people = node.people(64).await;
    let room_id = node.group(&people).await;
    let commands = people.iter().map(|by| command(send(room_id, *by))).collect();
    let mut told = Vec::new();
    for outcome in node.at_once(commands).await {
        let accepted = outcome.expect("nobody is refused");
        assert!(!accepted.replayed);
        told.push(sent(&accepted));
    }
    assert_eq!(told.len(), 64);
    assert_told_as_logged(&*ground.log, room_id, &told).await;
    assert_eq!(node.log.locked(), 0, "nobody else writes here, so nothing can lose");
}

/// While one append is being made durable the next batch gathers; arrival order is the order of the log.
pub(crate) async fn what_waits_together_is_appended_together(fresh: impl AsyncFn() -> Ground) {
    let ground = fresh().await;
    let node = ground.node();
    let people = node.people(64).await;
    let room_id = node.group(&people).await;
    let commands = people.iter().map(|by| command(send(room_id, *by))).collect();
    let before = node.log.appends();
    let outcomes = node.together(room_id, commands).await;
    assert_eq!(
        node.log.appends() - before,
        2,
        "one that held the door, one for all of them"
    );
    let authors: Vec<UserId> = said(&*ground.log, room_id)
        .await
        .iter()
        .map(|said| said.message.author_id)
        .collect();
    assert_eq!(authors, people);
    let told: Vec<_> = outcomes
        .iter()
        .map(|outcome| sent(outcome.as_ref().expect("nobody is refused")))
        .collect();
    assert!(told.windows(2).all(|pair| pair[0].seq + 1 == pair[1].seq));
    assert_told_as_logged(&*ground.log, room_id, &told).await;
}

async fn last_of(node: &Node, slice: Slice, key: CommandKey) -> Option<u64> {
    let command_id = key.command_id.to_string();
    let events = slice_events(&*node.log, slice).await;
    let last = events.iter().rfind(|event| event.metadata.command_id == command_id);
    last.map(|event| event.slice_pos)
}

async fn assert_placed(node: &Node, key: CommandKey, position: &Position) {
    assert!(!position.is_empty());
    for slice in Slice::all() {
        let named = position.places().iter().find(|(named, _)| *named == slice);
        assert_eq!(
            named.map(|(_, pos)| *pos),
            last_of(node, slice, key).await,
            "in slice {slice}"
        );
    }
}

async fn place(node: &Node, use_case: impl UseCase) -> Position {
    let key = key();
    let accepted = node.accepted(keyed(key, use_case)).await;
    assert_placed(node, key, &accepted.position).await;
    accepted.position
}

/// In every slice that it wrote, and in no other.
pub(crate) async fn an_accepted_command_names_the_place_of_its_last_event(fresh: impl AsyncFn() -> Ground) {
    let ground = fresh().await;
    let node = ground.node();
    let people = node.people(3).await;
    let room_id = node.group(&people[..2]).await;
    place(&node, send(room_id, people[0])).await;
    place(&node, invite(room_id, people[0], people[2])).await;
    place(&node, read(room_id, people[1], 2)).await;
    // The owner's going is two events: whoever waits for it waits for the second.
    let key_of_leave = key();
    let left = node.accepted(keyed(key_of_leave, leave(room_id, people[0]))).await;
    assert_placed(&node, key_of_leave, &left.position).await;
    let (slice, pos) = left.position.places()[0];
    let two = node.log.read_slice(slice, pos - 2).await.expect("it can be read");
    assert_eq!(two.len(), 2);
    assert_eq!(two[0].metadata, two[1].metadata);

    // A registration writes two streams, mostly of two slices.
    let mut widest = 0;
    for _ in 0..8 {
        let position = place(&node, register(UserId(id()), handle())).await;
        widest = widest.max(position.places().len());
    }
    assert_eq!(widest, 2);
}

/// Not those of the batch.
pub(crate) async fn places_in_a_batch_are_those_of_each_command(fresh: impl AsyncFn() -> Ground) {
    let ground = fresh().await;
    let node = ground.node();
    let people = node.people(4).await;
    let room_id = node.group(&people).await;
    let keys: Vec<CommandKey> = (0..16).map(|_| key()).collect();
    let commands = keys
        .iter()
        .enumerate()
        .map(|(index, key)| keyed(*key, send(room_id, people[index % 4])));
    let outcomes = node.together(room_id, commands.collect()).await;
    for (key, outcome) in keys.iter().zip(outcomes) {
        assert_placed(&node, *key, &outcome.expect("nobody is refused").position).await;
        let stored = node.log.probe(Some(*key), &[], &[]).await.expect("it can be read");
        assert!(stored.command.is_some());
    }
}
