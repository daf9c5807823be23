//! An independent recount of what happened, and what must hold of it: lists and searches, nothing clever.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use cocotalk_domain::event::AnyEvent;
use cocotalk_domain::id::UserId;
use cocotalk_domain::limits::MEMBERS_SAMPLE;
use cocotalk_domain::number::{Cnt, Seq};
use cocotalk_domain::room::event::{
    MemberKicked, MembersInvited, MessageSent, Opened, ReactionTotals, RoleChanged, RoleGiven,
};
use cocotalk_domain::room::{Role, RoomEvent, RoomKind, Settings, Who};
use cocotalk_domain::seat::{Seat, SeatEvent};
use cocotalk_domain::stream::StreamId;
use cocotalk_domain::text::Emoji;
use cocotalk_domain::time::Instant;
use proptest::prelude::*;

use crate::world::{FEWEST_MEMBERS, MOST_HIDDEN, MOST_KINDS, MOST_MEMBERS, World};

type Held = Result<(), TestCaseError>;

/// A line or a message.
struct Item {
    counted: bool,
    at: Instant,
}

/// A message, beside its item.
struct Message {
    author: UserId,
    deleted: bool,
    reactions: BTreeMap<UserId, Emoji>,
}

fn counts(reactions: &BTreeMap<UserId, Emoji>) -> ReactionTotals {
    let kinds: BTreeSet<&Emoji> = reactions.values().collect();
    let count = |kind: &Emoji| reactions.values().filter(|emoji| *emoji == kind).count() as u32;
    kinds.into_iter().map(|kind| (kind.clone(), count(kind))).collect()
}

/// Somebody who is in the room.
struct Present {
    user: UserId,
    role: Role,
    joined_seq: Seq,
}

/// What the events say, counted anew.
#[derive(Default)]
pub(crate) struct Record {
    kind: Option<RoomKind>,
    opened_with: BTreeSet<UserId>,
    items: Vec<Item>,
    messages: BTreeMap<Seq, Message>,
    hidden: BTreeMap<UserId, BTreeSet<Seq>>,
    present: Vec<Present>,
    settings: Settings,
    /// Set while an owner who left has no heir yet: who it has to be.
    heir: Option<UserId>,
    /// Set while who handed the group over owns it still.
    former_owner: Option<UserId>,
    closed: bool,
    /// How far everybody had read when last looked at; kept while they are away.
    read: BTreeMap<UserId, Seq>,
    floors: BTreeMap<UserId, Seq>,
}

impl Record {
    /// Counts an event, and checks what it claims.
    pub(crate) fn add(&mut self, stream: StreamId, event: &AnyEvent) -> Held {
        match (stream, event) {
            (StreamId::Room(_), AnyEvent::Room(event)) => self.add_room(event),
            (StreamId::Seat(_, user), AnyEvent::Seat(event)) => self.add_seat(user, event),
            (stream, event) => Err(TestCaseError::fail(format!("{event:?} in {stream}"))),
        }
    }

