//! One history, three ways into rows: in memory, in the embedded store as it happens, and in the embedded store afterwards.
//! What queries see must be the same, whatever was written together and in whatever order a flush puts it.
#![cfg(feature = "embedded")]

#[path = "embedded/opened.rs"]
#[expect(dead_code, reason = "the other tests of the store use the rest of it")]
mod opened;

use std::collections::HashMap;
use std::sync::Arc;

use cocotalk_application::contract::support::{at, eventually, id, sealed};
use cocotalk_application::port::event_log::{EventLog, Metadata, NewEvent, Run, Unit, UnitOutcome};
use cocotalk_application::port::read_model::{From, Page, ReadModel};
use cocotalk_domain::event::AnyEvent;
use cocotalk_domain::id::{MessageId, RoomId, UserId};
use cocotalk_domain::limits::Limits;
use cocotalk_domain::number::{Cnt, Seq};
use cocotalk_domain::room::{Invitation, Room, RoomCommand, Who};
use cocotalk_domain::seat::SeatEvent;
use cocotalk_domain::seat::event::{FloorRaised, PreferencesSet, ReadAdvanced};
use cocotalk_domain::stream::StreamId;
use cocotalk_domain::text::{Notice, RoomName};
use cocotalk_domain::time::Instant;
use cocotalk_infra::memory::MemoryStore;
use opened::Opened;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

/// People of a history.
const PEOPLE: usize = 6;
/// Rooms of a history; the first one is of two.
const ROOMS: usize = 3;
/// Histories.
const HISTORIES: usize = 12;
/// Commands of a history.
const COMMANDS: usize = 120;

struct History {
    random: StdRng,
    people: Vec<UserId>,
    rooms: Vec<(RoomId, Room)>,
    versions: HashMap<StreamId, u64>,
    now: i64,
}

impl History {
    fn new(seed: u64) -> Self {
        let people: Vec<UserId> = (0..PEOPLE).map(|_| UserId(id())).collect();
        let direct = RoomId::direct(people[0], people[1]);
        let rooms = (0..ROOMS).map(|index| if index == 0 { direct } else { RoomId(id()) });
        let rooms = rooms.map(|room| (room, Room::default())).collect();
        Self {
            random: StdRng::seed_from_u64(seed),
            people,
            rooms,
            versions: HashMap::new(),
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
        events.iter().for_each(|event| room.evolve(event));
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
        match self.pick(10) {
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
        let (number, at, what) = (self.pick(40) as u64 + 1, self.tick(), self.pick(4));
        let (room_id, room) = (self.rooms[index].0, &self.rooms[index].1);
        match what {
            0 => {
                let (floor_seq, floor_cnt) = (Seq(number), Cnt(number - 1));
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
    fn unit(&mut self) -> Unit {
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
    async fn seen(&self, reads: &dyn ReadModel) -> Vec<String> {
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
        }
        seen
    }
}

async fn append(log: &dyn EventLog, unit: &Unit) {
    let outcomes = log.append(vec![unit.clone()]).await.expect("it can be written");
    assert!(matches!(outcomes[..], [UnitOutcome::Appended { .. }]), "{outcomes:?}");
}

async fn one_history(seed: u64) {
    let mut history = History::new(seed);
    let memory = MemoryStore::new(cocotalk_projectors::all());
    let inline = Opened::fresh(cocotalk_projectors::all()).await;
    let late = Opened::fresh(Vec::new()).await;
    let mut commands = 0;
    while commands < COMMANDS {
        let unit = history.unit();
        commands += 1 + unit.runs.iter().map(|run| run.events.len()).sum::<usize>();
        if unit.runs.is_empty() {
            continue;
        }
        append(&memory, &unit).await;
        append(&inline.store, &unit).await;
        append(&late.store, &unit).await;
    }
    let late = late.reopen(cocotalk_projectors::all()).await;
    for projection in cocotalk_projectors::all() {
        eventually("the projection arrives", async || {
            let at = late.store.checkpoints(projection.name()).await.expect("it can be read");
            at == late.store.heads().await.expect("it can be read")
        })
        .await;
    }
    let expected = history.seen(&memory).await;
    assert!(expected.len() > 20, "too little happened with seed {seed}");
    assert_same(&expected, &history.seen(&inline.store).await, "as it happened", seed);
    assert_same(&expected, &history.seen(&late.store).await, "afterwards", seed);
}

fn assert_same(expected: &[String], found: &[String], when: &str, seed: u64) {
    for (expected, found) in expected.iter().zip(found) {
        assert_eq!(expected, found, "embedded, {when}, seed {seed}");
    }
    assert_eq!(expected.len(), found.len(), "embedded, {when}, seed {seed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_store_makes_the_same_rows_of_the_same_history() {
    for _ in 0..HISTORIES {
        one_history(rand::random()).await;
    }
}
