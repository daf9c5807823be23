//! Invite people: into a group, or out of a direct room into a new group.

use cocotalk_domain::id::{RoomId, UserId};
use cocotalk_domain::room::{RoomCommand, RoomKind};
use cocotalk_domain::stream::StreamId;
use cocotalk_domain::time::Instant;

use super::open_group::invitation;
use super::{Answer, Decision, Refusal, RoomAnswer, States, UseCase};

/// Lets people into a group. A direct room stays what it is: its members and the invited get a new group.
#[derive(Clone, Debug)]
pub struct Invite {
    /// The room the invitation is spoken in.
    pub room_id: RoomId,
    /// A new id, used if that is a direct room.
    pub new_room_id: RoomId,
    /// Who invites.
    pub by: UserId,
    /// Who comes, as named.
    pub user_ids: Vec<UserId>,
    /// Fewest members of a new group.
    pub min_members: usize,
    /// Most members of a group when it is created.
    pub max_created: usize,
    /// Most members that a group grows to.
    pub max_members: usize,
    /// When.
    pub at: Instant,
}

impl UseCase for Invite {
    fn name(&self) -> &'static str {
        "invite"
    }

    fn home(&self) -> StreamId {
        StreamId::Room(self.room_id)
    }

    fn writes(&self) -> Vec<StreamId> {
        vec![StreamId::Room(self.room_id), StreamId::Room(self.new_room_id)]
    }

    fn people(&self) -> &[UserId] {
        &self.user_ids
    }

    fn decide(&self, on: &States<'_>) -> Result<Decision, Refusal> {
        let room = on.room(self.home());
        room.member(self.by)?;
        match room.kind() {
            RoomKind::Group => self.to_this_group(on),
            RoomKind::Direct => self.to_new_group(on),
        }
    }
}

impl Invite {
    fn to_this_group(&self, on: &States<'_>) -> Result<Decision, Refusal> {
        let stream = self.home();
        let invitation = invitation(&self.user_ids, on, self.max_members);
        let events = on.room(stream).decide(RoomCommand::Invite {
            by: self.by,
            invitation,
            at: self.at,
        })?;
        let answer = RoomAnswer {
            room_id: self.room_id,
            version: on.version(stream) + events.len() as u64,
        };
        Ok(Decision::of(stream, events, Answer::new(200, &answer)))
    }

    fn to_new_group(&self, on: &States<'_>) -> Result<Decision, Refusal> {
        let stream = StreamId::Room(self.new_room_id);
        let mut invitation = invitation(&self.user_ids, on, self.max_created);
        invitation.min_members = self.min_members;
        invitation
            .user_ids
            .extend(on.room(self.home()).members().keys().filter(|user| **user != self.by));
        let (room_id, by, at) = (self.new_room_id, self.by, self.at);
        let events = on.room(stream).decide(RoomCommand::OpenGroup {
            room_id,
            by,
            invitation,
            name: None,
            at,
        })?;
        let answer = RoomAnswer {
            room_id,
            version: on.version(stream) + events.len() as u64,
        };
        Ok(Decision::of(stream, events, Answer::new(201, &answer)))
    }
}
