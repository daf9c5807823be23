//! Leave a room: for everybody to see in a group, silently in a direct room.

use cocotalk_domain::id::{RoomId, UserId};
use cocotalk_domain::room::{RoomCommand, RoomKind};
use cocotalk_domain::seat::SeatCommand;
use cocotalk_domain::stream::StreamId;
use cocotalk_domain::time::Instant;

use super::{Answer, Decision, Refusal, States, UseCase};

/// Takes `by` out of a group, or hides a direct room from them until its next message.
#[derive(Clone, Debug)]
pub struct Leave {
    /// The room.
    pub room_id: RoomId,
    /// Who leaves.
    pub by: UserId,
    /// When.
    pub at: Instant,
}

impl UseCase for Leave {
    fn name(&self) -> &'static str {
        "leave"
    }

    fn home(&self) -> StreamId {
        StreamId::Room(self.room_id)
    }

    fn writes(&self) -> Vec<StreamId> {
        vec![self.home(), StreamId::Seat(self.room_id, self.by)]
    }

    fn decide(&self, on: &States<'_>) -> Result<Decision, Refusal> {
        let room = on.room(self.home());
        room.member(self.by)?;
        let answer = Answer::new(204, &());
        Ok(match room.kind() {
            RoomKind::Group => {
                let events = room.decide(RoomCommand::Leave {
                    by: self.by,
                    at: self.at,
                })?;
                Decision::of(self.home(), events, answer)
            }
            RoomKind::Direct => {
                let seat = StreamId::Seat(self.room_id, self.by);
                let events = on.seat(seat).decide(SeatCommand::LeaveDirect {
                    room_id: self.room_id,
                    user_id: self.by,
                    last_seq: room.last_seq(),
                    last_cnt: room.last_cnt(),
                    at: self.at,
                })?;
                Decision::of(seat, events, answer)
            }
        })
    }
}
