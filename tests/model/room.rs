//! A room as the rules have it: plain data, and the questions whose answers follow from it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// A person, by their place among the people of the walk; they are in the order of their ids.
pub(crate) type Who = usize;

/// What somebody may do in a group, the highest last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    Member,
    Admin,
    Owner,
}

impl Role {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Admin => "admin",
            Self::Owner => "owner",
        }
    }

    pub(crate) const fn is_admin(self) -> bool {
        matches!(self, Self::Admin | Self::Owner)
    }
}

/// Who may do something in a group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Allowed {
    #[default]
    All,
    Admins,
}

impl Allowed {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Admins => "admins",
        }
    }

    pub(crate) fn includes(self, role: Role) -> bool {
        self == Self::All || role.is_admin()
    }
}

/// Somebody's place in a room, for as long as they are in it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seat {
    pub(crate) role: Role,
    /// The line that let them in; 1 in a direct room.
    pub(crate) joined: u64,
    /// The event that did.
    pub(crate) joined_version: u64,
}

/// Somebody's own side of a room. It outlives their place: who comes back finds what they had.
#[derive(Clone, Debug, Default)]
pub(crate) struct Own {
    /// How far they have read, by marks and by what they said.
    pub(crate) read: u64,
    /// The first item that they may see in a direct room that they left.
    pub(crate) floor: u64,
    pub(crate) hidden: BTreeSet<u64>,
    pub(crate) muted_until: Option<String>,
    pub(crate) pinned: bool,
    pub(crate) alias: Option<String>,
    /// What their sockets are told of it, in order.
    pub(crate) told: Vec<Value>,
}

/// An item of a timeline.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) author: Who,
    pub(crate) what: What,
    /// The event that added it.
    pub(crate) version: u64,
}

/// What an item is.
#[derive(Clone, Debug)]
pub(crate) enum What {
    Message(Message),
    Line(Line),
}

/// What somebody said, and what became of it.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) id: String,
    pub(crate) text: String,
    pub(crate) reply_to: Option<u64>,
    pub(crate) mentions: Vec<Who>,
    /// The event that edited it last.
    pub(crate) edited: Option<u64>,
    pub(crate) deleted: bool,
    pub(crate) reactions: BTreeMap<Who, &'static str>,
}

/// A line that is no message.
#[derive(Clone, Debug, Default)]
pub(crate) struct Line {
    pub(crate) kind: &'static str,
    pub(crate) members: Vec<Who>,
    pub(crate) name: Option<String>,
    pub(crate) role: Option<Role>,
}

/// How much somebody sees of an event, the least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Sight {
    Version,
    WithoutAnswered,
    Whole,
}

/// An event of the room: one frame to everybody who is told of it.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) kind: &'static str,
    /// What the frame carries for whoever sees all of it, as of its own moment.
    pub(crate) data: Value,
    /// The item that it is about.
    pub(crate) about: Option<u64>,
    /// The message that this item answers.
    pub(crate) answered: Option<u64>,
    /// Who is told of it, and how much they saw of it at its moment.
    pub(crate) audience: BTreeMap<Who, Sight>,
}

/// A mark that was set: whose, up to where, and what was left for them then.
#[derive(Clone, Debug)]
pub(crate) struct Mark {
    pub(crate) whose: Who,
    pub(crate) read: u64,
    pub(crate) unread: u64,
    /// Who is told of it.
    pub(crate) audience: BTreeSet<Who>,
    /// Whether they have left the direct room since: whoever is told of it later is not told what was left then.
    pub(crate) is_left_behind: bool,
}

/// A room. A direct room keeps its seats for ever; a group without seats is closed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Room {
    /// Its place among the rooms of the walk.
    pub(crate) place: usize,
    pub(crate) id: String,
    pub(crate) is_direct: bool,
    pub(crate) name: Option<String>,
    pub(crate) notice: Option<String>,
    pub(crate) rename_by: Allowed,
    pub(crate) invite_by: Allowed,
    pub(crate) seats: BTreeMap<Who, Seat>,
    pub(crate) own: BTreeMap<Who, Own>,
    pub(crate) items: Vec<Item>,
    pub(crate) events: Vec<Event>,
    pub(crate) marks: Vec<Mark>,
}

impl Room {
    pub(crate) fn last_seq(&self) -> u64 {
        self.items.len() as u64
    }

    pub(crate) fn version(&self) -> u64 {
        self.events.len() as u64
    }

