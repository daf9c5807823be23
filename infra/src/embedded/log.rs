//! The event log of the embedded store.

use std::collections::BTreeSet;

use async_trait::async_trait;
use cocotalk_application::error::StoreError;
use cocotalk_application::port::event_log::{
    CommandKey, EventLog, LockedLog, LogReader, PAGE_EVENTS, Probe, RecordedEvent, Snapshot, Unit, UnitOutcome,
};
use cocotalk_domain::stream::{SLICES, Slice, StreamId};
use sqlx::Row as _;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::codec::{decode, decode_command};
use super::error::{of_store, stopped};
use super::script::Value;
use super::store::EmbeddedStore;
use super::texts;
use super::writer::{Append, KeepSnapshot, Request, Turn};
use crate::encoding::EncodedUnit;

impl EmbeddedStore {
    async fn events(&self, text: &str, values: Vec<Value<'_>>) -> Result<Vec<RecordedEvent>, StoreError> {
        self.shared
            .readers
            .fetch(text, values)
            .await?
            .iter()
            .map(decode)
            .collect()
    }

    async fn ask(&self, request: Request) -> Result<(), StoreError> {
        self.shared.requests.send(request).await.map_err(|_closed| stopped())
    }
}

#[async_trait]
impl LogReader for EmbeddedStore {
    async fn load(&self, stream: &StreamId, after: u64) -> Result<Vec<RecordedEvent>, StoreError> {
        let values = vec![
            Value::text(stream.aggregate_type()),
            Value::text(stream.aggregate_id()),
            Value::number(after),
            Value::number(PAGE_EVENTS as u64),
        ];
        self.events(&texts::load(), values).await
    }

    async fn about(&self, subject: Uuid, after: u64) -> Result<Vec<RecordedEvent>, StoreError> {
        let values = vec![
            Value::id(&subject),
            Value::number(after),
            Value::number(PAGE_EVENTS as u64),
        ];
        self.events(&texts::about(), values).await
    }

    async fn probe(
        &self,
        key: Option<CommandKey>,
        streams: &[StreamId],
        slices: &[Slice],
    ) -> Result<Probe, StoreError> {
        let sizes = [streams.len(), slices.len()].map(|len| if len == 0 { 0 } else { texts::list_size(len) });
        let mut values = vec![
            Value::or_null(key.as_ref(), |key| Value::id(&key.actor)),
            Value::or_null(key.as_ref(), |key| Value::id(&key.command_id.0)),
        ];
        for (index, stream) in streams.iter().enumerate() {
            values.push(Value::number(index as u64));
            values.push(Value::text(stream.aggregate_type()));
            values.push(Value::text(stream.aggregate_id()));
        }
        values.resize(2 + sizes[0] * 3, Value::NULL);
        for (index, slice) in slices.iter().enumerate() {
            values.push(Value::number(index as u64));
            values.push(Value::number(slice.index() as u64));
        }
        let mut probe = Probe {
            command: None,
            versions: vec![0; streams.len()],
            heads: vec![0; slices.len()],
        };
        for row in self
            .shared
            .readers
            .fetch(&texts::probe(sizes[0], sizes[1]), values)
            .await?
        {
            let what: i64 = row.try_get(0).map_err(of_store)?;
            if what == 0 {
                probe.command = Some(decode_command(&row, 2)?);
                continue;
            }
            let (index, number): (i64, i64) = (row.try_get(1).map_err(of_store)?, row.try_get(4).map_err(of_store)?);
            let list = if what == 1 {
                &mut probe.versions
            } else {
                &mut probe.heads
            };
            list[index as usize] = number as u64;
        }
        Ok(probe)
    }
}

#[async_trait]
impl EventLog for EmbeddedStore {
    async fn append(&self, units: Vec<Unit>) -> Result<Vec<UnitOutcome>, StoreError> {
        if units.is_empty() {
            return Ok(Vec::new());
        }
        let units = units.into_iter().map(EncodedUnit::of).collect();
        let (reply, outcomes) = oneshot::channel();
        self.ask(Request::Append(Append { units, reply })).await?;
        outcomes.await.map_err(|_gone| stopped())?
    }

    /// There is one writer, so a lock of any slices is a turn alone with it.
    async fn lock(&self, _slices: BTreeSet<Slice>) -> Result<Box<dyn LockedLog>, StoreError> {
        let (reply, turn) = oneshot::channel();
        self.ask(Request::Lock(reply)).await?;
        let turn = turn.await.map_err(|_gone| stopped())?;
        Ok(Box::new(Locked {
            store: self.clone(),
            turn,
        }))
    }

    async fn read_slice(&self, slice: Slice, after: u64) -> Result<Vec<RecordedEvent>, StoreError> {
        let values = vec![
            Value::number(slice.index() as u64),
            Value::number(after),
            Value::number(PAGE_EVENTS as u64),
        ];
        self.events(&texts::read_slice(), values).await
    }

    async fn heads(&self) -> Result<[u64; SLICES], StoreError> {
        Ok(self.shared.progress.heads())
    }

    fn fault(&self) -> Option<String> {
        self.shared.progress.fault()
    }

    async fn snapshot(&self, stream: &StreamId, state_version: u32) -> Result<Option<Snapshot>, StoreError> {
        let values = vec![
            Value::text(stream.aggregate_type()),
            Value::text(stream.aggregate_id()),
            Value::int(state_version.into()),
        ];
        let rows = self.shared.readers.fetch(texts::SNAPSHOT, values).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let sequence: i64 = row.try_get(0).map_err(of_store)?;
        let state = row.try_get(1).map_err(of_store)?;
        Ok(Some(Snapshot {
            sequence: sequence as u64,
            state_version,
            state,
        }))
    }

    async fn save_snapshot(&self, stream: &StreamId, snapshot: Snapshot) -> Result<(), StoreError> {
        let (reply, kept) = oneshot::channel();
        self.ask(Request::Snapshot(KeepSnapshot {
            stream: *stream,
            snapshot,
            reply,
        }))
        .await?;
        kept.await.map_err(|_gone| stopped())?
    }
}

/// A turn alone with the writer. Nothing is committed meanwhile, so any reader sees what the turn protects.
struct Locked {
    store: EmbeddedStore,
    turn: Turn,
}

#[async_trait]
impl LogReader for Locked {
    async fn load(&self, stream: &StreamId, after: u64) -> Result<Vec<RecordedEvent>, StoreError> {
        self.store.load(stream, after).await
    }

    async fn about(&self, subject: Uuid, after: u64) -> Result<Vec<RecordedEvent>, StoreError> {
        self.store.about(subject, after).await
    }

    async fn probe(
        &self,
        key: Option<CommandKey>,
        streams: &[StreamId],
        slices: &[Slice],
    ) -> Result<Probe, StoreError> {
        self.store.probe(key, streams, slices).await
    }
}

#[async_trait]
impl LockedLog for Locked {
    async fn commit(self: Box<Self>, unit: Unit) -> Result<UnitOutcome, StoreError> {
        let Self { turn, .. } = *self;
        let (reply, outcomes) = oneshot::channel();
        turn.append(Append {
            units: vec![EncodedUnit::of(unit)],
            reply,
        })?;
        let outcomes = outcomes.await.map_err(|_gone| stopped())??;
        outcomes.into_iter().next().ok_or_else(stopped)
    }
}
