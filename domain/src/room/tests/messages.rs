//! What happens to a message after it was said: edits, deletions, reactions, and what a reply keeps.

use super::*;
use crate::room::event::{MessageDeleted, MessageEdited, ReactionChanged};
use crate::text::Emoji;

/// How long an author has, seconds.
const DAY_S: u64 = 86_400;
/// The last moment at which the author of a message of [`facts`] may change it.
const DAY_OVER: Instant = Instant::from_millis(DAWN.millis() + 86_400_000);
const TOO_LATE: Instant = Instant::from_millis(DAY_OVER.millis() + 1);

fn emoji(text: &str) -> Emoji {
    Emoji::parse(text).expect("an emoji")
}

/// Mina's message at 2 is the newest item.
fn spoken() -> Vec<RoomEvent> {
    group([said(MINA, 2, 1)])
}

fn edit(by: UserId, message: MessageFacts, at: Instant) -> RoomCommand {
    RoomCommand::Edit {
        by,
        message: Box::new(message),
        body: sealed(by, b"in other words"),
        preview: None,
        within_s: DAY_S,
        at,
    }
}

fn delete(by: UserId, message: MessageFacts, at: Instant) -> RoomCommand {
    RoomCommand::Delete {
        by,
        message: Box::new(message),
        within_s: DAY_S,
        at,
    }
}

fn react(by: UserId, message: MessageFacts, with: Option<&str>) -> RoomCommand {
    RoomCommand::React {
        by,
        message: Box::new(message),
        emoji: with.map(emoji),
        max_kinds: 2,
        at: NOON,
    }
}

/// Mina's message at `seq`, after it was deleted.
fn gone(seq: u64) -> MessageFacts {
    MessageFacts {
        deleted: true,
        ..facts(seq)
    }
}

fn edited(message: &MessageFacts, at: Instant) -> MessageEdited {
    MessageEdited {
        room_id: ROOM,
        message_id: message.message_id,
        author_id: MINA,
        seq: message.seq,
        sent_at: DAWN,
        edited_at: at,
        body: sealed(MINA, b"in other words"),
        preview: None,
        mentions: message.mentions.clone(),
        reply_to: message.reply_to.clone(),
        reactions: message.totals(),
        is_newest: true,
        others: 2,
    }
}

fn deleted(by: UserId, at: Instant, is_newest: bool, others: u32) -> MessageDeleted {
    MessageDeleted {
        room_id: ROOM,
        message_id: facts(2).message_id,
        by,
        author_id: MINA,
        seq: Seq(2),
        sent_at: DAWN,
        at,
        is_newest,
        others,
    }
}

fn reacted(by: UserId, with: Option<&str>, totals: &[(&str, u32)]) -> ReactionChanged {
    ReactionChanged {
        room_id: ROOM,
        message_id: facts(2).message_id,
        seq: Seq(2),
        user_id: by,
        emoji: with.map(emoji),
        reactions: totals.iter().map(|(text, count)| (emoji(text), *count)).collect(),
        at: NOON,
    }
}

#[test]
fn an_author_edits_for_a_day_and_the_event_tells_all_of_the_message() {
    let mut message = facts(2);
    message.mentions = vec![JUN];
    message.reply_to = Some(facts(1).as_reply());
    message.reactions = BTreeMap::from([(JUN, emoji("👍")), (SORA, emoji("👍"))]);
    for at in [NOON, DAY_OVER] {
        given(spoken())
            .when(edit(MINA, message.clone(), at))
            .then_expect_events(vec![RoomEvent::MessageEdited(edited(&message, at))]);
    }
    given(spoken())
        .when(edit(MINA, message, TOO_LATE))
        .then_expect_error(RoomError::MessageTooOld { seconds: DAY_S });
}

#[test]
fn nobody_edits_for_others_the_owner_neither() {
    let mut of_jun = facts(2);
    of_jun.author_id = JUN;
    for by in [MINA, SORA] {
        given(group([said(JUN, 2, 1), role(SORA, Role::Admin)]))
            .when(edit(by, of_jun.clone(), NOON))
            .then_expect_error(RoomError::NotAllowed);
    }
}

