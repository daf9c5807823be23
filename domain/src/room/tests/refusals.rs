//! What is refused whatever the command: to strangers, in rooms that are not there, in the wrong kind of room.

use super::*;

/// One command of every kind that a member can give.
fn all(by: UserId) -> Vec<RoomCommand> {
    [group_commands(by), vec![say(by)]].concat()
}

/// Those that make sense in a group only.
fn group_commands(by: UserId) -> Vec<RoomCommand> {
    vec![
        invite(by, &[DAN]),
        leave(by),
        kick(by, JUN),
        give(by, JUN, Role::Admin),
        rename(by, Some("Tea")),
        set_notice(by, Some("Tea at four")),
        settle(by, Some(Who::Admins), None),
    ]
}

fn all_refused(history: &[RoomEvent], commands: Vec<RoomCommand>, why: &RoomError) {
    for command in commands {
        given(history.to_vec()).when(command).then_expect_error(why.clone());
    }
}

#[test]
fn a_room_that_nobody_opened_is_not_there() {
    all_refused(&[], all(MINA), &RoomError::NoSuchRoom);
}

#[test]
fn to_a_stranger_a_group_is_not_there() {
    all_refused(&group([]), all(STRANGER), &RoomError::NoSuchRoom);
}

#[test]
fn to_a_stranger_a_direct_room_is_not_there() {
    all_refused(&direct([]), all(STRANGER), &RoomError::NoSuchRoom);
}

#[test]
fn to_one_who_left_a_group_is_not_there_any_more() {
    let history = group([left(SORA, 2, 2, &[MINA, JUN])]);
    all_refused(&history, all(SORA), &RoomError::NoSuchRoom);
}

#[test]
fn a_closed_group_is_not_there_for_anybody() {
    all_refused(&closed_group(), all(MINA), &RoomError::NoSuchRoom);
}

#[test]
fn a_direct_room_has_no_guests_roles_names_notices_or_settings_and_nobody_leaves_it_or_is_kicked() {
    all_refused(&direct([]), group_commands(MINA), &RoomError::OnlyInGroups);
}

#[test]
fn every_refusal_has_a_word_of_its_own() {
    let user_ids = vec![MINA];
    let refusals = [
        RoomError::NoSuchRoom,
        RoomError::AlreadyOpen,
        RoomError::OnlyInGroups,
        RoomError::NotAllowed,
        RoomError::NoSuchMember,
        RoomError::OwnerStays,
        RoomError::TooFewMembers { min: 3 },
        RoomError::TooManyMembers { max: 3 },
        RoomError::CannotBeInvited {
            user_ids: user_ids.clone(),
        },
        RoomError::MentionsNoMember { user_ids },
        RoomError::NoSuchMessage,
        RoomError::RecipientGone,
    ];
    let codes: std::collections::BTreeSet<_> = refusals.iter().map(RoomError::code).collect();
    assert_eq!(codes.len(), refusals.len());
}
