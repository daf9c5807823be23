//! What is decided about single messages: on what is known of them, which is remembered and never old.

use std::sync::atomic::Ordering;

use cocotalk_application::contract::support::{at, key, sealed, stream_events};
use cocotalk_application::port::event_log::LogReader;
use cocotalk_application::use_case::delete_message::DeleteMessage;
use cocotalk_application::use_case::edit_message::EditMessage;
use cocotalk_application::use_case::hide_message::HideMessage;
use cocotalk_application::use_case::react::{React, Reaction};
use cocotalk_application::use_case::send_message::SendMessage;
use cocotalk_domain::event::AnyEvent;
use cocotalk_domain::id::{MessageId, RoomId, UserId};
use cocotalk_domain::room::RoomEvent;
use cocotalk_domain::room::event::{MessageEdited, ReactionChanged};
use cocotalk_domain::stream::StreamId;
use cocotalk_domain::text::Emoji;

use crate::stage::{Ground, Node, command, keyed, refusal, send, sent};
use crate::watched::Step;

async fn said(node: &Node, room_id: RoomId, by: UserId) -> MessageId {
    sent(&node.accepted(command(send(room_id, by))).await).message_id
}

fn edit(room_id: RoomId, by: UserId, message_id: MessageId, text: &str) -> EditMessage {
    EditMessage {
        room_id,
        message_id,
        by,
        body: sealed(by, text),
        preview: None,
        within_s: 86_400,
        at: at(9),
    }
}

fn delete(room_id: RoomId, by: UserId, message_id: MessageId) -> DeleteMessage {
    DeleteMessage {
        room_id,
        message_id,
        by,
        within_s: 86_400,
        at: at(9),
    }
}

fn hide(room_id: RoomId, by: UserId, message_id: MessageId) -> HideMessage {
    HideMessage {
        room_id,
        message_id,
        by,
        max: 3,
        at: at(9),
    }
}

fn react(room_id: RoomId, by: UserId, message_id: MessageId, emoji: &str, reaction: Reaction) -> React {
    React {
        room_id,
        message_id,
        by,
        emoji: Emoji::parse(emoji).expect("an emoji"),
        reaction,
        max_kinds: 20,
        at: at(9),
    }
}

fn reply(room_id: RoomId, by: UserId, message_id: MessageId) -> SendMessage {
    SendMessage {
        reply_to: Some(message_id),
        ..send(room_id, by)
    }
}

async fn room_events(log: &dyn LogReader, room_id: RoomId) -> Vec<RoomEvent> {
    let events = stream_events(log, StreamId::Room(room_id)).await;
    let events = events.into_iter().filter_map(|recorded| match recorded.event {
        Ok(AnyEvent::Room(event)) => Some(event),
        Ok(_) | Err(_) => None,
    });
    events.collect()
}

async fn edits(log: &dyn LogReader, room_id: RoomId) -> Vec<MessageEdited> {
    let events = room_events(log, room_id).await.into_iter();
    let edits = events.filter_map(|event| match event {
        RoomEvent::MessageEdited(edited) => Some(edited),
        _ => None,
    });
    edits.collect()
}

async fn reactions(log: &dyn LogReader, room_id: RoomId) -> Vec<ReactionChanged> {
    let events = room_events(log, room_id).await.into_iter();
    let changes = events.filter_map(|event| match event {
        RoomEvent::ReactionChanged(changed) => Some(changed),
        _ => None,
    });
    changes.collect()
}

