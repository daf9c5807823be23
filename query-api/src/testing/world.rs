//! The store of the tests: rooms that decide by the domain's rules, a log of their events, and the rows made of them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use cocotalk_application::error::StoreError;
use cocotalk_application::port::clock::Clock;
use cocotalk_application::port::event_log::{
    EventLog, LockedLog, LogReader, PAGE_EVENTS, Probe, RecordedEvent, Snapshot, Unit, UnitOutcome,
};
use cocotalk_application::port::key_vault::{KeyBytes, KeyVault};
use cocotalk_application::port::read_model::{From, Page, ReadModel};
use cocotalk_application::row::{
    ItemKind, ItemMeta, LastItem, MemberRow, MessageRow, ProfileRow, ReplyMeta, RoomReadRow, RoomRow, UserReadRow,
    UserRoomRow,
};
use cocotalk_application::sealing::DataKey;
use cocotalk_domain::event::{AnyEvent, DecodeError};
use cocotalk_domain::id::{CommandId, MessageId, RoomId, UserId};
use cocotalk_domain::limits::{Limits, MEMBERS_SAMPLE};
use cocotalk_domain::number::{Cnt, Seq, Version};
use cocotalk_domain::room::event::Opened;
use cocotalk_domain::room::{Invitation, MessageFacts, Role, Room, RoomCommand, RoomEvent, RoomKind, Settings, Who};
use cocotalk_domain::sealed::Sealed;
use cocotalk_domain::seat::SeatEvent;
use cocotalk_domain::seat::event::{FloorRaised, PreferencesSet, ReadAdvanced};
use cocotalk_domain::stream::{SLICES, Slice, StreamId};
use cocotalk_domain::text::{MessageText, Notice, RoomName};
use cocotalk_domain::time::Instant;
use uuid::Uuid;

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
#[derive(Default)]
pub(crate) struct World {
    tables: Mutex<Tables>,
    statements: AtomicUsize,
}

#[derive(Default)]
struct Tables {
    clock_ms: i64,
    positions: HashMap<Slice, u64>,
    held: Option<[u64; SLICES]>,
    forgotten: BTreeSet<UserId>,
    states: HashMap<RoomId, Room>,
    log: HashMap<StreamId, Vec<RecordedEvent>>,
    rooms: HashMap<RoomId, RoomRow>,
    user_rooms: BTreeMap<(UserId, RoomId), UserRoomRow>,
    user_reads: BTreeMap<(UserId, RoomId), UserReadRow>,
    members: BTreeMap<(RoomId, UserId), MemberRow>,
    messages: BTreeMap<(RoomId, Seq), MessageRow>,
    profiles: HashMap<UserId, ProfileRow>,
}

