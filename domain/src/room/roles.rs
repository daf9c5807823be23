//! Who is what in a group: giving roles, handing over, kicking, and who follows an owner who is gone.

use super::{Role, Room, RoomError, RoomEvent, Who, event};
use crate::id::UserId;
use crate::time::Instant;

impl Room {
    /// Only a higher role kicks: the owner anybody else, an admin members. So nobody kicks the owner, nor themselves.
    pub(super) fn kick(&self, by: UserId, user_id: UserId, at: Instant) -> Result<Vec<RoomEvent>, RoomError> {
        let role = self.member(by)?.role;
        self.group()?;
        self.allowed(by, Who::Admins)?;
        if self.fellow(user_id)? >= role {
            return Err(RoomError::NotAllowed);
        }
        Ok(vec![RoomEvent::MemberKicked(event::MemberKicked {
            room_id: self.id()?,
            by,
            user_id,
            seq: self.last_seq.next(),
            cnt: self.last_cnt,
            at: self.sent_at(at),
            member_count: self.member_count() - 1,
            sample: self.sample(Some(user_id), &[]),
        })])
    }

    /// Only the owner gives roles. Whoever hands the group over stays in it as an admin.
    pub(super) fn give_role(
        &self,
        by: UserId,
        user_id: UserId,
        role: Role,
        at: Instant,
    ) -> Result<Vec<RoomEvent>, RoomError> {
        let own_role = self.member(by)?.role;
        self.group()?;
        if own_role != Role::Owner {
            return Err(RoomError::NotAllowed);
        }
        if self.fellow(user_id)? == role {
            return Ok(Vec::new());
        }
        if user_id == by {
            return Err(RoomError::OwnerStays);
        }
        let (room_id, at) = (self.id()?, self.sent_at(at));
        let mut events = vec![RoomEvent::RoleGiven(event::RoleGiven {
            room_id,
            by,
            user_id,
            role,
            seq: self.last_seq.next(),
            cnt: self.last_cnt,
            at,
        })];
        if role == Role::Owner {
            events.push(RoomEvent::RoleChanged(event::RoleChanged {
                room_id,
                user_id: by,
                role: Role::Admin,
                at,
            }));
        }
        Ok(events)
    }

    /// Who would own the room without `gone`: the oldest admin, else the earliest joined; nobody if nobody is left.
    pub(super) fn heir(&self, gone: UserId) -> Option<UserId> {
        let others = self.members.iter().filter(|(user, _)| **user != gone);
        others
            .min_by_key(|(user, member)| (member.role != Role::Admin, member.joined_seq, **user))
            .map(|(user, _)| *user)
    }

    pub(super) fn take_role(&mut self, user: UserId, role: Role) {
        if let Some(member) = self.members.get_mut(&user) {
            member.role = role;
        }
    }

    /// The role of somebody whom a member names.
    fn fellow(&self, user: UserId) -> Result<Role, RoomError> {
        let fellow = self.members.get(&user).ok_or(RoomError::NoSuchMember)?;
        Ok(fellow.role)
    }
}
