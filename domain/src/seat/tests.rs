//! The rules of a seat, one test each: given these events, when this command, then this refusal or those events.

use cqrs_es::test::{AggregateTestExecutor, TestFramework};

use super::event::{FloorRaised, MessageHidden, PreferencesSet, ReadAdvanced};
use super::{Patch, Seat, SeatCommand, SeatError, SeatEvent};
use crate::id::{RoomId, UserId};
use crate::number::{Cnt, Seq};
use crate::sealed::Sealed;
use crate::time::Instant;

const ROOM: RoomId = RoomId::from_u128(0x100);
const MINA: UserId = UserId::from_u128(1);

const DAWN: Instant = Instant::from_millis(1_000);
/// When the commands of the tests come.
const NOON: Instant = Instant::from_millis(5_000);
const NIGHT: Instant = Instant::from_millis(9_000);

fn given(history: Vec<SeatEvent>) -> AggregateTestExecutor<Seat> {
    TestFramework::<Seat>::with(()).given(history)
}

fn seat(history: &[SeatEvent]) -> Seat {
    let mut seat = Seat::default();
    for event in history {
        seat.evolve(event);
    }
    seat
}

/// Marks `seq` read, where the room itself knows Mina to have read up to `known_seq`.
fn mark(seq: u64, known_seq: u64) -> SeatCommand {
    SeatCommand::MarkRead {
        room_id: ROOM,
        user_id: MINA,
        seq: Seq(seq),
        cnt: Cnt(seq - 1),
        known_seq: Seq(known_seq),
        at: NOON,
    }
}

fn read(seq: u64) -> SeatEvent {
    SeatEvent::ReadAdvanced(ReadAdvanced {
        room_id: ROOM,
        user_id: MINA,
        read_seq: Seq(seq),
        read_cnt: Cnt(seq - 1),
        hidden: 0,
        at: NOON,
    })
}

/// Leaves the direct room whose newest item is this one.
fn leave(last_seq: u64) -> SeatCommand {
    SeatCommand::LeaveDirect {
        room_id: ROOM,
        user_id: MINA,
        last_seq: Seq(last_seq),
        last_cnt: Cnt(last_seq),
        at: NOON,
    }
}

fn floor(floor_seq: u64) -> SeatEvent {
    SeatEvent::FloorRaised(FloorRaised {
        room_id: ROOM,
        user_id: MINA,
        floor_seq: Seq(floor_seq),
        floor_cnt: Cnt(floor_seq - 1),
        at: NOON,
    })
}

fn prefer(muted_until: Patch<Instant>, pinned: Option<bool>, alias: Patch<Sealed>) -> SeatCommand {
    SeatCommand::SetPreferences {
        room_id: ROOM,
        user_id: MINA,
        muted_until,
        pinned,
        alias,
        at: NOON,
    }
}

fn mute(muted_until: Patch<Instant>) -> SeatCommand {
    prefer(muted_until, None, Patch::Keep)
}

fn pin(pinned: bool) -> SeatCommand {
    prefer(Patch::Keep, Some(pinned), Patch::Keep)
}

fn call(alias: Patch<Sealed>) -> SeatCommand {
    prefer(Patch::Keep, None, alias)
}

fn preferred(muted_until: Option<Instant>, pinned_at: Option<Instant>, alias: Option<Sealed>) -> SeatEvent {
    SeatEvent::PreferencesSet(PreferencesSet {
        room_id: ROOM,
        user_id: MINA,
        muted_until,
        pinned_at,
        alias,
        at: NOON,
    })
}

fn alias(bytes: &[u8]) -> Sealed {
    Sealed {
        subject: MINA,
        bytes: bytes.to_vec(),
    }
}

/// All three set.
fn all_preferred() -> SeatEvent {
    preferred(Some(NIGHT), Some(DAWN), Some(alias(b"work")))
}

#[test]
fn a_mute_does_not_end_before_it_begins() {
    given(vec![])
        .when(mute(Patch::Set(DAWN)))
        .then_expect_error(SeatError::MutedIntoThePast);
}

