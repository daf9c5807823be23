//! What happened in a room. Events carry results (seq, cnt, counts after), so that no projector reads before it writes.
//!
//! The variant names are the wire names. They, the fields and their meaning are for ever; see `upcast` for change.

use std::collections::BTreeMap;

use cqrs_es::DomainEvent;
use serde::{Deserialize, Serialize};

use crate::id::{MessageId, RoomId, UserId};
use crate::limits::MEMBERS_SAMPLE;
use crate::number::{Cnt, Seq};
use crate::room::{Role, RoomKind, Settings};
use crate::sealed::Sealed;
use crate::text::{Emoji, Notice, RoomName};
use crate::time::Instant;

/// An event of a room's stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RoomEvent {
    /// The room began.
    #[serde(rename = "room.opened")]
    Opened(Opened),
    /// People were let in.
    #[serde(rename = "room.members_invited")]
    MembersInvited(MembersInvited),
    /// Somebody left.
    #[serde(rename = "room.member_left")]
    MemberLeft(MemberLeft),
    /// Somebody was taken out.
    #[serde(rename = "room.member_kicked")]
    MemberKicked(MemberKicked),
    /// The owner gave somebody another role.
    #[serde(rename = "room.role_given")]
    RoleGiven(RoleGiven),
    /// Somebody's role changed.
    #[serde(rename = "room.role_changed")]
    RoleChanged(RoleChanged),
    /// The name changed.
    #[serde(rename = "room.renamed")]
    Renamed(Renamed),
    /// The notice changed.
    #[serde(rename = "room.notice_changed")]
    NoticeChanged(NoticeChanged),
    /// The settings changed.
    #[serde(rename = "room.settings_changed")]
    SettingsChanged(SettingsChanged),
    /// Somebody said something.
    #[serde(rename = "room.message_sent")]
    MessageSent(MessageSent),
    /// Its author put a message in other words.
    #[serde(rename = "room.message_edited")]
    MessageEdited(MessageEdited),
    /// A message was deleted for everyone.
    #[serde(rename = "room.message_deleted")]
    MessageDeleted(MessageDeleted),
    /// Somebody reacted to a message, otherwise than before, or took it back.
    #[serde(rename = "room.reaction_changed")]
    ReactionChanged(ReactionChanged),
    /// Nobody is left.
    #[serde(rename = "room.closed")]
    Closed(Closed),
}

impl RoomEvent {
    /// The wire version of what this build writes.
    pub const VERSION: &'static str = "1";

    /// The message that it is about, if it is about one: the subject by which the log finds it.
    pub const fn message_id(&self) -> Option<MessageId> {
        match self {
            Self::MessageSent(e) => Some(e.message_id),
            Self::MessageEdited(e) => Some(e.message_id),
            Self::MessageDeleted(e) => Some(e.message_id),
            Self::ReactionChanged(e) => Some(e.message_id),
            _ => None,
        }
    }

    /// The wire name.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Opened(_) => "room.opened",
            Self::MembersInvited(_) => "room.members_invited",
            Self::MemberLeft(_) => "room.member_left",
            Self::MemberKicked(_) => "room.member_kicked",
            Self::RoleGiven(_) => "room.role_given",
            Self::RoleChanged(_) => "room.role_changed",
            Self::Renamed(_) => "room.renamed",
            Self::NoticeChanged(_) => "room.notice_changed",
            Self::SettingsChanged(_) => "room.settings_changed",
            Self::MessageSent(_) => "room.message_sent",
            Self::MessageEdited(_) => "room.message_edited",
            Self::MessageDeleted(_) => "room.message_deleted",
            Self::ReactionChanged(_) => "room.reaction_changed",
            Self::Closed(_) => "room.closed",
        }
    }
}

impl DomainEvent for RoomEvent {
    fn event_type(&self) -> String {
        self.name().to_owned()
    }

    fn event_version(&self) -> String {
        Self::VERSION.to_owned()
    }
}

