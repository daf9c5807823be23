//! Delete a message for everyone.

use cocotalk_domain::id::{MessageId, RoomId, UserId};
use cocotalk_domain::room::RoomCommand;
use cocotalk_domain::stream::StreamId;
use cocotalk_domain::time::Instant;

use super::{Answer, Decision, Refusal, States, UseCase};

/// Takes a message away from everyone; its place stays.
#[derive(Clone, Debug)]
pub struct DeleteMessage {
    /// The room.
    pub room_id: RoomId,
    /// The message.
    pub message_id: MessageId,
    /// Who deletes.
    pub by: UserId,
    /// How long after it was said its author may, seconds.
    pub within_s: u64,
    /// When.
    pub at: Instant,
}

impl UseCase for DeleteMessage {
    fn name(&self) -> &'static str {
        "delete_message"
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
        let events = on.room(stream).decide(RoomCommand::Delete {
            by: self.by,
            message: Box::new(message.clone()),
            within_s: self.within_s,
            at: self.at,
        })?;
        Ok(Decision::of(stream, events, Answer::new(204, &())))
    }
}
