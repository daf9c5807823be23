//! What waits because a projection could not take it.

use std::collections::HashSet;

use async_trait::async_trait;
use cocotalk_application::error::StoreError;
use cocotalk_application::following::Aggregate;
use cocotalk_application::port::parking::{PAGE_PARKED, ParkedEvent, Parking, ToPark};
use cocotalk_application::port::row_store::Tables;
use cocotalk_domain::stream::{Slice, StreamId};
use cocotalk_domain::time::Instant;
use sqlx::postgres::PgRow;
use sqlx::{Connection as _, PgConnection, Row as _};

use super::database::Database;

const PARKED: &str = "aggregate_type, aggregate_id, sequence, slice, slice_pos, error, attempts, \
    (extract(epoch FROM first_at) * 1e3)::bigint, (extract(epoch FROM last_at) * 1e3)::bigint";

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
    match aggregate {
        Aggregate::Room(room) => format!("room/{room}"),
        Aggregate::Account(user) => format!("account/{user}"),
        Aggregate::Claim(claim) => format!("claim/{}", StreamId::Claim(claim).aggregate_id()),
    }
}

/// Until the transaction ends, nobody else parks or removes anything of what waits together.
async fn hold(connection: &mut PgConnection, tables: Tables, waits_with: &str) -> Result<(), sqlx::Error> {
    sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))")
        .bind(format!("{}/{}/{waits_with}", tables.projection, tables.version))
        .execute(connection)
        .await
        .map(drop)
}

fn stream(row: &PgRow) -> Result<StreamId, sqlx::Error> {
    let (aggregate_type, aggregate_id) = (row.try_get::<&str, _>(0)?, row.try_get::<&str, _>(1)?);
    StreamId::parse(aggregate_type, aggregate_id)
        .ok_or_else(|| sqlx::Error::Decode(format!("{aggregate_type}/{aggregate_id} is no stream").into()))
}

fn parked(row: &PgRow) -> Result<ParkedEvent, sqlx::Error> {
    let slice = Slice::new(row.try_get::<i16, _>(3)? as usize);
    Ok(ParkedEvent {
        stream: stream(row)?,
        sequence: row.try_get::<i64, _>(2)? as u64,
        slice: slice.ok_or_else(|| sqlx::Error::Decode("a parked event has no slice".into()))?,
        slice_pos: row.try_get::<i64, _>(4)? as u64,
        error: row.try_get(5)?,
        attempts: row.try_get::<i32, _>(6)? as u32,
        first_at: Instant::from_millis(row.try_get(7)?),
        last_at: Instant::from_millis(row.try_get(8)?),
    })
}

/// Parks one event. Whether it waits.
async fn park_one(connection: &mut PgConnection, tables: Tables, event: &ToPark) -> Result<bool, sqlx::Error> {
    let waits_with = waits_with(event.stream.into());
    let text = "INSERT INTO parked (projection, version, aggregate_type, aggregate_id, sequence, waits_with, slice, slice_pos, error) \
         SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9 \
         WHERE $10 OR EXISTS (SELECT 1 FROM parked WHERE projection = $1 AND version = $2 AND slice = $7 AND waits_with = $6) \
         ON CONFLICT (projection, version, aggregate_type, aggregate_id, sequence) DO UPDATE SET error = excluded.error";
    let mut transaction = connection.begin().await?;
    hold(&mut transaction, tables, &waits_with).await?;
    let done = sqlx::query(text)
        .bind(tables.projection)
        .bind(tables.version as i32)
        .bind(event.stream.aggregate_type())
        .bind(event.stream.aggregate_id())
        .bind(event.sequence as i64)
        .bind(&waits_with)
        .bind(event.slice.index() as i16)
        .bind(event.slice_pos as i64)
        .bind(&event.error)
        .bind(event.is_culprit)
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(done.rows_affected() > 0)
}

#[async_trait]
impl Parking for PostgresParking {
    async fn park(&self, tables: Tables, events: &[ToPark]) -> Result<Vec<usize>, StoreError> {
        let mut free = Vec::new();
        for (index, event) in events.iter().enumerate() {
            let waits = self
                .database
                .run(async |connection| park_one(connection, tables, event).await)
                .await?;
            if !waits {
                free.push(index);
            }
        }
        Ok(free)
    }

    async fn aggregates(&self, tables: Tables, slice: Slice) -> Result<Vec<Aggregate>, StoreError> {
        let text = "SELECT DISTINCT aggregate_type, aggregate_id FROM parked WHERE projection = $1 AND version = $2 AND slice = $3";
        let streams: Vec<StreamId> = self
            .database
            .run(async |connection| {
                let rows = sqlx::query(text)
                    .bind(tables.projection)
                    .bind(tables.version as i32)
                    .bind(slice.index() as i16)
                    .fetch_all(connection)
                    .await?;
                rows.iter().map(stream).collect()
            })
            .await?;
        let aggregates: HashSet<Aggregate> = streams.into_iter().map(Aggregate::from).collect();
        Ok(aggregates.into_iter().collect())
    }

    async fn list(&self, tables: Option<Tables>, offset: usize) -> Result<Vec<(String, u32, ParkedEvent)>, StoreError> {
        let text = format!(
            "SELECT {PARKED}, projection, version FROM parked \
             WHERE $1::text IS NULL OR (projection = $1 AND version = $2) \
             ORDER BY first_at, slice, slice_pos, projection OFFSET $3 LIMIT $4"
        );
        self.database
            .run(async |connection| {
                let rows = sqlx::query(&text)
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
        let text = format!(
            "SELECT {PARKED} FROM parked WHERE projection = $1 AND version = $2 AND waits_with = $3 ORDER BY slice_pos LIMIT $4"
        );
        self.database
            .run(async |connection| {
                let rows = sqlx::query(&text)
                    .bind(tables.projection)
                    .bind(tables.version as i32)
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
        self.database
            .run(async |connection| {
                let mut transaction = connection.begin().await?;
                hold(&mut transaction, tables, &waits_with((*stream).into())).await?;
                let done = sqlx::query(text)
                    .bind(tables.projection)
                    .bind(tables.version as i32)
                    .bind(stream.aggregate_type())
                    .bind(stream.aggregate_id())
                    .bind(sequence as i64)
                    .execute(&mut *transaction)
                    .await?;
                transaction.commit().await?;
                Ok(done.rows_affected() > 0)
            })
            .await
    }

    async fn tried(&self, tables: Tables, stream: &StreamId, sequence: u64, error: &str) -> Result<(), StoreError> {
        let text = "UPDATE parked SET error = $6, attempts = attempts + 1, last_at = now() \
             WHERE projection = $1 AND version = $2 AND aggregate_type = $3 AND aggregate_id = $4 AND sequence = $5";
        self.database
            .run(async |connection| {
                sqlx::query(text)
                    .bind(tables.projection)
                    .bind(tables.version as i32)
                    .bind(stream.aggregate_type())
                    .bind(stream.aggregate_id())
                    .bind(sequence as i64)
                    .bind(error)
                    .execute(connection)
                    .await
            })
            .await
            .map(drop)
    }
}
