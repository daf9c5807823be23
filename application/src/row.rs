//! Rows of the read model: what queries read and what projections write. The tables are those of `migrations/`.
//!
//! A [`RowWrite`] is one statement that every store can execute. Stores that keep the newest cell by timestamp stamp it with
//! the event's `ts_us`; read positions are registers that only rise, so their order never matters.

use cocotalk_domain::id::{MessageId, RoomId, UserId};
use cocotalk_domain::number::{Cnt, Seq, Version};
use cocotalk_domain::room::event::ReactionTotals;
use cocotalk_domain::room::{Role, RoomKind, Settings};
use cocotalk_domain::sealed::Sealed;
use cocotalk_domain::text::Emoji;
use cocotalk_domain::time::Instant;
use serde::{Deserialize, Serialize};

/// What an item of a timeline is. The numbers are those of the column `kind`, for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(i16)]
pub enum ItemKind {
    /// A message of text.
    Text = 0,
    /// People were let in.
    Invited = 1,
    /// Somebody left.
    Left = 2,
    /// The name changed.
    Renamed = 3,
    /// The notice changed.
    Notice = 4,
    /// Somebody was taken out.
    Kicked = 5,
    /// Somebody was given another role.
    RoleChanged = 6,
}

impl ItemKind {
    /// Every kind.
    pub const ALL: [Self; 7] = [
        Self::Text,
        Self::Invited,
        Self::Left,
        Self::Renamed,
        Self::Notice,
        Self::Kicked,
        Self::RoleChanged,
    ];

    /// The kind of this number.
    pub fn from_number(number: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as i16 == number)
    }

    /// Whether it is a message of a person, and so counts as unread.
    pub const fn is_message(self) -> bool {
        matches!(self, Self::Text)
    }
}

/// What became of an item. The numbers are those of the column `state`, for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(i16)]
pub enum ItemState {
    /// Nothing since.
    #[default]
    Sent = 0,
    /// It has another text.
    Edited = 1,
    /// It was deleted for everyone: nothing is left of it but its place.
    Deleted = 2,
}

impl ItemState {
    /// The state of this number.
    pub fn from_number(number: i16) -> Option<Self> {
        [Self::Sent, Self::Edited, Self::Deleted]
            .into_iter()
            .find(|state| *state as i16 == number)
    }
}

/// What an item carries beside its text. Not sealed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemMeta {
    /// What it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<ReplyMeta>,
    /// Who is mentioned.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mentions: Vec<UserId>,
    /// The people a membership line names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<UserId>,
    /// The name or notice that a line tells of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The role that a line tells of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
}

impl ItemMeta {
    /// Whether there is nothing to store.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Which message an item answers; what it looks like now is read from its own row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplyMeta {
    /// Its place.
    pub seq: Seq,
    /// Its id.
    pub message_id: MessageId,
    /// Who wrote it.
    pub author_id: UserId,
}

/// R1 `messages`: one item of a room's timeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageRow {
    /// The room.
    pub room_id: RoomId,
    /// Its place.
    pub seq: Seq,
    /// Counted items up to and including it.
    pub cnt: Cnt,
    /// Its id, if it is a message.
    pub message_id: Option<MessageId>,
    /// Who wrote it or did it.
    pub author_id: UserId,
    /// What it is.
    pub kind: ItemKind,
    /// When.
    pub sent_at: Instant,
    /// The text, sealed by its author.
    pub body: Option<Sealed>,
    /// The rest.
    pub meta: ItemMeta,
    /// What became of it.
    pub state: ItemState,
    /// When, if something did.
    pub changed_at: Option<Instant>,
    /// How people react to it.
    pub reactions: ReactionTotals,
}

/// The newest item of a room that everybody in it may see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastItem {
    /// Its place; 0 while there is none.
    pub seq: Seq,
    /// Counted items up to it.
    pub cnt: Cnt,
    /// When.
    pub at: Instant,
    /// What it is.
    pub kind: ItemKind,
    /// Who wrote it or did it.
    pub author_id: UserId,
    /// What a list shows of it, sealed by its author.
    pub preview: Option<Sealed>,
    /// Whether it was deleted for everyone.
    pub deleted: bool,
}

