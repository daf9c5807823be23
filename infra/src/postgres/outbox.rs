//! The log from the relay's side.

use std::time::Duration;

use async_trait::async_trait;
use cocotalk_application::error::StoreError;
use cocotalk_application::port::outbox::{Lease, LogRecord, Outbox, SliceGroup};
use cocotalk_domain::stream::{SLICES, Slice};
use sqlx::postgres::{PgConnection, PgListener, PgRow};
use sqlx::{Connection as _, Row as _};
use tokio::sync::Mutex;

use super::STORE;
use super::bell::CHANNEL;
use super::database::{Database, of_store, within};
use super::log::{by_slice, heads};

/// Events of one slice that one read returns at most, and bytes of their payloads.
const MOST_EVENTS: i64 = 500;
const MOST_BYTES: i64 = 128 * 1024;
/// The first number of the locks that leaders hold; the second is that of the group.
const LEADERS: i32 = 0x0c0c_07a1;
/// How long a leader waits to hear whether it still is one.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// The unpublished end of every slice: bounded in events and in bytes, but at least one event of each slice that has more.
const READ_AFTER: &str = "SELECT e.* FROM slice_head h \
    JOIN unnest($1::smallint[], $2::bigint[]) c(s, p) ON c.s = h.slice AND h.pos > c.p \
    CROSS JOIN LATERAL ( \
        SELECT aggregate_type, aggregate_id, sequence, slice, slice_pos, ts_us, event_type, event_version, payload_text, metadata_text \
        FROM (SELECT x.*, x.payload::text AS payload_text, x.metadata::text AS metadata_text, \
                     sum(octet_length(x.payload::text)) OVER (ORDER BY x.slice_pos) AS bytes \
              FROM events x WHERE x.slice = h.slice AND x.slice_pos > c.p ORDER BY x.slice_pos LIMIT $3) y \
        WHERE y.bytes - octet_length(y.payload_text) < $4) e \
    ORDER BY e.slice, e.slice_pos";

/// The outbox of a database.
pub struct PostgresOutbox {
    database: Database,
    listener: Mutex<Option<PgListener>>,
}

impl PostgresOutbox {
    /// Of this database.
    pub fn new(database: Database) -> Self {
        Self {
            database,
            listener: Mutex::new(None),
        }
    }

    /// Waits for a notification. A listener that breaks is made anew the next time.
    async fn notified(&self) -> Result<(), sqlx::Error> {
        let mut held = self.listener.lock().await;
        if held.is_none() {
            let mut listener = PgListener::connect_with(&self.database.pool).await?;
            listener.listen(CHANNEL).await?;
            *held = Some(listener);
        }
        let Some(listener) = held.as_mut() else {
            return Ok(());
        };
        match listener.recv().await {
            Ok(_) => Ok(()),
            Err(error) => {
                *held = None;
                Err(error)
            }
        }
    }
}

fn decode(row: &PgRow) -> Result<LogRecord, sqlx::Error> {
    let number = |index: usize| row.try_get::<i64, _>(index).map(|number| number as u64);
    let slice = Slice::new(row.try_get::<i16, _>(3)? as usize);
    Ok(LogRecord {
        aggregate_type: row.try_get(0)?,
        aggregate_id: row.try_get(1)?,
        sequence: number(2)?,
        slice: slice.ok_or_else(|| sqlx::Error::Decode("an event has no slice".into()))?,
        slice_pos: number(4)?,
        ts_us: row.try_get(5)?,
        event_type: row.try_get(6)?,
        event_version: row.try_get(7)?,
        payload: row.try_get(8)?,
        metadata: row.try_get(9)?,
    })
}

fn columns(positions: &[(Slice, u64)]) -> (Vec<i16>, Vec<i64>) {
    positions
        .iter()
        .map(|(slice, pos)| (slice.index() as i16, *pos as i64))
        .unzip()
}

#[async_trait]
impl Outbox for PostgresOutbox {
    async fn read_after(&self, after: &[(Slice, u64)]) -> Result<Vec<LogRecord>, StoreError> {
        let (slices, positions) = columns(after);
        self.database
            .run(async |connection| {
                let rows = sqlx::query(READ_AFTER)
                    .bind(slices)
                    .bind(positions)
                    .bind(MOST_EVENTS)
                    .bind(MOST_BYTES)
                    .fetch_all(connection)
                    .await?;
                rows.iter().map(decode).collect()
            })
            .await
    }

    async fn appended(&self) {
        let poll = self.database.settings.poll();
        match tokio::time::timeout(poll, self.notified()).await {
            Ok(Ok(())) | Err(_) => {}
            Ok(Err(error)) => {
                tracing::debug!("the relay polls, because it cannot listen: {error}");
                tokio::time::sleep(poll).await;
            }
        }
    }

    async fn heads(&self) -> Result<[u64; SLICES], StoreError> {
        heads(&self.database).await
    }

    async fn progress(&self) -> Result<[u64; SLICES], StoreError> {
        self.database
            .run(async |connection| {
                let rows = sqlx::query("SELECT slice, pos FROM relay_progress")
                    .fetch_all(connection)
                    .await?;
                by_slice(&rows)
            })
            .await
    }

    async fn save_progress(&self, positions: &[(Slice, u64)]) -> Result<(), StoreError> {
        let text = "INSERT INTO relay_progress (slice, pos) SELECT * FROM unnest($1::smallint[], $2::bigint[]) c(s, p) ORDER BY s \
             ON CONFLICT (slice) DO UPDATE SET pos = excluded.pos WHERE relay_progress.pos < excluded.pos";
        let (slices, positions) = columns(positions);
        self.database
            .run(async |connection| sqlx::query(text).bind(slices).bind(positions).execute(connection).await)
            .await
            .map(drop)
    }

    async fn lead(&self, group: SliceGroup) -> Result<Option<Box<dyn Lease>>, StoreError> {
        let mut connection = Database::direct(&self.database.settings).await?;
        let locking = sqlx::query_scalar("SELECT pg_try_advisory_lock($1, $2)")
            .bind(LEADERS)
            .bind(group.number as i32)
            .fetch_one(&mut connection);
        if within(HEARTBEAT, locking).await.map_err(of_store)? {
            return Ok(Some(Box::new(SessionLock { connection })));
        }
        connection.close().await.map_err(of_store)?;
        Ok(None)
    }
}

/// A lock that the server holds for as long as the connection lives.
struct SessionLock {
    connection: PgConnection,
}

#[async_trait]
impl Lease for SessionLock {
    async fn is_held(&mut self) -> Result<bool, StoreError> {
        // The lock lives and dies with the session, so that an answer on the same connection says it is held.
        within(HEARTBEAT, self.connection.ping())
            .await
            .map(|()| true)
            .map_err(|error| StoreError::unavailable(STORE, error))
    }

    async fn release(self: Box<Self>) {
        if let Err(error) = within(HEARTBEAT, self.connection.close()).await {
            tracing::debug!("leadership ends with the connection: {error}");
        }
    }
}