    fn add_room(&mut self, event: &RoomEvent) -> Held {
        prop_assert!(!self.closed, "{:?} in a closed room", event);
        match event {
            RoomEvent::Opened(e) => self.add_opened(e),
            RoomEvent::MembersInvited(e) => self.add_invited(e),
            RoomEvent::MemberLeft(e) => {
                prop_assert_eq!(self.kind, Some(RoomKind::Group));
                let owned = self.role(e.user_id)? == Role::Owner;
                self.present.retain(|present| present.user != e.user_id);
                self.heir = if owned { self.next_owner() } else { None };
                self.line(e.seq, e.cnt, e.at)?;
                self.count(e.member_count, &e.sample)
            }
            RoomEvent::MemberKicked(e) => self.add_kicked(e),
            RoomEvent::RoleGiven(e) => self.add_given_role(e),
            RoomEvent::RoleChanged(e) => self.add_role(e),
            RoomEvent::Renamed(e) => {
                self.acted(e.by, self.settings.rename_by)?;
                self.line(e.seq, e.cnt, e.at)
            }
            RoomEvent::NoticeChanged(e) => {
                self.acted(e.by, self.settings.rename_by)?;
                self.line(e.seq, e.cnt, e.at)
            }
            RoomEvent::SettingsChanged(e) => {
                self.acted(e.by, Who::Admins)?;
                self.settings = e.settings;
                Ok(())
            }
            RoomEvent::MessageSent(e) => self.add_message(e),
            RoomEvent::MessageEdited(e) => {
                let message = self.visible(e.author_id, e.seq)?;
                prop_assert_eq!((message.author, message.deleted), (e.author_id, false));
                prop_assert_eq!(&counts(&message.reactions), &e.reactions);
                self.told(e.seq, e.is_newest, e.author_id, e.others)
            }
            RoomEvent::MessageDeleted(e) => {
                let message = self.visible(e.by, e.seq)?;
                prop_assert_eq!((message.author, message.deleted), (e.author_id, false));
                prop_assert!(
                    e.by == e.author_id || self.role(e.by)?.is_admin(),
                    "deleted by {}",
                    e.by
                );
                if let Some(message) = self.messages.get_mut(&e.seq) {
                    message.deleted = true;
                }
                self.told(e.seq, e.is_newest, e.author_id, e.others)
            }
            RoomEvent::ReactionChanged(e) => {
                prop_assert!(!self.visible(e.user_id, e.seq)?.deleted, "a reaction to nothing");
                let message = self.messages.entry(e.seq);
                let message = message.and_modify(|message| match &e.emoji {
                    Some(emoji) => drop(message.reactions.insert(e.user_id, emoji.clone())),
                    None => drop(message.reactions.remove(&e.user_id)),
                });
                if let Entry::Occupied(message) = message {
                    prop_assert_eq!(&counts(&message.get().reactions), &e.reactions);
                }
                prop_assert!(e.reactions.len() <= MOST_KINDS);
                Ok(())
            }
            RoomEvent::Closed(_) => {
                prop_assert!(self.present.is_empty(), "closed with people in it");
                self.closed = true;
                Ok(())
            }
        }
    }

    fn add_opened(&mut self, e: &Opened) -> Held {
        prop_assert_eq!(self.kind, None, "opened twice");
        prop_assert_eq!(e.user_ids.first(), Some(&e.by));
        self.kind = Some(e.kind);
        self.opened_with = e.user_ids.iter().copied().collect();
        prop_assert_eq!(self.opened_with.len(), e.user_ids.len(), "somebody is in it twice");
        for user in &e.user_ids {
            let owner = e.kind == RoomKind::Group && *user == e.by;
            let role = if owner { Role::Owner } else { Role::Member };
            self.join(*user, role, Seq(1));
        }
        match e.kind {
            RoomKind::Direct => prop_assert_eq!(e.seq, Seq(0)),
            RoomKind::Group => {
                prop_assert!((FEWEST_MEMBERS..=MOST_MEMBERS).contains(&e.user_ids.len()));
                self.line(e.seq, Cnt(0), e.at)?;
            }
        }
        Ok(())
    }

    fn add_invited(&mut self, e: &MembersInvited) -> Held {
        prop_assert_eq!(self.kind, Some(RoomKind::Group));
        self.acted(e.by, self.settings.invite_by)?;
        prop_assert!(!e.user_ids.is_empty());
        for user in &e.user_ids {
            prop_assert!(self.role(*user).is_err(), "{} was there already", user);
            self.join(*user, Role::Member, e.seq);
        }
        prop_assert!(self.present.len() <= MOST_MEMBERS);
        self.line(e.seq, e.cnt, e.at)?;
        self.count(e.member_count, &e.sample)
    }

    fn add_kicked(&mut self, e: &MemberKicked) -> Held {
        prop_assert_eq!(self.kind, Some(RoomKind::Group));
        match (self.role(e.by)?, self.role(e.user_id)?) {
            (Role::Owner, Role::Admin | Role::Member) | (Role::Admin, Role::Member) => {}
            (by, of) => return Err(TestCaseError::fail(format!("{by:?} kicked {of:?}"))),
        }
        self.present.retain(|present| present.user != e.user_id);
        self.line(e.seq, e.cnt, e.at)?;
        self.count(e.member_count, &e.sample)
    }

    fn add_given_role(&mut self, e: &RoleGiven) -> Held {
        prop_assert_eq!(self.kind, Some(RoomKind::Group));
        prop_assert_eq!(self.role(e.by)?, Role::Owner);
        prop_assert_ne!(self.role(e.user_id)?, e.role, "the role they had");
        if e.role == Role::Owner {
            self.former_owner = Some(e.by);
        }
        self.set_role(e.user_id, e.role)?;
        self.line(e.seq, e.cnt, e.at)
    }

