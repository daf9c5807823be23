//! What an act is answered with: the rules, as far as they say yes or no.

use crate::model::Model;
use crate::model::act::Act;
use crate::model::room::{Role, Room, Seat, Who};

/// What becomes of an act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It happens, and is answered with this status.
    Done(u16),
    /// It is so already.
    Nothing(u16),
    /// It is refused with this status and code.
    Refused(u16, &'static str),
}

use Verdict::{Done, Nothing, Refused};

const NO_ROOM: Verdict = Refused(404, "room_not_found");
const NO_MESSAGE: Verdict = Refused(404, "message_not_found");
const NOT_ALLOWED: Verdict = Refused(403, "not_allowed");
const GROUPS_ONLY: Verdict = Refused(409, "only_in_groups");
const DELETED: Verdict = Refused(409, "message_deleted");
const FEWEST: usize = 3;

impl Model {
    /// What becomes of an act of this person.
    pub(crate) fn decide(&self, by: Who, act: &Act) -> Verdict {
        let decided = match act {
            Act::OpenGroup { with, .. } => open_group(by, with),
            Act::OpenDirect { with } => Ok(if self.direct(by, *with).is_some() {
                Nothing(200)
            } else {
                Done(201)
            }),
            Act::Say {
                room,
                reply_to,
                mentions,
                ..
            } => self.rooms[*room].say(by, reply_to.as_deref(), mentions),
            Act::Edit { room, message, .. } => self.rooms[*room].edit(by, message),
            Act::Delete { room, message } => self.rooms[*room].delete(by, message),
            Act::Hide { room, message } => self.rooms[*room].hide(by, message),
            Act::React {
                room,
                message,
                emoji,
                puts,
            } => self.rooms[*room].react(by, message, emoji, *puts),
            Act::Read { room, seq } => self.rooms[*room].mark(by, *seq),
            Act::Prefer { room, .. } => self.rooms[*room].prefer(by, act),
            Act::Alter { room, .. } => self.rooms[*room].alter(by, act),
            Act::Invite { room, guests } => self.rooms[*room].invite(by, guests),
            Act::Kick { room, whom } => self.rooms[*room].kick(by, *whom),
            Act::GiveRole { room, whom, role } => self.rooms[*room].give_role(by, *whom, *role),
            Act::Leave { room } => self.rooms[*room].leave(by),
        };
        decided.unwrap_or_else(|refused| refused)
    }
}

/// A refusal ends it.
type Decided = Result<Verdict, Verdict>;

fn open_group(by: Who, with: &[Who]) -> Decided {
    let mut members = [with, &[by]].concat();
    members.sort_unstable();
    members.dedup();
    if members.len() < FEWEST {
        Err(Refused(422, "too_few_members"))
    } else {
        Ok(Done(201))
    }
}

fn if_changed(changes: bool, status: u16) -> Verdict {
    if changes { Done(status) } else { Nothing(status) }
}

impl Room {
    fn member(&self, who: Who) -> Result<Seat, Verdict> {
        self.seats.get(&who).copied().ok_or(NO_ROOM)
    }

    fn in_group(&self, who: Who) -> Result<Seat, Verdict> {
        let seat = self.member(who)?;
        if self.is_direct { Err(GROUPS_ONLY) } else { Ok(seat) }
    }

    /// The place of a message that somebody sees.
    fn seen(&self, who: Who, message: &str) -> Result<u64, Verdict> {
        self.member(who)?;
        self.seq_of(message)
            .filter(|seq| self.sees(who, *seq))
            .ok_or(NO_MESSAGE)
    }

    fn say(&self, by: Who, reply_to: Option<&str>, mentions: &[Who]) -> Decided {
        self.member(by)?;
        reply_to.map_or(Ok(0), |message| self.seen(by, message))?;
        if mentions.iter().any(|who| !self.seats.contains_key(who)) {
            return Err(Refused(422, "mentions_no_member"));
        }
        Ok(Done(201))
    }

    fn edit(&self, by: Who, message: &str) -> Decided {
        let seq = self.seen(by, message)?;
        match (self.item(seq).author == by, self.message(seq).deleted) {
            (false, _) => Err(NOT_ALLOWED),
            (true, true) => Err(DELETED),
            (true, false) => Ok(Done(200)),
        }
    }

    fn delete(&self, by: Who, message: &str) -> Decided {
        let seq = self.seen(by, message)?;
        if self.item(seq).author != by && !self.seats[&by].role.is_admin() {
            return Err(NOT_ALLOWED);
        }
        Ok(if_changed(!self.message(seq).deleted, 204))
    }

