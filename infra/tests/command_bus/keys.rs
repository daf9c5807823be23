//! A key is used once, ever; a refusal uses none.

use cocotalk_application::command_bus::CommandError;
use cocotalk_application::contract::support::{at, id, key, stream_events};
use cocotalk_application::use_case::open_direct::OpenDirect;
use cocotalk_application::use_case::register::RegisteredAnswer;
use cocotalk_domain::id::{RoomId, UserId};
use cocotalk_domain::stream::StreamId;

use crate::stage::{
    Ground, command, events, handle, invite, keyed, kick, leave, otherwise, register, said, send, sent,
};

/// The retry brings another message id, as the edge would: what counts is the first one.
pub(crate) async fn a_repeated_request_gets_the_stored_answer(fresh: impl AsyncFn() -> Ground) {
    let ground = fresh().await;
    let node = ground.node();
    let people = node.people(2).await;
    let room_id = node.group(&people).await;
    let key = key();
    let first = node.accepted(keyed(key, send(room_id, people[0]))).await;
    assert!(!first.replayed);
    node.accepted(command(send(room_id, people[1]))).await;

    let second = node.accepted(keyed(key, send(room_id, people[0]))).await;
    assert!(second.replayed);
    assert_eq!(second.answer.status, first.answer.status);
    assert_eq!(sent(&second), sent(&first));
    assert_eq!(said(&*ground.log, room_id).await.len(), 2);
    let slice = StreamId::Room(room_id).slice();
    let heads = ground
        .log
        .probe(None, &[], &[slice])
        .await
        .expect("it can be read")
        .heads;
    assert_eq!(second.position.places(), [(slice, heads[0])]);

    // What comes after is decided on what is there, not on the repetition.
    let third = sent(&node.accepted(command(send(room_id, people[0]))).await);
    assert_eq!(third.seq, sent(&first).seq + 2);
}

/// Whether it would be carried out, would be refused or would change nothing.
pub(crate) async fn a_key_of_another_request_is_reused(fresh: impl AsyncFn() -> Ground) {
    let ground = fresh().await;
    let node = ground.node();
    let people = node.people(3).await;
    let room_id = node.group(&people[..2]).await;
    let key = key();
    node.accepted(keyed(key, send(room_id, people[0]))).await;
    let before = events(&*ground.log).await;
    for another in [
        otherwise(key, send(room_id, people[0])),
        otherwise(key, send(room_id, people[2])),
        otherwise(key, invite(room_id, people[0], people[1])),
        otherwise(key, register(UserId(id()), handle())),
    ] {
        let outcome = node.run(another).await;
        assert!(matches!(outcome, Err(CommandError::KeyReused)), "{outcome:?}");
    }
    assert_eq!(events(&*ground.log).await, before);
}

/// One of them is carried out, and all are told the same.
pub(crate) async fn two_at_once_with_one_key_are_one(fresh: impl AsyncFn() -> Ground) {
    let ground = fresh().await;
    let node = ground.node();
    let people = node.people(2).await;
    let room_id = node.group(&people).await;
    for round in 1..=8 {
        let key = key();
        let again = || keyed(key, send(room_id, people[0]));
        let copies = vec![again(), again(), again()];
        // In one batch, and as it comes.
        let outcomes = if round % 2 == 0 {
            node.together(room_id, copies).await
        } else {
            node.at_once(copies).await
        };
        let all: Vec<_> = outcomes
            .into_iter()
            .map(|outcome| outcome.expect("a repetition is answered"))
            .collect();
        assert_eq!(all.iter().filter(|accepted| !accepted.replayed).count(), 1);
        assert!(all.iter().all(|accepted| sent(accepted) == sent(&all[0])));
        assert_eq!(said(&*ground.log, room_id).await.len(), round);
    }
    assert!(node.log.locked() > 0);

    // Of two requests that differ one is carried out, and the other is told.
    let key = key();
    let outcomes = node
        .together(
            room_id,
            vec![
                keyed(key, send(room_id, people[0])),
                otherwise(key, send(room_id, people[0])),
            ],
        )
        .await;
    assert!(outcomes[0].is_ok());
    assert!(matches!(outcomes[1], Err(CommandError::KeyReused)), "{outcomes:?}");
}

/// Whoever is let in afterwards may ask again with the same key.
pub(crate) async fn a_refusal_stores_nothing_and_frees_the_key(fresh: impl AsyncFn() -> Ground) {
    let ground = fresh().await;
    let node = ground.node();
    let people = node.people(3).await;
    let (room_id, stranger) = (node.group(&people[..2]).await, people[2]);
    let key = key();
    let before = events(&*ground.log).await;
    for _ in 0..2 {
        let word = node.refused(keyed(key, send(room_id, stranger))).await;
        assert_eq!(word, "room_not_found");
    }
    assert_eq!(events(&*ground.log).await, before);
    let probe = ground.log.probe(Some(key), &[], &[]).await.expect("it can be read");
    assert_eq!(probe.command, None);

    node.accepted(command(invite(room_id, people[0], stranger))).await;
    let accepted = node.accepted(keyed(key, send(room_id, stranger))).await;
    assert!(!accepted.replayed);
    assert_eq!(sent(&accepted).seq, 3);
}

