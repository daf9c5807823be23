//! An item of a timeline as clients see it: in history from its row, in a frame from its event, and alike in both.

use cocotalk_application::row::{ItemKind, ItemState, MessageRow, ReplyMeta};
use cocotalk_application::sealing::Keys;
use cocotalk_domain::id::{MessageId, UserId};
use cocotalk_domain::limits::{PREVIEW_CHARS, UNREAD_MEMBERS_SHOWN};
use cocotalk_domain::number::Seq;
use cocotalk_domain::room::event::{
    self, MemberKicked, MemberLeft, MembersInvited, MessageDeleted, MessageEdited, MessageSent, NoticeChanged, Opened,
    ReactionTotals, Renamed, RoleGiven,
};
use cocotalk_domain::text::Emoji;
use cocotalk_domain::time::Instant;
use serde::Serialize;
use utoipa::ToSchema;

use crate::words::Role;

/// What an item is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ItemKind)]
pub enum Kind {
    /// A message of text.
    Text,
    /// `author_id` let `members` in.
    Invited,
    /// `author_id` left.
    Left,
    /// `author_id` gave the room the name `name`, or took its name away.
    Renamed,
    /// `author_id` set the notice `name`, or took it away.
    Notice,
    /// `author_id` took `members` out.
    Kicked,
    /// `author_id` gave `members` the role `role`.
    RoleChanged,
}

impl From<ItemKind> for Kind {
    fn from(kind: ItemKind) -> Self {
        match kind {
            ItemKind::Text => Self::Text,
            ItemKind::Invited => Self::Invited,
            ItemKind::Left => Self::Left,
            ItemKind::Renamed => Self::Renamed,
            ItemKind::Notice => Self::Notice,
            ItemKind::Kicked => Self::Kicked,
            ItemKind::RoleChanged => Self::RoleChanged,
        }
    }
}

/// An item of a timeline, or its place where it is withheld from me.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(untagged)]
pub enum TimelineItem {
    /// One that I may see.
    Shown(Box<Item>),
    /// One that I may not.
    Hidden(HiddenItem),
}

/// The place of an item that is withheld from me: I have hidden it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct HiddenItem {
    /// Its place in the room.
    #[schema(value_type = u64)]
    pub seq: Seq,
    /// Always `hidden`.
    pub kind: Hidden,
}

/// What is not shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = HiddenKind)]
pub enum Hidden {
    /// Withheld from me.
    Hidden,
}

/// One item of a room's timeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Item {
    /// Its place in the room: 1, 2, 3 ... without holes, the same for everyone.
    #[schema(value_type = u64)]
    pub seq: Seq,
    /// Its id, if it is a message.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<uuid::Uuid>, nullable = false, example = "0198c0de-7a1c-7000-8000-000000000003")]
    pub message_id: Option<MessageId>,
    /// What it is.
    pub kind: Kind,
    /// Who wrote it or did it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<uuid::Uuid>, nullable = false, example = "0198c0de-7a1c-7000-8000-000000000002")]
    pub author_id: Option<UserId>,
    /// The people a membership line names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<uuid::Uuid>, required = false)]
    pub members: Vec<UserId>,
    /// The name or the notice that a line tells of; absent where it was taken away.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub name: Option<String>,
    /// The role that a line tells of.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub role: Option<Role>,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub sent_at: Instant,
    /// The text of a message; absent where it was deleted or its author was erased.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "점심 뭐 먹지?")]
    pub text: Option<String>,
    /// The message it answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub reply_to: Option<ReplyTo>,
    /// Who is mentioned.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<uuid::Uuid>, required = false)]
    pub mentions: Vec<UserId>,
    /// When it was edited last.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime, nullable = false)]
    pub edited_at: Option<Instant>,
    /// Whether it was deleted for everyone.
    pub deleted: bool,
    /// How people react to it, one entry an emoji, the most frequent first.
    pub reactions: Vec<Reaction>,
    /// Present members, author aside, who have not read it; at most 99, and 0 for lines. In frames as if nobody had read it.
    pub unread_member_count: u64,
}

/// How many people react to a message with one emoji.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Reaction {
    /// The emoji.
    #[schema(example = "👍")]
    pub emoji: String,
    /// How many people.
    pub count: u64,
    /// Whether I am one of them; absent in frames, which are the same for everyone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub mine: Option<bool>,
}