#[test]
fn an_edit_of_an_older_message_is_not_of_the_newest() {
    let mut expected = edited(&facts(2), NOON);
    expected.is_newest = false;
    given(group([said(MINA, 2, 1), renamed(MINA, Some("Tea"), 3)]))
        .when(edit(MINA, facts(2), NOON))
        .then_expect_events(vec![RoomEvent::MessageEdited(expected)]);
}

#[test]
fn a_deleted_message_stays_as_it_is() {
    let refused = RoomError::MessageDeleted;
    given(spoken())
        .when(edit(MINA, gone(2), NOON))
        .then_expect_error(refused.clone());
    given(spoken())
        .when(react(JUN, gone(2), Some("👍")))
        .then_expect_error(refused);
    given(spoken())
        .when(react(JUN, gone(2), None))
        .then_expect_events(vec![]);
    given(spoken())
        .when(delete(MINA, gone(2), TOO_LATE))
        .then_expect_events(vec![]);
}

#[test]
fn an_author_deletes_for_a_day_owner_and_admins_always() {
    let events = |by, at| vec![RoomEvent::MessageDeleted(deleted(by, at, true, 2))];
    given(spoken())
        .when(delete(MINA, facts(2), TOO_LATE))
        .then_expect_events(events(MINA, TOO_LATE));
    let handed_over = || {
        group([
            role(MINA, Role::Member),
            role(SORA, Role::Owner),
            role(JUN, Role::Admin),
            said(MINA, 2, 1),
        ])
    };
    for (by, at) in [(MINA, DAY_OVER), (SORA, TOO_LATE), (JUN, TOO_LATE)] {
        given(handed_over())
            .when(delete(by, facts(2), at))
            .then_expect_events(events(by, at));
    }
    given(handed_over())
        .when(delete(MINA, facts(2), TOO_LATE))
        .then_expect_error(RoomError::MessageTooOld { seconds: DAY_S });
}

#[test]
fn a_member_deletes_nothing_of_others_also_in_a_direct_room() {
    given(spoken())
        .when(delete(JUN, facts(2), NOON))
        .then_expect_error(RoomError::NotAllowed);
    given(direct([said(MINA, 1, 1)]))
        .when(delete(JUN, facts(1), NOON))
        .then_expect_error(RoomError::NotAllowed);
}

#[test]
fn an_author_who_left_is_not_counted_twice() {
    let history = group([role(JUN, Role::Admin), said(MINA, 2, 1), left(MINA, 3, 2, &[JUN, SORA])]);
    given(history)
        .when(delete(JUN, facts(2), NOON))
        .then_expect_events(vec![RoomEvent::MessageDeleted(deleted(JUN, NOON, false, 2))]);
}

#[test]
fn a_second_reaction_replaces_the_first_and_the_same_one_changes_nothing() {
    let mut message = facts(2);
    message.reactions = BTreeMap::from([(JUN, emoji("👍")), (SORA, emoji("👍"))]);
    for (with, totals) in [(Some("🥥"), &[("👍", 1), ("🥥", 1)][..]), (None, &[("👍", 1)][..])] {
        given(spoken())
            .when(react(JUN, message.clone(), with))
            .then_expect_events(vec![RoomEvent::ReactionChanged(reacted(JUN, with, totals))]);
    }
    given(spoken())
        .when(react(JUN, message.clone(), Some("👍")))
        .then_expect_events(vec![]);
    given(spoken())
        .when(react(MINA, message, None))
        .then_expect_events(vec![]);
}

#[test]
fn a_message_has_so_many_kinds_of_reactions_and_no_more() {
    let mut message = facts(2);
    message.reactions = BTreeMap::from([(JUN, emoji("👍")), (SORA, emoji("🥥"))]);
    given(spoken())
        .when(react(MINA, message.clone(), Some("❤")))
        .then_expect_error(RoomError::TooManyReactions { max: 2 });
    given(spoken())
        .when(react(MINA, message.clone(), Some("🥥")))
        .then_expect_events(vec![RoomEvent::ReactionChanged(reacted(
            MINA,
            Some("🥥"),
            &[("👍", 1), ("🥥", 2)],
        ))]);
    // Whoever gives up the only one of its kind makes room for another.
    given(spoken())
        .when(react(JUN, message, Some("❤")))
        .then_expect_events(vec![RoomEvent::ReactionChanged(reacted(
            JUN,
            Some("❤"),
            &[("🥥", 1), ("❤", 1)],
        ))]);
}

