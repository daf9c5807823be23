//! Two nodes, each with a bus and caches of its own, over one log.

use cocotalk_application::contract::support::key;
use cocotalk_domain::id::{RoomId, UserId};
use cocotalk_domain::room::Role;
use futures_util::future::join_all;

use crate::stage::{
    Ground, Node, Outcome, assert_told_as_logged, command, events, give, invite, keyed, kick, leave, read, said, send,
    sent,
};

async fn talk(node: &Node, room_id: RoomId, people: &[UserId], times: usize) -> Vec<Outcome> {
    let talking = people.iter().map(|by| async move {
        let mut outcomes = Vec::new();
        for _ in 0..times {
            outcomes.extend(node.at_once(vec![command(send(room_id, *by))]).await);
        }
        outcomes
    });
    join_all(talking).await.into_iter().flatten().collect()
}

/// Whoever loses a race is decided again, under lock.
pub(crate) async fn two_nodes_in_one_hot_room_refuse_nobody(fresh: impl AsyncFn() -> Ground) {
    let ground = fresh().await;
    let (here, there) = (ground.node(), ground.node());
    let people = here.people(64).await;
    let room_id = here.group(&people).await;
    let mut outcomes = Vec::new();
    // Here knows a version that there has made old: whatever the timing, here has to lose.
    outcomes.extend(talk(&here, room_id, &people[..1], 1).await);
    outcomes.extend(talk(&there, room_id, &people[32..33], 1).await);
    outcomes.extend(talk(&here, room_id, &people[..1], 1).await);
    assert!(here.log.locked() > 0, "here has lost once");
    let (one, other) = tokio::join!(
        talk(&here, room_id, &people[..32], 4),
        talk(&there, room_id, &people[32..], 4)
    );
    assert!(there.log.locked() > 0, "there has lost once");
    outcomes.extend(one);
    outcomes.extend(other);
    let told: Vec<_> = outcomes
        .into_iter()
        .map(|outcome| sent(&outcome.expect("nobody is refused")))
        .collect();
    assert_eq!(told.len(), 3 + 64 * 4);
    assert_told_as_logged(&*ground.log, room_id, &told).await;
}

/// However long ago this node has looked at the room.
pub(crate) async fn whoever_was_invited_elsewhere_is_not_refused(fresh: impl AsyncFn() -> Ground) {
    let ground = fresh().await;
    let (here, there) = (ground.node(), ground.node());
    let people = here.people(12).await;
    let room_id = here.group(&people[..2]).await;
    for (round, guest) in people[2..].iter().enumerate() {
        there.accepted(command(send(room_id, people[1]))).await;
        assert_eq!(there.refused(command(send(room_id, *guest))).await, "room_not_found");
        let before = there.log.locked();
        here.accepted(command(invite(room_id, people[0], *guest))).await;
        // What writes and what only reads the room.
        let accepted = if round % 2 == 0 {
            there.run(command(send(room_id, *guest))).await
        } else {
            there.run(command(read(room_id, *guest, 1))).await
        };
        accepted.expect("an old cache refuses nobody");
        assert!(
            there.log.locked() > before,
            "the refusal of the old state was asked for again"
        );
    }
    said(&*ground.log, room_id).await;
}

/// What writes the room is decided on the room as it is.
pub(crate) async fn whoever_left_elsewhere_is_refused(fresh: impl AsyncFn() -> Ground) {
    let ground = fresh().await;
    let (here, there) = (ground.node(), ground.node());
    let people = here.people(4).await;
    let room_id = here.group(&people).await;
    for gone in &people[1..] {
        there.accepted(command(send(room_id, *gone))).await;
        here.accepted(command(leave(room_id, *gone))).await;
        let before = events(&*ground.log).await;
        assert_eq!(there.refused(command(send(room_id, *gone))).await, "room_not_found");
        assert_eq!(there.refused(command(leave(room_id, *gone))).await, "room_not_found");
        assert_eq!(events(&*ground.log).await, before);
    }
}

/// What a role allowed a moment ago it allows no more, whatever this node still believes.
pub(crate) async fn whoever_was_kicked_or_lost_a_role_elsewhere_is_refused(fresh: impl AsyncFn() -> Ground) {
    let ground = fresh().await;
    let (here, there) = (ground.node(), ground.node());
    let people = here.people(4).await;
    let room_id = here.group(&people).await;
    let [owner, admin, member, other] = people[..] else {
        unreachable!("four people were asked for")
    };
    here.accepted(command(give(room_id, owner, admin, Role::Admin))).await;
    there.accepted(command(send(room_id, admin))).await;
    here.accepted(command(give(room_id, owner, admin, Role::Member))).await;
    assert_eq!(
        there.refused(command(kick(room_id, admin, member))).await,
        "not_allowed"
    );
    there.accepted(command(send(room_id, member))).await;
    here.accepted(command(kick(room_id, owner, member))).await;
    assert_eq!(there.refused(command(send(room_id, member))).await, "room_not_found");
    there.accepted(command(send(room_id, owner))).await;
    here.accepted(command(give(room_id, owner, other, Role::Owner))).await;
    let taking_back = command(give(room_id, owner, admin, Role::Owner));
    assert_eq!(there.refused(taking_back).await, "not_allowed");
    // And the other way round: what somebody may do by now is not refused.
    there.accepted(command(kick(room_id, other, owner))).await;
}

/// At the same time, too.
pub(crate) async fn a_key_used_elsewhere_is_known(fresh: impl AsyncFn() -> Ground) {
    let ground = fresh().await;
    let (here, there) = (ground.node(), ground.node());
    let people = here.people(2).await;
    let room_id = here.group(&people).await;
    for round in 1..=8 {
        let key = key();
        let (one, other) = tokio::join!(
            here.at_once(vec![keyed(key, send(room_id, people[0]))]),
            there.at_once(vec![keyed(key, send(room_id, people[0]))])
        );
        let [one, other] = [one, other].map(|mut outcomes| outcomes.remove(0).expect("it is answered"));
        assert_ne!(one.replayed, other.replayed);
        assert_eq!(sent(&one), sent(&other));
        assert_eq!(said(&*ground.log, room_id).await.len(), round);
    }
    assert!(here.log.locked() + there.log.locked() > 0);
}
