//! What is decided about one message of a room, given the facts of it.

use super::event::{MessageDeleted, MessageEdited, ReactionChanged};
use super::{Member, MessageFacts, Room, RoomError, RoomEvent};
use crate::id::UserId;
use crate::sealed::Sealed;
use crate::text::Emoji;
use crate::time::Instant;

impl Room {
    /// The member who asks, if the message is one of this room that they may see.
    pub fn may_see(&self, by: UserId, message: &MessageFacts) -> Result<&Member, RoomError> {
        let member = self.member(by)?;
        if Some(message.room_id) != self.id || message.seq < member.joined_seq {
            return Err(RoomError::NoSuchMessage);
        }
        Ok(member)
    }

    pub(super) fn edit(
        &self,
        by: UserId,
        message: MessageFacts,
        (body, preview): (Sealed, Option<Sealed>),
        within_s: u64,
        at: Instant,
    ) -> Result<Vec<RoomEvent>, RoomError> {
        self.may_see(by, &message)?;
        if message.author_id != by {
            return Err(RoomError::NotAllowed);
        }
        if message.deleted {
            return Err(RoomError::MessageDeleted);
        }
        still_young(&message, within_s, at)?;
        Ok(vec![RoomEvent::MessageEdited(MessageEdited {
            room_id: self.id()?,
            message_id: message.message_id,
            author_id: by,
            seq: message.seq,
            sent_at: message.sent_at,
            edited_at: at.max(message.sent_at),
            body,
            preview,
            reactions: message.totals(),
            mentions: message.mentions,
            reply_to: message.reply_to,
            is_newest: message.seq == self.last_seq,
            others: self.others(by),
        })])
    }

    pub(super) fn delete(
        &self,
        by: UserId,
        message: &MessageFacts,
        within_s: u64,
        at: Instant,
    ) -> Result<Vec<RoomEvent>, RoomError> {
        let is_admin = self.may_see(by, message)?.role.is_admin();
        if message.author_id != by && !is_admin {
            return Err(RoomError::NotAllowed);
        }
        if message.deleted {
            return Ok(Vec::new());
        }
        if !is_admin {
            still_young(message, within_s, at)?;
        }
        Ok(vec![RoomEvent::MessageDeleted(MessageDeleted {
            room_id: self.id()?,
            message_id: message.message_id,
            by,
            author_id: message.author_id,
            seq: message.seq,
            sent_at: message.sent_at,
            at: at.max(message.sent_at),
            is_newest: message.seq == self.last_seq,
            others: self.others(message.author_id),
        })])
    }

    pub(super) fn react(
        &self,
        by: UserId,
        mut message: MessageFacts,
        emoji: Option<Emoji>,
        max_kinds: usize,
        at: Instant,
    ) -> Result<Vec<RoomEvent>, RoomError> {
        self.may_see(by, &message)?;
        // Taking back what is not there changes nothing, on a deleted message neither.
        if message.reactions.get(&by) == emoji.as_ref() {
            return Ok(Vec::new());
        }
        if message.deleted {
            return Err(RoomError::MessageDeleted);
        }
        match &emoji {
            Some(emoji) => drop(message.reactions.insert(by, emoji.clone())),
            None => drop(message.reactions.remove(&by)),
        }
        let reactions = message.totals();
        if reactions.len() > max_kinds {
            return Err(RoomError::TooManyReactions { max: max_kinds });
        }
        Ok(vec![RoomEvent::ReactionChanged(ReactionChanged {
            room_id: self.id()?,
            message_id: message.message_id,
            seq: message.seq,
            user_id: by,
            emoji,
            reactions,
            at: at.max(message.sent_at),
        })])
    }

    /// How many members there are beside somebody, who may have left.
    fn others(&self, user: UserId) -> u32 {
        self.member_count() - u32::from(self.members.contains_key(&user))
    }
}

/// An author changes a message for a while and no longer.
fn still_young(message: &MessageFacts, within_s: u64, at: Instant) -> Result<(), RoomError> {
    let age_ms = at.millis().saturating_sub(message.sent_at.millis());
    if age_ms > i64::try_from(within_s.saturating_mul(1_000)).unwrap_or(i64::MAX) {
        return Err(RoomError::MessageTooOld { seconds: within_s });
    }
    Ok(())
}