/// A message that another one answers. Only `seq` for whoever may not see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ReplyTo {
    /// Its place.
    #[schema(value_type = u64)]
    pub seq: Seq,
    /// Its id.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<uuid::Uuid>, nullable = false)]
    pub message_id: Option<MessageId>,
    /// Who wrote it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<uuid::Uuid>, nullable = false)]
    pub author_id: Option<UserId>,
    /// What it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub kind: Option<Kind>,
    /// Its first characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub preview: Option<String>,
    /// Whether it was deleted for everyone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub deleted: Option<bool>,
}

/// How people react to a message; `mine` says of an emoji whether it is the viewer's, where there is one viewer.
pub(crate) fn reactions(totals: &ReactionTotals, mine: impl Fn(&Emoji) -> Option<bool>) -> Vec<Reaction> {
    let reaction = |(emoji, count): (&Emoji, &u32)| Reaction {
        emoji: emoji.as_str().to_owned(),
        count: u64::from(*count),
        mine: mine(emoji),
    };
    let mut reactions: Vec<Reaction> = totals.iter().map(reaction).collect();
    // They come in the order of their emoji, and stay in it where they are as frequent.
    reactions.sort_by_key(|reaction| std::cmp::Reverse(reaction.count));
    reactions
}

/// Members who have not read a message, when nobody has.
fn nobody_has_read(others: u32) -> u64 {
    u64::from(others).min(UNREAD_MEMBERS_SHOWN)
}

impl Item {
    /// The item of a row. `reply_to` is what the row's `meta.reply_to` looks like to the viewer, `mine` how they react to it.
    pub fn of_row(
        row: &MessageRow,
        reply_to: Option<ReplyTo>,
        unread_member_count: u64,
        mine: Option<&Emoji>,
        keys: &Keys,
    ) -> Self {
        Self {
            edited_at: row.changed_at.filter(|_| row.state == ItemState::Edited),
            deleted: row.state == ItemState::Deleted,
            reactions: reactions(&row.reactions, |emoji| Some(mine == Some(emoji))),
            message_id: row.message_id,
            members: row.meta.members.clone(),
            name: row.meta.name.clone(),
            role: row.meta.role.map(Role::from),
            text: row.body.as_ref().and_then(|body| keys.open(body)),
            reply_to,
            mentions: row.meta.mentions.clone(),
            unread_member_count,
            ..Self::line(row.seq, row.kind.into(), row.author_id, row.sent_at)
        }
    }

    /// The message of an event, as everybody but its author sees it at that moment.
    pub fn sent(event: &MessageSent, reply_to: Option<ReplyTo>, keys: &Keys) -> Self {
        Self {
            message_id: Some(event.message_id),
            text: keys.open(&event.body),
            reply_to,
            mentions: event.mentions.clone(),
            unread_member_count: nobody_has_read(event.member_count.saturating_sub(1)),
            ..Self::line(event.seq, Kind::Text, event.author_id, event.sent_at)
        }
    }

    /// The message after an edit, seen alike.
    pub fn edited(event: &MessageEdited, reply_to: Option<ReplyTo>, keys: &Keys) -> Self {
        Self {
            message_id: Some(event.message_id),
            text: keys.open(&event.body),
            reply_to,
            mentions: event.mentions.clone(),
            edited_at: Some(event.edited_at),
            reactions: reactions(&event.reactions, |_| None),
            unread_member_count: nobody_has_read(event.others),
            ..Self::line(event.seq, Kind::Text, event.author_id, event.sent_at)
        }
    }

    /// The message after it was deleted, seen alike.
    pub fn deleted(event: &MessageDeleted) -> Self {
        Self {
            message_id: Some(event.message_id),
            deleted: true,
            unread_member_count: nobody_has_read(event.others),
            ..Self::line(event.seq, Kind::Text, event.author_id, event.sent_at)
        }
    }

    /// The same message when it is known to be deleted since: its place, and nothing of what was in it.
    #[must_use]
    pub fn without_words(self) -> Self {
        Self {
            deleted: true,
            text: None,
            reply_to: None,
            mentions: Vec::new(),
            edited_at: None,
            reactions: Vec::new(),
            ..self
        }
    }

