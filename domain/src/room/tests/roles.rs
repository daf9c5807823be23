//! Giving roles and handing a group over.

use super::*;

#[test]
fn only_the_owner_gives_roles() {
    let history = group([given_role(MINA, JUN, Role::Admin, 2)]);
    for by in [JUN, SORA] {
        for whom in [MINA, JUN, SORA, STRANGER] {
            for role in [Role::Member, Role::Admin, Role::Owner] {
                given(history.clone())
                    .when(give(by, whom, role))
                    .then_expect_error(RoomError::NotAllowed);
            }
        }
    }
}

#[test]
fn nobody_has_a_role_who_is_not_there() {
    for role in [Role::Member, Role::Admin, Role::Owner] {
        given(group([]))
            .when(give(MINA, STRANGER, role))
            .then_expect_error(RoomError::NoSuchMember);
    }
}

#[test]
fn an_owner_does_not_lay_it_down() {
    for role in [Role::Member, Role::Admin] {
        given(group([]))
            .when(give(MINA, MINA, role))
            .then_expect_error(RoomError::OwnerStays);
    }
}

#[test]
fn the_role_somebody_has_is_no_new_role() {
    for (user, role) in [(MINA, Role::Owner), (JUN, Role::Admin), (SORA, Role::Member)] {
        given(group([given_role(MINA, JUN, Role::Admin, 2)]))
            .when(give(MINA, user, role))
            .then_expect_events(vec![]);
    }
}

#[test]
fn a_member_is_made_an_admin_and_a_member_again() {
    given(group([]))
        .when(give(MINA, JUN, Role::Admin))
        .then_expect_events(vec![given_role(MINA, JUN, Role::Admin, 2)]);
    given(group([given_role(MINA, JUN, Role::Admin, 2)]))
        .when(give(MINA, JUN, Role::Member))
        .then_expect_events(vec![given_role(MINA, JUN, Role::Member, 3)]);
}

#[test]
fn whoever_hands_a_group_over_stays_as_an_admin() {
    let handed_over = vec![given_role(MINA, SORA, Role::Owner, 2), role(MINA, Role::Admin)];
    given(group([]))
        .when(give(MINA, SORA, Role::Owner))
        .then_expect_events(handed_over.clone());
    let room = room(&group(handed_over));
    let roles = [MINA, JUN, SORA].map(|user| room.members()[&user].role);
    assert_eq!(roles, [Role::Admin, Role::Member, Role::Owner]);
}

#[test]
fn the_line_is_never_dated_before_the_item_before_it() {
    given(group([renamed(MINA, Some("Tea"), 2)]))
        .when(RoomCommand::GiveRole {
            by: MINA,
            user_id: JUN,
            role: Role::Admin,
            at: DAWN,
        })
        .then_expect_events(vec![given_role(MINA, JUN, Role::Admin, 3)]);
}

#[test]
fn the_line_takes_a_seq_and_counts_for_nobody_and_a_consequence_has_none() {
    let room = room(&group([given_role(MINA, JUN, Role::Owner, 2), role(MINA, Role::Admin)]));
    assert_eq!((room.last_seq(), room.last_cnt()), (Seq(2), Cnt(0)));
}

#[test]
fn an_admin_changes_name_notice_and_settings_and_invites_where_only_admins_do() {
    let history = || group([settled(Who::Admins, Who::Admins), given_role(MINA, JUN, Role::Admin, 2)]);
    for (by, allowed) in [(MINA, true), (JUN, true), (SORA, false)] {
        for command in [
            rename(by, Some("Tea")),
            set_notice(by, Some("Tea at four")),
            settle(by, Some(Who::All), None),
            invite(by, &[DAN]),
        ] {
            let decided = room(&history()).decide(command.clone());
            assert_eq!(decided.is_ok(), allowed, "{command:?}");
            assert!(
                allowed || decided == Err(RoomError::NotAllowed),
                "{command:?}: {decided:?}"
            );
        }
    }
}
