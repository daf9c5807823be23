//! Name, notice and settings of a group.

use super::*;

#[test]
fn a_member_does_not_rename_where_only_admins_do() {
    given(group([settled(Who::Admins, Who::All)]))
        .when(rename(JUN, Some("Tea")))
        .then_expect_error(RoomError::NotAllowed);
}

#[test]
fn a_member_puts_up_no_notice_where_only_admins_rename() {
    given(group([settled(Who::Admins, Who::All)]))
        .when(set_notice(JUN, Some("Tea at four")))
        .then_expect_error(RoomError::NotAllowed);
}

#[test]
fn a_member_does_not_change_the_settings() {
    given(group([]))
        .when(settle(JUN, Some(Who::Admins), None))
        .then_expect_error(RoomError::NotAllowed);
}

#[test]
fn the_name_it_has_is_no_new_name() {
    given(group([renamed(MINA, Some("Tea"), 2)]))
        .when(rename(JUN, Some("Tea")))
        .then_expect_events(vec![]);
}

#[test]
fn taking_away_no_name_is_nothing() {
    given(group([])).when(rename(JUN, None)).then_expect_events(vec![]);
}

#[test]
fn the_notice_it_has_is_no_new_notice() {
    given(group([noticed(MINA, Some("Tea at four"), 2)]))
        .when(set_notice(JUN, Some("Tea at four")))
        .then_expect_events(vec![]);
}

#[test]
fn settings_that_stay_are_no_change() {
    for (rename_by, invite_by) in [(None, None), (Some(Who::All), None), (None, Some(Who::All))] {
        given(group([]))
            .when(settle(MINA, rename_by, invite_by))
            .then_expect_events(vec![]);
    }
}

#[test]
fn a_member_renames_where_all_do() {
    given(group([]))
        .when(rename(JUN, Some("Tea")))
        .then_expect_events(vec![renamed(JUN, Some("Tea"), 2)]);
}

#[test]
fn a_name_given_at_the_opening_is_its_name() {
    given(vec![group_opened(&[MINA, JUN, SORA], Some("Tea"))])
        .when(rename(JUN, Some("Tea")))
        .then_expect_events(vec![]);
}

#[test]
fn owner_and_admins_rename_where_only_admins_do() {
    for by in [MINA, JUN] {
        given(group([role(JUN, Role::Admin), settled(Who::Admins, Who::All)]))
            .when(rename(by, Some("Tea")))
            .then_expect_events(vec![renamed(by, Some("Tea"), 2)]);
    }
}

#[test]
fn a_name_can_be_taken_away() {
    given(group([renamed(MINA, Some("Tea"), 2)]))
        .when(rename(JUN, None))
        .then_expect_events(vec![renamed(JUN, None, 3)]);
}

#[test]
fn a_member_puts_up_a_notice_where_all_rename() {
    given(group([]))
        .when(set_notice(JUN, Some("Tea at four")))
        .then_expect_events(vec![noticed(JUN, Some("Tea at four"), 2)]);
}

#[test]
fn a_notice_can_be_taken_down() {
    given(group([noticed(MINA, Some("Tea at four"), 2)]))
        .when(set_notice(JUN, None))
        .then_expect_events(vec![noticed(JUN, None, 3)]);
}

#[test]
fn owner_and_admins_change_the_settings() {
    for by in [MINA, JUN] {
        given(group([role(JUN, Role::Admin)]))
            .when(settle(by, Some(Who::Admins), Some(Who::Admins)))
            .then_expect_events(vec![RoomEvent::SettingsChanged(SettingsChanged {
                room_id: ROOM,
                by,
                settings: Settings {
                    rename_by: Who::Admins,
                    invite_by: Who::Admins,
                },
                at: NOON,
            })]);
    }
}

#[test]
fn a_setting_that_is_not_named_stays() {
    given(group([settled(Who::Admins, Who::All)]))
        .when(settle(MINA, None, Some(Who::Admins)))
        .then_expect_events(vec![settled(Who::Admins, Who::Admins)]);
}

#[test]
fn the_lines_of_name_and_notice_take_a_seq_and_count_for_nobody() {
    let room = room(&group([
        renamed(MINA, Some("Tea"), 2),
        noticed(MINA, Some("Tea at four"), 3),
    ]));
    assert_eq!((room.last_seq(), room.last_cnt()), (Seq(3), Cnt(0)));
}

#[test]
fn settings_have_no_line() {
    let room = room(&group([settled(Who::Admins, Who::All)]));
    assert_eq!(room.last_seq(), Seq(1));
}

#[test]
fn the_lines_are_never_dated_before_the_item_before_them() {
    let (by, name, notice) = (MINA, Some(named("Tea")), Some(noted("Tea at four")));
    given(group([renamed(MINA, Some("Mint"), 2)]))
        .when(RoomCommand::Rename { by, name, at: DAWN })
        .then_expect_events(vec![renamed(MINA, Some("Tea"), 3)]);
    given(group([renamed(MINA, Some("Mint"), 2)]))
        .when(RoomCommand::SetNotice { by, notice, at: DAWN })
        .then_expect_events(vec![noticed(MINA, Some("Tea at four"), 3)]);
}
