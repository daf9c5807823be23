//! Inviting: who may, whom, and how many.

use super::*;

#[test]
fn a_member_does_not_invite_where_only_admins_do() {
    given(group([settled(Who::All, Who::Admins)]))
        .when(invite(JUN, &[DAN]))
        .then_expect_error(RoomError::NotAllowed);
}

#[test]
fn those_who_cannot_be_invited_are_named_and_nobody_comes() {
    let mut invitation = invitation(&[DAN, EVE, STRANGER]);
    invitation.refused = vec![EVE, STRANGER];
    let (by, at) = (MINA, NOON);
    given(group([]))
        .when(RoomCommand::Invite { by, invitation, at })
        .then_expect_error(RoomError::CannotBeInvited {
            user_ids: vec![EVE, STRANGER],
        });
}

#[test]
fn a_group_does_not_outgrow_its_bound() {
    let mut invitation = invitation(&[DAN, EVE]);
    invitation.max_members = 4;
    let (by, at) = (MINA, NOON);
    given(group([]))
        .when(RoomCommand::Invite { by, invitation, at })
        .then_expect_error(RoomError::TooManyMembers { max: 4 });
}

#[test]
fn a_group_grows_to_its_bound() {
    let mut invitation = invitation(&[JUN, DAN]);
    invitation.max_members = 4;
    let (by, at) = (MINA, NOON);
    given(group([]))
        .when(RoomCommand::Invite { by, invitation, at })
        .then_expect_events(vec![invited(MINA, &[DAN], 2, 0, (4, &[MINA, JUN, SORA, DAN]))]);
}

#[test]
fn nothing_happens_where_everybody_is_there_already() {
    given(group([]))
        .when(invite(MINA, &[JUN, MINA]))
        .then_expect_events(vec![]);
}

#[test]
fn whoever_is_there_already_is_passed_over_even_if_they_could_not_be_invited() {
    let mut invitation = invitation(&[JUN, DAN]);
    invitation.refused = vec![JUN];
    let (by, at) = (MINA, NOON);
    given(group([]))
        .when(RoomCommand::Invite { by, invitation, at })
        .then_expect_events(vec![invited(MINA, &[DAN], 2, 0, (4, &[MINA, JUN, SORA, DAN]))]);
}

#[test]
fn everybody_new_comes_once() {
    given(group([]))
        .when(invite(MINA, &[EVE, DAN, EVE, JUN]))
        .then_expect_events(vec![invited(MINA, &[DAN, EVE], 2, 0, (5, &[MINA, JUN, SORA, DAN]))]);
}

#[test]
fn a_member_invites_where_all_do() {
    given(group([]))
        .when(invite(SORA, &[DAN]))
        .then_expect_events(vec![invited(SORA, &[DAN], 2, 0, (4, &[MINA, JUN, SORA, DAN]))]);
}

#[test]
fn owner_and_admins_invite_where_only_admins_do() {
    for by in [MINA, JUN] {
        given(group([role(JUN, Role::Admin), settled(Who::All, Who::Admins)]))
            .when(invite(by, &[DAN]))
            .then_expect_events(vec![invited(by, &[DAN], 2, 0, (4, &[MINA, JUN, SORA, DAN]))]);
    }
}

#[test]
fn the_line_takes_a_seq_and_counts_for_nobody() {
    let line = invited(MINA, &[DAN], 3, 1, (4, &[MINA, JUN, SORA, DAN]));
    let history = group([said(MINA, 2, 1)]);
    given(history.clone())
        .when(invite(MINA, &[DAN]))
        .then_expect_events(vec![line.clone()]);
    let room = room(&[history, vec![line]].concat());
    assert_eq!((room.last_seq(), room.last_cnt()), (Seq(3), Cnt(1)));
}

#[test]
fn the_line_is_never_dated_before_the_item_before_it() {
    let (by, invitation) = (MINA, invitation(&[DAN]));
    given(group([said(MINA, 2, 1)]))
        .when(RoomCommand::Invite {
            by,
            invitation,
            at: DAWN,
        })
        .then_expect_events(vec![invited(MINA, &[DAN], 3, 1, (4, &[MINA, JUN, SORA, DAN]))]);
}

#[test]
fn a_guest_is_a_member_from_the_line_that_added_them() {
    let room = room(&group([
        said(MINA, 2, 1),
        invited(MINA, &[DAN], 3, 1, (4, &[MINA, JUN, SORA, DAN])),
    ]));
    let dan = &room.members()[&DAN];
    assert_eq!((dan.role, dan.joined_seq, dan.joined_at), (Role::Member, Seq(3), NOON));
}

#[test]
fn whoever_comes_back_begins_anew() {
    let room = room(&group([
        said(SORA, 2, 1),
        role(SORA, Role::Admin),
        left(SORA, 3, 2, &[MINA, JUN]),
        invited(JUN, &[SORA], 4, 1, (3, &[MINA, JUN, SORA])),
    ]));
    let sora = &room.members()[&SORA];
    assert_eq!(
        (sora.role, sora.joined_seq, sora.own_seq),
        (Role::Member, Seq(4), Seq(0))
    );
}

#[test]
fn the_sample_shows_whoever_joined_first() {
    // Eve is the newest by seq, though Dan has the smaller id than she; Mina left.
    let history = group([
        left(MINA, 2, 2, &[JUN, SORA]),
        role(JUN, Role::Owner),
        invited(JUN, &[EVE], 3, 0, (3, &[JUN, SORA, EVE])),
    ]);
    given(history)
        .when(invite(JUN, &[DAN]))
        .then_expect_events(vec![invited(JUN, &[DAN], 4, 0, (4, &[JUN, SORA, EVE, DAN]))]);
}
