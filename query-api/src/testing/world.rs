//! The store of the tests: rooms that decide by the domain's rules, a log of their events, and the rows made of them.

mod ports;
mod rows;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use cocotalk_application::error::StoreError;
use cocotalk_application::port::event_log::{Metadata, RecordedEvent};
use cocotalk_application::port::key_vault::KeyBytes;
use cocotalk_application::port::live::{Committed, Typing};
use cocotalk_application::row::ProfileRow;
use cocotalk_application::sealing::DataKey;
use cocotalk_domain::event::{AnyEvent, DecodeError};
use cocotalk_domain::id::{CommandId, MessageId, RoomId, UserId};
use cocotalk_domain::limits::Limits;
use cocotalk_domain::number::{Cnt, Seq, Version};
use cocotalk_domain::room::{Invitation, MessageFacts, Role, Room, RoomCommand, RoomEvent, Who};
use cocotalk_domain::sealed::Sealed;
use cocotalk_domain::seat::SeatEvent;
use cocotalk_domain::seat::event::{FloorRaised, MessageHidden, PreferencesSet, ReadAdvanced};
use cocotalk_domain::stream::{SLICES, Slice, StreamId};
use cocotalk_domain::text::{Emoji, MessageText, Notice, RoomName};
use cocotalk_domain::time::Instant;
use rows::Rows;
pub(crate) use rows::Table;
use tokio::sync::broadcast;

/// When everything begins.
pub(crate) const NOW: Instant = Instant::from_millis(1_767_225_600_000);

/// The person with this number.
pub(crate) fn user(number: u128) -> UserId {
    UserId::from_u128(number)
}

/// The key of a person: never the same for two.
fn key_of(user: UserId) -> KeyBytes {
    let mut key = [7; 32];
    key[..16].copy_from_slice(user.0.as_bytes());
    key.into()
}

/// What there is.
pub(crate) struct World {
    tables: Mutex<Tables>,
    feed: broadcast::Sender<Committed>,
    signals: broadcast::Sender<Typing>,
}

impl Default for World {
    fn default() -> Self {
        Self {
            tables: Mutex::default(),
            feed: broadcast::Sender::new(FEED),
            signals: broadcast::Sender::new(FEED),
        }
    }
}

/// How long a slow server takes.
const SLOW: Duration = Duration::from_millis(5);
/// Commits that a listener may be behind.
pub(crate) const FEED: usize = 16;

/// A server that the store stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    /// The event log.
    Log,
    /// The key vault.
    Keys,
    /// The read model.
    Model,
}

/// What is wrong with one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It says so.
    Away,
    /// It says nothing.
    Silent,
    /// It takes its time.
    Slow,
}

#[derive(Default)]
struct Tables {
    clock_ms: i64,
    positions: HashMap<Slice, u64>,
    forgotten: BTreeSet<UserId>,
    states: HashMap<RoomId, Room>,
    metadata: Arc<Metadata>,
    log: HashMap<StreamId, Vec<Arc<RecordedEvent>>>,
    /// What the feed has not brought yet.
    unpublished: Vec<Arc<RecordedEvent>>,
    /// What the projections make of all events.
    rows: Rows,
    /// What is seen of it, where they are held.
    shown: Option<Rows>,
    /// Where they are held.
    held: HashMap<&'static str, [u64; SLICES]>,
    faults: BTreeMap<Part, Fault>,
    statements: BTreeMap<Part, usize>,
}

impl World {
    /// Somebody with a name.
    pub(crate) fn person(&self, number: u128, name: &str) -> UserId {
        let user_id = user(number);
        let json = serde_json::json!({"handle": format!("person.{number}"), "display_name": name});
        let sealed = seal(user_id, &json.to_string());
        let version = Version(1);
        self.tables().rows.profiles.insert(
            user_id,
            ProfileRow {
                user_id,
                sealed,
                version,
            },
        );
        user_id
    }

    /// Three people: Mina, Jun and 하나.
    pub(crate) fn three(&self) -> [UserId; 3] {
        [(1, "Mina"), (2, "Jun"), (3, "하나")].map(|(number, name)| self.person(number, name))
    }

