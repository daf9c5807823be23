//! The live states of one room and of everybody's seat in it, and the log of what happened to them.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use cocotalk_domain::event::AnyEvent;
use cocotalk_domain::id::{MessageId, RoomId, UserId};
use cocotalk_domain::limits::Limits;
use cocotalk_domain::number::Seq;
use cocotalk_domain::room::event::MessageSent;
use cocotalk_domain::room::{Invitation, MessageFacts, Role, Room, RoomCommand, RoomEvent, RoomKind, Who};
use cocotalk_domain::sealed::Sealed;
use cocotalk_domain::seat::{Patch, Seat, SeatCommand};
use cocotalk_domain::stream::StreamId;
use cocotalk_domain::text::{Emoji, Notice, RoomName};
use cocotalk_domain::time::Instant;
use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;

use crate::room_event;
use crate::story::{Act, By, EMOJIS, Kind, Step};

/// A group of a story holds so many.
pub(crate) const MOST_MEMBERS: usize = 5;
/// And is opened with so many.
pub(crate) const FEWEST_MEMBERS: usize = 3;

/// How long an author of a story has, seconds: none, but the clocks of a story differ.
const CHANGE_S: u64 = 0;
/// So many kinds of reactions a message of a story has at most.
pub(crate) const MOST_KINDS: usize = 2;
/// So many messages a person of a story hides at most.
pub(crate) const MOST_HIDDEN: usize = 3;

/// What came of a step.
#[derive(Debug)]
pub(crate) enum Outcome {
    Refused,
    NothingToDo,
    Happened(Vec<(StreamId, AnyEvent)>),
}

/// The live states, and the log.
pub(crate) struct World {
    kind: Kind,
    pub(crate) room: Room,
    pub(crate) seats: BTreeMap<UserId, Seat>,
    pub(crate) log: Vec<(StreamId, AnyEvent)>,
}

/// The person with this number.
pub(crate) fn person(number: usize) -> UserId {
    UserId::from_u128(number as u128 + 1)
}

impl World {
    pub(crate) fn new(kind: Kind) -> Self {
        Self {
            kind,
            room: Room::default(),
            seats: BTreeMap::new(),
            log: Vec::new(),
        }
    }

    /// A copy of all states.
    pub(crate) fn states(&self) -> (Room, BTreeMap<UserId, Seat>) {
        (self.room.clone(), touched(&self.seats))
    }

    /// Does what a step asks for, as the use cases do.
    pub(crate) fn take(&mut self, step: &Step) -> Outcome {
        let (by, at) = (self.who(&step.by), Instant::from_millis(step.at));
        match &step.act {
            Act::Open(people) => self.command_room(self.open(by, people, at)),
            Act::Invite { people, refused } => self.command_room(RoomCommand::Invite {
                by,
                invitation: invitation(people, refused),
                at,
            }),
            Act::Leave => self.command_room(RoomCommand::Leave { by, at }),
            Act::Rename(name) => self.command_room(RoomCommand::Rename {
                by,
                name: name.map(named),
                at,
            }),
            Act::SetNotice(notice) => self.command_room(RoomCommand::SetNotice {
                by,
                notice: notice.map(noted),
                at,
            }),
            Act::ChangeSettings {
                rename_by_admins,
                invite_by_admins,
            } => self.command_room(RoomCommand::ChangeSettings {
                by,
                rename_by: rename_by_admins.map(who),
                invite_by: invite_by_admins.map(who),
                at,
            }),
            Act::Send { mentions, reply_to } => self.command_room(RoomCommand::Send {
                by,
                message_id: MessageId::from_u128(self.log.len() as u128),
                body: sealed(by, 0),
                preview: mentions.is_empty().then(|| sealed(by, 1)),
                mentions: mentions.iter().map(|user| self.who(user)).collect(),
                reply_to: reply_to.and_then(|index| self.message(index)).map(Box::new),
                at,
            }),
            Act::Kick(whom) => self.command_room(RoomCommand::Kick {
                by,
                user_id: self.who(whom),
                at,
            }),
            Act::GiveRole(whom, role) => self.command_room(RoomCommand::GiveRole {
                by,
                user_id: self.who(whom),
                role: *role,
                at,
            }),
            Act::Edit(index) => self.about(by, *index, |message| RoomCommand::Edit {
                by,
                message,
                body: sealed(by, 2),
                preview: None,
                within_s: CHANGE_S,
                at,
            }),
            Act::Delete(index) => self.about(by, *index, |message| RoomCommand::Delete {
                by,
                message,
                within_s: CHANGE_S,
                at,
            }),
            Act::React { message, emoji } => self.about(by, *message, |message| RoomCommand::React {
                by,
                message,
                emoji: emoji.map(|number| Emoji::parse(EMOJIS[number]).expect("an emoji")),
                max_kinds: MOST_KINDS,
                at,
            }),
            Act::Hide(index) => self.hide(by, *index, at),
            Act::MarkRead(seq) => self.mark_read(by, Seq(*seq), at),
            Act::LeaveDirect => self.leave_direct(by, at),
            Act::SetPreferences {
                muted_for,
                pinned,
                alias,
            } => self.set_preferences(by, muted_for.clone(), *pinned, alias.clone(), at),
        }
    }

