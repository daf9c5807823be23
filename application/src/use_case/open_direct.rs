//! Open the direct room of two people, or of one with oneself.

use cocotalk_domain::id::{RoomId, UserId};
use cocotalk_domain::room::RoomCommand;
use cocotalk_domain::stream::StreamId;
use cocotalk_domain::time::Instant;

use super::{Answer, Decision, Refusal, RoomAnswer, States, UseCase};

/// Opens the room, or answers with the one that is there. Both sides may ask at once.
#[derive(Clone, Debug)]
pub struct OpenDirect {
    by: UserId,
    peer: [UserId; 1],
    at: Instant,
}

impl OpenDirect {
    /// `by` opens the room with `peer`.
    pub const fn new(by: UserId, peer: UserId, at: Instant) -> Self {
        Self { by, peer: [peer], at }
    }

    fn room_id(&self) -> RoomId {
        RoomId::direct(self.by, self.peer[0])
    }
}

impl UseCase for OpenDirect {
    fn name(&self) -> &'static str {
        "open_direct"
    }

    fn home(&self) -> StreamId {
        StreamId::Room(self.room_id())
    }

    fn people(&self) -> &[UserId] {
        &self.peer
    }

    fn decide(&self, on: &States<'_>) -> Result<Decision, Refusal> {
        let (stream, room_id) = (self.home(), self.room_id());
        let [peer] = self.peer;
        let room = on.room(stream);
        if room.is_new() && !on.exists(peer) {
            return Err(Refusal::NoSuchPerson(peer));
        }
        let status = if room.is_new() { 201 } else { 200 };
        let events = room.decide(RoomCommand::OpenDirect {
            room_id,
            by: self.by,
            peer,
            at: self.at,
        })?;
        let version = on.version(stream) + events.len() as u64;
        Ok(Decision::of(
            stream,
            events,
            Answer::new(status, &RoomAnswer { room_id, version }),
        ))
    }
}
