//! Projections: pure functions from events to rows. Same events, same rows, any number of times.

use std::collections::HashMap;

use cocotalk_domain::id::{RoomId, UserId};

use crate::port::event_log::RecordedEvent;
use crate::row::{RowWrite, Stamped};

/// Why a projection cannot take an event: its aggregate is parked for this projection, and nothing else.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Poison(pub String);

/// One projection. The order of a slice is the order of its events; redelivery changes nothing.
pub trait Projection: Send + Sync + 'static {
    /// Its name in checkpoints, metrics and the command line.
    fn name(&self) -> &'static str;
    /// The version of its tables.
    fn version(&self) -> u32 {
        1
    }
    /// The rows that an event makes; none where the event is not for it.
    fn rows(&self, event: &RecordedEvent) -> Result<Vec<RowWrite>, Poison>;
}

/// Drops writes that others of the same flush make pointless: of a room's heads only the newest is written, of a person's
/// read positions in a room only the furthest. The order of what remains is kept.
pub fn coalesce(writes: Vec<Stamped>) -> Vec<Stamped> {
    let mut best: HashMap<Register, (u64, usize)> = HashMap::new();
    for (index, stamped) in writes.iter().enumerate() {
        if let Some((register, rank)) = Register::of(&stamped.write) {
            let entry = best.entry(register).or_insert((rank, index));
            *entry = (*entry).max((rank, index));
        }
    }
    let mut index = 0..;
    let mut writes = writes;
    writes.retain(|stamped| {
        let index = index.next();
        Register::of(&stamped.write).is_none_or(|(register, _)| best.get(&register).map(|(_, kept)| *kept) == index)
    });
    writes
}

/// What is overwritten in place by something that only rises.
#[derive(PartialEq, Eq, Hash)]
enum Register {
    Head(RoomId),
    Read(RoomId, UserId),
}

impl Register {
    fn of(write: &RowWrite) -> Option<(Self, u64)> {
        match write {
            RowWrite::Head { room_id, version, .. } => Some((Self::Head(*room_id), version.0)),
            RowWrite::Read {
                room_id,
                user_id,
                read_seq,
                ..
            } => Some((Self::Read(*room_id, *user_id), read_seq.0)),
            RowWrite::Message(_)
            | RowWrite::MessageEdited { .. }
            | RowWrite::MessageDeleted { .. }
            | RowWrite::Reactions { .. }
            | RowWrite::Reactor { .. }
            | RowWrite::LastChanged { .. }
            | RowWrite::Hidden { .. }
            | RowWrite::UserRoomHidden { .. }
            | RowWrite::Room(_)
            | RowWrite::RoomVersion { .. }
            | RowWrite::RoomMembers { .. }
            | RowWrite::RoomOwner { .. }
            | RowWrite::RoomName { .. }
            | RowWrite::RoomNotice { .. }
            | RowWrite::RoomSettings { .. }
            | RowWrite::RoomClosed { .. }
            | RowWrite::UserRoom { .. }
            | RowWrite::UserRoomLeft { .. }
            | RowWrite::UserRoomFloor { .. }
            | RowWrite::UserRoomPreferences { .. }
            | RowWrite::Member { .. }
            | RowWrite::MemberLeft { .. }
            | RowWrite::MemberRole { .. }
            | RowWrite::ReadEnded { .. }
            | RowWrite::Profile(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use cocotalk_domain::number::{Cnt, Seq};

    use super::*;

    fn read(user: u128, seq: u64) -> Stamped {
        let (room_id, user_id) = (RoomId::from_u128(1), UserId::from_u128(user));
        stamped(RowWrite::Read {
            room_id,
            user_id,
            read_seq: Seq(seq),
            read_cnt: Cnt(seq),
        })
    }

    const fn stamped(write: RowWrite) -> Stamped {
        Stamped { ts_us: 1, write }
    }

    #[test]
    fn only_the_furthest_read_position_is_written() {
        assert_eq!(
            coalesce(vec![read(1, 6), read(2, 1), read(1, 5)]),
            vec![read(1, 6), read(2, 1)]
        );
    }

    #[test]
    fn what_is_no_register_is_kept() {
        let room_id = RoomId::from_u128(1);
        let closed = stamped(RowWrite::RoomClosed { room_id });
        assert_eq!(
            coalesce(vec![closed.clone(), closed.clone()]),
            vec![closed.clone(), closed]
        );
    }
}
