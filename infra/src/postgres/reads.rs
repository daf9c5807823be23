//! What is asked of the log, on whichever connection: one that reads, or that of a lock.

use cocotalk_application::error::StoreError;
use cocotalk_application::port::event_log::{
    CommandKey, PAGE_EVENTS, Probe, RecordedEvent, Snapshot, StoredCommand, StoredEvent,
};
use cocotalk_domain::stream::{SLICES, Slice, StreamId};
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{Row as _, ValueRef as _};
use uuid::Uuid;

use super::error::{damaged, of_store};

/// The columns of an event, in the order in which [`decode`] takes them.
macro_rules! events {
    ($rest:literal) => {
        concat!(
            "SELECT aggregate_type, aggregate_id, sequence, slice, slice_pos, ts_us, event_type, event_version, payload, metadata \
             FROM events WHERE ",
            $rest
        )
    };
}

const LOAD: &str = events!("aggregate_type = $1 AND aggregate_id = $2 AND sequence > $3 ORDER BY sequence LIMIT $4");
const ABOUT: &str = events!("subject = $1 AND sequence > $2 ORDER BY sequence LIMIT $3");
const READ_SLICE: &str = events!("slice = $1 AND slice_pos > $2 ORDER BY slice_pos LIMIT $3");
/// One statement, so one moment. Subqueries with LIMIT, so that no plan reads a whole index.
const PROBE: &str = "SELECT c.request_mac, c.answer, \
     ARRAY(SELECT COALESCE((SELECT e.sequence FROM events e WHERE e.aggregate_type = z.a AND e.aggregate_id = z.b \
           ORDER BY e.sequence DESC LIMIT 1), 0) FROM unnest($3::text[], $4::text[]) WITH ORDINALITY z(a, b, o) ORDER BY o), \
     ARRAY(SELECT COALESCE((SELECT h.pos FROM slice_head h WHERE h.slice = z.s), 0) \
           FROM unnest($5::smallint[]) WITH ORDINALITY z(s, o) ORDER BY o) \
     FROM (SELECT 1) one \
     LEFT JOIN LATERAL (SELECT w.request_mac, w.answer FROM events w WHERE w.actor = $1 AND w.command_id = $2 LIMIT 1) c ON true";

pub(super) async fn load(
    connection: &mut PgConnection,
    stream: &StreamId,
    after: u64,
) -> Result<Vec<PgRow>, sqlx::Error> {
    sqlx::query(LOAD)
        .bind(stream.aggregate_type())
        .bind(stream.aggregate_id())
        .bind(after as i64)
        .bind(PAGE_EVENTS as i64)
        .fetch_all(connection)
        .await
}

pub(super) async fn about(connection: &mut PgConnection, subject: Uuid, after: u64) -> Result<Vec<PgRow>, sqlx::Error> {
    sqlx::query(ABOUT)
        .bind(subject)
        .bind(after as i64)
        .bind(PAGE_EVENTS as i64)
        .fetch_all(connection)
        .await
}

pub(super) async fn read_slice(
    connection: &mut PgConnection,
    slice: Slice,
    after: u64,
) -> Result<Vec<PgRow>, sqlx::Error> {
    sqlx::query(READ_SLICE)
        .bind(slice.index() as i16)
        .bind(after as i64)
        .bind(PAGE_EVENTS as i64)
        .fetch_all(connection)
        .await
}