impl World {
    /// Somebody with a name.
    pub(crate) fn person(&self, number: u128, name: &str) -> UserId {
        let user_id = user(number);
        let json = serde_json::json!({"handle": format!("person.{number}"), "display_name": name});
        let sealed = seal(user_id, &json.to_string());
        let version = Version(1);
        self.tables().profiles.insert(
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
        let reply_to = answered.map(|seq| self.facts(room_id, seq));
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
        let event = tables.log[&StreamId::Room(room_id)]
            .iter()
            .find_map(|recorded| match &recorded.event {
                Ok(AnyEvent::Room(RoomEvent::MessageSent(e))) if e.seq == seq => Some(e.clone()),
                _ => None,
            });
        let event = event.unwrap();
        MessageFacts {
            room_id,
            message_id: event.message_id,
            seq,
            author_id: event.author_id,
            preview: event.shown().clone(),
        }
    }

    pub(crate) fn invite(&self, room_id: RoomId, by: UserId, people: &[UserId]) -> Seq {
        let invitation = invitation(people);
        self.carry_out(room_id, |at| RoomCommand::Invite { by, invitation, at })
    }

    pub(crate) fn leave(&self, room_id: RoomId, by: UserId) -> Seq {
        self.carry_out(room_id, |at| RoomCommand::Leave { by, at })
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
        tables.raise(room_id, user_id, read_seq, read_cnt);
        let event = SeatEvent::ReadAdvanced(ReadAdvanced {
            room_id,
            user_id,
            read_seq,
            read_cnt,
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
        let seat = tables.user_rooms.get_mut(&(user_id, room_id)).unwrap();
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
        let seat = tables.user_rooms.get_mut(&(user_id, room_id)).unwrap();
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
            .rooms
            .get_mut(&room_id)
            .and_then(|room| room.last.as_mut())
            .unwrap();
        (last.seq, last.cnt) = (Seq(1), Cnt(0));
    }

    /// The read model does not know yet that somebody left.
    pub(crate) fn forget_leave(&self, room_id: RoomId, user_id: UserId) {
        self.tables().user_rooms.get_mut(&(user_id, room_id)).unwrap().present = true;
    }

    /// The projections stop here, as far as their checkpoints say.
    pub(crate) fn hold(&self) {
        let mut tables = self.tables();
        tables.held = Some(tables.heads());
    }

    /// The projections go on.
    pub(crate) fn release(&self) {
        self.tables().held = None;
    }

    /// Where the newest event of a room stands.
    pub(crate) fn position(&self, room_id: RoomId) -> String {
        let slice = StreamId::Room(room_id).slice();
        format!("{slice}:{}", self.tables().positions[&slice])
    }

    /// The events of a stream.
    pub(crate) fn events(&self, stream: StreamId) -> Vec<RecordedEvent> {
        self.tables().log[&stream].clone()
    }

    /// How many statements were executed since the last time.
    pub(crate) fn statements(&self) -> usize {
        self.statements.swap(0, Ordering::Relaxed)
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap()
    }

    fn table(&self) -> MutexGuard<'_, Tables> {
        self.statements.fetch_add(1, Ordering::Relaxed);
        self.tables()
    }

    /// Lets the room decide, keeps what happened, and answers the newest seq.
    fn carry_out(&self, room_id: RoomId, command: impl FnOnce(Instant) -> RoomCommand) -> Seq {
        let mut tables = self.tables();
        let at = tables.tick();
        let mut room = tables.states.remove(&room_id).unwrap_or_default();
        for event in room.decide(command(at)).unwrap() {
            room.evolve(&event);
            let version = tables.append(StreamId::Room(room_id), Ok(event.clone().into()), at);
            tables.project(room_id, &event, version);
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

    fn append(&mut self, stream: StreamId, event: Result<AnyEvent, DecodeError>, at: Instant) -> Version {
        let slice = stream.slice();
        let pos = self.positions.entry(slice).or_default();
        *pos += 1;
        let slice_pos = *pos;
        let events = self.log.entry(stream).or_default();
        let sequence = events.len() as u64 + 1;
        events.push(RecordedEvent {
            stream,
            sequence,
            slice,
            slice_pos,
            ts_us: at.millis() * 1_000,
            event,
            metadata: Arc::default(),
        });
        Version(sequence)
    }

    fn raise(&mut self, room_id: RoomId, user_id: UserId, read_seq: Seq, read_cnt: Cnt) {
        let row = UserReadRow {
            room_id,
            read_seq,
            read_cnt,
        };
        let read = self.user_reads.entry((user_id, room_id)).or_insert(row);
        if read.read_seq < read_seq {
            *read = row;
        }
    }

    fn project(&mut self, room_id: RoomId, event: &RoomEvent, version: Version) {
        match event {
            RoomEvent::Opened(e) => self.open(e, version),
            RoomEvent::MembersInvited(e) => {
                let meta = ItemMeta {
                    members: e.user_ids.clone(),
                    ..ItemMeta::default()
                };
                self.item(line(room_id, (e.seq, e.cnt), ItemKind::Invited, e.by, e.at, meta), None);
                for user_id in &e.user_ids {
                    self.arrive(room_id, *user_id, Role::Member, (e.seq, e.cnt), e.at, None);
                }
                self.recount(room_id, e.member_count, &e.sample);
            }
            RoomEvent::MemberLeft(e) => {
                let meta = ItemMeta {
                    members: vec![e.user_id],
                    ..ItemMeta::default()
                };
                self.item(
                    line(room_id, (e.seq, e.cnt), ItemKind::Left, e.user_id, e.at, meta),
                    None,
                );
                self.members.remove(&(room_id, e.user_id));
                self.user_rooms.get_mut(&(e.user_id, room_id)).unwrap().present = false;
                self.recount(room_id, e.member_count, &e.sample);
            }
            RoomEvent::RoleChanged(e) => self.members.get_mut(&(room_id, e.user_id)).unwrap().role = e.role,
            RoomEvent::Renamed(e) => {
                let name = e.name.as_ref().map(ToString::to_string);
                let meta = ItemMeta {
                    name: name.clone(),
                    ..ItemMeta::default()
                };
                self.item(line(room_id, (e.seq, e.cnt), ItemKind::Renamed, e.by, e.at, meta), None);
                self.rooms.get_mut(&room_id).unwrap().name = name;
            }
            RoomEvent::NoticeChanged(e) => {
                let notice = e.notice.as_ref().map(ToString::to_string);
                let meta = ItemMeta {
                    name: notice.clone(),
                    ..ItemMeta::default()
                };
                self.item(line(room_id, (e.seq, e.cnt), ItemKind::Notice, e.by, e.at, meta), None);
                self.rooms.get_mut(&room_id).unwrap().notice = notice;
            }
            RoomEvent::SettingsChanged(e) => self.rooms.get_mut(&room_id).unwrap().settings = e.settings,
            RoomEvent::MessageSent(e) => {
                let reply_to = e.reply_to.as_ref().map(|answered| ReplyMeta {
                    seq: answered.seq,
                    message_id: answered.message_id,
                    author_id: answered.author_id,
                });
                let meta = ItemMeta {
                    reply_to,
                    ..ItemMeta::default()
                };
                let item = MessageRow {
                    message_id: Some(e.message_id),
                    body: Some(e.body.clone()),
                    ..line(room_id, (e.seq, e.cnt), ItemKind::Text, e.author_id, e.sent_at, meta)
                };
                self.item(item, Some(e.shown().clone()));
                self.raise(room_id, e.author_id, e.seq, e.cnt);
            }
            RoomEvent::Closed(_) => self.rooms.get_mut(&room_id).unwrap().closed = true,
        }
        self.rooms.get_mut(&room_id).unwrap().version = version;
    }

    fn open(&mut self, e: &Opened, version: Version) {
        let group = e.kind == RoomKind::Group;
        self.rooms.insert(
            e.room_id,
            RoomRow {
                room_id: e.room_id,
                kind: e.kind,
                name: None,
                owner_id: group.then_some(e.by),
                member_count: e.user_ids.len() as u32,
                member_sample: e.user_ids.iter().copied().take(MEMBERS_SAMPLE).collect(),
                notice: None,
                settings: Settings::default(),
                created_at: e.at,
                closed: false,
                version,
                last: None,
            },
        );
        if group {
            let members = e.user_ids.iter().copied().filter(|user| *user != e.by).collect();
            let meta = ItemMeta {
                members,
                ..ItemMeta::default()
            };
            self.item(
                line(e.room_id, (e.seq, Cnt(0)), ItemKind::Invited, e.by, e.at, meta),
                None,
            );
        }
        for user_id in &e.user_ids {
            let peer = e.user_ids.iter().find(|other| *other != user_id).unwrap_or(user_id);
            let peer = (!group).then_some(*peer);
            let role = if group && *user_id == e.by {
                Role::Owner
            } else {
                Role::Member
            };
            self.arrive(e.room_id, *user_id, role, (Seq(1), Cnt(0)), e.at, peer);
        }
    }

    fn arrive(
        &mut self,
        room_id: RoomId,
        user_id: UserId,
        role: Role,
        (joined_seq, joined_cnt): (Seq, Cnt),
        joined_at: Instant,
        peer_id: Option<UserId>,
    ) {
        let member = MemberRow {
            user_id,
            role,
            joined_seq,
            joined_at,
        };
        self.members.insert((room_id, user_id), member);
        let seat = UserRoomRow {
            user_id,
            room_id,
            present: true,
            joined_seq,
            joined_cnt,
            joined_at,
            peer_id,
            floor_seq: Seq(0),
            floor_cnt: Cnt(0),
            pinned_at: None,
            muted_until: None,
            alias: None,
        };
        self.user_rooms.insert((user_id, room_id), seat);
        if peer_id.is_none() {
            self.raise(room_id, user_id, joined_seq, joined_cnt);
        }
    }

    fn item(&mut self, row: MessageRow, preview: Option<Sealed>) {
        self.rooms.get_mut(&row.room_id).unwrap().last = Some(LastItem {
            seq: row.seq,
            cnt: row.cnt,
            at: row.sent_at,
            kind: row.kind,
            author_id: row.author_id,
            preview,
        });
        self.messages.insert((row.room_id, row.seq), row);
    }

    fn recount(&mut self, room_id: RoomId, member_count: u32, sample: &[UserId]) {
        let room = self.rooms.get_mut(&room_id).unwrap();
        room.member_count = member_count;
        room.member_sample = sample.to_vec();
    }
}

fn line(
    room_id: RoomId,
    (seq, cnt): (Seq, Cnt),
    kind: ItemKind,
    author_id: UserId,
    sent_at: Instant,
    meta: ItemMeta,
) -> MessageRow {
    MessageRow {
        room_id,
        seq,
        cnt,
        message_id: None,
        author_id,
        kind,
        sent_at,
        body: None,
        meta,
    }
}

#[async_trait]
impl ReadModel for World {
    async fn rooms(&self, rooms: &[RoomId]) -> Result<HashMap<RoomId, RoomRow>, StoreError> {
        let tables = self.table();
        Ok(rooms
            .iter()
            .filter_map(|id| Some((*id, tables.rooms.get(id)?.clone())))
            .collect())
    }

    async fn user_rooms(&self, user: UserId) -> Result<Vec<UserRoomRow>, StoreError> {
        let tables = self.table();
        let mine = tables
            .user_rooms
            .values()
            .filter(|row| row.user_id == user && row.present);
        Ok(mine.cloned().collect())
    }

    async fn user_room(&self, user: UserId, room: RoomId) -> Result<Option<UserRoomRow>, StoreError> {
        Ok(self.table().user_rooms.get(&(user, room)).cloned())
    }

    async fn user_reads(&self, user: UserId) -> Result<Vec<UserReadRow>, StoreError> {
        let tables = self.table();
        let mine = tables.user_reads.iter().filter(|((id, _), _)| *id == user);
        Ok(mine.map(|(_, row)| *row).collect())
    }

    async fn user_read(&self, user: UserId, room: RoomId) -> Result<Option<UserReadRow>, StoreError> {
        Ok(self.table().user_reads.get(&(user, room)).copied())
    }

    async fn members(&self, room: RoomId) -> Result<Vec<MemberRow>, StoreError> {
        let tables = self.table();
        let there = tables.members.iter().filter(|((id, _), _)| *id == room);
        Ok(there.map(|(_, row)| row.clone()).collect())
    }

    /// Also of those who left, as a mark does that comes after its reader has gone.
    async fn reads(&self, room: RoomId) -> Result<Vec<RoomReadRow>, StoreError> {
        let tables = self.table();
        let there = tables.user_reads.iter().filter(|((_, id), _)| *id == room);
        let row = |((user_id, _), read): (&(UserId, RoomId), &UserReadRow)| RoomReadRow {
            user_id: *user_id,
            read_seq: read.read_seq,
        };
        Ok(there.map(row).collect())
    }

    async fn messages(&self, room: RoomId, page: Page) -> Result<Vec<MessageRow>, StoreError> {
        let tables = self.table();
        let visible = |from: Seq, to: Seq| tables.messages.range((room, from.max(page.floor))..(room, to));
        Ok(match page.from {
            From::Before(seq) => {
                let mut rows: Vec<_> = visible(Seq(0), seq.max(page.floor)).rev().take(page.limit).collect();
                rows.reverse();
                rows.into_iter().map(|(_, row)| row.clone()).collect()
            }
            From::After(seq) => {
                let rows = visible(seq.next(), Seq(u64::MAX)).take(page.limit);
                rows.map(|(_, row)| row.clone()).collect()
            }
        })
    }

    async fn messages_at(&self, room: RoomId, seqs: &[Seq]) -> Result<Vec<MessageRow>, StoreError> {
        let tables = self.table();
        let seqs: BTreeSet<Seq> = seqs.iter().copied().collect();
        Ok(seqs
            .iter()
            .filter_map(|seq| tables.messages.get(&(room, *seq)).cloned())
            .collect())
    }

    async fn profiles(&self, users: &[UserId]) -> Result<HashMap<UserId, ProfileRow>, StoreError> {
        let tables = self.table();
        Ok(users
            .iter()
            .filter_map(|id| Some((*id, tables.profiles.get(id)?.clone())))
            .collect())
    }

    async fn checkpoints(&self, _projection: &str) -> Result<[u64; SLICES], StoreError> {
        let tables = self.table();
        Ok(tables.held.unwrap_or_else(|| tables.heads()))
    }
}

#[async_trait]
impl LogReader for World {
    async fn load(&self, stream: &StreamId, after: u64) -> Result<Vec<RecordedEvent>, StoreError> {
        let tables = self.table();
        let events = tables.log.get(stream).map(Vec::as_slice).unwrap_or_default();
        let later = events.iter().filter(|event| event.sequence > after);
        Ok(later.take(PAGE_EVENTS).cloned().collect())
    }

    async fn about(&self, _subject: Uuid) -> Result<Vec<RecordedEvent>, StoreError> {
        unreachable!("a query asks for no message by its events")
    }

    async fn probe(
        &self,
        _key: Option<cocotalk_application::port::event_log::CommandKey>,
        streams: &[StreamId],
        _slices: &[Slice],
    ) -> Result<Probe, StoreError> {
        let tables = self.table();
        let version = |stream: &StreamId| tables.log.get(stream).map_or(0, |events| events.len() as u64);
        Ok(Probe {
            command: None,
            versions: streams.iter().map(version).collect(),
            heads: Vec::new(),
        })
    }
}

#[async_trait]
impl EventLog for World {
    async fn append(&self, _units: Vec<Unit>) -> Result<Vec<UnitOutcome>, StoreError> {
        unreachable!("a query writes nothing")
    }

    async fn lock(&self, _slices: BTreeSet<Slice>) -> Result<Box<dyn LockedLog>, StoreError> {
        unreachable!("a query locks nothing")
    }

    async fn read_slice(&self, _slice: Slice, _after: u64) -> Result<Vec<RecordedEvent>, StoreError> {
        unreachable!("a query reads no slice")
    }

    async fn heads(&self) -> Result<[u64; SLICES], StoreError> {
        Ok(self.table().heads())
    }

    async fn snapshot(&self, _stream: &StreamId, _state_version: u32) -> Result<Option<Snapshot>, StoreError> {
        unreachable!("a query asks for no snapshot")
    }

    async fn save_snapshot(&self, _stream: &StreamId, _snapshot: Snapshot) -> Result<(), StoreError> {
        unreachable!("a query takes no snapshot")
    }
}

#[async_trait]
impl KeyVault for World {
    async fn create(&self, user: UserId) -> Result<KeyBytes, StoreError> {
        Ok(key_of(user))
    }

    async fn keys(&self, users: &[UserId]) -> Result<Vec<Option<KeyBytes>>, StoreError> {
        let tables = self.table();
        let known = |user: &UserId| !tables.forgotten.contains(user);
        Ok(users.iter().map(|user| known(user).then(|| key_of(*user))).collect())
    }

    async fn destroy(&self, user: UserId) -> Result<(), StoreError> {
        self.forget(user);
        Ok(())
    }

    async fn secret(&self, _name: &str) -> Result<KeyBytes, StoreError> {
        Ok([7; 32].into())
    }
}

impl Clock for World {
    fn now(&self) -> Instant {
        NOW
    }

    fn new_id(&self) -> Uuid {
        CommandId::from_u128(1).0
    }
}
