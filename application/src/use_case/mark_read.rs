//! I have read up to here.

use cocotalk_domain::id::{RoomId, UserId};
use cocotalk_domain::number::Seq;
use cocotalk_domain::seat::SeatCommand;
use cocotalk_domain::stream::StreamId;
use cocotalk_domain::time::Instant;

use super::{Answer, Decision, Refusal, States, UseCase};

/// Moves a person's read position in a room forward; beyond the newest item it stops there.
#[derive(Clone, Debug)]
pub struct MarkRead {
    /// The room.
    pub room_id: RoomId,
    /// Who has read.
    pub by: UserId,
    /// Up to which item.
    pub seq: Seq,
    /// When.
    pub at: Instant,
}

impl MarkRead {
    fn seat(&self) -> StreamId {
        StreamId::Seat(self.room_id, self.by)
    }
}

impl UseCase for MarkRead {
    fn name(&self) -> &'static str {
        "mark_read"
    }

    fn home(&self) -> StreamId {
        StreamId::Room(self.room_id)
    }

    fn writes(&self) -> Vec<StreamId> {
        vec![self.seat()]
    }

    fn reads(&self) -> Vec<StreamId> {
        vec![self.home()]
    }

    fn decide(&self, on: &States<'_>) -> Result<Decision, Refusal> {
        let room = on.room(self.home());
        let known_seq = room.read_seq(self.by)?;
        let seq = self.seq.min(room.last_seq());
        let events = on.seat(self.seat()).decide(SeatCommand::MarkRead {
            room_id: self.room_id,
            user_id: self.by,
            seq,
            cnt: room.cnt_at(seq),
            known_seq,
            at: self.at,
        })?;
        Ok(Decision::of(self.seat(), events, Answer::new(204, &())))
    }
}