    fn add_role(&mut self, e: &RoleChanged) -> Held {
        match e.role {
            Role::Owner => prop_assert_eq!(self.heir.take(), Some(e.user_id), "the wrong heir"),
            Role::Admin => prop_assert_eq!(self.former_owner.take(), Some(e.user_id), "not who handed over"),
            Role::Member => return Err(TestCaseError::fail("nobody falls so low by themselves")),
        }
        self.set_role(e.user_id, e.role)
    }

    fn set_role(&mut self, user: UserId, role: Role) -> Held {
        let present = self.present.iter_mut().find(|present| present.user == user);
        let present = present.ok_or_else(|| TestCaseError::fail("a role for nobody"))?;
        present.role = role;
        Ok(())
    }

    fn add_message(&mut self, e: &MessageSent) -> Held {
        self.acted(e.author_id, Who::All)?;
        for user in &e.mentions {
            self.role(*user)?;
        }
        if let Some(reply) = &e.reply_to {
            let author = self.present.iter().find(|present| present.user == e.author_id);
            prop_assert!(author.is_some_and(|author| reply.seq >= author.joined_seq));
            prop_assert!(reply.seq < e.seq);
        }
        let message = Message {
            author: e.author_id,
            deleted: false,
            reactions: BTreeMap::new(),
        };
        self.messages.insert(e.seq, message);
        self.item(true, e.seq, e.cnt, e.sent_at)?;
        prop_assert_eq!(e.member_count as usize, self.present.len());
        Ok(())
    }

    fn add_seat(&mut self, user: UserId, event: &SeatEvent) -> Held {
        match event {
            SeatEvent::ReadAdvanced(e) => {
                prop_assert_eq!(e.read_cnt, self.cnt_at(e.read_seq));
                prop_assert!(
                    self.read.get(&user).is_none_or(|before| *before < e.read_seq),
                    "read backwards"
                );
            }
            SeatEvent::FloorRaised(e) => {
                prop_assert_eq!(self.kind, Some(RoomKind::Direct));
                prop_assert_eq!(e.floor_seq, self.last_seq().next());
                prop_assert_eq!(e.floor_cnt, self.cnt_at(self.last_seq()));
                let before = self.floors.insert(user, e.floor_seq);
                prop_assert!(before.is_none_or(|before| before < e.floor_seq), "the floor fell");
            }
            SeatEvent::MessageHidden(e) => {
                self.visible(user, e.seq)?;
                let hidden = self.hidden.entry(user).or_default();
                prop_assert!(hidden.insert(e.seq), "hidden twice");
                prop_assert_eq!(hidden.last(), Some(&e.last_hidden));
                prop_assert!(hidden.len() <= MOST_HIDDEN);
            }
            SeatEvent::PreferencesSet(_) => {}
        }
        Ok(())
    }

    /// A message that somebody may see who is there.
    fn visible(&self, user: UserId, seq: Seq) -> Result<&Message, TestCaseError> {
        let present = self.present.iter().find(|present| present.user == user);
        let sees = present.is_some_and(|present| seq >= present.joined_seq);
        prop_assert!(sees, "{} cannot see {}", user, seq);
        let message = self.messages.get(&seq);
        message.ok_or_else(|| TestCaseError::fail(format!("{seq} is no message")))
    }

    /// What an event about a message tells beside it.
    fn told(&self, seq: Seq, is_newest: bool, author: UserId, others: u32) -> Held {
        prop_assert_eq!(is_newest, seq == self.last_seq());
        let counted = self.present.iter().filter(|present| present.user != author).count();
        prop_assert_eq!(others as usize, counted);
        Ok(())
    }

    /// Everything that must hold between two commands.
    pub(crate) fn check(&mut self, world: &World) -> Held {
        let room = &world.room;
        prop_assert_eq!(self.heir, None, "an owner without an heir");
        prop_assert_eq!(self.former_owner, None, "two owners");
        prop_assert_eq!(room.is_new(), self.kind.is_none());
        prop_assert_eq!(room.last_seq(), self.last_seq());
        prop_assert_eq!(room.last_cnt(), room.cnt_at(room.last_seq()));
        for seq in (0..=self.last_seq().get() + 1).map(Seq) {
            prop_assert_eq!(room.cnt_at(seq), self.cnt_at(seq));
        }
        self.check_members(world)?;
        for (user, floor) in &self.floors {
            prop_assert_eq!(world.seats[user].floor_seq(), *floor);
        }
        self.check_reading(world)
    }