#[test]
fn a_mute_does_not_end_as_it_begins() {
    given(vec![])
        .when(mute(Patch::Set(NOON)))
        .then_expect_error(SeatError::MutedIntoThePast);
}

#[test]
fn a_refused_mute_takes_pin_and_alias_with_it() {
    given(vec![])
        .when(prefer(Patch::Set(DAWN), Some(true), Patch::Set(alias(b"work"))))
        .then_expect_error(SeatError::MutedIntoThePast);
}

#[test]
fn reading_does_not_go_back() {
    given(vec![read(5)]).when(mark(4, 0)).then_expect_events(vec![]);
}

#[test]
fn what_is_read_is_not_read_again() {
    given(vec![read(5)]).when(mark(5, 0)).then_expect_events(vec![]);
}

#[test]
fn what_the_room_knows_to_be_read_is_not_marked() {
    for seq in [6, 7] {
        given(vec![read(5)]).when(mark(seq, 7)).then_expect_events(vec![]);
    }
}

#[test]
fn the_first_mark_is_an_event() {
    given(vec![]).when(mark(1, 0)).then_expect_events(vec![read(1)]);
}

#[test]
fn reading_goes_forward() {
    given(vec![read(5)]).when(mark(8, 7)).then_expect_events(vec![read(8)]);
    assert_eq!(seat(&[read(5), read(8)]).read_seq(), Seq(8));
}

#[test]
fn a_read_position_never_falls_whatever_was_written() {
    assert_eq!(seat(&[read(8), read(5)]).read_seq(), Seq(8));
}

#[test]
fn leaving_a_room_without_an_item_is_nothing() {
    given(vec![]).when(leave(0)).then_expect_events(vec![]);
}

#[test]
fn leaving_twice_is_leaving_once() {
    given(vec![floor(4)]).when(leave(3)).then_expect_events(vec![]);
}

#[test]
fn leaving_hides_everything_up_to_the_newest_item() {
    given(vec![]).when(leave(3)).then_expect_events(vec![floor(4)]);
    assert_eq!(seat(&[floor(4)]).floor_seq(), Seq(4));
}

#[test]
fn a_room_that_came_back_is_left_again() {
    given(vec![floor(4)]).when(leave(4)).then_expect_events(vec![floor(5)]);
}

#[test]
fn leaving_moves_no_read_position() {
    assert_eq!(seat(&[read(2), floor(6)]).read_seq(), Seq(2));
}

#[test]
fn preferences_that_stay_are_no_event() {
    let nothing_new = [
        prefer(Patch::Keep, None, Patch::Keep),
        mute(Patch::Set(NIGHT)),
        pin(true),
        call(Patch::Set(alias(b"work"))),
    ];
    for command in nothing_new {
        given(vec![all_preferred()]).when(command).then_expect_events(vec![]);
    }
}

#[test]
fn clearing_what_is_not_set_is_no_event() {
    given(vec![])
        .when(prefer(Patch::Clear, Some(false), Patch::Clear))
        .then_expect_events(vec![]);
}

#[test]
fn muting_keeps_pin_and_alias() {
    let later = Instant::from_millis(9_001);
    given(vec![all_preferred()])
        .when(mute(Patch::Set(later)))
        .then_expect_events(vec![preferred(Some(later), Some(DAWN), Some(alias(b"work")))]);
}

#[test]
fn a_mute_is_lifted() {
    given(vec![all_preferred()])
        .when(mute(Patch::Clear))
        .then_expect_events(vec![preferred(None, Some(DAWN), Some(alias(b"work")))]);
}

#[test]
fn a_mute_that_is_over_stands_in_nobodys_way() {
    let over = preferred(Some(DAWN), None, None);
    given(vec![over])
        .when(pin(true))
        .then_expect_events(vec![preferred(Some(DAWN), Some(NOON), None)]);
}

#[test]
fn a_pin_remembers_since_when() {
    given(vec![])
        .when(pin(true))
        .then_expect_events(vec![preferred(None, Some(NOON), None)]);
}

