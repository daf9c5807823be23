//! Hide a message from oneself.

use cocotalk_domain::id::{MessageId, RoomId, UserId};
use cocotalk_domain::room::RoomError;
use cocotalk_domain::seat::SeatCommand;
use cocotalk_domain::stream::StreamId;
use cocotalk_domain::time::Instant;

use super::{Answer, Decision, Refusal, States, UseCase};

/// Hides a message from one person. Nobody else sees a trace.
#[derive(Clone, Debug)]
pub struct HideMessage {
    /// The room.
    pub room_id: RoomId,
    /// The message.
    pub message_id: MessageId,
    /// Whose.
    pub by: UserId,
    /// Most messages that one hides in a room.
    pub max: usize,
    /// When.
    pub at: Instant,
}

impl UseCase for HideMessage {
    fn name(&self) -> &'static str {
        "hide_message"
    }

    fn home(&self) -> StreamId {
        StreamId::Room(self.room_id)
    }

    fn writes(&self) -> Vec<StreamId> {
        vec![StreamId::Seat(self.room_id, self.by)]
    }

    fn reads(&self) -> Vec<StreamId> {
        vec![self.home()]
    }

    fn message(&self) -> Option<MessageId> {
        Some(self.message_id)
    }

    fn decide(&self, on: &States<'_>) -> Result<Decision, Refusal> {
        let stream = StreamId::Seat(self.room_id, self.by);
        let (room, seat) = (on.room(self.home()), on.seat(stream));
        room.member(self.by)?;
        let message = on.facts.ok_or(RoomError::NoSuchMessage)?;
        room.may_see(self.by, message)?;
        if message.seq < seat.floor_seq() {
            return Err(RoomError::NoSuchMessage.into());
        }
        let events = seat.decide(SeatCommand::Hide {
            room_id: self.room_id,
            user_id: self.by,
            seq: message.seq,
            max: self.max,
            at: self.at,
        })?;
        Ok(Decision::of(stream, events, Answer::new(204, &())))
    }
}