/// R2 `rooms`: one row a room, overwritten in place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomRow {
    /// The room.
    pub room_id: RoomId,
    /// Direct room or group.
    pub kind: RoomKind,
    /// The name.
    pub name: Option<String>,
    /// A group's owner.
    pub owner_id: Option<UserId>,
    /// How many are in it.
    pub member_count: u32,
    /// The first few of them.
    pub member_sample: Vec<UserId>,
    /// The notice.
    pub notice: Option<String>,
    /// Who may do what.
    pub settings: Settings,
    /// When it began.
    pub created_at: Instant,
    /// Whether nobody is left.
    pub closed: bool,
    /// The number of its newest event.
    pub version: Version,
    /// Its newest item; none in a direct room before the first message.
    pub last: Option<LastItem>,
}

/// R3 `user_rooms`: one person's place in one room. Not touched by messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserRoomRow {
    /// Whose.
    pub user_id: UserId,
    /// Where.
    pub room_id: RoomId,
    /// Whether they are in it now.
    pub present: bool,
    /// The first item they may see.
    pub joined_seq: Seq,
    /// Counted items before it.
    pub joined_cnt: Cnt,
    /// When they joined.
    pub joined_at: Instant,
    /// The other person of a direct room (themselves if they are alone in it).
    pub peer_id: Option<UserId>,
    /// The first item they may see after they left a direct room; 0 if they never did.
    pub floor_seq: Seq,
    /// Counted items before it.
    pub floor_cnt: Cnt,
    /// On top of the list since then.
    pub pinned_at: Option<Instant>,
    /// No pushes until then.
    pub muted_until: Option<Instant>,
    /// The own name for it, sealed.
    pub alias: Option<Sealed>,
    /// The newest of the messages that they have hidden from themselves; 0 if there are none.
    pub last_hidden: Seq,
}

impl UserRoomRow {
    /// The first item this person may see.
    pub fn first_seq(&self) -> Seq {
        self.joined_seq.max(self.floor_seq)
    }

    /// Counted items before the first one this person may see.
    pub fn first_cnt(&self) -> Cnt {
        self.joined_cnt.max(self.floor_cnt)
    }
}

/// R4 `user_reads`: how far one person has read in one room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserReadRow {
    /// Where.
    pub room_id: RoomId,
    /// Up to which item.
    pub read_seq: Seq,
    /// Counted items up to it.
    pub read_cnt: Cnt,
}

/// R5 `room_members`: one member of one room; those who left are not shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberRow {
    /// Who.
    pub user_id: UserId,
    /// What they may do.
    pub role: Role,
    /// The first item they may see.
    pub joined_seq: Seq,
    /// When they joined.
    pub joined_at: Instant,
}

/// R6 `room_reads`: how far one member of a room has read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoomReadRow {
    /// Who.
    pub user_id: UserId,
    /// Up to which item.
    pub read_seq: Seq,
}

/// R11 `profiles`: who a person is, sealed as one blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProfileRow {
    /// Who.
    pub user_id: UserId,
    /// The profile, sealed JSON.
    pub sealed: Sealed,
    /// Its version.
    pub version: Version,
}

