//! Open a group.

use cocotalk_domain::id::{RoomId, UserId};
use cocotalk_domain::limits::Limits;
use cocotalk_domain::room::{Invitation, RoomCommand};
use cocotalk_domain::stream::StreamId;
use cocotalk_domain::text::RoomName;
use cocotalk_domain::time::Instant;

use super::{Answer, Decision, Refusal, RoomAnswer, States, UseCase};

/// Opens a group of `by` and others.
#[derive(Clone, Debug)]
pub struct OpenGroup {
    /// A new id.
    pub room_id: RoomId,
    /// Who opens and owns it.
    pub by: UserId,
    /// Who comes along, as named.
    pub user_ids: Vec<UserId>,
    /// What it is called.
    pub name: Option<RoomName>,
    /// Fewest members, creator included.
    pub min_members: usize,
    /// Most members, creator included.
    pub max_members: usize,
    /// When.
    pub at: Instant,
}

impl UseCase for OpenGroup {
    fn name(&self) -> &'static str {
        "open_group"
    }

    fn home(&self) -> StreamId {
        StreamId::Account(self.by)
    }

    fn writes(&self) -> Vec<StreamId> {
        vec![StreamId::Room(self.room_id)]
    }

    fn people(&self) -> &[UserId] {
        &self.user_ids
    }

    fn decide(&self, on: &States<'_>) -> Result<Decision, Refusal> {
        let stream = StreamId::Room(self.room_id);
        let mut invitation = invitation(&self.user_ids, on, self.max_members);
        invitation.min_members = self.min_members;
        let events = on.room(stream).decide(RoomCommand::OpenGroup {
            room_id: self.room_id,
            by: self.by,
            invitation,
            name: self.name.clone(),
            at: self.at,
        })?;
        let answer = RoomAnswer {
            room_id: self.room_id,
            version: on.version(stream) + events.len() as u64,
        };
        Ok(Decision::of(stream, events, Answer::new(201, &answer)))
    }
}

/// The invitation of these people, with what the directory says of them.
pub(super) fn invitation(user_ids: &[UserId], on: &States<'_>, max_members: usize) -> Invitation {
    let refused = user_ids.iter().copied().filter(|user| !on.exists(*user)).collect();
    Invitation {
        user_ids: user_ids.to_vec(),
        refused,
        min_members: 0,
        max_members,
    }
}

impl OpenGroup {
    /// The bounds of a new group.
    pub const fn bounds(limits: &Limits) -> (usize, usize) {
        (limits.group_min_members, limits.group_create_members)
    }
}
