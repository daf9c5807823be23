//! Mute a room, pin it, give it a name of one's own.

use cocotalk_domain::id::{RoomId, UserId};
use cocotalk_domain::sealed::Sealed;
use cocotalk_domain::seat::{Patch, SeatCommand};
use cocotalk_domain::stream::StreamId;
use cocotalk_domain::time::Instant;

use super::{Answer, Decision, Refusal, States, UseCase};

/// Changes a person's own settings for a room. Nobody else sees a trace.
#[derive(Clone, Debug)]
pub struct SetPreferences {
    /// The room.
    pub room_id: RoomId,
    /// Whose settings.
    pub by: UserId,
    /// No pushes until then.
    pub muted_until: Patch<Instant>,
    /// On top of the list or not, if that changes.
    pub pinned: Option<bool>,
    /// The own name for it, sealed.
    pub alias: Patch<Sealed>,
    /// When.
    pub at: Instant,
}

impl UseCase for SetPreferences {
    fn name(&self) -> &'static str {
        "set_preferences"
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

    fn decide(&self, on: &States<'_>) -> Result<Decision, Refusal> {
        on.room(self.home()).member(self.by)?;
        let stream = StreamId::Seat(self.room_id, self.by);
        let events = on.seat(stream).decide(SeatCommand::SetPreferences {
            room_id: self.room_id,
            user_id: self.by,
            muted_until: self.muted_until.clone(),
            pinned: self.pinned,
            alias: self.alias.clone(),
            at: self.at,
        })?;
        Ok(Decision::of(stream, events, Answer::new(204, &())))
    }
}
