//! What the room alone knows of reading: first positions, and how many messages count up to an item.

use super::*;

#[test]
fn a_stranger_has_no_read_position() {
    assert_eq!(room(&group([])).read_seq(STRANGER), Err(RoomError::NoSuchRoom));
}

#[test]
fn nobody_has_read_anything_of_a_new_direct_room() {
    assert_eq!(room(&direct([])).read_seq(JUN), Ok(Seq(0)));
}

#[test]
fn the_line_that_added_a_member_is_their_first_read_position() {
    let room = room(&group([
        said(MINA, 2, 1),
        invited(MINA, &[DAN], 3, 1, (4, &[MINA, JUN, SORA, DAN])),
    ]));
    assert_eq!(room.read_seq(JUN), Ok(Seq(1)));
    assert_eq!(room.read_seq(DAN), Ok(Seq(3)));
}

#[test]
fn ones_own_message_moves_the_read_position_and_nobody_elses() {
    let room = room(&group([said(MINA, 2, 1), said(JUN, 3, 2)]));
    assert_eq!(room.read_seq(JUN), Ok(Seq(3)));
    assert_eq!(room.read_seq(MINA), Ok(Seq(2)));
    assert_eq!(room.read_seq(SORA), Ok(Seq(1)));
}

#[test]
fn messages_count_up_to_an_item_and_lines_do_not() {
    let room = room(&group([
        said(MINA, 2, 1),
        renamed(MINA, Some("Tea"), 3),
        said(JUN, 4, 2),
        said(JUN, 5, 3),
    ]));
    let counts: Vec<u64> = (0..=5).map(|seq| room.cnt_at(Seq(seq)).get()).collect();
    assert_eq!(counts, [0, 0, 1, 1, 2, 3]);
}

#[test]
fn beyond_the_newest_item_nothing_more_counts() {
    let room = room(&group([said(MINA, 2, 1)]));
    assert_eq!(room.cnt_at(Seq(1_000)), room.last_cnt());
}