/// A lane knows what it has said itself, and what it has decided since; the log is asked once for what it does not know.
pub(crate) async fn what_is_known_of_a_message_is_not_asked_for_again(fresh: impl AsyncFn() -> Ground) {
    let ground = fresh().await;
    let node = ground.node();
    let people = node.people(2).await;
    let room_id = node.group(&people).await;
    let message = said(&node, room_id, people[0]).await;
    let asked = |node: &Node| node.log.about_reads.load(Ordering::Acquire);
    node.accepted(command(edit(room_id, people[0], message, "둘"))).await;
    said(&node, room_id, people[1]).await;
    node.accepted(command(react(room_id, people[1], message, "👍", Reaction::Put)))
        .await;
    node.accepted(command(edit(room_id, people[0], message, "셋"))).await;
    let newer = asked(&node);
    assert!(
        newer <= 1,
        "{newer} reads: a message between two commands costs one at most"
    );
    let last = edits(&*ground.log, room_id).await.pop().expect("it was edited");
    assert_eq!(last.reactions.values().sum::<u32>(), 1);

    let other = ground.node();
    for text in ["넷", "다섯", "여섯"] {
        other.accepted(command(edit(room_id, people[0], message, text))).await;
    }
    assert_eq!(asked(&other), 1);
}

/// Each is decided on what the one before it left; nobody's reaction is lost.
pub(crate) async fn reactions_that_wait_together_are_all_counted(fresh: impl AsyncFn() -> Ground) {
    let ground = fresh().await;
    let node = ground.node();
    let people = node.people(20).await;
    let room_id = node.group(&people).await;
    let message = said(&node, room_id, people[0]).await;
    let mut commands: Vec<_> = people
        .iter()
        .map(|by| command(react(room_id, *by, message, "👍", Reaction::Put)))
        .collect();
    commands.push(command(react(room_id, people[3], message, "❤", Reaction::Put)));
    commands.push(command(react(room_id, people[4], message, "👍", Reaction::Take)));
    commands.push(command(react(room_id, people[5], message, "❤", Reaction::Take)));
    commands.push(command(delete(room_id, people[0], message)));
    commands.push(command(react(room_id, people[6], message, "❤", Reaction::Put)));
    let outcomes = node.together(room_id, commands).await;
    let (last, rest) = outcomes.split_last().expect("some");
    assert!(rest.iter().all(Result::is_ok), "{rest:?}");
    assert_eq!(refusal(last.clone()), "message_deleted");
    let changes = reactions(&*ground.log, room_id).await;
    assert_eq!(
        changes.len(),
        22,
        "what takes back another reaction than mine changes nothing"
    );
    let totals = &changes.last().expect("some").reactions;
    let counts: Vec<(&str, u32)> = totals.iter().map(|(emoji, count)| (emoji.as_str(), *count)).collect();
    assert_eq!(counts, [("❤\u{fe0f}", 1), ("👍", 18)]);
}

/// However long ago this node has looked at the message.
pub(crate) async fn what_happened_to_a_message_elsewhere_is_known(fresh: impl AsyncFn() -> Ground) {
    let ground = fresh().await;
    let (here, there) = (ground.node(), ground.node());
    let people = here.people(3).await;
    let room_id = here.group(&people).await;
    let message = said(&here, room_id, people[0]).await;
    for round in 0..4 {
        let (one, other) = if round % 2 == 0 {
            (&here, &there)
        } else {
            (&there, &here)
        };
        one.accepted(command(react(
            room_id,
            people[1],
            message,
            ["👍", "❤"][round / 2],
            Reaction::Put,
        )))
        .await;
        other
            .accepted(command(react(
                room_id,
                people[2],
                message,
                ["🥥", "👍"][round % 2],
                Reaction::Put,
            )))
            .await;
    }
    let changes = reactions(&*ground.log, room_id).await;
    assert!(
        changes
            .iter()
            .skip(1)
            .all(|change| change.reactions.values().sum::<u32>() == 2)
    );
    there.accepted(command(delete(room_id, people[0], message))).await;
    assert_eq!(
        here.refused(command(edit(room_id, people[0], message, "늦었다"))).await,
        "message_deleted"
    );
    here.accepted(command(delete(room_id, people[0], message))).await;
    let answer = sent(&here.accepted(command(reply(room_id, people[1], message))).await);
    let events = room_events(&*ground.log, room_id).await;
    let reply = events.into_iter().find_map(|event| match event {
        RoomEvent::MessageSent(sent) if sent.seq.0 == answer.seq => sent.reply_to,
        _ => None,
    });
    assert!(reply.is_some_and(|answered| answered.deleted && answered.preview.bytes.is_empty()));
}

