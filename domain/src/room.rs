//! A room: who is in it, what they may do, and the numbers of everything said in it.
//!
//! # Rules
//! - A **direct room** has one or two members, for ever; its id follows from them, so there is one per pair. Leaving it is
//!   a matter of the person's `Seat`, not of the room. A **group** has an owner and grows and shrinks.
//! - Every timeline item (a message or a membership line) takes the next `seq`; only messages of people raise `cnt`.
//!   `sent_at` never falls along `seq`.
//! - A member's first read position in a group is the line that added them; their own message moves it along.
//! - Only members act. Inviting and renaming follow the room's settings; settings follow owner and admins.
//! - A group has one owner, who alone gives roles; giving `owner` away hands the group over. Whoever kicks has a higher role
//!   than who is kicked.
//! - An owner who leaves hands over to the oldest admin, else to whoever joined first. The last one to leave closes it.
//! - A message is edited by its author, and deleted for everyone by its author or by owner and admins; the author has a day for
//!   either. One person has one reaction to a message. What happens to one message is decided on its [`MessageFacts`].
//! - The state holds nothing per message, so a command costs the same in a room of a hundred and of a million messages.

pub mod command;
pub mod error;
pub mod event;
mod facts;
mod message;
mod roles;
pub mod upcast;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::id::{RoomId, UserId};
use crate::limits::MEMBERS_SAMPLE;
use crate::number::{Cnt, Seq};
use crate::seq_set::SeqSet;
use crate::text::{Notice, RoomName};
use crate::time::Instant;
pub use command::{Invitation, RoomCommand};
pub use error::RoomError;
pub use event::RoomEvent;
pub use facts::MessageFacts;

/// What kind of room it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RoomKind {
    /// Of one pair, or of one person with oneself.
    #[default]
    Direct,
    /// Of many.
    Group,
}

/// What a member may do. A later role is a higher one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Talks, invites and renames as the settings say.
    #[default]
    Member,
    /// Also changes the settings and kicks members.
    Admin,
    /// Everything. A group has exactly one.
    Owner,
}

impl Role {
    /// Whether the role is owner or admin.
    pub const fn is_admin(self) -> bool {
        matches!(self, Self::Admin | Self::Owner)
    }
}

/// Who may do something in a group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Who {
    /// Every member.
    #[default]
    All,
    /// Owner and admins.
    Admins,
}

impl Who {
    const fn includes(self, role: Role) -> bool {
        match self {
            Self::All => true,
            Self::Admins => role.is_admin(),
        }
    }
}

/// What a group lets whom do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Who changes name, photo and notice.
    pub rename_by: Who,
    /// Who invites.
    pub invite_by: Who,
}

/// A member as the room knows them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// What they may do.
    pub role: Role,
    /// The first item they may see: the line that added them, or 1 in a direct room.
    pub joined_seq: Seq,
    /// When they joined.
    pub joined_at: Instant,
    /// Their own newest message: their read position is never before it. Zero before the first.
    pub own_seq: Seq,
}

/// The state of a room.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Room {
    kind: RoomKind,
    id: Option<RoomId>,
    members: BTreeMap<UserId, Member>,
    name: Option<RoomName>,
    notice: Option<Notice>,
    settings: Settings,
    last_seq: Seq,
    last_cnt: Cnt,
    last_sent_at: Instant,
    uncounted: SeqSet,
    closed: bool,
}

impl Room {
    /// The version of this state's shape in snapshots: raised whenever a change makes the same events give other bytes.
    pub const STATE_VERSION: u32 = 1;