    /// What is hidden already may be hidden again, unlike what was before one's time.
    fn hide(&self, by: Who, message: &str) -> Decided {
        self.member(by)?;
        let seq = self
            .seq_of(message)
            .filter(|seq| *seq >= self.first(by))
            .ok_or(NO_MESSAGE)?;
        Ok(if_changed(!self.own(by).hidden.contains(&seq), 204))
    }

    fn react(&self, by: Who, message: &str, emoji: &str, puts: bool) -> Decided {
        let seq = self.seen(by, message)?;
        let message = self.message(seq);
        let is_there = message.reactions.get(&by).is_some_and(|mine| *mine == emoji);
        match (puts == is_there, message.deleted) {
            (true, _) => Ok(Nothing(204)),
            (false, true) => Err(DELETED),
            (false, false) => Ok(Done(204)),
        }
    }

    fn mark(&self, by: Who, seq: u64) -> Decided {
        self.member(by)?;
        Ok(if_changed(seq.min(self.last_seq()) > self.read(by), 204))
    }

    fn prefer(&self, by: Who, act: &Act) -> Decided {
        let Act::Prefer {
            muted_until,
            pinned,
            alias,
            ..
        } = act
        else {
            panic!("{act:?} is no preference")
        };
        self.member(by)?;
        if muted_until.flatten().is_some_and(|until| until < "2026") {
            return Err(Refused(422, "not_in_the_future"));
        }
        let own = self.own(by);
        let mutes = muted_until.is_some_and(|until| until.map(str::to_owned) != own.muted_until);
        let pins = pinned.is_some_and(|pinned| pinned != own.pinned);
        // An alias is sealed anew each time: nobody but its owner can tell that it is the same.
        let names = alias
            .as_ref()
            .is_some_and(|alias| alias.is_some() || own.alias.is_some());
        Ok(if_changed(mutes || pins || names, 204))
    }

    fn alter(&self, by: Who, act: &Act) -> Decided {
        let Act::Alter {
            name,
            notice,
            rename_by,
            invite_by,
            ..
        } = act
        else {
            panic!("{act:?} alters no room")
        };
        let role = self.member(by)?.role;
        let names = name.is_some() || notice.is_some();
        let sets = rename_by.is_some() || invite_by.is_some();
        if names || sets {
            self.in_group(by)?;
        }
        if (names && !self.rename_by.includes(role)) || (sets && !role.is_admin()) {
            return Err(NOT_ALLOWED);
        }
        let renames = name.as_ref().is_some_and(|name| *name != self.name);
        let notices = notice.as_ref().is_some_and(|notice| *notice != self.notice);
        Ok(if_changed(
            renames || notices || self.settings_change(*rename_by, *invite_by),
            200,
        ))
    }

    fn invite(&self, by: Who, guests: &[Who]) -> Decided {
        let seat = self.member(by)?;
        if self.is_direct {
            let with = [guests, &self.seats.keys().copied().collect::<Vec<_>>()].concat();
            return open_group(by, &with);
        }
        if !self.invite_by.includes(seat.role) {
            return Err(NOT_ALLOWED);
        }
        Ok(if_changed(
            guests.iter().any(|guest| !self.seats.contains_key(guest)),
            200,
        ))
    }

    fn kick(&self, by: Who, whom: Who) -> Decided {
        let mine = self.in_group(by)?.role;
        let theirs = self.seats.get(&whom).map(|seat| seat.role);
        match theirs {
            _ if !mine.is_admin() => Err(NOT_ALLOWED),
            None => Err(Refused(404, "member_not_found")),
            Some(theirs) if theirs < mine => Ok(Done(204)),
            Some(_) => Err(NOT_ALLOWED),
        }
    }

    fn give_role(&self, by: Who, whom: Who, role: Role) -> Decided {
        let mine = self.in_group(by)?.role;
        match self.seats.get(&whom).map(|seat| seat.role) {
            _ if mine != Role::Owner => Err(NOT_ALLOWED),
            None => Err(Refused(404, "member_not_found")),
            Some(theirs) if theirs == role => Ok(Nothing(200)),
            Some(_) if by == whom => Err(Refused(409, "owner_must_hand_over")),
            Some(_) => Ok(Done(200)),
        }
    }

    fn leave(&self, by: Who) -> Decided {
        self.member(by)?;
        let hides_something = self.last_seq() > 0 && self.last_seq() + 1 > self.own(by).floor;
        Ok(if_changed(!self.is_direct || hides_something, 204))
    }
}
