//! React to a message, or take it back.

use cocotalk_domain::id::{MessageId, RoomId, UserId};
use cocotalk_domain::room::RoomCommand;
use cocotalk_domain::stream::StreamId;
use cocotalk_domain::text::Emoji;
use cocotalk_domain::time::Instant;

use super::{Answer, Decision, Refusal, States, UseCase};

/// Whether a reaction comes or goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reaction {
    /// This one from now on, instead of whatever was there before.
    Put,
    /// Not this one any more; another one stays.
    Take,
}

/// Reacts to a message with an emoji, or takes that back.
#[derive(Clone, Debug)]
pub struct React {
    /// The room.
    pub room_id: RoomId,
    /// The message.
    pub message_id: MessageId,
    /// Who.
    pub by: UserId,
    /// With what.
    pub emoji: Emoji,
    /// Whether it comes or goes.
    pub reaction: Reaction,
    /// Most kinds of reactions on a message.
    pub max_kinds: usize,
    /// When.
    pub at: Instant,
}

impl UseCase for React {
    fn name(&self) -> &'static str {
        "react"
    }

    fn home(&self) -> StreamId {
        StreamId::Room(self.room_id)
    }

    fn reads(&self) -> Vec<StreamId> {
        vec![StreamId::Seat(self.room_id, self.by)]
    }

    fn message(&self) -> Option<MessageId> {
        Some(self.message_id)
    }

    fn decide(&self, on: &States<'_>) -> Result<Decision, Refusal> {
        let stream = self.home();
        let message = on.visible_message(self.room_id, self.by)?;
        let mine = message.reactions.get(&self.by);
        let emoji = match self.reaction {
            Reaction::Put => Some(&self.emoji),
            Reaction::Take => mine.filter(|mine| **mine != self.emoji),
        };
        let events = on.room(stream).decide(RoomCommand::React {
            by: self.by,
            message: Box::new(message.clone()),
            emoji: emoji.cloned(),
            max_kinds: self.max_kinds,
            at: self.at,
        })?;
        Ok(Decision::of(stream, events, Answer::new(204, &())))
    }
}