    /// What happens when `command` meets this state: the events, none where there is nothing to do, or a refusal.
    ///
    /// ```
    /// use cocotalk_domain::id::{RoomId, UserId};
    /// use cocotalk_domain::room::{Room, RoomCommand, RoomError};
    /// use cocotalk_domain::time::Instant;
    ///
    /// let (mina, jun) = (UserId::from_u128(1), UserId::from_u128(2));
    /// let at = Instant::from_millis(1_767_225_600_000);
    /// let open = RoomCommand::OpenDirect { room_id: RoomId::direct(mina, jun), by: mina, peer: jun, at };
    ///
    /// let mut room = Room::default();
    /// for event in room.decide(open.clone())? {
    ///     room.evolve(&event);
    /// }
    /// assert!(room.members().contains_key(&jun));
    ///
    /// // It is open: asking again is no refusal, and nothing happens.
    /// assert_eq!(room.decide(open)?, []);
    /// // Nobody leaves a direct room.
    /// assert_eq!(room.decide(RoomCommand::Leave { by: jun, at }), Err(RoomError::OnlyInGroups));
    /// # Ok::<(), RoomError>(())
    /// ```
    pub fn decide(&self, command: RoomCommand) -> Result<Vec<RoomEvent>, RoomError> {
        match command {
            RoomCommand::OpenDirect { room_id, by, peer, at } => Ok(self.open_direct(room_id, by, peer, at)),
            RoomCommand::OpenGroup {
                room_id,
                by,
                invitation,
                name,
                at,
            } => self.open_group(room_id, by, &invitation, name, at),
            RoomCommand::Invite { by, invitation, at } => self.invite(by, &invitation, at),
            RoomCommand::Leave { by, at } => self.leave(by, at),
            RoomCommand::Kick { by, user_id, at } => self.kick(by, user_id, at),
            RoomCommand::GiveRole { by, user_id, role, at } => self.give_role(by, user_id, role, at),
            RoomCommand::Rename { by, name, at } => self.rename(by, name, at),
            RoomCommand::SetNotice { by, notice, at } => self.set_notice(by, notice, at),
            RoomCommand::ChangeSettings {
                by,
                rename_by,
                invite_by,
                at,
            } => self.change_settings(by, rename_by, invite_by, at),
            RoomCommand::Send {
                by,
                message_id,
                body,
                preview,
                mentions,
                reply_to,
                at,
            } => {
                self.check_message(by, &mentions, reply_to.as_deref())?;
                Ok(vec![RoomEvent::MessageSent(event::MessageSent {
                    room_id: self.id()?,
                    message_id,
                    author_id: by,
                    seq: self.last_seq.next(),
                    cnt: self.last_cnt.next(),
                    sent_at: self.sent_at(at),
                    body,
                    preview,
                    mentions,
                    reply_to: reply_to.as_deref().map(MessageFacts::as_reply),
                    member_count: self.member_count(),
                })])
            }
            RoomCommand::Edit {
                by,
                message,
                body,
                preview,
                within_s,
                at,
            } => self.edit(by, *message, (body, preview), within_s, at),
            RoomCommand::Delete {
                by,
                message,
                within_s,
                at,
            } => self.delete(by, &message, within_s, at),
            RoomCommand::React {
                by,
                message,
                emoji,
                max_kinds,
                at,
            } => self.react(by, *message, emoji, max_kinds, at),
        }
    }

    /// The state after `event`. Total: what was written happened.
    pub fn evolve(&mut self, event: &RoomEvent) {
        match event {
            RoomEvent::Opened(e) => self.opened(e),
            RoomEvent::MembersInvited(e) => {
                self.line(e.seq, e.at);
                for user in &e.user_ids {
                    self.members.insert(*user, Member::new(Role::Member, e.seq, e.at));
                }
            }
            RoomEvent::MemberLeft(e) => {
                self.line(e.seq, e.at);
                self.members.remove(&e.user_id);
            }
            RoomEvent::MemberKicked(e) => {
                self.line(e.seq, e.at);
                self.members.remove(&e.user_id);
            }
            RoomEvent::RoleGiven(e) => {
                self.line(e.seq, e.at);
                self.take_role(e.user_id, e.role);
            }
            RoomEvent::RoleChanged(e) => self.take_role(e.user_id, e.role),
            RoomEvent::Renamed(e) => {
                self.line(e.seq, e.at);
                self.name.clone_from(&e.name);
            }
            RoomEvent::NoticeChanged(e) => {
                self.line(e.seq, e.at);
                self.notice.clone_from(&e.notice);
            }
            RoomEvent::SettingsChanged(e) => self.settings = e.settings,
            RoomEvent::MessageSent(e) => {
                self.last_seq = e.seq;
                self.last_cnt = e.cnt;
                self.last_sent_at = e.sent_at;
                if let Some(member) = self.members.get_mut(&e.author_id) {
                    member.own_seq = e.seq;
                }
            }
            // The state holds nothing per message.
            RoomEvent::MessageEdited(_) | RoomEvent::MessageDeleted(_) | RoomEvent::ReactionChanged(_) => {}
            RoomEvent::Closed(_) => self.closed = true,
        }
    }

    /// The room's id, or a refusal if nothing ever opened it or nobody is left in it.
    fn id(&self) -> Result<RoomId, RoomError> {
        self.id.filter(|_| !self.closed).ok_or(RoomError::NoSuchRoom)
    }

    /// The member of this id, or the refusal that tells a stranger nothing.
    pub fn member(&self, user: UserId) -> Result<&Member, RoomError> {
        self.id()?;
        self.members.get(&user).ok_or(RoomError::NoSuchRoom)
    }

    /// Direct room or group.
    pub const fn kind(&self) -> RoomKind {
        self.kind
    }

    /// Whether nothing has opened it yet.
    pub const fn is_new(&self) -> bool {
        self.id.is_none()
    }