/// A direct room was opened (no line, `seq` 0), or a group with its first line (`seq` 1: `by` invited the others).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opened {
    /// The room.
    pub room_id: RoomId,
    /// What kind.
    pub kind: RoomKind,
    /// Who opened it; a group's owner.
    pub by: UserId,
    /// The first members, `by` first.
    pub user_ids: Vec<UserId>,
    /// The name, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<RoomName>,
    /// The seq of the line, or 0.
    pub seq: Seq,
    /// When.
    pub at: Instant,
}

impl Opened {
    /// The first few members, in the order in which the events that change who is in the room name them.
    pub fn sample(&self) -> Vec<UserId> {
        let mut sample = self.user_ids.clone();
        sample.sort_unstable();
        sample.truncate(MEMBERS_SAMPLE);
        sample
    }
}

/// People were let into a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MembersInvited {
    /// The room.
    pub room_id: RoomId,
    /// Who invited.
    pub by: UserId,
    /// Who came.
    pub user_ids: Vec<UserId>,
    /// The line's seq: their `joined_seq` and first read position.
    pub seq: Seq,
    /// Counted items up to the line.
    pub cnt: Cnt,
    /// When.
    pub at: Instant,
    /// Members afterwards.
    pub member_count: u32,
    /// The first few members afterwards.
    pub sample: Vec<UserId>,
}

/// Somebody left a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberLeft {
    /// The room.
    pub room_id: RoomId,
    /// Who left.
    pub user_id: UserId,
    /// The line's seq.
    pub seq: Seq,
    /// Counted items up to the line.
    pub cnt: Cnt,
    /// When.
    pub at: Instant,
    /// Members afterwards.
    pub member_count: u32,
    /// The first few members afterwards.
    pub sample: Vec<UserId>,
}

/// Somebody was taken out of a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberKicked {
    /// The room.
    pub room_id: RoomId,
    /// Who kicked.
    pub by: UserId,
    /// Who was kicked.
    pub user_id: UserId,
    /// The line's seq.
    pub seq: Seq,
    /// Counted items up to the line.
    pub cnt: Cnt,
    /// When.
    pub at: Instant,
    /// Members afterwards.
    pub member_count: u32,
    /// The first few members afterwards.
    pub sample: Vec<UserId>,
}

/// The owner of a group gave somebody another role, for everybody to see. `Owner` hands the group over: what becomes of who
/// gave it away is the event after it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleGiven {
    /// The room.
    pub room_id: RoomId,
    /// Who gave it.
    pub by: UserId,
    /// Whose role.
    pub user_id: UserId,
    /// The role afterwards.
    pub role: Role,
    /// The line's seq.
    pub seq: Seq,
    /// Counted items up to the line.
    pub cnt: Cnt,
    /// When.
    pub at: Instant,
}

/// Somebody has another role as a consequence of the event before it, without a line of its own: the heir of an owner who
/// left, or who handed a group over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleChanged {
    /// The room.
    pub room_id: RoomId,
    /// Whose role.
    pub user_id: UserId,
    /// The role afterwards.
    pub role: Role,
    /// When.
    pub at: Instant,
}

/// A group has another name, or none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renamed {
    /// The room.
    pub room_id: RoomId,
    /// Who renamed it.
    pub by: UserId,
    /// The name afterwards.
    pub name: Option<RoomName>,
    /// The line's seq.
    pub seq: Seq,
    /// Counted items up to the line.
    pub cnt: Cnt,
    /// When.
    pub at: Instant,
}

/// A group has another notice, or none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoticeChanged {
    /// The room.
    pub room_id: RoomId,
    /// Who changed it.
    pub by: UserId,
    /// The notice afterwards.
    pub notice: Option<Notice>,
    /// The line's seq.
    pub seq: Seq,
    /// Counted items up to the line.
    pub cnt: Cnt,
    /// When.
    pub at: Instant,
}

/// A group's settings changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettingsChanged {
    /// The room.
    pub room_id: RoomId,
    /// Who changed them.
    pub by: UserId,
    /// The settings afterwards.
    pub settings: Settings,
    /// When.
    pub at: Instant,
}