/// Though nobody who left could leave.
pub(crate) async fn a_leave_repeated_is_answered_alike(fresh: impl AsyncFn() -> Ground) {
    let ground = fresh().await;
    let node = ground.node();
    let people = node.people(3).await;
    let room_id = node.group(&people).await;
    let key = key();
    let first = node.accepted(keyed(key, leave(room_id, people[0]))).await;
    let before = events(&*ground.log).await;
    assert_eq!(node.refused(command(leave(room_id, people[0]))).await, "room_not_found");
    let second = node.accepted(keyed(key, leave(room_id, people[0]))).await;
    assert!(second.replayed);
    assert_eq!(second.answer.status, first.answer.status);
    assert_eq!(second.answer.body.get(), first.answer.body.get());
    assert_eq!(events(&*ground.log).await, before);
}

/// Also after who was kicked came back: a retry does not kick them again.
pub(crate) async fn a_kick_repeated_is_answered_alike(fresh: impl AsyncFn() -> Ground) {
    let ground = fresh().await;
    let node = ground.node();
    let people = node.people(3).await;
    let room_id = node.group(&people).await;
    let (key, kicking) = (key(), || kick(room_id, people[0], people[1]));
    let first = node.accepted(keyed(key, kicking())).await;
    assert_eq!(node.refused(command(kicking())).await, "member_not_found");
    node.accepted(command(invite(room_id, people[2], people[1]))).await;
    let before = events(&*ground.log).await;
    let second = node.accepted(keyed(key, kicking())).await;
    assert!(second.replayed);
    assert_eq!(second.answer.status, first.answer.status);
    assert_eq!(events(&*ground.log).await, before);
    node.accepted(command(send(room_id, people[1]))).await;
}

/// Neither after the invited left, nor after the one who invited did.
pub(crate) async fn an_invitation_repeated_lets_nobody_in_again(fresh: impl AsyncFn() -> Ground) {
    let ground = fresh().await;
    let node = ground.node();
    let people = node.people(3).await;
    let room_id = node.group(&people[..2]).await;
    let key = key();
    let first = node.accepted(keyed(key, invite(room_id, people[1], people[2]))).await;
    for gone in [people[2], people[1]] {
        node.accepted(command(leave(room_id, gone))).await;
        let before = events(&*ground.log).await;
        let again = node.accepted(keyed(key, invite(room_id, people[1], people[2]))).await;
        assert!(again.replayed);
        assert_eq!(again.answer.body.get(), first.answer.body.get());
        assert_eq!(events(&*ground.log).await, before);
    }
    assert_eq!(node.refused(command(send(room_id, people[2]))).await, "room_not_found");
}

/// Opening it, leaving it, and inviting somebody out of it.
pub(crate) async fn a_direct_room_opened_again_is_answered_alike(fresh: impl AsyncFn() -> Ground) {
    let ground = fresh().await;
    let node = ground.node();
    let people = node.people(3).await;
    let (mina, jun) = (people[0], people[1]);
    let room_id = RoomId::direct(mina, jun);
    let opening = key();
    let opened = node.accepted(keyed(opening, OpenDirect::new(mina, jun, at(1)))).await;
    assert_eq!(opened.answer.status, 201);
    node.accepted(command(send(room_id, jun))).await;
    let again = node.accepted(keyed(opening, OpenDirect::new(mina, jun, at(2)))).await;
    assert!(again.replayed);
    assert_eq!(again.answer.status, 201);
    assert_eq!(again.answer.body.get(), opened.answer.body.get());
    let there = node.accepted(command(OpenDirect::new(jun, mina, at(2)))).await;
    assert!(!there.replayed);
    assert_eq!(there.answer.status, 200);

    let leaving = key();
    node.accepted(keyed(leaving, leave(room_id, mina))).await;
    node.accepted(command(send(room_id, jun))).await;
    let again = node.accepted(keyed(leaving, leave(room_id, mina))).await;
    assert!(again.replayed);
    let seat = stream_events(&*ground.log, StreamId::Seat(room_id, mina)).await;
    assert_eq!(seat.len(), 1, "the newer message stays to be seen");

    let inviting = key();
    let first = node.accepted(keyed(inviting, invite(room_id, mina, people[2]))).await;
    assert_eq!(first.answer.status, 201);
    let before = events(&*ground.log).await;
    let again = node.accepted(keyed(inviting, invite(room_id, mina, people[2]))).await;
    assert!(again.replayed);
    assert_eq!(
        again.answer.body.get(),
        first.answer.body.get(),
        "there is one new group"
    );
    assert_eq!(events(&*ground.log).await, before);
}

/// With the id of the first time, though the handle is taken now.
pub(crate) async fn a_registration_repeated_is_answered_alike(fresh: impl AsyncFn() -> Ground) {
    let ground = fresh().await;
    let node = ground.node();
    let (key, handle, user_id) = (key(), handle(), UserId(id()));
    node.accepted(keyed(key, register(user_id, handle))).await;
    let again = node.accepted(keyed(key, register(UserId(id()), handle))).await;
    assert!(again.replayed);
    let answer: RegisteredAnswer = serde_json::from_str(again.answer.body.get()).expect("who they are");
    assert_eq!(answer.user_id, user_id);
    assert_eq!(
        node.refused(command(register(UserId(id()), handle))).await,
        "handle_taken"
    );
    assert_eq!(events(&*ground.log).await, 2);
}