/// What was decided and never written is forgotten with its state.
pub(crate) async fn what_never_happened_to_a_message_is_not_known(fresh: impl AsyncFn() -> Ground) {
    let ground = fresh().await;
    let node = ground.node();
    let people = node.people(2).await;
    let room_id = node.group(&people).await;
    let message = said(&node, room_id, people[0]).await;
    node.log.next([Step::Fail]);
    let failed = node
        .run(command(react(room_id, people[1], message, "👍", Reaction::Put)))
        .await;
    assert!(failed.is_err());
    node.accepted(command(edit(room_id, people[0], message, "둘"))).await;
    let last = edits(&*ground.log, room_id).await.pop().expect("it was edited");
    assert!(last.reactions.is_empty());
    node.log.next([Step::Fail]);
    assert!(node.run(command(delete(room_id, people[0], message))).await.is_err());
    node.accepted(command(edit(room_id, people[0], message, "셋"))).await;
}

/// The stored answer, whatever became of the message since.
pub(crate) async fn a_change_of_a_message_repeated_is_answered_alike(fresh: impl AsyncFn() -> Ground) {
    let ground = fresh().await;
    let (here, there) = (ground.node(), ground.node());
    let people = here.people(2).await;
    let room_id = here.group(&people).await;
    let message = said(&here, room_id, people[0]).await;
    let (edit_key, delete_key, hide_key, react_key) = (key(), key(), key(), key());
    let commands = || {
        [
            keyed(edit_key, edit(room_id, people[0], message, "둘")),
            keyed(react_key, react(room_id, people[1], message, "👍", Reaction::Put)),
            keyed(delete_key, delete(room_id, people[0], message)),
            keyed(hide_key, hide(room_id, people[1], message)),
        ]
    };
    let mut first = Vec::new();
    for command in commands() {
        first.push(here.accepted(command).await);
    }
    let before = room_events(&*ground.log, room_id).await.len();
    for (command, first) in commands().into_iter().zip(first) {
        let again = there.accepted(command).await;
        assert!(again.replayed && !first.replayed);
        assert_eq!(again.answer.body.get(), first.answer.body.get());
    }
    assert_eq!(room_events(&*ground.log, room_id).await.len(), before);
}

/// Neither what is before one's time, nor what one has hidden, nor what is elsewhere.
pub(crate) async fn nothing_is_done_to_a_message_that_one_may_not_see(fresh: impl AsyncFn() -> Ground) {
    let ground = fresh().await;
    let node = ground.node();
    let people = node.people(4).await;
    let room_id = node.group(&people[..3]).await;
    let elsewhere = node.group(&people[..3]).await;
    let (old, other) = (
        said(&node, room_id, people[0]).await,
        said(&node, elsewhere, people[0]).await,
    );
    node.accepted(command(crate::stage::invite(room_id, people[0], people[3])))
        .await;
    let mine = said(&node, room_id, people[3]).await;
    node.accepted(command(hide(room_id, people[3], mine))).await;
    node.accepted(command(hide(room_id, people[3], mine))).await;
    for message in [old, other, mine] {
        for refused in [
            node.refused(command(edit(room_id, people[3], message, "둘"))).await,
            node.refused(command(delete(room_id, people[3], message))).await,
            node.refused(command(react(room_id, people[3], message, "👍", Reaction::Put)))
                .await,
            node.refused(command(reply(room_id, people[3], message))).await,
        ] {
            assert_eq!(refused, "message_not_found");
        }
    }
    for message in [old, other] {
        assert_eq!(
            node.refused(command(hide(room_id, people[3], message))).await,
            "message_not_found"
        );
    }
    // Nobody else is told that it is hidden.
    node.accepted(command(react(room_id, people[0], mine, "👍", Reaction::Put)))
        .await;
}