#[test]
fn what_one_may_not_see_is_not_there_and_for_strangers_not_the_room() {
    let history = || {
        group([
            said(MINA, 2, 1),
            invited(MINA, &[DAN], 3, 1, (4, &[MINA, JUN, SORA, DAN])),
            role(DAN, Role::Admin),
        ])
    };
    let mut elsewhere = facts(2);
    elsewhere.room_id = RoomId::from_u128(0x101);
    for (by, message, refused) in [
        (DAN, facts(2), RoomError::NoSuchMessage),
        (MINA, elsewhere, RoomError::NoSuchMessage),
        (STRANGER, facts(2), RoomError::NoSuchRoom),
    ] {
        for command in [
            edit(by, message.clone(), NOON),
            delete(by, message.clone(), NOON),
            react(by, message.clone(), Some("👍")),
        ] {
            given(history()).when(command).then_expect_error(refused.clone());
        }
    }
}

#[test]
fn a_deleted_message_may_be_answered_and_the_reply_says_so() {
    let mut expected = sent(JUN, 3, 2);
    expected.reply_to = Some(ReplyTo {
        seq: Seq(2),
        message_id: facts(2).message_id,
        author_id: MINA,
        preview: facts(2).preview,
        deleted: true,
    });
    given(spoken())
        .when(send(JUN, &[], Some(gone(2))))
        .then_expect_events(vec![RoomEvent::MessageSent(expected)]);
}

#[test]
fn facts_follow_from_the_events_of_their_message_alone() {
    let mut first = sent(MINA, 2, 1);
    first.mentions = vec![JUN];
    let id = first.message_id;
    let of = |events: &[RoomEvent]| events.iter().fold(None, MessageFacts::after);
    let about = |mut event: RoomEvent| {
        match &mut event {
            RoomEvent::MessageEdited(e) => e.message_id = id,
            RoomEvent::MessageDeleted(e) => e.message_id = id,
            RoomEvent::ReactionChanged(e) => e.message_id = id,
            _ => {}
        }
        event
    };
    let said = RoomEvent::MessageSent(first);
    let edited = about(RoomEvent::MessageEdited(edited(&facts(2), NOON)));
    let liked = about(RoomEvent::ReactionChanged(reacted(JUN, Some("👍"), &[("👍", 1)])));
    let unliked = about(RoomEvent::ReactionChanged(reacted(JUN, None, &[])));
    let deleted = about(RoomEvent::MessageDeleted(deleted(MINA, NOON, true, 2)));

    assert_eq!(of(&[edited.clone(), liked.clone()]), None);
    let known = of(&[said.clone(), edited.clone(), liked.clone()]).expect("it was sent");
    assert_eq!(known.preview, sealed(MINA, b"in other words"));
    assert_eq!((known.totals().len(), known.mentions.len()), (1, 1));
    assert_eq!(
        of(&[said.clone(), liked.clone(), unliked]),
        of(std::slice::from_ref(&said))
    );
    // What is about another message changes nothing.
    let other = RoomEvent::ReactionChanged(reacted(SORA, Some("👍"), &[("👍", 1)]));
    assert_eq!(of(&[said.clone(), edited.clone(), liked.clone(), other]), Some(known));
    let gone = of(&[said, edited, liked, deleted]).expect("it was sent");
    assert!(gone.deleted && gone.preview.bytes.is_empty() && gone.mentions.is_empty() && gone.reactions.is_empty());
}

#[test]
fn a_reply_is_told_with_what_it_answers_as_that_is_now() {
    let mut reply = facts(3);
    reply.message_id = MessageId::from_u128(0x601);
    reply.reply_to = Some(facts(2).as_reply());
    assert_eq!(reply.clone().answering(None), reply);
    assert_eq!(reply.clone().answering(Some(&facts(2))), reply);
    let answered = reply.answering(Some(&gone(2))).reply_to.expect("it answers one");
    assert!(answered.deleted);
}
