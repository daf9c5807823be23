//! What somebody can ask of their own seat.

use crate::id::{RoomId, UserId};
use crate::number::{Cnt, Seq};
use crate::sealed::Sealed;
use crate::time::Instant;

/// A change to a value that may be absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Patch<T> {
    /// As it was.
    #[default]
    Keep,
    /// Absent from now on.
    Clear,
    /// This from now on.
    Set(T),
}

impl<T> Patch<T> {
    /// The value after the change.
    pub fn over(self, before: Option<T>) -> Option<T> {
        match self {
            Self::Keep => before,
            Self::Clear => None,
            Self::Set(value) => Some(value),
        }
    }

    /// The same change to a value made from this one.
    pub fn try_map<U, E>(self, make: impl FnOnce(T) -> Result<U, E>) -> Result<Patch<U>, E> {
        Ok(match self {
            Self::Keep => Patch::Keep,
            Self::Clear => Patch::Clear,
            Self::Set(value) => Patch::Set(make(value)?),
        })
    }
}

/// A command, complete: what the seat cannot know was read from its room.
#[derive(Clone, Debug)]
pub enum SeatCommand {
    /// I have read up to here.
    MarkRead {
        /// The room.
        room_id: RoomId,
        /// Whose seat.
        user_id: UserId,
        /// Up to which item, not past the room's newest.
        seq: Seq,
        /// Counted items up to it.
        cnt: Cnt,
        /// Where the room itself knows them to have read (`Room::read_seq`).
        known_seq: Seq,
        /// When.
        at: Instant,
    },
    /// Hide a direct room and everything in it until the next message.
    LeaveDirect {
        /// The room.
        room_id: RoomId,
        /// Whose seat.
        user_id: UserId,
        /// The newest item.
        last_seq: Seq,
        /// Counted items up to it.
        last_cnt: Cnt,
        /// When.
        at: Instant,
    },
    /// Hide a message from oneself. Hiding it again changes nothing.
    Hide {
        /// The room.
        room_id: RoomId,
        /// Whose seat.
        user_id: UserId,
        /// The message's place.
        seq: Seq,
        /// Most messages that one hides in a room.
        max: usize,
        /// When.
        at: Instant,
    },
    /// Mute, pin, give it a name of one's own.
    SetPreferences {
        /// The room.
        room_id: RoomId,
        /// Whose seat.
        user_id: UserId,
        /// No pushes until then.
        muted_until: Patch<Instant>,
        /// On top of the list or not, if that changes.
        pinned: Option<bool>,
        /// The own name for it, sealed.
        alias: Patch<Sealed>,
        /// When.
        at: Instant,
    },
}
