//! What waits because a projection could not take it.

use std::collections::{BTreeSet, HashSet};

use async_trait::async_trait;
use cocotalk_application::error::StoreError;
use cocotalk_application::following::Aggregate;
use cocotalk_application::port::parking::{PAGE_PARKED, ParkedEvent, Parking, ToPark};
use cocotalk_application::port::row_store::Tables;
use cocotalk_domain::stream::{Slice, StreamId};
use cocotalk_domain::time::Instant;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};

use super::database::Database;
use super::error::damaged;
use super::reads::slice;

/// A parked event, in the order in which [`parked`] takes its columns.
macro_rules! parked {
    ($rest:literal) => {
        concat!(
            "SELECT aggregate_type, aggregate_id, sequence, slice, slice_pos, error, attempts, \
                    (extract(epoch FROM first_at) * 1e3)::bigint, (extract(epoch FROM last_at) * 1e3)::bigint, projection, version \
             FROM parked ",
            $rest
        )
    };
}

const LIST: &str = parked!(
    "WHERE $1::text IS NULL OR (projection = $1 AND version = $2) \
     ORDER BY first_at, slice, slice_pos, projection, version OFFSET $3 LIMIT $4"
);
const OF_AGGREGATE: &str =
    parked!("WHERE projection = $1 AND version = $2 AND slice = $3 AND waits_with = $4 ORDER BY slice_pos LIMIT $5");
/// One that is to blame keeps its reason when it comes again behind itself.
const PARK: &str = "INSERT INTO parked AS p (projection, version, aggregate_type, aggregate_id, sequence, waits_with, slice, slice_pos, \
        error, is_culprit) \
    SELECT $1, $2, u.* FROM unnest($3::text[], $4::text[], $5::bigint[], $6::text[], $7::smallint[], $8::bigint[], $9::text[], \
        $10::boolean[]) u \
    ON CONFLICT (projection, version, aggregate_type, aggregate_id, sequence) DO UPDATE \
    SET error = CASE WHEN excluded.is_culprit OR NOT p.is_culprit THEN excluded.error ELSE p.error END, \
        is_culprit = p.is_culprit OR excluded.is_culprit";

/// Parked events in PostgreSQL.
pub struct PostgresParking {
    database: Database,
}

impl PostgresParking {
    /// In this database.
    pub const fn new(database: Database) -> Self {
        Self { database }
    }
}

/// What waits together, as a text.
fn waits_with(aggregate: Aggregate) -> String {
    stream_of(aggregate).to_string()
}

/// The stream that an aggregate is named after.
const fn stream_of(aggregate: Aggregate) -> StreamId {
    match aggregate {
        Aggregate::Room(room) => StreamId::Room(room),
        Aggregate::Account(user) => StreamId::Account(user),
        Aggregate::Claim(claim) => StreamId::Claim(claim),
    }
}

/// Until the transaction ends, nobody else parks or removes anything of these. In one order, so that nobody waits in a circle.
async fn hold(connection: &mut PgConnection, tables: Tables, names: &BTreeSet<String>) -> Result<(), sqlx::Error> {
    let whole = |name: &String| format!("{}/{}/{name}", tables.projection, tables.version);
    let text = "SELECT pg_advisory_xact_lock(hashtextextended(n, 0)) FROM unnest($1::text[]) n";
    let names: Vec<String> = names.iter().map(whole).collect();
    sqlx::query(text).bind(&names).execute(connection).await.map(drop)
}

/// Those of which something waits already.
async fn waiting(
    connection: &mut PgConnection,
    tables: Tables,
    names: &BTreeSet<String>,
    events: &[ToPark],
) -> Result<HashSet<String>, sqlx::Error> {
    let text = "SELECT DISTINCT waits_with FROM parked \
         WHERE projection = $1 AND version = $2 AND slice = ANY($3) AND waits_with = ANY($4)";
    let slices: BTreeSet<i16> = events.iter().map(|event| event.slice.index() as i16).collect();
    let slices: Vec<i16> = slices.into_iter().collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let found = sqlx::query_scalar(text)
        .bind(tables.projection)
        .bind(tables.version as i32)
        .bind(&slices)
        .bind(&names);
    let found: Vec<String> = found.fetch_all(connection).await?;
    Ok(found.into_iter().collect())
}

async fn insert(connection: &mut PgConnection, tables: Tables, events: &[(&ToPark, &str)]) -> Result<(), sqlx::Error> {
    if events.is_empty() {
        return Ok(());
    }
    let types: Vec<&str> = events.iter().map(|(event, _)| event.stream.aggregate_type()).collect();
    let ids: Vec<String> = events.iter().map(|(event, _)| event.stream.aggregate_id()).collect();
    let sequences: Vec<i64> = events.iter().map(|(event, _)| event.sequence as i64).collect();
    let names: Vec<&str> = events.iter().map(|(_, name)| *name).collect();
    let slices: Vec<i16> = events.iter().map(|(event, _)| event.slice.index() as i16).collect();
    let positions: Vec<i64> = events.iter().map(|(event, _)| event.slice_pos as i64).collect();
    let errors: Vec<&str> = events.iter().map(|(event, _)| event.error.as_str()).collect();
    let culprits: Vec<bool> = events.iter().map(|(event, _)| event.is_culprit).collect();
    sqlx::query(PARK)
        .bind(tables.projection)
        .bind(tables.version as i32)
        .bind(&types)
        .bind(&ids)
        .bind(&sequences)
        .bind(&names)
        .bind(&slices)
        .bind(&positions)
        .bind(&errors)
        .bind(&culprits)
        .execute(connection)
        .await
        .map(drop)
}