    /// The members, by id.
    pub const fn members(&self) -> &BTreeMap<UserId, Member> {
        &self.members
    }

    /// The newest item's seq; zero before the first.
    pub const fn last_seq(&self) -> Seq {
        self.last_seq
    }

    /// How many counted items it has.
    pub const fn last_cnt(&self) -> Cnt {
        self.last_cnt
    }

    /// How many counted items stand at or before `seq`.
    pub fn cnt_at(&self, seq: Seq) -> Cnt {
        self.uncounted.cnt_at(seq.min(self.last_seq))
    }

    /// Where `user` has read to as far as the room alone knows: in a group the line that added them, and their own newest
    /// message. Their `Seat` may know more.
    pub fn read_seq(&self, user: UserId) -> Result<Seq, RoomError> {
        let member = self.member(user)?;
        Ok(match self.kind {
            RoomKind::Direct => member.own_seq,
            RoomKind::Group => member.own_seq.max(member.joined_seq),
        })
    }

    fn member_count(&self) -> u32 {
        self.members.len() as u32
    }

    fn sent_at(&self, at: Instant) -> Instant {
        at.max(self.last_sent_at)
    }

    fn group(&self) -> Result<(), RoomError> {
        match self.kind {
            RoomKind::Group => Ok(()),
            RoomKind::Direct => Err(RoomError::OnlyInGroups),
        }
    }

    fn allowed(&self, by: UserId, who: Who) -> Result<(), RoomError> {
        if who.includes(self.member(by)?.role) {
            Ok(())
        } else {
            Err(RoomError::NotAllowed)
        }
    }

    /// The first few members that a room's composite picture shows, without those in `gone` and with `come`.
    fn sample(&self, gone: Option<UserId>, come: &[UserId]) -> Vec<UserId> {
        let present = self.members.iter().filter(|(user, _)| Some(**user) != gone);
        let mut joined: Vec<(Seq, UserId)> = present.map(|(user, member)| (member.joined_seq, *user)).collect();
        joined.sort_unstable();
        joined
            .into_iter()
            .map(|(_, user)| user)
            .chain(come.iter().copied())
            .take(MEMBERS_SAMPLE)
            .collect()
    }

    fn open_direct(&self, room_id: RoomId, by: UserId, peer: UserId, at: Instant) -> Vec<RoomEvent> {
        if !self.is_new() {
            return Vec::new();
        }
        let user_ids = if by == peer { vec![by] } else { vec![by, peer] };
        vec![RoomEvent::Opened(event::Opened {
            room_id,
            kind: RoomKind::Direct,
            by,
            user_ids,
            name: None,
            seq: Seq(0),
            at,
        })]
    }

    fn open_group(
        &self,
        room_id: RoomId,
        by: UserId,
        invitation: &Invitation,
        name: Option<RoomName>,
        at: Instant,
    ) -> Result<Vec<RoomEvent>, RoomError> {
        if !self.is_new() {
            return Err(RoomError::AlreadyOpen);
        }
        let invited: BTreeSet<UserId> = invitation.user_ids.iter().copied().filter(|user| *user != by).collect();
        if invited.len() + 1 < invitation.min_members {
            return Err(RoomError::TooFewMembers {
                min: invitation.min_members,
            });
        }
        if invited.len() + 1 > invitation.max_members {
            return Err(RoomError::TooManyMembers {
                max: invitation.max_members,
            });
        }
        invitation.check(|user| user == by)?;
        let user_ids = std::iter::once(by).chain(invited).collect();
        Ok(vec![RoomEvent::Opened(event::Opened {
            room_id,
            kind: RoomKind::Group,
            by,
            user_ids,
            name,
            seq: Seq(1),
            at,
        })])
    }

    fn invite(&self, by: UserId, invitation: &Invitation, at: Instant) -> Result<Vec<RoomEvent>, RoomError> {
        self.member(by)?;
        self.group()?;
        self.allowed(by, self.settings.invite_by)?;
        let new: BTreeSet<UserId> = invitation
            .user_ids
            .iter()
            .copied()
            .filter(|user| !self.members.contains_key(user))
            .collect();
        invitation.check(|user| self.members.contains_key(&user))?;
        if new.is_empty() {
            return Ok(Vec::new());
        }
        let member_count = self.members.len() + new.len();
        if member_count > invitation.max_members {
            return Err(RoomError::TooManyMembers {
                max: invitation.max_members,
            });
        }
        let user_ids: Vec<UserId> = new.into_iter().collect();
        Ok(vec![RoomEvent::MembersInvited(event::MembersInvited {
            room_id: self.id()?,
            by,
            seq: self.last_seq.next(),
            cnt: self.last_cnt,
            at: self.sent_at(at),
            member_count: member_count as u32,
            sample: self.sample(None, &user_ids),
            user_ids,
        })])
    }