    /// Whether somebody was an admin before the newest event.
    pub(crate) fn was_admin(&self, user: UserId) -> bool {
        let roles = self.log.iter().rev().skip(1).find_map(|(_, event)| match event {
            AnyEvent::Room(RoomEvent::RoleChanged(e)) if e.user_id == user => Some(e.role),
            AnyEvent::Room(RoomEvent::RoleGiven(e)) if e.user_id == user => Some(e.role),
            AnyEvent::Room(RoomEvent::MembersInvited(e)) if e.user_ids.contains(&user) => Some(Role::Member),
            AnyEvent::Room(_) | AnyEvent::Seat(_) | AnyEvent::Account(_) | AnyEvent::Claim(_) => None,
        });
        roles == Some(Role::Admin)
    }

    /// Whether somebody has ever left the group, or been kicked.
    pub(crate) fn ever_left(&self, user: UserId) -> bool {
        self.log.iter().any(|(_, event)| match event {
            AnyEvent::Room(RoomEvent::MemberLeft(e)) => e.user_id == user,
            AnyEvent::Room(RoomEvent::MemberKicked(e)) => e.user_id == user,
            AnyEvent::Room(_) | AnyEvent::Seat(_) | AnyEvent::Account(_) | AnyEvent::Claim(_) => false,
        })
    }

    fn who(&self, by: &By) -> UserId {
        match by {
            By::Anybody(number) => person(*number),
            By::Owner => {
                let mut members = self.room.members().iter();
                let owner = members.find(|(_, member)| member.role == Role::Owner);
                owner.map_or(person(0), |(user, _)| *user)
            }
            By::Member(index) => {
                let members = self.room.members();
                let member = members.keys().nth(index.index(members.len().max(1)));
                member.copied().unwrap_or(person(0))
            }
        }
    }

    fn room_id(&self) -> RoomId {
        match self.kind {
            Kind::Direct => RoomId::direct(person(0), person(1)),
            Kind::Oneself => RoomId::direct(person(0), person(0)),
            Kind::Group => RoomId::from_u128(0x100),
        }
    }

    fn open(&self, by: UserId, people: &[usize], at: Instant) -> RoomCommand {
        let room_id = self.room_id();
        let direct = |by, peer| RoomCommand::OpenDirect { room_id, by, peer, at };
        match self.kind {
            Kind::Oneself => direct(person(0), person(0)),
            Kind::Direct if by <= person(2) => direct(person(0), person(1)),
            Kind::Direct => direct(person(1), person(0)),
            Kind::Group => RoomCommand::OpenGroup {
                room_id,
                by,
                invitation: invitation(people, &[]),
                name: (people.len() > 4).then(|| named(0)),
                at,
            },
        }
    }

    /// What the bus knows of one of the messages so far.
    fn message(&self, index: proptest::sample::Index) -> Option<MessageFacts> {
        let messages: Vec<&MessageSent> = self.log.iter().filter_map(|(_, event)| sent(event)).collect();
        let id = messages.get(index.index(messages.len().max(1)))?.message_id;
        let events = self.log.iter().filter_map(|(_, event)| room_event(event));
        events
            .filter(|event| event.message_id() == Some(id))
            .fold(None, MessageFacts::after)
    }

    /// A command about one of the messages so far, if the seat of whoever gives it sees that.
    fn about(
        &mut self,
        by: UserId,
        index: proptest::sample::Index,
        command: impl FnOnce(Box<MessageFacts>) -> RoomCommand,
    ) -> Outcome {
        let seat = self.seats.entry(by).or_default().clone();
        match self.message(index).filter(|message| seat.sees(message.seq)) {
            Some(message) => self.command_room(command(Box::new(message))),
            None => Outcome::Refused,
        }
    }

    fn hide(&mut self, user_id: UserId, index: proptest::sample::Index, at: Instant) -> Outcome {
        let joined_seq = self.room.member(user_id).map(|member| member.joined_seq);
        let (Ok(joined_seq), Some(message)) = (joined_seq, self.message(index)) else {
            return Outcome::Refused;
        };
        if message.seq < joined_seq {
            return Outcome::Refused;
        }
        let (room_id, seq) = (self.room_id(), message.seq);
        let hide = SeatCommand::Hide {
            room_id,
            user_id,
            seq,
            max: MOST_HIDDEN,
            at,
        };
        self.command_seat(user_id, hide)
    }

    fn mark_read(&mut self, user_id: UserId, seq: Seq, at: Instant) -> Outcome {
        let Ok(known_seq) = self.room.read_seq(user_id) else {
            return Outcome::Refused;
        };
        let seq = seq.min(self.room.last_seq());
        self.command_seat(
            user_id,
            SeatCommand::MarkRead {
                room_id: self.room_id(),
                user_id,
                seq,
                cnt: self.room.cnt_at(seq),
                known_seq,
                at,
            },
        )
    }