pub(super) async fn probe(
    connection: &mut PgConnection,
    key: Option<CommandKey>,
    streams: &[StreamId],
    slices: &[Slice],
) -> Result<Probe, sqlx::Error> {
    let types: Vec<&str> = streams.iter().map(StreamId::aggregate_type).collect();
    let ids: Vec<String> = streams.iter().map(StreamId::aggregate_id).collect();
    let slices: Vec<i16> = slices.iter().map(|slice| slice.index() as i16).collect();
    let row = sqlx::query(PROBE)
        .bind(key.map(|key| key.actor))
        .bind(key.map(|key| key.command_id.0))
        .bind(&types)
        .bind(&ids)
        .bind(&slices)
        .fetch_one(connection)
        .await?;
    let numbers = |index: usize| -> Result<Vec<u64>, sqlx::Error> {
        let numbers: Vec<i64> = row.try_get(index)?;
        Ok(numbers.into_iter().map(|number| number as u64).collect())
    };
    let command = match row.try_get::<Option<&[u8]>, _>(0)? {
        None => None,
        Some(mac) => Some(StoredCommand {
            request_mac: mac.try_into().map_err(|_| damaged("a request_mac is not 32 bytes"))?,
            answer: text(&row, 1)?.into(),
        }),
    };
    Ok(Probe {
        command,
        versions: numbers(2)?,
        heads: numbers(3)?,
    })
}

/// A column of text or JSON, byte for byte as it is stored.
pub(super) fn text(row: &PgRow, index: usize) -> Result<&str, sqlx::Error> {
    let value = row.try_get_raw(index)?;
    if value.is_null() {
        return Err(damaged(format!("column {index} is null")));
    }
    value.as_str().map_err(sqlx::Error::Decode)
}

/// The events of rows.
pub(super) fn decode_all(rows: &[PgRow]) -> Result<Vec<RecordedEvent>, StoreError> {
    rows.iter().map(decode).collect()
}

fn decode(row: &PgRow) -> Result<RecordedEvent, StoreError> {
    let text = |index: usize| text(row, index).map_err(of_store);
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

/// The slice of a column.
pub(super) fn slice(row: &PgRow, index: usize) -> Result<Slice, sqlx::Error> {
    let number: i16 = row.try_get(index)?;
    let slice = usize::try_from(number).ok().and_then(Slice::new);
    slice.ok_or_else(|| damaged(format!("there is no slice {number}")))
}

/// The number of every slice from rows of slice and number; 0 where there is none.
pub(super) fn by_slice(rows: &[PgRow]) -> Result<[u64; SLICES], sqlx::Error> {
    let mut positions = [0; SLICES];
    for row in rows {
        positions[slice(row, 0)?.index()] = row.try_get::<i64, _>(1)? as u64;
    }
    Ok(positions)
}

pub(super) async fn heads(connection: &mut PgConnection) -> Result<[u64; SLICES], sqlx::Error> {
    let rows = sqlx::query("SELECT slice, pos FROM slice_head").fetch_all(connection);
    by_slice(&rows.await?)
}

pub(super) async fn snapshot(
    connection: &mut PgConnection,
    stream: &StreamId,
    state_version: u32,
) -> Result<Option<Snapshot>, sqlx::Error> {
    let text =
        "SELECT sequence, state FROM snapshots WHERE aggregate_type = $1 AND aggregate_id = $2 AND state_version = $3";
    let row: Option<(i64, Vec<u8>)> = sqlx::query_as(text)
        .bind(stream.aggregate_type())
        .bind(stream.aggregate_id())
        .bind(state_version as i32)
        .fetch_optional(connection)
        .await?;
    Ok(row.map(|(sequence, state)| Snapshot {
        sequence: sequence as u64,
        state_version,
        state,
    }))
}

pub(super) async fn save_snapshot(
    connection: &mut PgConnection,
    stream: &StreamId,
    snapshot: &Snapshot,
) -> Result<(), sqlx::Error> {
    let text = "INSERT INTO snapshots (aggregate_type, aggregate_id, state_version, sequence, state) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (aggregate_type, aggregate_id, state_version) DO UPDATE SET sequence = excluded.sequence, state = excluded.state \
         WHERE snapshots.sequence < excluded.sequence";
    let saving = sqlx::query(text)
        .bind(stream.aggregate_type())
        .bind(stream.aggregate_id())
        .bind(snapshot.state_version as i32)
        .bind(snapshot.sequence as i64)
        .bind(&snapshot.state);
    saving.execute(connection).await.map(drop)
}