/// One write to the read model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RowWrite {
    /// R1: an item, as it was sent.
    Message(Box<MessageRow>),
    /// R1: a message has another text.
    MessageEdited {
        /// The room.
        room_id: RoomId,
        /// Its place.
        seq: Seq,
        /// Who wrote it.
        author_id: UserId,
        /// The text, sealed by its author.
        body: Sealed,
        /// When.
        at: Instant,
    },
    /// R1: of a message nothing is left but its place.
    MessageDeleted {
        /// The room.
        room_id: RoomId,
        /// Its place.
        seq: Seq,
        /// When.
        at: Instant,
    },
    /// R1: how people react to a message.
    Reactions {
        /// The room.
        room_id: RoomId,
        /// Its place.
        seq: Seq,
        /// How many with each emoji.
        reactions: ReactionTotals,
    },
    /// R8: how one person reacts to a message.
    Reactor {
        /// The room.
        room_id: RoomId,
        /// The message's place.
        seq: Seq,
        /// Who.
        user_id: UserId,
        /// With what; none if they took it back.
        emoji: Option<Emoji>,
        /// When.
        at: Instant,
    },
    /// R2: a room begins.
    Room(Box<RoomRow>),
    /// R2: a room has a newer item and version.
    Head {
        /// The room.
        room_id: RoomId,
        /// The number of the event.
        version: Version,
        /// The item.
        last: LastItem,
    },
    /// R2: the newest item was edited or deleted. Changes nothing where a newer item is the newest.
    LastChanged {
        /// The room.
        room_id: RoomId,
        /// The item's place.
        seq: Seq,
        /// Who wrote it.
        author_id: UserId,
        /// What a list shows of it, sealed by its author.
        preview: Option<Sealed>,
        /// Whether it was deleted for everyone.
        deleted: bool,
    },
    /// R2: a room has a newer version.
    RoomVersion {
        /// The room.
        room_id: RoomId,
        /// The number of the event.
        version: Version,
    },
    /// R2: who is in a room changed.
    RoomMembers {
        /// The room.
        room_id: RoomId,
        /// How many are in it.
        member_count: u32,
        /// The first few of them.
        member_sample: Vec<UserId>,
    },
    /// R2: a group has another owner.
    RoomOwner {
        /// The room.
        room_id: RoomId,
        /// Who.
        owner_id: UserId,
    },
    /// R2: the name changed.
    RoomName {
        /// The room.
        room_id: RoomId,
        /// The name.
        name: Option<String>,
    },
    /// R2: the notice changed.
    RoomNotice {
        /// The room.
        room_id: RoomId,
        /// The notice.
        notice: Option<String>,
    },
    /// R2: the settings changed.
    RoomSettings {
        /// The room.
        room_id: RoomId,
        /// The settings.
        settings: Settings,
    },
    /// R2: nobody is left.
    RoomClosed {
        /// The room.
        room_id: RoomId,
    },
    /// R3: a person is in a room (the columns that Room's events own).
    UserRoom {
        /// Whose.
        user_id: UserId,
        /// Where.
        room_id: RoomId,
        /// The first item they may see.
        joined_seq: Seq,
        /// Counted items before it.
        joined_cnt: Cnt,
        /// When.
        joined_at: Instant,
        /// The other person of a direct room.
        peer_id: Option<UserId>,
    },
    /// R3: a person is no longer in a room.
    UserRoomLeft {
        /// Whose.
        user_id: UserId,
        /// Where.
        room_id: RoomId,
    },
    /// R3: a person left a direct room (the columns that Seat's events own).
    UserRoomFloor {
        /// Whose.
        user_id: UserId,
        /// Where.
        room_id: RoomId,
        /// The first item they may see.
        floor_seq: Seq,
        /// Counted items before it.
        floor_cnt: Cnt,
    },
    /// R3: the newest message that a person has hidden.
    UserRoomHidden {
        /// Whose.
        user_id: UserId,
        /// Where.
        room_id: RoomId,
        /// Its place.
        last_hidden: Seq,
    },
    /// R9: a message that a person has hidden.
    Hidden {
        /// Whose.
        user_id: UserId,
        /// Where.
        room_id: RoomId,
        /// Its place.
        seq: Seq,
    },
    /// R3: a person's own settings for a room.
    UserRoomPreferences {
        /// Whose.
        user_id: UserId,
        /// Where.
        room_id: RoomId,
        /// No pushes until then.
        muted_until: Option<Instant>,
        /// On top of the list since then.
        pinned_at: Option<Instant>,
        /// The own name for it, sealed.
        alias: Option<Sealed>,
    },
    /// R5: a member.
    Member {
        /// Where.
        room_id: RoomId,
        /// Who.
        user_id: UserId,
        /// What they may do.
        role: Role,
        /// The first item they may see.
        joined_seq: Seq,
        /// When.
        joined_at: Instant,
        /// By whom.
        invited_by: UserId,
    },
    /// R5: a member left.
    MemberLeft {
        /// Where.
        room_id: RoomId,
        /// Who.
        user_id: UserId,
    },
    /// R5: a member's role.
    MemberRole {
        /// Where.
        room_id: RoomId,
        /// Who.
        user_id: UserId,
        /// The role.
        role: Role,
    },
    /// R4 and R6: a read position; never lowers it.
    Read {
        /// Where.
        room_id: RoomId,
        /// Who.
        user_id: UserId,
        /// Up to which item.
        read_seq: Seq,
        /// Counted items up to it.
        read_cnt: Cnt,
    },
    /// R6: a member left a group; removes a position that is not past the line.
    ReadEnded {
        /// Where.
        room_id: RoomId,
        /// Who.
        user_id: UserId,
        /// The line's seq.
        seq: Seq,
    },
    /// R11: a profile.
    Profile(ProfileRow),
}

/// A write with the instant of the event that it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamped {
    /// `ts_us` of the event: in stores that keep the newest cell, the timestamp of every cell but those of read positions.
    pub ts_us: i64,
    /// The write.
    pub write: RowWrite,
}
