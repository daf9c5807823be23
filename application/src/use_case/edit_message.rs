//! Put a message of one's own in other words.

use cocotalk_domain::id::{MessageId, RoomId, UserId};
use cocotalk_domain::room::RoomCommand;
use cocotalk_domain::sealed::Sealed;
use cocotalk_domain::stream::StreamId;
use cocotalk_domain::time::Instant;

use super::{Answer, Decision, MessageAnswer, Refusal, States, UseCase};

/// Gives a message another text. Whom it mentions and what it answers stays.
#[derive(Clone, Debug)]
pub struct EditMessage {
    /// The room.
    pub room_id: RoomId,
    /// The message.
    pub message_id: MessageId,
    /// Who edits.
    pub by: UserId,
    /// The text, sealed whole.
    pub body: Sealed,
    /// Its first characters sealed apart, if it is longer than a preview.
    pub preview: Option<Sealed>,
    /// How long after it was said, seconds.
    pub within_s: u64,
    /// When.
    pub at: Instant,
}

impl UseCase for EditMessage {
    fn name(&self) -> &'static str {
        "edit_message"
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
        let events = on.room(stream).decide(RoomCommand::Edit {
            by: self.by,
            message: Box::new(message.clone()),
            body: self.body.clone(),
            preview: self.preview.clone(),
            within_s: self.within_s,
            at: self.at,
        })?;
        let answer = MessageAnswer {
            room_id: self.room_id,
            message_id: self.message_id,
            seq: message.seq.0,
            version: on.version(stream) + events.len() as u64,
        };
        Ok(Decision::of(stream, events, Answer::new(200, &answer)))
    }
}