    /// A group of these people; the first one opens it.
    pub(crate) fn group(&self, number: u128, people: &[UserId]) -> RoomId {
        let room_id = RoomId::from_u128(number);
        self.carry_out(room_id, |at| RoomCommand::OpenGroup {
            room_id,
            by: people[0],
            invitation: invitation(&people[1..]),
            name: None,
            at,
        });
        room_id
    }

    /// The direct room of two people.
    pub(crate) fn direct(&self, by: UserId, peer: UserId) -> RoomId {
        let room_id = RoomId::direct(by, peer);
        self.carry_out(room_id, |at| RoomCommand::OpenDirect { room_id, by, peer, at });
        room_id
    }

    /// Somebody says something.
    pub(crate) fn say(&self, room_id: RoomId, by: UserId, text: &str) -> Seq {
        self.say_about(room_id, by, text, None)
    }

    /// Somebody answers a message.
    pub(crate) fn say_about(&self, room_id: RoomId, by: UserId, text: &str, answered: Option<Seq>) -> Seq {
        let preview = MessageText::parse(text, &Limits::default()).unwrap();
        let preview = preview.preview().map(|preview| seal(by, preview));
        let body = seal(by, text);
        let reply_to = answered.map(|seq| Box::new(self.facts(room_id, seq)));
        self.carry_out(room_id, |at| RoomCommand::Send {
            by,
            message_id: MessageId::from_u128(at.millis() as u128),
            body,
            preview,
            mentions: Vec::new(),
            reply_to,
            at,
        })
    }

    fn facts(&self, room_id: RoomId, seq: Seq) -> MessageFacts {
        let tables = self.tables();
        let events = tables.log[&StreamId::Room(room_id)].iter();
        let events: Vec<&RoomEvent> = events
            .filter_map(|recorded| match &recorded.event {
                Ok(AnyEvent::Room(event)) => Some(event),
                _ => None,
            })
            .collect();
        let sent = |event: &&RoomEvent| matches!(event, RoomEvent::MessageSent(e) if e.seq == seq);
        let id = events.iter().find(|event| sent(event)).unwrap().message_id();
        let about = events.into_iter().filter(|event| event.message_id() == id);
        about.fold(None, MessageFacts::after).unwrap()
    }

    /// Somebody puts their message in other words.
    pub(crate) fn edit(&self, room_id: RoomId, seq: Seq, text: &str) {
        let message = Box::new(self.facts(room_id, seq));
        let by = message.author_id;
        let preview = MessageText::parse(text, &Limits::default()).unwrap();
        let preview = preview.preview().map(|preview| seal(by, preview));
        let body = seal(by, text);
        self.carry_out(room_id, |at| RoomCommand::Edit {
            by,
            message,
            body,
            preview,
            within_s: 86_400,
            at,
        });
    }

    /// Somebody deletes their message for everyone.
    pub(crate) fn delete(&self, room_id: RoomId, seq: Seq) {
        let message = Box::new(self.facts(room_id, seq));
        let by = message.author_id;
        self.carry_out(room_id, |at| RoomCommand::Delete {
            by,
            message,
            within_s: 86_400,
            at,
        });
    }

    /// Somebody reacts to a message, or takes that back.
    pub(crate) fn react(&self, room_id: RoomId, by: UserId, seq: Seq, emoji: Option<&str>) {
        let message = Box::new(self.facts(room_id, seq));
        let emoji = emoji.map(|emoji| Emoji::parse(emoji).unwrap());
        self.carry_out(room_id, |at| RoomCommand::React {
            by,
            message,
            emoji,
            max_kinds: 20,
            at,
        });
    }

    /// Somebody hides a message from themselves.
    pub(crate) fn hide_message(&self, room_id: RoomId, user_id: UserId, seq: Seq) {
        let mut tables = self.tables();
        let at = tables.tick();
        tables.rows.hidden.insert((user_id, room_id, seq));
        let seat = tables.rows.user_rooms.get_mut(&(user_id, room_id)).unwrap();
        seat.last_hidden = seat.last_hidden.max(seq);
        let event = SeatEvent::MessageHidden(MessageHidden {
            room_id,
            user_id,
            seq,
            last_hidden: seat.last_hidden,
            at,
        });
        tables.append(StreamId::Seat(room_id, user_id), Ok(event.into()), at);
    }

