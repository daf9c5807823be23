//! Leaving a group: who owns it then, and when it closes.

use super::*;

#[test]
fn whoever_leaves_is_a_member_no_more() {
    given(group([]))
        .when(leave(SORA))
        .then_expect_events(vec![left(SORA, 2, 2, &[MINA, JUN])]);
    let room = room(&group([left(SORA, 2, 2, &[MINA, JUN])]));
    assert!(!room.members().contains_key(&SORA));
}

#[test]
fn nobody_inherits_from_a_member_or_an_admin() {
    given(group([role(JUN, Role::Admin)]))
        .when(leave(JUN))
        .then_expect_events(vec![left(JUN, 2, 2, &[MINA, SORA])]);
}

#[test]
fn the_oldest_admin_inherits_from_the_owner() {
    let history = group([
        invited(MINA, &[DAN, EVE], 2, 0, (5, &[MINA, JUN, SORA, DAN])),
        role(EVE, Role::Admin),
        role(SORA, Role::Admin),
    ]);
    given(history)
        .when(leave(MINA))
        .then_expect_events(vec![left(MINA, 3, 4, &[JUN, SORA, DAN, EVE]), role(SORA, Role::Owner)]);
}

#[test]
fn an_admin_inherits_before_members_who_joined_earlier() {
    let history = group([
        invited(MINA, &[DAN], 2, 0, (4, &[MINA, JUN, SORA, DAN])),
        role(DAN, Role::Admin),
    ]);
    given(history)
        .when(leave(MINA))
        .then_expect_events(vec![left(MINA, 3, 3, &[JUN, SORA, DAN]), role(DAN, Role::Owner)]);
}

#[test]
fn without_admins_whoever_joined_first_inherits() {
    // Jun, whose id is the smallest of the rest, left and came back last.
    let history = group([
        left(JUN, 2, 2, &[MINA, SORA]),
        invited(SORA, &[JUN], 3, 0, (3, &[MINA, SORA, JUN])),
    ]);
    given(history)
        .when(leave(MINA))
        .then_expect_events(vec![left(MINA, 4, 2, &[SORA, JUN]), role(SORA, Role::Owner)]);
}

#[test]
fn an_heir_owns_the_group() {
    let room = room(&group([left(MINA, 2, 2, &[JUN, SORA]), role(JUN, Role::Owner)]));
    assert_eq!(room.members()[&JUN].role, Role::Owner);
}

#[test]
fn the_last_one_to_leave_closes_it() {
    let history = group([
        left(SORA, 2, 2, &[MINA, JUN]),
        left(MINA, 3, 1, &[JUN]),
        role(JUN, Role::Owner),
    ]);
    given(history)
        .when(leave(JUN))
        .then_expect_events(vec![left(JUN, 4, 0, &[]), closed()]);
}

#[test]
fn the_line_is_never_dated_before_the_item_before_it() {
    given(group([renamed(MINA, Some("Tea"), 2)]))
        .when(RoomCommand::Leave { by: SORA, at: DAWN })
        .then_expect_events(vec![left(SORA, 3, 2, &[MINA, JUN])]);
}

#[test]
fn the_line_takes_a_seq_and_counts_for_nobody() {
    let room = room(&group([left(SORA, 2, 2, &[MINA, JUN])]));
    assert_eq!((room.last_seq(), room.last_cnt()), (Seq(2), Cnt(0)));
}
