//! Give a member of a group another role, or hand it over.

use cocotalk_domain::id::{RoomId, UserId};
use cocotalk_domain::room::{Role, RoomCommand};
use cocotalk_domain::stream::StreamId;
use cocotalk_domain::time::Instant;

use super::{Answer, Decision, Refusal, RoomAnswer, States, UseCase};

/// Gives `user_id` a role in a group.
#[derive(Clone, Debug)]
pub struct GiveRole {
    /// The room.
    pub room_id: RoomId,
    /// Who asks.
    pub by: UserId,
    /// Whose role.
    pub user_id: UserId,
    /// The role afterwards.
    pub role: Role,
    /// When.
    pub at: Instant,
}

impl UseCase for GiveRole {
    fn name(&self) -> &'static str {
        "give_role"
    }

    fn home(&self) -> StreamId {
        StreamId::Room(self.room_id)
    }

    fn decide(&self, on: &States<'_>) -> Result<Decision, Refusal> {
        let stream = self.home();
        let events = on.room(stream).decide(RoomCommand::GiveRole {
            by: self.by,
            user_id: self.user_id,
            role: self.role,
            at: self.at,
        })?;
        let answer = RoomAnswer {
            room_id: self.room_id,
            version: on.version(stream) + events.len() as u64,
        };
        Ok(Decision::of(stream, events, Answer::new(200, &answer)))
    }
}