    pub(crate) fn invite(&self, room_id: RoomId, by: UserId, people: &[UserId]) -> Seq {
        let invitation = invitation(people);
        self.carry_out(room_id, |at| RoomCommand::Invite { by, invitation, at })
    }

    pub(crate) fn leave(&self, room_id: RoomId, by: UserId) -> Seq {
        self.carry_out(room_id, |at| RoomCommand::Leave { by, at })
    }

    pub(crate) fn kick(&self, room_id: RoomId, by: UserId, user_id: UserId) -> Seq {
        self.carry_out(room_id, |at| RoomCommand::Kick { by, user_id, at })
    }

    pub(crate) fn give(&self, room_id: RoomId, by: UserId, user_id: UserId, role: Role) -> Seq {
        self.carry_out(room_id, |at| RoomCommand::GiveRole { by, user_id, role, at })
    }

    pub(crate) fn rename(&self, room_id: RoomId, by: UserId, name: &str) -> Seq {
        let name = Some(RoomName::parse(name, &Limits::default()).unwrap());
        self.carry_out(room_id, |at| RoomCommand::Rename { by, name, at })
    }

    pub(crate) fn put_up(&self, room_id: RoomId, by: UserId, notice: &str) -> Seq {
        let notice = Some(Notice::parse(notice, &Limits::default()).unwrap());
        self.carry_out(room_id, |at| RoomCommand::SetNotice { by, notice, at })
    }

    pub(crate) fn only_admins_rename(&self, room_id: RoomId, by: UserId) {
        let rename_by = Some(Who::Admins);
        self.carry_out(room_id, |at| RoomCommand::ChangeSettings {
            by,
            rename_by,
            invite_by: None,
            at,
        });
    }

    /// Somebody has read up to here.
    pub(crate) fn read(&self, room_id: RoomId, user_id: UserId, seq: u64) {
        let mut tables = self.tables();
        let (at, read_seq) = (tables.tick(), Seq(seq));
        let read_cnt = tables.states[&room_id].cnt_at(read_seq);
        tables.rows.raise(room_id, user_id, read_seq, read_cnt);
        let event = SeatEvent::ReadAdvanced(ReadAdvanced {
            room_id,
            user_id,
            read_seq,
            read_cnt,
            hidden: 0,
            at,
        });
        tables.append(StreamId::Seat(room_id, user_id), Ok(event.into()), at);
    }

    /// Somebody leaves a direct room.
    pub(crate) fn hide(&self, room_id: RoomId, user_id: UserId) {
        let mut tables = self.tables();
        let at = tables.tick();
        let room = &tables.states[&room_id];
        let (floor_seq, floor_cnt) = (room.last_seq().next(), room.last_cnt());
        let seat = tables.rows.user_rooms.get_mut(&(user_id, room_id)).unwrap();
        (seat.floor_seq, seat.floor_cnt) = (floor_seq, floor_cnt);
        let event = SeatEvent::FloorRaised(FloorRaised {
            room_id,
            user_id,
            floor_seq,
            floor_cnt,
            at,
        });
        tables.append(StreamId::Seat(room_id, user_id), Ok(event.into()), at);
    }

    /// Somebody mutes, pins and names a room for themselves.
    pub(crate) fn prefer(&self, room_id: RoomId, user_id: UserId, muted_until: Instant, alias: &str) {
        let alias = Some(seal(user_id, alias));
        let mut tables = self.tables();
        let at = tables.tick();
        let seat = tables.rows.user_rooms.get_mut(&(user_id, room_id)).unwrap();
        seat.muted_until = Some(muted_until);
        seat.pinned_at = Some(at);
        seat.alias.clone_from(&alias);
        let event = SeatEvent::PreferencesSet(PreferencesSet {
            room_id,
            user_id,
            muted_until: Some(muted_until),
            pinned_at: Some(at),
            alias,
            at,
        });
        tables.append(StreamId::Seat(room_id, user_id), Ok(event.into()), at);
    }

