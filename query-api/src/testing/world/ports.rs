//! The ports that the tests' store stands behind, each of which can be away.

use std::collections::{BTreeSet, HashMap};

use async_trait::async_trait;
use cocotalk_application::error::StoreError;
use cocotalk_application::port::clock::Clock;
use cocotalk_application::port::event_log::{
    CommandKey, EventLog, LockedLog, LogReader, PAGE_EVENTS, Probe, RecordedEvent, Snapshot, Unit, UnitOutcome,
};
use cocotalk_application::port::key_vault::{KeyBytes, KeyVault};
use cocotalk_application::port::live::{Committed, Ephemeral, EventFeed, Typing};
use cocotalk_application::port::read_model::{From, Page, ReadModel};
use cocotalk_application::row::{MemberRow, MessageRow, ProfileRow, RoomReadRow, RoomRow, UserReadRow, UserRoomRow};
use cocotalk_domain::id::{CommandId, RoomId, UserId};
use cocotalk_domain::number::Seq;
use cocotalk_domain::stream::{SLICES, Slice, StreamId};
use cocotalk_domain::text::Emoji;
use cocotalk_domain::time::Instant;
use tokio::sync::broadcast;
use uuid::Uuid;

use super::{NOW, Part, World, key_of};

#[async_trait]
impl ReadModel for World {
    async fn rooms(&self, rooms: &[RoomId]) -> Result<HashMap<RoomId, RoomRow>, StoreError> {
        let tables = self.ask(Part::Model).await?;
        Ok(rooms
            .iter()
            .filter_map(|id| Some((*id, tables.seen().rooms.get(id)?.clone())))
            .collect())
    }

    async fn user_rooms(&self, user: UserId) -> Result<Vec<UserRoomRow>, StoreError> {
        let tables = self.ask(Part::Model).await?;
        let mine = tables
            .seen()
            .user_rooms
            .values()
            .filter(|row| row.user_id == user && row.present);
        Ok(mine.cloned().collect())
    }

    async fn user_room(&self, user: UserId, room: RoomId) -> Result<Option<UserRoomRow>, StoreError> {
        Ok(self
            .ask(Part::Model)
            .await?
            .seen()
            .user_rooms
            .get(&(user, room))
            .cloned())
    }

    async fn user_reads(&self, user: UserId) -> Result<Vec<UserReadRow>, StoreError> {
        let tables = self.ask(Part::Model).await?;
        let mine = tables.seen().user_reads.iter().filter(|((id, _), _)| *id == user);
        Ok(mine.map(|(_, row)| *row).collect())
    }

    async fn user_read(&self, user: UserId, room: RoomId) -> Result<Option<UserReadRow>, StoreError> {
        Ok(self
            .ask(Part::Model)
            .await?
            .seen()
            .user_reads
            .get(&(user, room))
            .copied())
    }

    async fn members(&self, room: RoomId) -> Result<Vec<MemberRow>, StoreError> {
        let tables = self.ask(Part::Model).await?;
        let there = tables.seen().members.iter().filter(|((id, _), _)| *id == room);
        Ok(there.map(|(_, row)| row.clone()).collect())
    }

    async fn member(&self, room: RoomId, user: UserId) -> Result<Option<MemberRow>, StoreError> {
        Ok(self.ask(Part::Model).await?.seen().members.get(&(room, user)).cloned())
    }

    /// Also of those who left, as a mark does that comes after its reader has gone.
    async fn reads(&self, room: RoomId) -> Result<Vec<RoomReadRow>, StoreError> {
        let tables = self.ask(Part::Model).await?;
        let there = tables.seen().user_reads.iter().filter(|((_, id), _)| *id == room);
        let row = |((user_id, _), read): (&(UserId, RoomId), &UserReadRow)| RoomReadRow {
            user_id: *user_id,
            read_seq: read.read_seq,
        };
        Ok(there.map(row).collect())
    }

