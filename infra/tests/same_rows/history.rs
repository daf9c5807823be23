//! Made-up histories: what people may do in a few rooms, as units to append, and what queries see of it afterwards.

use std::collections::HashMap;
use std::sync::Arc;

use cocotalk_application::contract::support::{at, id, sealed};
use cocotalk_application::port::event_log::{Metadata, NewEvent, Run, Unit};
use cocotalk_application::port::read_model::{From, Page, ReadModel};
use cocotalk_domain::event::AnyEvent;
use cocotalk_domain::id::{MessageId, RoomId, UserId};
use cocotalk_domain::limits::Limits;
use cocotalk_domain::number::{Cnt, Seq};
use cocotalk_domain::room::{Invitation, MessageFacts, Role, Room, RoomCommand, RoomEvent, Who};
use cocotalk_domain::seat::SeatEvent;
use cocotalk_domain::seat::event::{FloorRaised, MessageHidden, PreferencesSet, ReadAdvanced};
use cocotalk_domain::stream::StreamId;
use cocotalk_domain::text::{Emoji, Notice, RoomName};
use cocotalk_domain::time::Instant;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

/// People of a history.
const PEOPLE: usize = 6;
/// Rooms of a history; the first one is of two.
const ROOMS: usize = 3;
/// Commands of a history.
pub(crate) const COMMANDS: usize = 120;

/// One history, as it goes on.
pub(crate) struct History {
    random: StdRng,
    people: Vec<UserId>,
    rooms: Vec<(RoomId, Room)>,
    versions: HashMap<StreamId, u64>,
    floors: HashMap<(RoomId, UserId), u64>,
    hidden: HashMap<(RoomId, UserId), u64>,
    messages: HashMap<RoomId, Vec<MessageFacts>>,
    now: i64,
}

impl History {
    /// The one that this seed makes.
    pub(crate) fn new(seed: u64) -> Self {
        let people: Vec<UserId> = (0..PEOPLE).map(|_| UserId(id())).collect();
        let direct = RoomId::direct(people[0], people[1]);
        let rooms = (0..ROOMS).map(|index| if index == 0 { direct } else { RoomId(id()) });
        let rooms = rooms.map(|room| (room, Room::default())).collect();
        Self {
            random: StdRng::seed_from_u64(seed),
            people,
            rooms,
            versions: HashMap::new(),
            floors: HashMap::new(),
            hidden: HashMap::new(),
            messages: HashMap::new(),
            now: 0,
        }
    }

    fn pick(&mut self, below: usize) -> usize {
        self.random.random_range(0..below)
    }

    fn person(&mut self) -> UserId {
        let index = self.pick(PEOPLE);
        self.people[index]
    }

    fn tick(&mut self) -> Instant {
        self.now += 1;
        at(self.now)
    }

    /// What happens next, in one stream; often nothing, since the rules say no.
    fn step(&mut self) -> (StreamId, Vec<AnyEvent>) {
        let index = self.pick(ROOMS);
        let (room_id, by) = (self.rooms[index].0, self.person());
        if self.pick(4) == 0 {
            return (StreamId::Seat(room_id, by), vec![AnyEvent::Seat(self.seat(index, by))]);
        }
        let command = self.command(index, by);
        let room = &mut self.rooms[index].1;
        let events = room.decide(command).unwrap_or_default();
        let messages = self.messages.entry(room_id).or_default();
        for event in &events {
            room.evolve(event);
            if let RoomEvent::MessageSent(_) = event {
                messages.extend(MessageFacts::after(None, event));
            }
            let about = messages
                .iter_mut()
                .filter(|facts| event.message_id() == Some(facts.message_id));
            about.for_each(|facts| facts.evolve(event));
        }
        (
            StreamId::Room(room_id),
            events.into_iter().map(AnyEvent::Room).collect(),
        )
    }