    /// An event that nobody here can read.
    pub(crate) fn garble(&self, room_id: RoomId) {
        let mut tables = self.tables();
        let at = tables.tick();
        let error = DecodeError {
            aggregate_type: "room".to_owned(),
            event_type: "room.sang".to_owned(),
            event_version: "9".to_owned(),
            why: "from the future".to_owned(),
        };
        tables.append(StreamId::Room(room_id), Err(error), at);
    }

    /// Destroys a person's key.
    pub(crate) fn forget(&self, user_id: UserId) {
        self.tables().forgotten.insert(user_id);
    }

    /// The head of a room falls behind what its members have read: tables may be a moment apart.
    pub(crate) fn forget_head(&self, room_id: RoomId) {
        let mut tables = self.tables();
        let last = tables
            .rows
            .rooms
            .get_mut(&room_id)
            .and_then(|room| room.last.as_mut())
            .unwrap();
        (last.seq, last.cnt) = (Seq(1), Cnt(0));
    }

    /// The projections stop here.
    pub(crate) fn hold(&self) {
        let mut tables = self.tables();
        let heads = tables.heads();
        tables.held = Table::ALL.map(|table| (table.projection(), heads)).into();
        tables.shown = Some(tables.rows.clone());
    }

    /// One of them stops here.
    pub(crate) fn hold_one(&self, projection: &'static str) {
        let mut tables = self.tables();
        let heads = tables.heads();
        tables.held.insert(projection, heads);
        if tables.shown.is_none() {
            tables.shown = Some(tables.rows.clone());
        }
    }

    /// While they are held, some tables are as new as the log all the same: rows come before checkpoints.
    pub(crate) fn show(&self, shown: &[Table]) {
        let mut tables = self.tables();
        let Tables { rows, shown: seen, .. } = &mut *tables;
        let seen = seen.as_mut().expect("the projections are held");
        shown.iter().for_each(|table| seen.take(*table, rows));
    }

    /// While they are held, a room's row is that of an earlier version: that of its first events, or none.
    pub(crate) fn show_past(&self, room_id: RoomId, version: u64) {
        let mut tables = self.tables();
        let mut rows = Rows::default();
        let events = tables.log[&StreamId::Room(room_id)].iter().take(version as usize);
        for (event, version) in events.zip(1..) {
            if let Ok(AnyEvent::Room(event)) = &event.event {
                rows.project(room_id, event, Version(version));
            }
        }
        let seen = tables.shown.as_mut().expect("the projections are held");
        match rows.rooms.remove(&room_id) {
            Some(row) => drop(seen.rooms.insert(room_id, row)),
            None => drop(seen.rooms.remove(&room_id)),
        }
    }

    /// The projections go on.
    pub(crate) fn release(&self) {
        let mut tables = self.tables();
        tables.held.clear();
        tables.shown = None;
    }

    /// A server is away, or silent, from now on; or nothing is wrong with it any more.
    pub(crate) fn fault(&self, part: Part, fault: Option<Fault>) {
        let mut tables = self.tables();
        match fault {
            Some(fault) => drop(tables.faults.insert(part, fault)),
            None => drop(tables.faults.remove(&part)),
        }
    }

    /// Requests bring this trace along from now on.
    pub(crate) fn trace(&self, traceparent: &str) {
        self.tables().metadata = Arc::new(Metadata {
            traceparent: Some(traceparent.to_owned()),
            ..Metadata::default()
        });
    }

    /// Commands have this id from now on, and bring no trace along.
    pub(crate) fn command(&self, command_id: CommandId) {
        self.tables().metadata = Arc::new(Metadata {
            command_id: command_id.to_string(),
            ..Metadata::default()
        });
    }

    /// What was appended since the last time, taken from the feed.
    pub(crate) fn withhold(&self) -> Vec<Arc<RecordedEvent>> {
        mem::take(&mut self.tables().unpublished)
    }

    /// The feed brings these events.
    pub(crate) fn bring(&self, events: &[Arc<RecordedEvent>]) {
        // An error means that nobody listens.
        drop(self.feed.send(events.into()));
    }

