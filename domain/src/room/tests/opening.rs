//! Opening: one direct room per pair, groups with bounds.

use super::*;

fn open_direct(by: UserId, peer: UserId) -> RoomCommand {
    let (room_id, at) = (ROOM, DAWN);
    RoomCommand::OpenDirect { room_id, by, peer, at }
}

fn open_group(by: UserId, invitation: Invitation, name: Option<&str>) -> RoomCommand {
    RoomCommand::OpenGroup {
        room_id: ROOM,
        by,
        invitation,
        name: name.map(named),
        at: DAWN,
    }
}

#[test]
fn a_group_is_not_opened_under_an_id_that_is_taken() {
    given(group([]))
        .when(open_group(DAN, invitation(&[EVE, MINA]), None))
        .then_expect_error(RoomError::AlreadyOpen);
}

#[test]
fn a_closed_group_is_not_opened_again() {
    given(closed_group())
        .when(open_group(MINA, invitation(&[JUN, SORA]), None))
        .then_expect_error(RoomError::AlreadyOpen);
}

#[test]
fn a_group_is_opened_with_enough_people() {
    given(vec![])
        .when(open_group(MINA, invitation(&[JUN]), None))
        .then_expect_error(RoomError::TooFewMembers { min: 3 });
}

#[test]
fn naming_somebody_twice_or_oneself_makes_nobody_more() {
    given(vec![])
        .when(open_group(MINA, invitation(&[JUN, JUN, MINA]), None))
        .then_expect_error(RoomError::TooFewMembers { min: 3 });
}

#[test]
fn a_group_is_not_opened_with_too_many() {
    let mut invitation = invitation(&[JUN, SORA, DAN]);
    invitation.max_members = 3;
    given(vec![])
        .when(open_group(MINA, invitation, None))
        .then_expect_error(RoomError::TooManyMembers { max: 3 });
}

#[test]
fn a_group_is_not_opened_with_somebody_who_cannot_be_invited() {
    let mut invitation = invitation(&[JUN, SORA, DAN]);
    invitation.refused = vec![SORA, DAN];
    given(vec![])
        .when(open_group(MINA, invitation, None))
        .then_expect_error(RoomError::CannotBeInvited {
            user_ids: vec![SORA, DAN],
        });
}

#[test]
fn a_direct_room_has_both_and_no_line() {
    given(vec![])
        .when(open_direct(MINA, JUN))
        .then_expect_events(vec![direct_opened(&[MINA, JUN])]);
}

#[test]
fn one_has_a_direct_room_with_oneself() {
    given(vec![])
        .when(open_direct(MINA, MINA))
        .then_expect_events(vec![direct_opened(&[MINA])]);
}

#[test]
fn a_direct_room_is_opened_once_whoever_asks_again() {
    for (by, peer) in [(MINA, JUN), (JUN, MINA)] {
        given(direct([])).when(open_direct(by, peer)).then_expect_events(vec![]);
    }
}

#[test]
fn a_group_has_whoever_opened_it_first_and_everybody_once() {
    given(vec![])
        .when(open_group(SORA, invitation(&[JUN, MINA, JUN, SORA]), Some("Tea")))
        .then_expect_events(vec![group_opened(&[SORA, MINA, JUN], Some("Tea"))]);
}

#[test]
fn whoever_opens_a_group_needs_no_invitation() {
    let mut invitation = invitation(&[MINA, JUN, SORA]);
    invitation.refused = vec![MINA];
    given(vec![])
        .when(open_group(MINA, invitation, None))
        .then_expect_events(vec![group_opened(&[MINA, JUN, SORA], None)]);
}

#[test]
fn a_group_needs_no_name() {
    given(vec![])
        .when(open_group(MINA, invitation(&[JUN, SORA]), None))
        .then_expect_events(vec![group_opened(&[MINA, JUN, SORA], None)]);
}

#[test]
fn the_largest_group_fits() {
    let mut invitation = invitation(&[JUN, SORA]);
    invitation.max_members = 3;
    given(vec![])
        .when(open_group(MINA, invitation, None))
        .then_expect_events(vec![group_opened(&[MINA, JUN, SORA], None)]);
}

#[test]
fn whoever_opens_a_group_owns_it() {
    let room = room(&group([]));
    assert_eq!(room.kind(), RoomKind::Group);
    assert_eq!(room.members()[&MINA].role, Role::Owner);
    assert_eq!(room.members()[&JUN].role, Role::Member);
}

#[test]
fn nobody_owns_a_direct_room() {
    let room = room(&direct([]));
    assert_eq!(room.kind(), RoomKind::Direct);
    assert!(room.members().values().all(|member| member.role == Role::Member));
}

#[test]
fn the_first_item_of_a_group_is_the_line_of_its_opening() {
    let room = room(&group([]));
    assert_eq!((room.last_seq(), room.last_cnt()), (Seq(1), Cnt(0)));
}

#[test]
fn a_direct_room_begins_without_an_item() {
    let room = room(&direct([]));
    assert_eq!((room.last_seq(), room.last_cnt()), (Seq(0), Cnt(0)));
}

#[test]
fn the_picture_stays_while_those_in_it_stay() {
    // The creator has the highest id, and is not among the first four.
    let people = [5, 1, 2, 3, 4].map(UserId::from_u128);
    let opening = group_opened(&people, None);
    let RoomEvent::Opened(opened) = &opening else {
        unreachable!("it was just opened")
    };
    let guest = UserId::from_u128(0);
    let sample = opened.sample();
    assert_eq!(sample, [1, 2, 3, 4].map(UserId::from_u128));
    given(vec![opening])
        .when(invite(people[1], &[guest]))
        .then_expect_events(vec![invited(people[1], &[guest], 2, 0, (6, &sample))]);
}