    fn command(&mut self, index: usize, by: UserId) -> RoomCommand {
        let (room_id, at) = (self.rooms[index].0, self.tick());
        if self.rooms[index].1.is_new() {
            return match index {
                0 => RoomCommand::OpenDirect {
                    room_id,
                    by: self.people[0],
                    peer: self.people[1],
                    at,
                },
                _ => RoomCommand::OpenGroup {
                    room_id,
                    by,
                    invitation: self.invitation(3),
                    name: None,
                    at,
                },
            };
        }
        let number = self.pick(1_000);
        let who = if number.is_multiple_of(2) {
            Who::All
        } else {
            Who::Admins
        };
        if self.pick(3) == 0
            && let Some(command) = self.about_a_message(room_id, by, number, at)
        {
            return command;
        }
        match self.pick(14) {
            0 => RoomCommand::Invite {
                by,
                invitation: self.invitation(2),
                at,
            },
            1 => RoomCommand::Leave { by, at },
            2 => {
                let name = RoomName::parse(&format!("room {number}"), &Limits::default()).ok();
                RoomCommand::Rename {
                    by,
                    name: name.filter(|_| !number.is_multiple_of(3)),
                    at,
                }
            }
            3 => RoomCommand::SetNotice {
                by,
                notice: Notice::parse("bring water", &Limits::default()).ok(),
                at,
            },
            4 => RoomCommand::ChangeSettings {
                by,
                rename_by: Some(who),
                invite_by: None,
                at,
            },
            5 => RoomCommand::Kick {
                by: self.owner(index).unwrap_or(by),
                user_id: self.person(),
                at,
            },
            6 | 7 => RoomCommand::GiveRole {
                by: self.owner(index).unwrap_or(by),
                user_id: self.person(),
                role: [Role::Member, Role::Admin, Role::Owner][number % 3],
                at,
            },
            _ => {
                let (message_id, body) = (MessageId(id()), sealed(by, &format!("text {number}")));
                let mentions = if number.is_multiple_of(5) { vec![by] } else { Vec::new() };
                RoomCommand::Send {
                    by,
                    message_id,
                    body,
                    preview: None,
                    mentions,
                    reply_to: None,
                    at,
                }
            }
        }
    }

    /// Who owns a room, if it is a group with people in it.
    fn owner(&self, index: usize) -> Option<UserId> {
        let mut members = self.rooms[index].1.members().iter();
        let owner = members.find(|(_, member)| member.role == Role::Owner);
        owner.map(|(user, _)| *user)
    }

    /// Something that happens to one of the messages so far.
    fn about_a_message(&mut self, room_id: RoomId, by: UserId, number: usize, at: Instant) -> Option<RoomCommand> {
        let messages = self.messages.get(&room_id).filter(|messages| !messages.is_empty())?;
        // The newest ones most of all: what is the head may change.
        let newest = messages.len() - 1;
        let message = Box::new(messages[newest.saturating_sub(number % 7)].clone());
        let within_s = 1_000;
        Some(match self.pick(6) {
            0 => RoomCommand::Delete {
                by,
                message,
                within_s,
                at,
            },
            1 | 2 => RoomCommand::Edit {
                by: message.author_id,
                body: sealed(message.author_id, &format!("other words {number}")),
                preview: None,
                message,
                within_s,
                at,
            },
            _ => RoomCommand::React {
                by,
                message,
                emoji: Emoji::parse(["👍", "❤", "🥥"][number % 3])
                    .ok()
                    .filter(|_| !number.is_multiple_of(5)),
                max_kinds: 20,
                at,
            },
        })
    }

    fn invitation(&mut self, count: usize) -> Invitation {
        let user_ids = (0..count).map(|_| self.person()).collect();
        Invitation {
            user_ids,
            refused: Vec::new(),
            min_members: 1,
            max_members: 100,
        }
    }