    /// The feed brings everything appended since the last time.
    pub(crate) fn publish(&self) {
        let events = self.withhold();
        self.bring(&events);
    }

    /// The positions of all newest events.
    pub(crate) fn heads(&self) -> [u64; SLICES] {
        self.tables().heads()
    }

    /// Where the newest event of a room stands.
    pub(crate) fn position(&self, room_id: RoomId) -> String {
        let slice = StreamId::Room(room_id).slice();
        format!("{slice}:{}", self.tables().positions[&slice])
    }

    /// The events of a stream.
    pub(crate) fn events(&self, stream: StreamId) -> Vec<RecordedEvent> {
        let tables = self.tables();
        tables.log[&stream].iter().map(|event| (**event).clone()).collect()
    }

    /// How many statements were executed since the last time.
    pub(crate) fn statements(&self) -> usize {
        mem::take(&mut self.tables().statements).values().sum()
    }

    /// How many of them by one server, without forgetting any.
    pub(crate) fn statements_of(&self, part: Part) -> usize {
        self.tables().statements.get(&part).copied().unwrap_or_default()
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap()
    }

    /// Asks a server for something.
    async fn ask(&self, part: Part) -> Result<MutexGuard<'_, Tables>, StoreError> {
        let fault = {
            let mut tables = self.tables();
            *tables.statements.entry(part).or_default() += 1;
            tables.faults.get(&part).copied()
        };
        match fault {
            None => Ok(self.tables()),
            Some(Fault::Away) => Err(StoreError::unavailable("a server", std::io::Error::other("it is away"))),
            Some(Fault::Silent) => std::future::pending().await,
            Some(Fault::Slow) => {
                tokio::time::sleep(SLOW).await;
                Ok(self.tables())
            }
        }
    }

    /// Lets the room decide, keeps what happened, and answers the newest seq.
    fn carry_out(&self, room_id: RoomId, command: impl FnOnce(Instant) -> RoomCommand) -> Seq {
        let mut tables = self.tables();
        let at = tables.tick();
        let mut room = tables.states.remove(&room_id).unwrap_or_default();
        for event in room.decide(command(at)).unwrap() {
            room.evolve(&event);
            let version = tables.append(StreamId::Room(room_id), Ok(event.clone().into()), at);
            tables.rows.project(room_id, &event, version);
        }
        let seq = room.last_seq();
        tables.states.insert(room_id, room);
        seq
    }
}

/// Seals a text with a person's key.
fn seal(user_id: UserId, text: &str) -> Sealed {
    DataKey::new(user_id, key_of(user_id)).seal(text)
}

fn invitation(people: &[UserId]) -> Invitation {
    Invitation {
        user_ids: people.to_vec(),
        refused: Vec::new(),
        min_members: 3,
        max_members: 3_000,
    }
}

impl Tables {
    /// A second later.
    fn tick(&mut self) -> Instant {
        self.clock_ms += 1_000;
        Instant::from_millis(NOW.millis() + self.clock_ms)
    }

    fn heads(&self) -> [u64; SLICES] {
        let mut heads = [0; SLICES];
        for (slice, pos) in &self.positions {
            heads[slice.index()] = *pos;
        }
        heads
    }

    /// What queries see.
    fn seen(&self) -> &Rows {
        self.shown.as_ref().unwrap_or(&self.rows)
    }

    fn append(&mut self, stream: StreamId, event: Result<AnyEvent, DecodeError>, at: Instant) -> Version {
        let slice = stream.slice();
        let pos = self.positions.entry(slice).or_default();
        *pos += 1;
        let slice_pos = *pos;
        let events = self.log.entry(stream).or_default();
        let sequence = events.len() as u64 + 1;
        let event = Arc::new(RecordedEvent {
            stream,
            sequence,
            slice,
            slice_pos,
            ts_us: at.millis() * 1_000,
            event,
            metadata: Arc::clone(&self.metadata),
        });
        events.push(Arc::clone(&event));
        self.unpublished.push(event);
        Version(sequence)
    }
}