    /// The first line of a group; a direct room begins without one.
    pub fn opened(event: &Opened) -> Option<Self> {
        let invited = event.user_ids.iter().copied().filter(|user| *user != event.by);
        (event.seq > Seq(0)).then(|| Self {
            members: invited.collect(),
            ..Self::line(event.seq, Kind::Invited, event.by, event.at)
        })
    }

    /// The line that people were let in.
    pub fn invited(event: &MembersInvited) -> Self {
        Self {
            members: event.user_ids.clone(),
            ..Self::line(event.seq, Kind::Invited, event.by, event.at)
        }
    }

    /// The line that somebody left.
    pub fn left(event: &MemberLeft) -> Self {
        Self {
            members: vec![event.user_id],
            ..Self::line(event.seq, Kind::Left, event.user_id, event.at)
        }
    }

    /// The line that somebody was taken out.
    pub fn kicked(event: &MemberKicked) -> Self {
        Self {
            members: vec![event.user_id],
            ..Self::line(event.seq, Kind::Kicked, event.by, event.at)
        }
    }

    /// The line that somebody was given another role.
    pub fn role_given(event: &RoleGiven) -> Self {
        Self {
            members: vec![event.user_id],
            role: Some(event.role.into()),
            ..Self::line(event.seq, Kind::RoleChanged, event.by, event.at)
        }
    }

    /// The line that the name changed.
    pub fn renamed(event: &Renamed) -> Self {
        Self {
            name: event.name.as_ref().map(|name| name.as_str().to_owned()),
            ..Self::line(event.seq, Kind::Renamed, event.by, event.at)
        }
    }

    /// The line that the notice changed.
    pub fn notice(event: &NoticeChanged) -> Self {
        Self {
            name: event.notice.as_ref().map(|notice| notice.as_str().to_owned()),
            ..Self::line(event.seq, Kind::Notice, event.by, event.at)
        }
    }

    /// An item with nothing but what every item has.
    fn line(seq: Seq, kind: Kind, author_id: UserId, sent_at: Instant) -> Self {
        Self {
            seq,
            message_id: None,
            kind,
            author_id: Some(author_id),
            members: Vec::new(),
            name: None,
            role: None,
            sent_at,
            text: None,
            reply_to: None,
            mentions: Vec::new(),
            edited_at: None,
            deleted: false,
            reactions: Vec::new(),
            unread_member_count: 0,
        }
    }
}

impl ReplyTo {
    /// What somebody is told who may not see the answered message: that there is one.
    pub const fn unseen(seq: Seq) -> Self {
        Self {
            seq,
            message_id: None,
            author_id: None,
            kind: None,
            preview: None,
            deleted: None,
        }
    }

    /// The answered message from its own row.
    pub fn of_row(meta: &ReplyMeta, answered: Option<&MessageRow>, keys: &Keys) -> Self {
        let body = answered.and_then(|row| row.body.as_ref());
        Self {
            seq: meta.seq,
            message_id: Some(meta.message_id),
            author_id: Some(meta.author_id),
            kind: answered.map(|row| row.kind.into()),
            preview: body.and_then(|body| keys.open(body)).map(preview),
            deleted: answered.map(|row| row.state == ItemState::Deleted),
        }
    }

    /// The answered message as it was when it was answered.
    pub fn then(answered: &event::ReplyTo, keys: &Keys) -> Self {
        Self {
            seq: answered.seq,
            message_id: Some(answered.message_id),
            author_id: Some(answered.author_id),
            kind: Some(Kind::Text),
            preview: keys.open(&answered.preview),
            deleted: Some(answered.deleted),
        }
    }

    /// The same when it is known to be deleted since.
    #[must_use]
    pub fn without_words(self) -> Self {
        Self {
            preview: None,
            deleted: Some(true),
            ..self
        }
    }
}

/// The first characters of a text.
pub(crate) fn preview(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(PREVIEW_CHARS) {
        text.truncate(end);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preview_is_cut_between_characters() {
        assert_eq!(preview("코".repeat(PREVIEW_CHARS + 1)), "코".repeat(PREVIEW_CHARS));
        assert_eq!(preview("코코".to_owned()), "코코");
    }
}
