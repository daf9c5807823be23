//! `reads`: how far everybody has read (R4, R6). Registers that only rise, so the order of their events never matters.
//!
//! A person's position is the largest of what they marked, the line that let them into a group, and their own newest
//! message. Where somebody leaves a group or is kicked, the position that others count with goes with them.

use cocotalk_application::port::event_log::RecordedEvent;
use cocotalk_application::projection::{Poison, Projection};
use cocotalk_application::row::RowWrite;
use cocotalk_domain::event::AnyEvent;
use cocotalk_domain::id::{RoomId, UserId};
use cocotalk_domain::number::{Cnt, Seq};
use cocotalk_domain::room::{RoomEvent, RoomKind};
use cocotalk_domain::seat::SeatEvent;

/// How far everybody has read.
pub struct Reads;

fn read(room_id: RoomId, user_id: UserId, read_seq: Seq, read_cnt: Cnt) -> RowWrite {
    RowWrite::Read {
        room_id,
        user_id,
        read_seq,
        read_cnt,
    }
}

const fn ended(room_id: RoomId, user_id: UserId, seq: Seq) -> RowWrite {
    RowWrite::ReadEnded { room_id, user_id, seq }
}

impl Projection for Reads {
    fn name(&self) -> &'static str {
        "reads"
    }

    fn rows(&self, recorded: &RecordedEvent) -> Result<Vec<RowWrite>, Poison> {
        Ok(
            match recorded.event.as_ref().map_err(|error| Poison(error.to_string()))? {
                AnyEvent::Room(event) => of_room(event),
                AnyEvent::Seat(SeatEvent::ReadAdvanced(e)) => vec![read(e.room_id, e.user_id, e.read_seq, e.read_cnt)],
                AnyEvent::Seat(
                    SeatEvent::FloorRaised(_) | SeatEvent::MessageHidden(_) | SeatEvent::PreferencesSet(_),
                )
                | AnyEvent::Account(_)
                | AnyEvent::Claim(_) => Vec::new(),
            },
        )
    }
}

fn of_room(event: &RoomEvent) -> Vec<RowWrite> {
    match event {
        RoomEvent::Opened(e) if e.kind == RoomKind::Group => e
            .user_ids
            .iter()
            .map(|user| read(e.room_id, *user, e.seq, Cnt(0)))
            .collect(),
        RoomEvent::MembersInvited(e) => e
            .user_ids
            .iter()
            .map(|user| read(e.room_id, *user, e.seq, e.cnt))
            .collect(),
        RoomEvent::MemberLeft(e) => vec![ended(e.room_id, e.user_id, e.seq)],
        RoomEvent::MemberKicked(e) => vec![ended(e.room_id, e.user_id, e.seq)],
        RoomEvent::MessageSent(e) => vec![read(e.room_id, e.author_id, e.seq, e.cnt)],
        RoomEvent::Opened(_)
        | RoomEvent::RoleGiven(_)
        | RoomEvent::RoleChanged(_)
        | RoomEvent::Renamed(_)
        | RoomEvent::NoticeChanged(_)
        | RoomEvent::SettingsChanged(_)
        | RoomEvent::MessageEdited(_)
        | RoomEvent::MessageDeleted(_)
        | RoomEvent::ReactionChanged(_)
        | RoomEvent::Closed(_) => Vec::new(),
    }
}
