//! What the events of the window say about rooms: how much is counted in them, how many are in them, and where they end.
//!
//! Read marks are told with numbers that must be those of their own place in the log. The read model is another place: it may
//! be behind, and it may be ahead. Events carry results, so the newest one of a room before a mark says it exactly.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use cocotalk_application::port::event_log::RecordedEvent;
use cocotalk_domain::event::AnyEvent;
use cocotalk_domain::id::{RoomId, UserId};
use cocotalk_domain::number::{Cnt, Seq};
use cocotalk_domain::room::RoomEvent;
use cocotalk_domain::seat::SeatEvent;
use cocotalk_domain::seat::event::FloorRaised;
use cocotalk_domain::stream::StreamId;

/// What is known of a room at a place in the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct RoomFacts {
    /// Counted items; not known after an event that cannot be read.
    pub(super) cnt: Option<Cnt>,
    /// Members; not known before the first event that says it.
    pub(super) members: Option<u32>,
    /// The newest item of its timeline; not known before the first event that adds one, nor after one that cannot be read.
    pub(super) last_seq: Option<Seq>,
}

impl RoomFacts {
    /// What is known after an event of a room's stream, given what was known before it.
    pub(super) fn after(event: &RecordedEvent, before: Option<Self>) -> Option<Self> {
        let known = |seq, cnt, members| {
            Some(Self {
                cnt: Some(cnt),
                members,
                last_seq: Some(seq),
            })
        };
        let members = before.and_then(|before| before.members);
        match &event.event {
            Ok(AnyEvent::Room(RoomEvent::Opened(e))) => known(Seq(1), Cnt(0), Some(e.user_ids.len() as u32)),
            Ok(AnyEvent::Room(RoomEvent::MembersInvited(e))) => known(e.seq, e.cnt, Some(e.member_count)),
            Ok(AnyEvent::Room(RoomEvent::MemberLeft(e))) => known(e.seq, e.cnt, Some(e.member_count)),
            Ok(AnyEvent::Room(RoomEvent::MemberKicked(e))) => known(e.seq, e.cnt, Some(e.member_count)),
            Ok(AnyEvent::Room(RoomEvent::RoleGiven(e))) => known(e.seq, e.cnt, members),
            Ok(AnyEvent::Room(RoomEvent::MessageSent(e))) => known(e.seq, e.cnt, Some(e.member_count)),
            Ok(AnyEvent::Room(RoomEvent::Renamed(e))) => known(e.seq, e.cnt, members),
            Ok(AnyEvent::Room(RoomEvent::NoticeChanged(e))) => known(e.seq, e.cnt, members),
            Ok(AnyEvent::Room(
                RoomEvent::RoleChanged(_)
                | RoomEvent::SettingsChanged(_)
                | RoomEvent::MessageEdited(_)
                | RoomEvent::MessageDeleted(_)
                | RoomEvent::ReactionChanged(_)
                | RoomEvent::Closed(_),
            )) => before,
            // It may have been anything.
            Ok(_) | Err(_) => Some(Self::default()),
        }
    }

    /// What was known before an event of a room's stream, as far as the event says; nothing where it is about something else.
    pub(super) fn before(event: &RecordedEvent) -> Option<Self> {
        let cnt = match &event.event {
            Ok(AnyEvent::Room(RoomEvent::MessageSent(e))) => e.cnt.0.checked_sub(1).map(Cnt),
            Ok(AnyEvent::Room(RoomEvent::MembersInvited(e))) => Some(e.cnt),
            Ok(AnyEvent::Room(RoomEvent::MemberLeft(e))) => Some(e.cnt),
            Ok(AnyEvent::Room(RoomEvent::MemberKicked(e))) => Some(e.cnt),
            Ok(AnyEvent::Room(RoomEvent::RoleGiven(e))) => Some(e.cnt),
            Ok(AnyEvent::Room(RoomEvent::Renamed(e))) => Some(e.cnt),
            Ok(AnyEvent::Room(RoomEvent::NoticeChanged(e))) => Some(e.cnt),
            Ok(AnyEvent::Room(
                RoomEvent::RoleChanged(_)
                | RoomEvent::SettingsChanged(_)
                | RoomEvent::MessageEdited(_)
                | RoomEvent::MessageDeleted(_)
                | RoomEvent::ReactionChanged(_)
                | RoomEvent::Closed(_),
            )) => return None,
            // Before the beginning there is nothing to mark, and what cannot be read may have been anything.
            Ok(_) | Err(_) => None,
        };
        Some(Self { cnt, ..Self::default() })
    }
}

/// The floor that an event raises.
pub(super) const fn floor_of(event: &RecordedEvent) -> Option<&FloorRaised> {
    match &event.event {
        Ok(AnyEvent::Seat(SeatEvent::FloorRaised(floor))) => Some(floor),
        Ok(_) | Err(_) => None,
    }
}

/// What the events of a window say, after the newest of them. What is known of a room is kept as long as an event of it.
#[derive(Default)]
pub(super) struct Facts {
    rooms: HashMap<RoomId, (u64, RoomFacts)>,
    floors: HashMap<(UserId, RoomId), (u64, Cnt)>,
}

impl Facts {
    /// Takes in the newest event.
    pub(super) fn take_in(&mut self, event: &RecordedEvent) {
        if let StreamId::Room(room) = event.stream {
            let before = self.rooms.get(&room).map(|(_, facts)| *facts);
            if let Some(facts) = RoomFacts::after(event, before) {
                self.rooms.insert(room, (event.slice_pos, facts));
            }
        } else if let Some(floor) = floor_of(event) {
            let at = (event.slice_pos, floor.floor_cnt);
            self.floors.insert((floor.user_id, floor.room_id), at);
        }
    }

    /// Lets the oldest event go.
    pub(super) fn let_go(&mut self, event: &RecordedEvent) {
        if let StreamId::Room(room) = event.stream {
            forget(self.rooms.entry(room), event.slice_pos);
        } else if let Some(floor) = floor_of(event) {
            forget(self.floors.entry((floor.user_id, floor.room_id)), event.slice_pos);
        }
    }

    /// What is known of a room; nothing where no event of it is in the window.
    pub(super) fn room(&self, room: RoomId) -> Option<RoomFacts> {
        self.rooms.get(&room).map(|(_, facts)| *facts)
    }

    /// Counted items before the first one that a person may see in a direct room that they have left.
    pub(super) fn floor(&self, user: UserId, room: RoomId) -> Option<Cnt> {
        self.floors.get(&(user, room)).map(|(_, cnt)| *cnt)
    }
}

fn forget<K, V>(entry: Entry<'_, K, (u64, V)>, pos: u64) {
    if let Entry::Occupied(entry) = entry
        && entry.get().0 == pos
    {
        entry.remove();
    }
}
