//! The log from the relay's side.

use std::sync::Arc;

use async_trait::async_trait;
use cocotalk_application::error::StoreError;
use cocotalk_application::port::outbox::{Lease, LogRecord, Outbox, SliceGroup};
use cocotalk_domain::stream::{SLICES, Slice};
use sqlx::Row as _;
use sqlx::postgres::PgRow;

use super::database::Database;
use super::lease::Leases;
use super::listener::Listener;
use super::reads::{by_slice, heads, slice, text};

/// Events of one slice that one read returns at most, and bytes of them after which it ends.
const MOST_EVENTS: i64 = 500;
const MOST_BYTES: i64 = 128 * 1024;

/// What comes after a position in every slice: bounded in events and in bytes, but at least one event of each slice that has
/// more. Heads and events are of one moment.
const READ_AFTER: &str = "SELECT e.* FROM unnest($1::smallint[], $2::bigint[]) c(s, p) \
    JOIN slice_head h ON h.slice = c.s AND h.pos > c.p \
    CROSS JOIN LATERAL ( \
        SELECT y.aggregate_type, y.aggregate_id, y.sequence, y.slice, y.slice_pos, y.ts_us, y.event_type, y.event_version, \
               y.payload, y.metadata \
        FROM (SELECT x.*, sum(octet_length(x.payload::text) + octet_length(x.metadata::text)) \
                          OVER (ORDER BY x.slice_pos ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS bytes_before \
              FROM events x WHERE x.slice = c.s AND x.slice_pos > c.p ORDER BY x.slice_pos LIMIT $3) y \
        WHERE COALESCE(y.bytes_before, 0) < $4) e \
    ORDER BY e.slice, e.slice_pos";

/// The outbox of a database. Whoever waits on it should be alone: of several that wait, one hears the bell and the others find
/// out when they look next. So give each a clone: it has an ear of its own.
pub struct PostgresOutbox {
    database: Database,
    leases: Arc<Leases>,
    listener: Listener,
}

impl PostgresOutbox {
    /// Of this database.
    pub fn new(database: Database) -> Self {
        Self {
            leases: Arc::new(Leases::new(&database)),
            listener: Listener::new(&database),
            database,
        }
    }
}

impl Clone for PostgresOutbox {
    fn clone(&self) -> Self {
        Self {
            database: self.database.clone(),
            leases: Arc::clone(&self.leases),
            listener: Listener::new(&self.database),
        }
    }
}

fn decode(row: &PgRow) -> Result<LogRecord, sqlx::Error> {
    let text = |index: usize| text(row, index).map(str::to_owned);
    let number = |index: usize| row.try_get::<i64, _>(index).map(|number| number as u64);
    Ok(LogRecord {
        aggregate_type: text(0)?,
        aggregate_id: text(1)?,
        sequence: number(2)?,
        slice: slice(row, 3)?,
        slice_pos: number(4)?,
        ts_us: row.try_get(5)?,
        event_type: text(6)?,
        event_version: text(7)?,
        payload: text(8)?,
        metadata: text(9)?,
    })
}

/// Positions as arrays, in the order of the slices: whoever writes rows in one order is in nobody's way.
fn columns(positions: &[(Slice, u64)]) -> (Vec<i16>, Vec<i64>) {
    let mut positions = positions.to_vec();
    positions.sort_unstable();
    let columns = positions.iter();
    columns.map(|(slice, pos)| (slice.index() as i16, *pos as i64)).unzip()
}

#[async_trait]
impl Outbox for PostgresOutbox {
    async fn read_after(&self, after: &[(Slice, u64)]) -> Result<Vec<LogRecord>, StoreError> {
        let (slices, positions) = columns(after);
        self.database
            .run(async |connection| {
                let rows = sqlx::query(READ_AFTER)
                    .bind(&slices)
                    .bind(&positions)
                    .bind(MOST_EVENTS)
                    .bind(MOST_BYTES)
                    .fetch_all(connection)
                    .await?;
                rows.iter().map(decode).collect()
            })
            .await
    }

    async fn appended(&self) {
        let poll = self.database.settings().poll();
        // Too late is what a poll is.
        let _heard_or_not = tokio::time::timeout(poll, self.listener.hear()).await;
    }

    async fn heads(&self) -> Result<[u64; SLICES], StoreError> {
        self.database.run(async |connection| heads(connection).await).await
    }

    async fn progress(&self) -> Result<[u64; SLICES], StoreError> {
        self.database
            .run(async |connection| {
                let rows = sqlx::query("SELECT slice, pos FROM relay_progress").fetch_all(connection);
                by_slice(&rows.await?)
            })
            .await
    }

    async fn save_progress(&self, positions: &[(Slice, u64)]) -> Result<(), StoreError> {
        let text = "INSERT INTO relay_progress (slice, pos) SELECT s, p FROM unnest($1::smallint[], $2::bigint[]) c(s, p) \
             ON CONFLICT (slice) DO UPDATE SET pos = excluded.pos WHERE relay_progress.pos < excluded.pos";
        let (slices, positions) = columns(positions);
        self.database
            .run(async |connection| {
                let saving = sqlx::query(text).bind(&slices).bind(&positions);
                saving.execute(connection).await.map(drop)
            })
            .await
    }

    async fn lead(&self, group: SliceGroup) -> Result<Option<Box<dyn Lease>>, StoreError> {
        self.leases.lead(group).await
    }
}
