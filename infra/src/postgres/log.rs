//! The event log.

use std::collections::BTreeSet;

use async_trait::async_trait;
use cocotalk_application::error::StoreError;
use cocotalk_application::port::event_log::{
    CommandKey, EventLog, LockedLog, LogReader, PAGE_EVENTS, Probe, RecordedEvent, Snapshot, StoredCommand,
    StoredEvent, Unit, UnitOutcome,
};
use cocotalk_domain::stream::{SLICES, Slice, StreamId};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::STORE;
use super::append::{append, waves};
use super::bell::Bell;
use super::database::{Database, of_store};
use super::locked::Locked;
use crate::encoding::EncodedUnit;

/// The columns that [`decode`] takes, in its order.
const EVENT: &str = "aggregate_type, aggregate_id, sequence, slice, slice_pos, ts_us, event_type, event_version, \
    payload::text, metadata::text";
/// What the server answers when two batches hold what each other wants, or the same key is appended in two slices at once.
const TRY_ONE_BY_ONE: [&str; 3] = ["23505", "40P01", "40001"];

/// The event log in PostgreSQL. Clones are the same log.
#[derive(Clone)]
pub struct PostgresEventLog {
    pub(super) database: Database,
    pub(super) bell: Bell,
}

impl PostgresEventLog {
    /// The log of a database. Its one task, which rings for the relay, ends after `stop`.
    pub fn new(database: Database, tasks: &TaskTracker, stop: CancellationToken) -> Self {
        let bell = Bell::start(database.clone(), tasks, stop);
        Self { database, bell }
    }

    /// The database under it.
    pub const fn database(&self) -> &Database {
        &self.database
    }

    async fn append_wave(&self, units: &[&EncodedUnit]) -> Result<Vec<UnitOutcome>, StoreError> {
        let appended = self
            .database
            .try_run(async |connection| append(connection, units).await)
            .await;
        let error = match appended {
            Ok(outcomes) => return Ok(outcomes),
            Err(error) => error,
        };
        let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
        if code.is_some_and(|code| TRY_ONE_BY_ONE.contains(&&*code)) && units.len() > 1 {
            let mut outcomes = Vec::with_capacity(units.len());
            for unit in units {
                outcomes.extend(Box::pin(self.append_wave(&[unit])).await?);
            }
            return Ok(outcomes);
        }
        match error.as_database_error().and_then(|error| error.constraint()) {
            // The same key was committed in another slice between the look and the insert.
            Some("events_command") => Ok(vec![UnitOutcome::Repeated; units.len()]),
            Some(_) | None => Err(of_store(error)),
        }
    }
}

/// Reading, on whichever connection: the log's own or that of a lock.
pub(super) async fn load(
    connection: &mut PgConnection,
    stream: &StreamId,
    after: u64,
) -> Result<Vec<PgRow>, sqlx::Error> {
    let text = select("WHERE aggregate_type = $1 AND aggregate_id = $2 AND sequence > $3 ORDER BY sequence LIMIT $4");
    sqlx::query(&text)
        .bind(stream.aggregate_type())
        .bind(stream.aggregate_id())
        .bind(after as i64)
        .bind(PAGE_EVENTS as i64)
        .fetch_all(connection)
        .await
}

pub(super) async fn about(connection: &mut PgConnection, subject: Uuid) -> Result<Vec<PgRow>, sqlx::Error> {
    let text = select("WHERE subject = $1 ORDER BY sequence");
    sqlx::query(&text).bind(subject).fetch_all(connection).await
}

pub(super) async fn probe(
    connection: &mut PgConnection,
    key: Option<CommandKey>,
    streams: &[StreamId],
    slices: &[Slice],
) -> Result<Probe, sqlx::Error> {
    // One statement, so one snapshot.
    let text = "SELECT c.request_mac, c.answer::text, \
         ARRAY(SELECT COALESCE((SELECT e.sequence FROM events e WHERE e.aggregate_type = z.a AND e.aggregate_id = z.b \
               ORDER BY e.sequence DESC LIMIT 1), 0) FROM unnest($3::text[], $4::text[]) WITH ORDINALITY z(a, b, o) ORDER BY o), \
         ARRAY(SELECT COALESCE((SELECT h.pos FROM slice_head h WHERE h.slice = z.s), 0) \
               FROM unnest($5::smallint[]) WITH ORDINALITY z(s, o) ORDER BY o) \
         FROM (SELECT 1) one LEFT JOIN events c ON c.actor = $1 AND c.command_id = $2";
    let types: Vec<&str> = streams.iter().map(StreamId::aggregate_type).collect();
    let ids: Vec<String> = streams.iter().map(StreamId::aggregate_id).collect();
    let slices: Vec<i16> = slices.iter().map(|slice| slice.index() as i16).collect();
    let row = sqlx::query(text)
        .bind(key.map(|key| key.actor))
        .bind(key.map(|key| key.command_id.0))
        .bind(types)
        .bind(ids)
        .bind(slices)
        .fetch_one(connection)
        .await?;
    let numbers = |index: usize| -> Result<Vec<u64>, sqlx::Error> {
        let numbers: Vec<i64> = row.try_get(index)?;
        Ok(numbers.into_iter().map(|number| number as u64).collect())
    };
    let command = match row.try_get::<Option<&[u8]>, _>(0)? {
        None => None,
        Some(mac) => Some(StoredCommand {
            request_mac: mac
                .try_into()
                .map_err(|_| sqlx::Error::Decode("a request_mac is not 32 bytes".into()))?,
            answer: row.try_get::<&str, _>(1)?.into(),
        }),
    };
    Ok(Probe {
        command,
        versions: numbers(2)?,
        heads: numbers(3)?,
    })
}

