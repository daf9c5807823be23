//! What happened to a seat.

use cqrs_es::DomainEvent;
use serde::{Deserialize, Serialize};

use crate::id::{RoomId, UserId};
use crate::number::{Cnt, Seq};
use crate::sealed::Sealed;
use crate::time::Instant;

/// An event of a seat's stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SeatEvent {
    /// The person read further.
    #[serde(rename = "seat.read_advanced")]
    ReadAdvanced(ReadAdvanced),
    /// The person left a direct room.
    #[serde(rename = "seat.floor_raised")]
    FloorRaised(FloorRaised),
    /// The person hid a message from themselves.
    #[serde(rename = "seat.message_hidden")]
    MessageHidden(MessageHidden),
    /// The person's own settings for the room changed.
    #[serde(rename = "seat.preferences_set")]
    PreferencesSet(PreferencesSet),
}

impl SeatEvent {
    /// The wire version of what this build writes.
    pub const VERSION: &'static str = "1";

    /// The wire name.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::ReadAdvanced(_) => "seat.read_advanced",
            Self::FloorRaised(_) => "seat.floor_raised",
            Self::MessageHidden(_) => "seat.message_hidden",
            Self::PreferencesSet(_) => "seat.preferences_set",
        }
    }
}

impl DomainEvent for SeatEvent {
    fn event_type(&self) -> String {
        self.name().to_owned()
    }

    fn event_version(&self) -> String {
        Self::VERSION.to_owned()
    }
}

/// The read position moved forward.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadAdvanced {
    /// The room.
    pub room_id: RoomId,
    /// Whose.
    pub user_id: UserId,
    /// The position.
    pub read_seq: Seq,
    /// Counted items up to it.
    pub read_cnt: Cnt,
    /// Messages after it that this person has hidden: for them they are not unread.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub hidden: u64,
    /// When.
    pub at: Instant,
}

/// A direct room was left: everything before the floor is hidden from this person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FloorRaised {
    /// The room.
    pub room_id: RoomId,
    /// Whose.
    pub user_id: UserId,
    /// The first item they may see.
    pub floor_seq: Seq,
    /// Counted items before it.
    pub floor_cnt: Cnt,
    /// When.
    pub at: Instant,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// A message was hidden from this person alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageHidden {
    /// The room.
    pub room_id: RoomId,
    /// Whose seat.
    pub user_id: UserId,
    /// The message's place.
    pub seq: Seq,
    /// The newest of all that they have hidden.
    pub last_hidden: Seq,
    /// When.
    pub at: Instant,
}

/// The whole of a person's own settings for the room, after a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreferencesSet {
    /// The room.
    pub room_id: RoomId,
    /// Whose.
    pub user_id: UserId,
    /// No pushes until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub muted_until: Option<Instant>,
    /// On top of the list since then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pinned_at: Option<Instant>,
    /// The own name for it, sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias: Option<Sealed>,
    /// When.
    pub at: Instant,
}
