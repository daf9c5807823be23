//! Take somebody out of a group.

use cocotalk_domain::id::{RoomId, UserId};
use cocotalk_domain::room::RoomCommand;
use cocotalk_domain::stream::StreamId;
use cocotalk_domain::time::Instant;

use super::{Answer, Decision, Refusal, States, UseCase};

/// Takes `user_id` out of a group.
#[derive(Clone, Debug)]
pub struct Kick {
    /// The room.
    pub room_id: RoomId,
    /// Who asks.
    pub by: UserId,
    /// Who goes.
    pub user_id: UserId,
    /// When.
    pub at: Instant,
}

impl UseCase for Kick {
    fn name(&self) -> &'static str {
        "kick"
    }

    fn home(&self) -> StreamId {
        StreamId::Room(self.room_id)
    }

    fn decide(&self, on: &States<'_>) -> Result<Decision, Refusal> {
        let stream = self.home();
        let events = on.room(stream).decide(RoomCommand::Kick {
            by: self.by,
            user_id: self.user_id,
            at: self.at,
        })?;
        Ok(Decision::of(stream, events, Answer::new(204, &())))
    }
}
