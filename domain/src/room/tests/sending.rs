//! Messages: their numbers, mentions and replies.

use super::*;

#[test]
fn only_members_are_mentioned_and_the_others_are_named() {
    given(group([]))
        .when(send(MINA, &[JUN, DAN, STRANGER], None))
        .then_expect_error(RoomError::MentionsNoMember {
            user_ids: vec![DAN, STRANGER],
        });
}

#[test]
fn one_who_left_is_not_mentioned_any_more() {
    given(group([left(SORA, 2, 2, &[MINA, JUN])]))
        .when(send(MINA, &[SORA], None))
        .then_expect_error(RoomError::MentionsNoMember { user_ids: vec![SORA] });
}

#[test]
fn a_message_of_another_room_is_not_answered() {
    let mut elsewhere = facts(2);
    elsewhere.room_id = RoomId::from_u128(0x101);
    given(group([said(MINA, 2, 1)]))
        .when(send(JUN, &[], Some(elsewhere)))
        .then_expect_error(RoomError::NoSuchMessage);
}

#[test]
fn a_message_from_before_one_joined_is_not_answered() {
    let history = group([
        said(MINA, 2, 1),
        invited(MINA, &[DAN], 3, 1, (4, &[MINA, JUN, SORA, DAN])),
    ]);
    given(history)
        .when(send(DAN, &[], Some(facts(2))))
        .then_expect_error(RoomError::NoSuchMessage);
}

#[test]
fn a_message_takes_the_next_seq_and_counts() {
    given(group([said(MINA, 2, 1), renamed(MINA, Some("Tea"), 3)]))
        .when(say(JUN))
        .then_expect_events(vec![said(JUN, 4, 2)]);
}

#[test]
fn the_first_message_of_a_direct_room_is_its_first_item() {
    let mut first = sent(MINA, 1, 1);
    first.member_count = 2;
    given(direct([]))
        .when(say(MINA))
        .then_expect_events(vec![RoomEvent::MessageSent(first)]);
}

#[test]
fn one_talks_with_oneself() {
    let mut first = sent(MINA, 1, 1);
    first.member_count = 1;
    given(vec![direct_opened(&[MINA])])
        .when(say(MINA))
        .then_expect_events(vec![RoomEvent::MessageSent(first)]);
}

#[test]
fn a_message_is_never_dated_before_the_item_before_it() {
    let mut late = send(JUN, &[], None);
    if let RoomCommand::Send { at, .. } = &mut late {
        *at = DAWN;
    }
    given(group([said(MINA, 2, 1)]))
        .when(late)
        .then_expect_events(vec![said(JUN, 3, 2)]);
}

#[test]
fn members_are_mentioned_oneself_included() {
    let mut message = sent(MINA, 2, 1);
    message.mentions = vec![JUN, MINA];
    given(group([]))
        .when(send(MINA, &[JUN, MINA], None))
        .then_expect_events(vec![RoomEvent::MessageSent(message)]);
}

#[test]
fn a_reply_carries_what_it_answers() {
    let mut reply = sent(JUN, 3, 2);
    reply.reply_to = Some(ReplyTo {
        seq: Seq(2),
        message_id: MessageId::from_u128(0x600),
        author_id: MINA,
        preview: sealed(MINA, b"what it answers"),
        deleted: false,
    });
    given(group([said(MINA, 2, 1)]))
        .when(send(JUN, &[], Some(facts(2))))
        .then_expect_events(vec![RoomEvent::MessageSent(reply)]);
}

#[test]
fn the_very_first_message_of_a_direct_room_is_answered() {
    let reply = given(direct([said(MINA, 1, 1)]))
        .when(send(JUN, &[], Some(facts(1))))
        .inspect_result();
    assert!(reply.is_ok(), "{reply:?}");
}

#[test]
fn whoever_wrote_it_may_be_gone_when_it_is_answered() {
    let history = group([said(MINA, 2, 1), left(MINA, 3, 2, &[JUN, SORA]), role(JUN, Role::Owner)]);
    let reply = given(history)
        .when(send(JUN, &[], Some(facts(2))))
        .inspect_result()
        .expect("it is answered");
    let answered = reply.iter().any(|event| {
        matches!(event, RoomEvent::MessageSent(message) if message.reply_to.as_ref().is_some_and(|to| to.author_id == MINA))
    });
    assert!(answered);
}

#[test]
fn a_long_text_is_shown_by_its_preview_and_a_short_one_whole() {
    let mut message = sent(MINA, 2, 1);
    assert_eq!(message.shown(), &sealed(MINA, b"body"));
    message.preview = Some(sealed(MINA, b"preview"));
    assert_eq!(message.shown(), &sealed(MINA, b"preview"));
}

#[test]
fn the_preview_rides_along() {
    let mut message = sent(MINA, 2, 1);
    message.preview = Some(sealed(MINA, b"preview"));
    let mut command = say(MINA);
    if let RoomCommand::Send { preview, .. } = &mut command {
        *preview = Some(sealed(MINA, b"preview"));
    }
    given(group([]))
        .when(command)
        .then_expect_events(vec![RoomEvent::MessageSent(message)]);
}