    pub(crate) fn item(&self, seq: u64) -> &Item {
        &self.items[seq as usize - 1]
    }

    pub(crate) fn event(&self, version: u64) -> &Event {
        &self.events[version as usize - 1]
    }

    /// The message at a place, which must be one.
    pub(crate) fn message(&self, seq: u64) -> &Message {
        match &self.item(seq).what {
            What::Message(message) => message,
            What::Line(line) => panic!("{seq} is no message: {line:?}"),
        }
    }

    pub(crate) fn message_mut(&mut self, seq: u64) -> &mut Message {
        match &mut self.items[seq as usize - 1].what {
            What::Message(message) => message,
            What::Line(line) => panic!("{seq} is no message: {line:?}"),
        }
    }

    /// The messages, with their places.
    pub(crate) fn messages(&self) -> impl Iterator<Item = (u64, Who, &Message)> {
        (1..).zip(&self.items).filter_map(|(seq, item)| match &item.what {
            What::Message(message) => Some((seq, item.author, message)),
            What::Line(_) => None,
        })
    }

    pub(crate) fn seq_of(&self, message: &str) -> Option<u64> {
        self.messages()
            .find(|(_, _, found)| found.id == message)
            .map(|(seq, ..)| seq)
    }

    /// Somebody's own side, as it is before they did anything to it.
    pub(crate) fn own(&self, who: Who) -> Own {
        self.own.get(&who).cloned().unwrap_or_default()
    }

    pub(crate) fn own_mut(&mut self, who: Who) -> &mut Own {
        self.own.entry(who).or_default()
    }

    /// The first item that a member may see.
    pub(crate) fn first(&self, who: Who) -> u64 {
        self.seats[&who].joined.max(self.own(who).floor)
    }

    /// Up to where a member has read.
    pub(crate) fn read(&self, who: Who) -> u64 {
        let read = self.own(who).read;
        if self.is_direct {
            read
        } else {
            read.max(self.seats[&who].joined)
        }
    }

    /// Whether a member sees an item.
    pub(crate) fn sees(&self, who: Who, seq: u64) -> bool {
        seq >= self.first(who) && !self.own(who).hidden.contains(&seq)
    }

    /// Messages of others that a member has not read and may see.
    pub(crate) fn unread(&self, who: Who) -> u64 {
        let read = self.read(who);
        let is_unread = |(seq, author, _): &(u64, Who, &Message)| *author != who && *seq > read && self.sees(who, *seq);
        self.messages().filter(is_unread).count() as u64
    }

    /// Members beside the author who have not read an item.
    pub(crate) fn unread_members(&self, seq: u64) -> u64 {
        let item = self.item(seq);
        let is_late = |who: &&Who| **who != item.author && self.read(**who) < seq;
        match item.what {
            What::Message(_) => self.seats.keys().filter(is_late).count() as u64,
            What::Line(_) => 0,
        }
    }

    /// The newest item that a member sees.
    pub(crate) fn last_seen(&self, who: Who) -> Option<u64> {
        (1..=self.last_seq()).rev().find(|seq| self.sees(who, *seq))
    }

    /// Who is shown in the room's picture: those who came first.
    pub(crate) fn sample(&self) -> Vec<Who> {
        self.in_order().into_iter().take(4).collect()
    }

    /// The members, whoever came first first.
    pub(crate) fn in_order(&self) -> Vec<Who> {
        let mut members: Vec<Who> = self.seats.keys().copied().collect();
        members.sort_by_key(|who| (self.seats[who].joined, *who));
        members
    }

    pub(crate) fn owner(&self) -> Option<Who> {
        let owner = self.seats.iter().find(|(_, seat)| seat.role == Role::Owner);
        owner.map(|(who, _)| *who)
    }

    /// Who owns the group when its owner is gone: the oldest admin, else whoever came first.
    pub(crate) fn heir(&self) -> Option<Who> {
        let rank = |who: &Who| (self.seats[who].role != Role::Admin, self.seats[who].joined, *who);
        self.seats.keys().copied().min_by_key(rank)
    }

    /// How much a member sees of what is about an item that answers another.
    pub(crate) fn sight(&self, who: Who, about: Option<u64>, answered: Option<u64>) -> Sight {
        if about.is_some_and(|seq| !self.sees(who, seq)) {
            Sight::Version
        } else if answered.is_some_and(|seq| !self.sees(who, seq)) {
            Sight::WithoutAnswered
        } else {
            Sight::Whole
        }
    }
}