fn parked(row: &PgRow) -> Result<ParkedEvent, sqlx::Error> {
    let (aggregate_type, aggregate_id) = (row.try_get::<&str, _>(0)?, row.try_get::<&str, _>(1)?);
    Ok(ParkedEvent {
        stream: StreamId::parse(aggregate_type, aggregate_id)
            .ok_or_else(|| damaged(format!("{aggregate_type}/{aggregate_id} is no stream of ours")))?,
        sequence: row.try_get::<i64, _>(2)? as u64,
        slice: slice(row, 3)?,
        slice_pos: row.try_get::<i64, _>(4)? as u64,
        error: row.try_get(5)?,
        attempts: row.try_get::<i32, _>(6)? as u32,
        first_at: Instant::from_millis(row.try_get(7)?),
        last_at: Instant::from_millis(row.try_get(8)?),
    })
}

#[async_trait]
impl Parking for PostgresParking {
    async fn park(&self, tables: Tables, events: &[ToPark]) -> Result<Vec<usize>, StoreError> {
        let names: Vec<String> = events.iter().map(|event| waits_with(event.stream.into())).collect();
        let distinct: BTreeSet<String> = names.iter().cloned().collect();
        self.database
            .transact(async |connection| {
                hold(connection, tables, &distinct).await?;
                let mut waiting = waiting(connection, tables, &distinct, events).await?;
                let (mut seen, mut to_park, mut free) = (HashSet::new(), Vec::new(), Vec::new());
                for (index, (event, name)) in events.iter().zip(&names).enumerate() {
                    if event.is_culprit {
                        waiting.insert(name.clone());
                    }
                    if !waiting.contains(name) {
                        free.push(index);
                    } else if seen.insert((event.stream, event.sequence)) {
                        to_park.push((event, name.as_str()));
                    }
                }
                insert(connection, tables, &to_park).await?;
                Ok(free)
            })
            .await
    }

    async fn aggregates(&self, tables: Tables, slice: Slice) -> Result<Vec<Aggregate>, StoreError> {
        let text = "SELECT DISTINCT waits_with FROM parked WHERE projection = $1 AND version = $2 AND slice = $3";
        self.database
            .run(async |connection| {
                let names = sqlx::query_scalar(text)
                    .bind(tables.projection)
                    .bind(tables.version as i32)
                    .bind(slice.index() as i16);
                let names: Vec<String> = names.fetch_all(connection).await?;
                let aggregate = |name: &String| {
                    let stream = name.split_once('/').and_then(|(kind, id)| StreamId::parse(kind, id));
                    stream
                        .map(Aggregate::from)
                        .ok_or_else(|| damaged(format!("{name} is no aggregate of ours")))
                };
                names.iter().map(aggregate).collect()
            })
            .await
    }

    async fn list(&self, tables: Option<Tables>, offset: usize) -> Result<Vec<(String, u32, ParkedEvent)>, StoreError> {
        self.database
            .run(async |connection| {
                let rows = sqlx::query(LIST)
                    .bind(tables.map(|tables| tables.projection))
                    .bind(tables.map(|tables| tables.version as i32))
                    .bind(offset as i64)
                    .bind(PAGE_PARKED as i64)
                    .fetch_all(connection)
                    .await?;
                let listed = rows.iter().map(|row| {
                    let version: i32 = row.try_get(10)?;
                    Ok((row.try_get(9)?, version as u32, parked(row)?))
                });
                listed.collect()
            })
            .await
    }

    async fn of_aggregate(&self, tables: Tables, aggregate: Aggregate) -> Result<Vec<ParkedEvent>, StoreError> {
        let slice = stream_of(aggregate).slice();
        self.database
            .run(async |connection| {
                let rows = sqlx::query(OF_AGGREGATE)
                    .bind(tables.projection)
                    .bind(tables.version as i32)
                    .bind(slice.index() as i16)
                    .bind(waits_with(aggregate))
                    .bind(PAGE_PARKED as i64)
                    .fetch_all(connection)
                    .await?;
                rows.iter().map(parked).collect()
            })
            .await
    }

    async fn remove(&self, tables: Tables, stream: &StreamId, sequence: u64) -> Result<bool, StoreError> {
        let text = "DELETE FROM parked WHERE projection = $1 AND version = $2 AND aggregate_type = $3 AND aggregate_id = $4 AND sequence = $5";
        let name = BTreeSet::from([waits_with((*stream).into())]);
        self.database
            .transact(async |connection| {
                hold(connection, tables, &name).await?;
                let done = sqlx::query(text)
                    .bind(tables.projection)
                    .bind(tables.version as i32)
                    .bind(stream.aggregate_type())
                    .bind(stream.aggregate_id())
                    .bind(sequence as i64)
                    .execute(connection)
                    .await?;
                Ok(done.rows_affected() > 0)
            })
            .await
    }

    async fn tried(&self, tables: Tables, stream: &StreamId, sequence: u64, error: &str) -> Result<(), StoreError> {
        let text = "UPDATE parked SET error = $6, is_culprit = true, attempts = attempts + 1, last_at = now() \
             WHERE projection = $1 AND version = $2 AND aggregate_type = $3 AND aggregate_id = $4 AND sequence = $5";
        self.database
            .run(async |connection| {
                let noting = sqlx::query(text)
                    .bind(tables.projection)
                    .bind(tables.version as i32)
                    .bind(stream.aggregate_type())
                    .bind(stream.aggregate_id())
                    .bind(sequence as i64)
                    .bind(error);
                noting.execute(connection).await.map(drop)
            })
            .await
    }
}