    fn leave_direct(&mut self, user_id: UserId, at: Instant) -> Outcome {
        if self.room.member(user_id).is_err() || self.room.kind() != RoomKind::Direct {
            return Outcome::Refused;
        }
        self.command_seat(
            user_id,
            SeatCommand::LeaveDirect {
                room_id: self.room_id(),
                user_id,
                last_seq: self.room.last_seq(),
                last_cnt: self.room.last_cnt(),
                at,
            },
        )
    }

    fn set_preferences(
        &mut self,
        user_id: UserId,
        muted_for: Patch<i64>,
        pinned: Option<bool>,
        alias: Patch<u8>,
        at: Instant,
    ) -> Outcome {
        if self.room.member(user_id).is_err() {
            return Outcome::Refused;
        }
        let muted_until = set(muted_for, |millis| Instant::from_millis(at.millis() + millis));
        let alias = set(alias, |byte| sealed(user_id, byte));
        self.command_seat(
            user_id,
            SeatCommand::SetPreferences {
                room_id: self.room_id(),
                user_id,
                muted_until,
                pinned,
                alias,
                at,
            },
        )
    }

    fn command_room(&mut self, command: RoomCommand) -> Outcome {
        let decided = self.room.decide(command.clone());
        let handled = handle(&mut self.room, command);
        assert_eq!(handled, decided, "handling is deciding");
        match handled {
            Err(_) => Outcome::Refused,
            Ok(events) => self.happened(StreamId::Room(self.room_id()), events),
        }
    }

    fn command_seat(&mut self, user: UserId, command: SeatCommand) -> Outcome {
        let seat = self.seats.entry(user).or_default();
        let decided = seat.decide(command.clone());
        let handled = handle(seat, command);
        assert_eq!(handled, decided, "handling is deciding");
        match handled {
            Err(_) => Outcome::Refused,
            Ok(events) => self.happened(StreamId::Seat(self.room_id(), user), events),
        }
    }

    fn happened<E: Into<AnyEvent>>(&mut self, stream: StreamId, events: Vec<E>) -> Outcome {
        let events: Vec<_> = events.into_iter().map(|event| (stream, event.into())).collect();
        if events.is_empty() {
            return Outcome::NothingToDo;
        }
        self.log.extend(events.iter().cloned());
        Outcome::Happened(events)
    }
}

/// The seats without those that are as if nobody had ever touched them.
pub(crate) fn touched(seats: &BTreeMap<UserId, Seat>) -> BTreeMap<UserId, Seat> {
    let touched = seats.iter().filter(|(_, seat)| **seat != Seat::default());
    touched.map(|(user, seat)| (*user, seat.clone())).collect()
}

/// Gives a command to an aggregate as `cqrs_es` does. Nothing in it waits, so it is ready at once.
fn handle<A>(aggregate: &mut A, command: A::Command) -> Result<Vec<A::Event>, A::Error>
where
    A: Aggregate<Services = ()>,
    A::Event: Debug,
{
    let sink = EventSink::default();
    ready(aggregate.handle(command, &(), &sink)).map(|()| ready(sink.collect()))
}

fn ready<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("an aggregate waits for nothing"),
    }
}

/// The message that an event is, if it is one.
pub(crate) fn sent(event: &AnyEvent) -> Option<&MessageSent> {
    match event {
        AnyEvent::Room(RoomEvent::MessageSent(message)) => Some(message),
        AnyEvent::Room(_) | AnyEvent::Seat(_) | AnyEvent::Account(_) | AnyEvent::Claim(_) => None,
    }
}

fn invitation(people: &[usize], refused: &[usize]) -> Invitation {
    let refused = refused.iter().filter(|user| people.contains(user));
    Invitation {
        user_ids: people.iter().copied().map(person).collect(),
        refused: refused.copied().map(person).collect(),
        min_members: FEWEST_MEMBERS,
        max_members: MOST_MEMBERS,
    }
}

/// The same change to a value made from this one.
fn set<T, U>(patch: Patch<T>, make: impl FnOnce(T) -> U) -> Patch<U> {
    match patch {
        Patch::Keep => Patch::Keep,
        Patch::Clear => Patch::Clear,
        Patch::Set(value) => Patch::Set(make(value)),
    }
}

fn who(admins: bool) -> Who {
    if admins { Who::Admins } else { Who::All }
}

fn sealed(subject: UserId, byte: u8) -> Sealed {
    let bytes = vec![byte; 3];
    Sealed { subject, bytes }
}

fn named(number: u8) -> RoomName {
    RoomName::parse(&format!("모임 {number}"), &Limits::default()).expect("a name that fits")
}

fn noted(number: u8) -> Notice {
    Notice::parse(&format!("Tea\nat {number}"), &Limits::default()).expect("a notice that fits")
}