fn select(rest: &str) -> String {
    format!("SELECT {EVENT} FROM events {rest}")
}

/// The events of rows.
pub(super) fn decode_all(rows: &[PgRow]) -> Result<Vec<RecordedEvent>, StoreError> {
    rows.iter().map(decode).collect()
}

fn decode(row: &PgRow) -> Result<RecordedEvent, StoreError> {
    let text = |index: usize| row.try_get::<&str, _>(index).map_err(of_store);
    let number = |index: usize| row.try_get::<i64, _>(index).map_err(of_store);
    StoredEvent {
        aggregate_type: text(0)?,
        aggregate_id: text(1)?,
        sequence: number(2)?,
        slice: row.try_get::<i16, _>(3).map_err(of_store)?.into(),
        slice_pos: number(4)?,
        ts_us: number(5)?,
        event_type: text(6)?,
        event_version: text(7)?,
        payload: text(8)?,
        metadata: text(9)?,
    }
    .recorded()
}

/// The number of every slice from rows of slice and number.
pub(super) fn by_slice(rows: &[PgRow]) -> Result<[u64; SLICES], sqlx::Error> {
    let mut positions = [0; SLICES];
    for row in rows {
        let (slice, pos): (i16, i64) = (row.try_get(0)?, row.try_get(1)?);
        if let Some(kept) = positions.get_mut(slice as usize) {
            *kept = pos as u64;
        }
    }
    Ok(positions)
}

pub(super) async fn heads(database: &Database) -> Result<[u64; SLICES], StoreError> {
    database
        .run(async |connection| {
            let rows = sqlx::query("SELECT slice, pos FROM slice_head")
                .fetch_all(connection)
                .await?;
            by_slice(&rows)
        })
        .await
}

#[async_trait]
impl LogReader for PostgresEventLog {
    async fn load(&self, stream: &StreamId, after: u64) -> Result<Vec<RecordedEvent>, StoreError> {
        let rows = self
            .database
            .run(async |connection| load(connection, stream, after).await);
        decode_all(&rows.await?)
    }

    async fn about(&self, subject: Uuid) -> Result<Vec<RecordedEvent>, StoreError> {
        let rows = self.database.run(async |connection| about(connection, subject).await);
        decode_all(&rows.await?)
    }

    async fn probe(
        &self,
        key: Option<CommandKey>,
        streams: &[StreamId],
        slices: &[Slice],
    ) -> Result<Probe, StoreError> {
        self.database
            .run(async |connection| probe(connection, key, streams, slices).await)
            .await
    }
}

#[async_trait]
impl EventLog for PostgresEventLog {
    async fn append(&self, units: Vec<Unit>) -> Result<Vec<UnitOutcome>, StoreError> {
        let units: Vec<EncodedUnit> = units.into_iter().map(EncodedUnit::of).collect();
        let mut outcomes = vec![UnitOutcome::Conflict; units.len()];
        for wave in waves(&units) {
            let encoded: Vec<&EncodedUnit> = wave.iter().map(|index| &units[*index]).collect();
            let appended = self.append_wave(&encoded).await?;
            for (index, outcome) in wave.into_iter().zip(appended) {
                outcomes[index] = outcome;
            }
        }
        self.bell.ring();
        Ok(outcomes)
    }

    async fn lock(&self, slices: BTreeSet<Slice>) -> Result<Box<dyn LockedLog>, StoreError> {
        Ok(Box::new(Locked::take(self, slices).await?))
    }

    async fn read_slice(&self, slice: Slice, after: u64) -> Result<Vec<RecordedEvent>, StoreError> {
        let text = select("WHERE slice = $1 AND slice_pos > $2 ORDER BY slice_pos LIMIT $3");
        let rows = self.database.run(async |connection| {
            sqlx::query(&text)
                .bind(slice.index() as i16)
                .bind(after as i64)
                .bind(PAGE_EVENTS as i64)
                .fetch_all(connection)
                .await
        });
        decode_all(&rows.await?)
    }

    async fn heads(&self) -> Result<[u64; SLICES], StoreError> {
        heads(&self.database).await
    }

    fn fault(&self) -> Option<String> {
        self.database.fault()
    }

    async fn snapshot(&self, stream: &StreamId, state_version: u32) -> Result<Option<Snapshot>, StoreError> {
        let text = "SELECT sequence, state FROM snapshots WHERE aggregate_type = $1 AND aggregate_id = $2 AND state_version = $3";
        let row: Option<(i64, Vec<u8>)> = self
            .database
            .run(async |connection| {
                sqlx::query_as(text)
                    .bind(stream.aggregate_type())
                    .bind(stream.aggregate_id())
                    .bind(state_version as i32)
                    .fetch_optional(connection)
                    .await
            })
            .await?;
        Ok(row.map(|(sequence, state)| Snapshot {
            sequence: sequence as u64,
            state_version,
            state,
        }))
    }

    async fn save_snapshot(&self, stream: &StreamId, snapshot: Snapshot) -> Result<(), StoreError> {
        let text = "INSERT INTO snapshots (aggregate_type, aggregate_id, state_version, sequence, state) VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT (aggregate_type, aggregate_id, state_version) DO UPDATE SET sequence = excluded.sequence, state = excluded.state \
             WHERE snapshots.sequence < excluded.sequence";
        let sequence = i64::try_from(snapshot.sequence).map_err(|error| StoreError::corrupt(STORE, error))?;
        self.database
            .run(async |connection| {
                sqlx::query(text)
                    .bind(stream.aggregate_type())
                    .bind(stream.aggregate_id())
                    .bind(snapshot.state_version as i32)
                    .bind(sequence)
                    .bind(&snapshot.state)
                    .execute(connection)
                    .await
            })
            .await
            .map(drop)
    }
}