    async fn messages(&self, room: RoomId, page: Page) -> Result<Vec<MessageRow>, StoreError> {
        let tables = self.ask(Part::Model).await?;
        let visible = |from: Seq, to: Seq| tables.seen().messages.range((room, from.max(page.floor))..(room, to));
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
        let tables = self.ask(Part::Model).await?;
        let seqs: BTreeSet<Seq> = seqs.iter().copied().collect();
        Ok(seqs
            .iter()
            .filter_map(|seq| tables.seen().messages.get(&(room, *seq)).cloned())
            .collect())
    }

    async fn reactions(&self, user: UserId, room: RoomId, seqs: &[Seq]) -> Result<Vec<(Seq, Emoji)>, StoreError> {
        let tables = self.ask(Part::Model).await?;
        let mine = |seq: &Seq| Some((*seq, tables.seen().reactors.get(&(room, *seq, user))?.clone()));
        Ok(seqs.iter().filter_map(mine).collect())
    }

    async fn hidden(
        &self,
        user: UserId,
        rooms: &[(RoomId, Seq)],
    ) -> Result<HashMap<RoomId, BTreeSet<Seq>>, StoreError> {
        let tables = self.ask(Part::Model).await?;
        let of_room = |(room, from): &(RoomId, Seq)| {
            let range = (user, *room, *from)..=(user, *room, Seq(u64::MAX));
            let seqs: BTreeSet<Seq> = tables.seen().hidden.range(range).map(|(_, _, seq)| *seq).collect();
            (*room, seqs)
        };
        Ok(rooms.iter().map(of_room).filter(|(_, seqs)| !seqs.is_empty()).collect())
    }

    async fn profiles(&self, users: &[UserId]) -> Result<HashMap<UserId, ProfileRow>, StoreError> {
        let tables = self.ask(Part::Model).await?;
        Ok(users
            .iter()
            .filter_map(|id| Some((*id, tables.seen().profiles.get(id)?.clone())))
            .collect())
    }

    async fn checkpoints(&self, projection: &str) -> Result<[u64; SLICES], StoreError> {
        let tables = self.ask(Part::Model).await?;
        Ok(tables.held.get(projection).copied().unwrap_or_else(|| tables.heads()))
    }
}

#[async_trait]
impl LogReader for World {
    async fn load(&self, stream: &StreamId, after: u64) -> Result<Vec<RecordedEvent>, StoreError> {
        let tables = self.ask(Part::Log).await?;
        let events = tables.log.get(stream).map(Vec::as_slice).unwrap_or_default();
        let later = events.iter().filter(|event| event.sequence > after);
        Ok(later.take(PAGE_EVENTS).map(|event| (**event).clone()).collect())
    }

    async fn about(&self, _subject: Uuid, _after: u64) -> Result<Vec<RecordedEvent>, StoreError> {
        unreachable!("a query asks for no message by its events")
    }

    async fn probe(
        &self,
        _key: Option<CommandKey>,
        streams: &[StreamId],
        _slices: &[Slice],
    ) -> Result<Probe, StoreError> {
        let tables = self.ask(Part::Log).await?;
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

    async fn read_slice(&self, slice: Slice, after: u64) -> Result<Vec<RecordedEvent>, StoreError> {
        let tables = self.ask(Part::Log).await?;
        let events = tables.log.values().flatten();
        let mut events: Vec<_> = events
            .filter(|event| event.slice == slice && event.slice_pos > after)
            .collect();
        events.sort_unstable_by_key(|event| event.slice_pos);
        Ok(events
            .into_iter()
            .take(PAGE_EVENTS)
            .map(|event| (**event).clone())
            .collect())
    }

    async fn heads(&self) -> Result<[u64; SLICES], StoreError> {
        Ok(self.ask(Part::Log).await?.heads())
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
        let tables = self.ask(Part::Keys).await?;
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

impl EventFeed for World {
    fn subscribe(&self) -> broadcast::Receiver<Committed> {
        self.feed.subscribe()
    }
}

impl Ephemeral for World {
    fn typing(&self, typing: Typing) {
        // An error means that nobody listens.
        drop(self.signals.send(typing));
    }

    fn subscribe(&self) -> broadcast::Receiver<Typing> {
        self.signals.subscribe()
    }
}