/// Somebody said something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageSent {
    /// The room.
    pub room_id: RoomId,
    /// The message; the event's subject.
    pub message_id: MessageId,
    /// Who said it.
    pub author_id: UserId,
    /// Its place.
    pub seq: Seq,
    /// Counted items up to and including it.
    pub cnt: Cnt,
    /// When; never before the item before it.
    pub sent_at: Instant,
    /// The text, sealed whole by its author.
    pub body: Sealed,
    /// Its first characters sealed apart; absent where the whole text is short enough to be its own preview.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preview: Option<Sealed>,
    /// Who is mentioned.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mentions: Vec<UserId>,
    /// What it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<ReplyTo>,
    /// Members at that moment.
    pub member_count: u32,
}

impl MessageSent {
    /// What a list shows of it: the preview, or the whole of a short text.
    pub fn shown(&self) -> &Sealed {
        self.preview.as_ref().unwrap_or(&self.body)
    }
}

/// The message that another one answers, as it was then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplyTo {
    /// Its place.
    pub seq: Seq,
    /// Its id.
    pub message_id: MessageId,
    /// Who wrote it.
    pub author_id: UserId,
    /// What a list shows of it, sealed by its author; no bytes if it was deleted.
    pub preview: Sealed,
    /// Whether it was deleted for everyone.
    #[serde(default, skip_serializing_if = "is_false")]
    pub deleted: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

/// How many people reacted to a message with each emoji.
pub type ReactionTotals = BTreeMap<Emoji, u32>;

/// A message in other words. It carries all of the message as it is now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageEdited {
    /// The room.
    pub room_id: RoomId,
    /// The message; the event's subject.
    pub message_id: MessageId,
    /// Who said it, and now says it otherwise.
    pub author_id: UserId,
    /// Its place.
    pub seq: Seq,
    /// When it was said.
    pub sent_at: Instant,
    /// When it was edited.
    pub edited_at: Instant,
    /// The text, sealed whole by its author.
    pub body: Sealed,
    /// Its first characters sealed apart; absent where the whole text is short enough to be its own preview.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preview: Option<Sealed>,
    /// Who is mentioned.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mentions: Vec<UserId>,
    /// What it answers, as that is now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<ReplyTo>,
    /// How people reacted to it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub reactions: ReactionTotals,
    /// Whether it is the room's newest item.
    pub is_newest: bool,
    /// Members at that moment, its author aside.
    pub others: u32,
}

impl MessageEdited {
    /// What a list shows of it: the preview, or the whole of a short text.
    pub fn shown(&self) -> &Sealed {
        self.preview.as_ref().unwrap_or(&self.body)
    }
}

/// A message was deleted for everyone: it keeps its place and has nothing else any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageDeleted {
    /// The room.
    pub room_id: RoomId,
    /// The message; the event's subject.
    pub message_id: MessageId,
    /// Who deleted it.
    pub by: UserId,
    /// Who said it.
    pub author_id: UserId,
    /// Its place.
    pub seq: Seq,
    /// When it was said.
    pub sent_at: Instant,
    /// When it was deleted.
    pub at: Instant,
    /// Whether it is the room's newest item.
    pub is_newest: bool,
    /// Members at that moment, its author aside.
    pub others: u32,
}

/// Somebody reacted to a message, otherwise than before, or took it back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReactionChanged {
    /// The room.
    pub room_id: RoomId,
    /// The message; the event's subject.
    pub message_id: MessageId,
    /// Its place.
    pub seq: Seq,
    /// Who.
    pub user_id: UserId,
    /// With what; absent if they took it back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub emoji: Option<Emoji>,
    /// How people react to it afterwards.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub reactions: ReactionTotals,
    /// When.
    pub at: Instant,
}

/// Nobody is left in a group: nothing can happen in it any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closed {
    /// The room.
    pub room_id: RoomId,
    /// When.
    pub at: Instant,
}