    fn check_members(&self, world: &World) -> Held {
        let members = world.room.members();
        prop_assert_eq!(members.len(), self.present.len());
        for present in &self.present {
            let member = members.get(&present.user);
            let member = member.ok_or_else(|| TestCaseError::fail("a member is missing"))?;
            prop_assert_eq!((member.role, member.joined_seq), (present.role, present.joined_seq));
            prop_assert_eq!(world.room.member(present.user), Ok(member));
        }
        let owners = members.values().filter(|member| member.role == Role::Owner).count();
        match self.kind {
            None => prop_assert!(members.is_empty()),
            Some(RoomKind::Direct) => {
                let ids: BTreeSet<UserId> = members.keys().copied().collect();
                prop_assert_eq!(&ids, &self.opened_with, "a direct room keeps its members for ever");
                prop_assert_eq!(owners, 0);
                prop_assert!(!self.closed);
            }
            Some(RoomKind::Group) => {
                prop_assert_eq!(
                    self.closed,
                    members.is_empty(),
                    "closed when nobody is left, and only then"
                );
                prop_assert_eq!(owners, usize::from(!self.closed));
            }
        }
        Ok(())
    }

    /// A read position is never past the newest item, never falls, and leaves as many unread as there are.
    fn check_reading(&mut self, world: &World) -> Held {
        for present in &self.present {
            let user = present.user;
            let marked = world.seats.get(&user).map_or(Seq(0), Seat::read_seq);
            let known = world
                .room
                .read_seq(user)
                .map_err(|e| TestCaseError::fail(e.to_string()))?;
            let read = marked.max(known);
            prop_assert!(read <= self.last_seq(), "read past the newest item");
            let before = self.read.insert(user, read);
            prop_assert!(before.is_none_or(|before| before <= read), "a read position fell");
            let unread = world.room.last_cnt().get() - world.room.cnt_at(read).get();
            let after = self.items.iter().skip(read.get() as usize);
            prop_assert_eq!(unread, after.filter(|item| item.counted).count() as u64);
        }
        Ok(())
    }

    fn line(&mut self, seq: Seq, cnt: Cnt, at: Instant) -> Held {
        self.item(false, seq, cnt, at)
    }

    fn item(&mut self, counted: bool, seq: Seq, cnt: Cnt, at: Instant) -> Held {
        prop_assert_eq!(seq, self.last_seq().next(), "a hole or a double");
        if let Some(last) = self.items.last() {
            prop_assert!(last.at <= at, "sent_at fell");
        }
        self.items.push(Item { counted, at });
        prop_assert_eq!(cnt, self.cnt_at(seq));
        Ok(())
    }

    fn last_seq(&self) -> Seq {
        Seq(self.items.len() as u64)
    }

    fn cnt_at(&self, seq: Seq) -> Cnt {
        let up_to = self.items.iter().take(seq.get() as usize);
        Cnt(up_to.filter(|item| item.counted).count() as u64)
    }

    fn join(&mut self, user: UserId, role: Role, joined_seq: Seq) {
        self.present.push(Present { user, role, joined_seq });
        self.present.sort_by_key(|present| (present.joined_seq, present.user));
    }

    fn role(&self, user: UserId) -> Result<Role, TestCaseError> {
        let present = self.present.iter().find(|present| present.user == user);
        let present = present.ok_or_else(|| TestCaseError::fail(format!("{user} is no member")))?;
        Ok(present.role)
    }

    fn acted(&self, by: UserId, who: Who) -> Held {
        let role = self.role(by)?;
        prop_assert!(who == Who::All || role.is_admin(), "{} may not", by);
        Ok(())
    }

    /// The oldest admin, else whoever joined first.
    fn next_owner(&self) -> Option<UserId> {
        let admin = self.present.iter().find(|present| present.role == Role::Admin);
        admin.or(self.present.first()).map(|present| present.user)
    }

    fn count(&self, member_count: u32, sample: &[UserId]) -> Held {
        let first: Vec<UserId> = self
            .present
            .iter()
            .take(MEMBERS_SAMPLE)
            .map(|present| present.user)
            .collect();
        prop_assert_eq!((member_count as usize, sample), (self.present.len(), first.as_slice()));
        Ok(())
    }
}
