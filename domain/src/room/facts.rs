//! What is known of one message. `Room` keeps nothing per message, so that a room costs the same at any age: whoever decides
//! about a message is given these facts of it, which follow from its own few events.

use std::collections::BTreeMap;

use super::RoomEvent;
use super::event::{ReactionTotals, ReplyTo};
use crate::id::{MessageId, RoomId, UserId};
use crate::number::Seq;
use crate::sealed::Sealed;
use crate::text::Emoji;
use crate::time::Instant;

/// What a command about a message must know of it and `Room` does not keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageFacts {
    /// The room it stands in.
    pub room_id: RoomId,
    /// Its id.
    pub message_id: MessageId,
    /// Its place.
    pub seq: Seq,
    /// Who wrote it.
    pub author_id: UserId,
    /// When.
    pub sent_at: Instant,
    /// Its preview (or whole short text), sealed by its author; no bytes if it was deleted.
    pub preview: Sealed,
    /// Who is mentioned.
    pub mentions: Vec<UserId>,
    /// What it answers.
    pub reply_to: Option<ReplyTo>,
    /// Whether it was deleted for everyone.
    pub deleted: bool,
    /// Who reacts to it, and with what.
    pub reactions: BTreeMap<UserId, Emoji>,
}

impl MessageFacts {
    /// What is known after an event, given what was known before it. Total; an event about no message or another one
    /// changes nothing, and before a message was sent nothing is known of it.
    pub fn after(before: Option<Self>, event: &RoomEvent) -> Option<Self> {
        if let RoomEvent::MessageSent(e) = event {
            return Some(Self {
                room_id: e.room_id,
                message_id: e.message_id,
                seq: e.seq,
                author_id: e.author_id,
                sent_at: e.sent_at,
                preview: e.shown().clone(),
                mentions: e.mentions.clone(),
                reply_to: e.reply_to.clone(),
                deleted: false,
                reactions: BTreeMap::new(),
            });
        }
        let mut facts = before?;
        if event.message_id() == Some(facts.message_id) {
            facts.evolve(event);
        }
        Some(facts)
    }

    /// The facts after an event about the message. Total.
    pub fn evolve(&mut self, event: &RoomEvent) {
        match event {
            RoomEvent::MessageEdited(e) => {
                self.preview = e.shown().clone();
                self.reply_to.clone_from(&e.reply_to);
            }
            RoomEvent::MessageDeleted(_) => {
                self.deleted = true;
                self.preview.bytes.clear();
                self.mentions.clear();
                self.reply_to = None;
                self.reactions.clear();
            }
            RoomEvent::ReactionChanged(e) => match &e.emoji {
                Some(emoji) => drop(self.reactions.insert(e.user_id, emoji.clone())),
                None => drop(self.reactions.remove(&e.user_id)),
            },
            _ => {}
        }
    }

    /// The same facts, with what the message answers as that is now.
    #[must_use]
    pub fn answering(mut self, answered: Option<&Self>) -> Self {
        if let Some(answered) = answered
            && let Some(reply_to) = &mut self.reply_to
            && reply_to.message_id == answered.message_id
        {
            *reply_to = answered.as_reply();
        }
        self
    }

    /// How many react to it with each emoji.
    pub fn totals(&self) -> ReactionTotals {
        let mut totals = ReactionTotals::new();
        for emoji in self.reactions.values() {
            *totals.entry(emoji.clone()).or_default() += 1;
        }
        totals
    }

    /// What a message that answers it keeps of it.
    pub(super) fn as_reply(&self) -> ReplyTo {
        ReplyTo {
            seq: self.seq,
            message_id: self.message_id,
            author_id: self.author_id,
            preview: self.preview.clone(),
            deleted: self.deleted,
        }
    }

    /// Roughly how many small things it holds: what a cache weighs it by.
    pub fn weight(&self) -> usize {
        1 + self.reactions.len() + self.mentions.len()
    }
}