    fn leave(&self, by: UserId, at: Instant) -> Result<Vec<RoomEvent>, RoomError> {
        let role = self.member(by)?.role;
        self.group()?;
        let room_id = self.id()?;
        let at = self.sent_at(at);
        let mut events = vec![RoomEvent::MemberLeft(event::MemberLeft {
            room_id,
            user_id: by,
            seq: self.last_seq.next(),
            cnt: self.last_cnt,
            at,
            member_count: self.member_count() - 1,
            sample: self.sample(Some(by), &[]),
        })];
        let heir = self.heir(by);
        match heir {
            None => events.push(RoomEvent::Closed(event::Closed { room_id, at })),
            Some(user_id) if role == Role::Owner => {
                events.push(RoomEvent::RoleChanged(event::RoleChanged {
                    room_id,
                    user_id,
                    role: Role::Owner,
                    at,
                }));
            }
            Some(_) => {}
        }
        Ok(events)
    }

    fn rename(&self, by: UserId, name: Option<RoomName>, at: Instant) -> Result<Vec<RoomEvent>, RoomError> {
        self.member(by)?;
        self.group()?;
        self.allowed(by, self.settings.rename_by)?;
        if name == self.name {
            return Ok(Vec::new());
        }
        let (seq, cnt) = (self.last_seq.next(), self.last_cnt);
        Ok(vec![RoomEvent::Renamed(event::Renamed {
            room_id: self.id()?,
            by,
            name,
            seq,
            cnt,
            at: self.sent_at(at),
        })])
    }

    fn set_notice(&self, by: UserId, notice: Option<Notice>, at: Instant) -> Result<Vec<RoomEvent>, RoomError> {
        self.member(by)?;
        self.group()?;
        self.allowed(by, self.settings.rename_by)?;
        if notice == self.notice {
            return Ok(Vec::new());
        }
        let (seq, cnt, at) = (self.last_seq.next(), self.last_cnt, self.sent_at(at));
        Ok(vec![RoomEvent::NoticeChanged(event::NoticeChanged {
            room_id: self.id()?,
            by,
            notice,
            seq,
            cnt,
            at,
        })])
    }

    fn change_settings(
        &self,
        by: UserId,
        rename_by: Option<Who>,
        invite_by: Option<Who>,
        at: Instant,
    ) -> Result<Vec<RoomEvent>, RoomError> {
        self.member(by)?;
        self.group()?;
        self.allowed(by, Who::Admins)?;
        let settings = Settings {
            rename_by: rename_by.unwrap_or(self.settings.rename_by),
            invite_by: invite_by.unwrap_or(self.settings.invite_by),
        };
        if settings == self.settings {
            return Ok(Vec::new());
        }
        let at = self.sent_at(at);
        Ok(vec![RoomEvent::SettingsChanged(event::SettingsChanged {
            room_id: self.id()?,
            by,
            settings,
            at,
        })])
    }

    fn check_message(&self, by: UserId, mentions: &[UserId], reply_to: Option<&MessageFacts>) -> Result<(), RoomError> {
        self.member(by)?;
        let strangers: Vec<UserId> = mentions
            .iter()
            .copied()
            .filter(|u| !self.members.contains_key(u))
            .collect();
        if !strangers.is_empty() {
            return Err(RoomError::MentionsNoMember { user_ids: strangers });
        }
        reply_to.map_or(Ok(()), |answered| self.may_see(by, answered).map(drop))
    }

    fn opened(&mut self, e: &event::Opened) {
        self.id = Some(e.room_id);
        self.kind = e.kind;
        self.name.clone_from(&e.name);
        let owner = |user: UserId| e.kind == RoomKind::Group && user == e.by;
        for user in &e.user_ids {
            let role = if owner(*user) { Role::Owner } else { Role::Member };
            self.members.insert(*user, Member::new(role, Seq(1), e.at));
        }
        if e.seq > Seq(0) {
            self.line(e.seq, e.at);
        }
    }

    /// A line that is no message: it takes a seq and counts for nobody.
    fn line(&mut self, seq: Seq, at: Instant) {
        self.last_seq = seq;
        self.last_sent_at = self.last_sent_at.max(at);
        self.uncounted.push(seq);
    }
}

impl Member {
    const fn new(role: Role, joined_seq: Seq, joined_at: Instant) -> Self {
        Self {
            role,
            joined_seq,
            joined_at,
            own_seq: Seq(0),
        }
    }
}

crate::aggregate!(Room, RoomCommand, RoomEvent, RoomError, "room");
