//! Taking people out of a group: by whom, and what becomes of them.

use super::*;

/// Mina owns it, Jun and Dan are admins, Sora and Eve members.
fn ranked() -> Vec<RoomEvent> {
    group([
        invited(MINA, &[DAN, EVE], 2, 0, (5, &[MINA, JUN, SORA, DAN])),
        given_role(MINA, JUN, Role::Admin, 3),
        given_role(MINA, DAN, Role::Admin, 4),
    ])
}

#[test]
fn only_a_higher_role_kicks() {
    let people = [MINA, JUN, DAN, SORA, EVE];
    let may = [
        (MINA, JUN),
        (MINA, DAN),
        (MINA, SORA),
        (MINA, EVE),
        (JUN, SORA),
        (JUN, EVE),
        (DAN, SORA),
        (DAN, EVE),
    ];
    for by in people {
        for whom in people {
            let decided = room(&ranked()).decide(kick(by, whom));
            if may.contains(&(by, whom)) {
                let rest: Vec<UserId> = [MINA, JUN, SORA, DAN, EVE]
                    .into_iter()
                    .filter(|user| *user != whom)
                    .collect();
                assert_eq!(decided, Ok(vec![kicked(by, whom, 5, &rest)]), "{by} kicks {whom}");
            } else {
                assert_eq!(decided, Err(RoomError::NotAllowed), "{by} kicks {whom}");
            }
        }
    }
}

#[test]
fn nobody_kicks_who_is_not_there() {
    for by in [MINA, JUN] {
        given(ranked())
            .when(kick(by, STRANGER))
            .then_expect_error(RoomError::NoSuchMember);
    }
}

#[test]
fn a_member_does_not_learn_by_kicking_who_is_there() {
    given(ranked())
        .when(kick(SORA, STRANGER))
        .then_expect_error(RoomError::NotAllowed);
}

#[test]
fn nobody_is_kicked_twice() {
    given(group([kicked(MINA, SORA, 2, &[MINA, JUN])]))
        .when(kick(MINA, SORA))
        .then_expect_error(RoomError::NoSuchMember);
}

#[test]
fn whoever_was_kicked_is_a_member_no_more() {
    let room = room(&group([kicked(MINA, SORA, 2, &[MINA, JUN])]));
    assert_eq!(room.member(SORA), Err(RoomError::NoSuchRoom));
}

#[test]
fn whoever_was_kicked_may_be_invited_again_and_begins_anew() {
    let history = group([
        given_role(MINA, SORA, Role::Admin, 2),
        kicked(MINA, SORA, 3, &[MINA, JUN]),
    ]);
    let back = invited(JUN, &[SORA], 4, 0, (3, &[MINA, JUN, SORA]));
    given(history.clone())
        .when(invite(JUN, &[SORA]))
        .then_expect_events(vec![back.clone()]);
    let room = room(&[history, vec![back]].concat());
    let member = &room.members()[&SORA];
    assert_eq!((member.role, member.joined_seq), (Role::Member, Seq(4)));
}

#[test]
fn an_owner_alone_has_nobody_to_kick_and_may_still_invite() {
    let alone = group([kicked(MINA, SORA, 2, &[MINA, JUN]), kicked(MINA, JUN, 3, &[MINA])]);
    given(alone.clone())
        .when(kick(MINA, MINA))
        .then_expect_error(RoomError::NotAllowed);
    given(alone)
        .when(invite(MINA, &[JUN]))
        .then_expect_events(vec![invited(MINA, &[JUN], 4, 0, (2, &[MINA, JUN]))]);
}

#[test]
fn the_line_is_never_dated_before_the_item_before_it() {
    given(group([renamed(MINA, Some("Tea"), 2)]))
        .when(RoomCommand::Kick {
            by: MINA,
            user_id: SORA,
            at: DAWN,
        })
        .then_expect_events(vec![kicked(MINA, SORA, 3, &[MINA, JUN])]);
}

#[test]
fn the_line_takes_a_seq_and_counts_for_nobody() {
    let room = room(&group([kicked(MINA, SORA, 2, &[MINA, JUN])]));
    assert_eq!((room.last_seq(), room.last_cnt()), (Seq(2), Cnt(0)));
}