    fn seat(&mut self, index: usize, user_id: UserId) -> SeatEvent {
        let (number, at, what) = (self.pick(40) as u64 + 1, self.tick(), self.pick(5));
        let (room_id, room) = (self.rooms[index].0, &self.rooms[index].1);
        match what {
            0 => {
                // A seat only raises it.
                let floor = self.floors.entry((room_id, user_id)).or_default();
                *floor = number.max(*floor);
                let (floor_seq, floor_cnt) = (Seq(*floor), Cnt(*floor - 1));
                SeatEvent::FloorRaised(FloorRaised {
                    room_id,
                    user_id,
                    floor_seq,
                    floor_cnt,
                    at,
                })
            }
            1 => {
                let (muted_until, pinned_at) = (
                    (number.is_multiple_of(2)).then_some(at),
                    (number.is_multiple_of(3)).then_some(at),
                );
                let alias = (number.is_multiple_of(5)).then(|| sealed(user_id, "가족"));
                SeatEvent::PreferencesSet(PreferencesSet {
                    room_id,
                    user_id,
                    muted_until,
                    pinned_at,
                    alias,
                    at,
                })
            }
            2 => {
                let last = self.hidden.entry((room_id, user_id)).or_default();
                *last = number.max(*last);
                SeatEvent::MessageHidden(MessageHidden {
                    room_id,
                    user_id,
                    seq: Seq(number),
                    last_hidden: Seq(*last),
                    at,
                })
            }
            // Only members read, and only what is there: a stale mark is what queries leave out.
            _ => match room.member(user_id) {
                Ok(member) => {
                    let read_seq = Seq(number).max(member.joined_seq).min(room.last_seq());
                    let read_cnt = room.cnt_at(read_seq);
                    SeatEvent::ReadAdvanced(ReadAdvanced {
                        room_id,
                        user_id,
                        read_seq,
                        read_cnt,
                        hidden: 0,
                        at,
                    })
                }
                Err(_stranger) => SeatEvent::PreferencesSet(PreferencesSet {
                    room_id,
                    user_id,
                    muted_until: None,
                    pinned_at: None,
                    alias: None,
                    at,
                }),
            },
        }
    }

    /// Some steps as one unit: one run a stream, as the log wants it.
    pub(crate) fn unit(&mut self) -> Unit {
        let mut unit = Unit::default();
        for _ in 0..=self.pick(12) {
            let (stream, events) = self.step();
            if events.is_empty() {
                continue;
            }
            let version = self.versions.entry(stream).or_default();
            let after = *version;
            *version += events.len() as u64;
            let metadata = Arc::new(Metadata::default());
            let events = events.into_iter().map(|event| NewEvent {
                event,
                metadata: Arc::clone(&metadata),
                subject: None,
                stamp: None,
            });
            match unit.runs.iter_mut().find(|run| run.stream == stream) {
                Some(run) => run.events.extend(events),
                None => unit.runs.push(Run {
                    stream,
                    slice: stream.slice(),
                    after,
                    events: events.collect(),
                }),
            }
        }
        unit
    }

    /// Everything that queries see, as text.
    pub(crate) async fn seen(&self, reads: &dyn ReadModel) -> Vec<String> {
        let mut seen = Vec::new();
        for (room, _) in &self.rooms {
            let rooms = reads.rooms(&[*room]).await.expect("it can be read");
            seen.push(format!("{:?}", rooms.get(room)));
            let mut members = reads.members(*room).await.expect("it can be read");
            members.sort_unstable_by_key(|row| row.user_id);
            let mut positions = reads.reads(*room).await.expect("it can be read");
            // A mark that comes after its owner has left may stay in one store and not in another: nobody counts it.
            positions.retain(|row| members.iter().any(|member| member.user_id == row.user_id));
            positions.sort_unstable_by_key(|row| row.user_id);
            seen.push(format!("{members:?} {positions:?}"));
            let page = Page {
                from: From::After(Seq(0)),
                floor: Seq(0),
                limit: 1_000,
            };
            let items = reads.messages(*room, page).await.expect("it can be read");
            seen.extend(items.iter().map(|item| format!("{item:?}")));
        }
        for user in &self.people {
            let mut rooms = reads.user_rooms(*user).await.expect("it can be read");
            rooms.sort_unstable_by_key(|row| row.room_id);
            let mut positions = reads.user_reads(*user).await.expect("it can be read");
            positions.sort_unstable_by_key(|row| row.room_id);
            seen.push(format!("{rooms:?} {positions:?}"));
            for (room, _) in &self.rooms {
                let hidden = reads.hidden(*user, &[(*room, Seq(0))]).await;
                let seqs: Vec<Seq> = (1..=200).map(Seq).collect();
                let mut reactions = reads.reactions(*user, *room, &seqs).await.expect("it can be read");
                reactions.sort_unstable();
                seen.push(format!("{:?} {reactions:?}", hidden.expect("it can be read")));
            }
        }
        seen
    }
}