#[test]
fn pinning_again_keeps_the_first_instant() {
    given(vec![all_preferred()])
        .when(prefer(Patch::Clear, Some(true), Patch::Keep))
        .then_expect_events(vec![preferred(None, Some(DAWN), Some(alias(b"work")))]);
}

#[test]
fn a_pin_is_taken_out() {
    given(vec![all_preferred()])
        .when(pin(false))
        .then_expect_events(vec![preferred(Some(NIGHT), None, Some(alias(b"work")))]);
}

#[test]
fn an_alias_is_given() {
    given(vec![])
        .when(call(Patch::Set(alias(b"home"))))
        .then_expect_events(vec![preferred(None, None, Some(alias(b"home")))]);
}

#[test]
fn an_alias_is_taken_away() {
    given(vec![all_preferred()])
        .when(call(Patch::Clear))
        .then_expect_events(vec![preferred(Some(NIGHT), Some(DAWN), None)]);
}

#[test]
fn all_three_change_in_one_event() {
    given(vec![])
        .when(prefer(Patch::Set(NIGHT), Some(true), Patch::Set(alias(b"home"))))
        .then_expect_events(vec![preferred(Some(NIGHT), Some(NOON), Some(alias(b"home")))]);
}

#[test]
fn a_patch_of_a_patch_keeps_its_kind() {
    let double = |n: u8| n.checked_mul(2).ok_or("too large");
    assert_eq!(Patch::Keep.try_map(double), Ok(Patch::Keep));
    assert_eq!(Patch::Clear.try_map(double), Ok(Patch::Clear));
    assert_eq!(Patch::Set(4).try_map(double), Ok(Patch::Set(8)));
    assert_eq!(Patch::Set(200).try_map(double), Err("too large"));
}

#[test]
fn every_refusal_has_its_word() {
    assert_eq!(SeatError::MutedIntoThePast.code(), "not_in_the_future");
}

fn hide(seq: u64) -> SeatCommand {
    SeatCommand::Hide {
        room_id: ROOM,
        user_id: MINA,
        seq: Seq(seq),
        max: 2,
        at: NOON,
    }
}

fn hidden(seq: u64, last_hidden: u64) -> SeatEvent {
    SeatEvent::MessageHidden(MessageHidden {
        room_id: ROOM,
        user_id: MINA,
        seq: Seq(seq),
        last_hidden: Seq(last_hidden),
        at: NOON,
    })
}

#[test]
fn a_message_is_hidden_once_and_the_newest_hidden_one_is_told() {
    given(vec![]).when(hide(7)).then_expect_events(vec![hidden(7, 7)]);
    given(vec![hidden(7, 7)]).when(hide(7)).then_expect_events(vec![]);
    given(vec![hidden(7, 7)])
        .when(hide(5))
        .then_expect_events(vec![hidden(5, 7)]);
    given(vec![hidden(7, 7)])
        .when(hide(9))
        .then_expect_events(vec![hidden(9, 9)]);
}

#[test]
fn so_many_are_hidden_and_no_more() {
    let full = || vec![hidden(7, 7), hidden(5, 7)];
    given(full())
        .when(hide(9))
        .then_expect_error(SeatError::TooManyHidden { max: 2 });
    given(full()).when(hide(5)).then_expect_events(vec![]);
}

#[test]
fn what_was_hidden_or_left_behind_is_not_seen() {
    let seat = seat(&[hidden(7, 7), floor(4)]);
    let seen: Vec<u64> = (1..=9).filter(|seq| seat.sees(Seq(*seq))).collect();
    assert_eq!(seen, [4, 5, 6, 8, 9]);
}

#[test]
fn a_mark_tells_how_many_hidden_messages_come_after_it() {
    let mut expected = read(5);
    if let SeatEvent::ReadAdvanced(mark) = &mut expected {
        mark.hidden = 2;
    }
    given(vec![hidden(3, 3), hidden(5, 5), hidden(7, 7), hidden(6, 7)])
        .when(mark(5, 0))
        .then_expect_events(vec![expected]);
}
