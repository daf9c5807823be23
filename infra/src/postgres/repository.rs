//! The same log for programs that use `cqrs-es` as it comes: loads are those of `postgres-es`, appends and streams are ours.
//!
//! Only in event-store mode: snapshots of `cqrs-es` 0.5.0 hold states to which events were applied twice.

use cocotalk_application::error::StoreError;
use cocotalk_application::port::event_log::{UnitOutcome, content_hash};
use cocotalk_domain::stream::StreamId;
use cqrs_es::Aggregate;
use cqrs_es::persist::{
    PersistedEventRepository, PersistenceError, ReplayFeed, ReplayStream, SerializedEvent, SerializedSnapshot,
};
use postgres_es::PostgresEventRepository;
use serde_json::Value;
use sqlx::Row as _;
use sqlx::postgres::{PgPoolOptions, PgRow};

use super::append::{Arrays, NewRow, NewRun};
use super::error::damaged;
use super::log::PostgresEventLog;
use super::reads::text;

/// Events of one page of a stream, and events that may be ahead of whoever takes them.
const PAGE: usize = 200;

/// Pages by key, so that each is a short statement of its own and what fails is said.
const PAGE_OF_ONE: &str = "SELECT aggregate_id, sequence, aggregate_type, event_type, event_version, payload, metadata FROM events \
    WHERE aggregate_type = $1 AND aggregate_id = $2 AND sequence > $3 ORDER BY sequence LIMIT $4";
const PAGE_OF_ALL: &str = "SELECT aggregate_id, sequence, aggregate_type, event_type, event_version, payload, metadata FROM events \
    WHERE aggregate_type = $1 AND (aggregate_id, sequence) > ($2, $3) ORDER BY aggregate_id, sequence LIMIT $4";

/// The log as a repository of `cqrs-es`.
pub struct PostgresRepository {
    log: PostgresEventLog,
    loads: PostgresEventRepository,
}

impl PostgresRepository {
    /// Of this log. What is loaded goes over connections of its own, because `postgres-es` wants the driver's pool.
    pub fn new(log: PostgresEventLog) -> Self {
        let settings = log.database.settings();
        let pool = PgPoolOptions::new()
            .max_connections(settings.connections as u32)
            .acquire_timeout(settings.connect())
            .connect_lazy_with(log.database.connector().options().clone());
        Self {
            loads: PostgresEventRepository::new(pool),
            log,
        }
    }

    async fn append(&self, events: &[SerializedEvent]) -> Result<UnitOutcome, PersistenceError> {
        let rows: Vec<Row> = events.iter().map(Row::of).collect::<Result<_, _>>()?;
        let Some(first) = rows.first() else {
            return Ok(UnitOutcome::Appended { first_pos: Vec::new() });
        };
        let mut arrays = Arrays::default();
        arrays.begin_unit();
        let run = NewRun {
            slice: first.stream.slice(),
            aggregate_type: first.stream.aggregate_type(),
            aggregate_id: &events[0].aggregate_id,
            after: events[0].sequence as u64 - 1,
        };
        arrays.add_run(&run, events.iter().zip(&rows).map(|(event, row)| row.new_row(event)));
        let appending = self
            .log
            .database
            .run(async |connection| arrays.append(connection).await);
        let mut outcomes = appending.await.map_err(failed)?;
        self.log.bell.ring();
        Ok(outcomes.remove(0))
    }

    /// A stream of pages that begin after this id and sequence. It ends in an error where the database does.
    fn stream(&self, text: &'static str, aggregate_type: &'static str, mut after: (String, i64)) -> ReplayStream {
        let (mut feed, stream) = ReplayStream::new(PAGE);
        let log = self.log.clone();
        self.log.tasks.spawn(async move {
            loop {
                let page = page(&log, text, aggregate_type, &after).await;
                let is_last = page.as_ref().map_or(true, |events| events.len() < PAGE);
                if let Some(last) = page.as_ref().ok().and_then(|events| events.last()) {
                    after = (last.aggregate_id.clone(), last.sequence as i64);
                }
                if !feed_page(&mut feed, page).await || is_last {
                    return;
                }
            }
        });
        stream
    }
}

/// Whether anybody still takes events.
async fn feed_page(feed: &mut ReplayFeed, page: Result<Vec<SerializedEvent>, StoreError>) -> bool {
    let events = match page {
        Ok(events) => events,
        Err(error) => return feed.push(Err(failed(error))).await.is_ok(),
    };
    for event in events {
        if feed.push(Ok(event)).await.is_err() {
            return false;
        }
    }
    true
}

async fn page(
    log: &PostgresEventLog,
    text: &str,
    aggregate_type: &str,
    after: &(String, i64),
) -> Result<Vec<SerializedEvent>, StoreError> {
    log.database
        .run(async |connection| {
            let rows = sqlx::query(text)
                .bind(aggregate_type)
                .bind(&after.0)
                .bind(after.1)
                .bind(PAGE as i64)
                .fetch_all(connection)
                .await?;
            rows.iter().map(decode).collect()
        })
        .await
}

fn decode(row: &PgRow) -> Result<SerializedEvent, sqlx::Error> {
    let string = |index: usize| text(row, index).map(str::to_owned);
    let json =
        |index: usize| -> Result<Value, sqlx::Error> { serde_json::from_str(text(row, index)?).map_err(damaged) };
    Ok(SerializedEvent::new(
        string(0)?,
        row.try_get::<i64, _>(1)? as usize,
        string(2)?,
        string(3)?,
        string(4)?,
        json(5)?,
        json(6)?,
    ))
}

/// What a serialized event is stored as.
struct Row {
    stream: StreamId,
    payload: String,
    metadata: String,
    hash: [u8; 32],
}

impl Row {
    fn of(event: &SerializedEvent) -> Result<Self, PersistenceError> {
        let stream = StreamId::parse(&event.aggregate_type, &event.aggregate_id).ok_or_else(|| {
            let why = format!(
                "{}/{} is no stream of this log",
                event.aggregate_type, event.aggregate_id
            );
            PersistenceError::UnknownError(why.into())
        })?;
        let (payload, metadata) = (event.payload.to_string(), event.metadata.to_string());
        let name = (event.event_type.as_str(), event.event_version.as_str());
        let hash = content_hash(&stream, event.sequence as u64, name, &payload, &metadata, None, None);
        Ok(Self {
            stream,
            payload,
            metadata,
            hash,
        })
    }

    fn new_row<'a>(&'a self, event: &'a SerializedEvent) -> NewRow<'a> {
        NewRow {
            event_type: &event.event_type,
            event_version: &event.event_version,
            payload: &self.payload,
            metadata: &self.metadata,
            subject: None,
            hash: &self.hash,
            stamp: None,
        }
    }
}

fn failed(error: StoreError) -> PersistenceError {
    match error {
        StoreError::Unavailable { .. } => PersistenceError::ConnectionError(Box::new(error)),
        StoreError::Corrupt { .. } => PersistenceError::UnknownError(Box::new(error)),
    }
}

impl PersistedEventRepository for PostgresRepository {
    async fn get_events<A: Aggregate>(&self, aggregate_id: &str) -> Result<Vec<SerializedEvent>, PersistenceError> {
        self.loads.get_events::<A>(aggregate_id).await
    }

    async fn get_last_events<A: Aggregate>(
        &self,
        aggregate_id: &str,
        last_sequence: usize,
    ) -> Result<Vec<SerializedEvent>, PersistenceError> {
        self.loads.get_last_events::<A>(aggregate_id, last_sequence).await
    }

    async fn get_snapshot<A: Aggregate>(
        &self,
        _aggregate_id: &str,
    ) -> Result<Option<SerializedSnapshot>, PersistenceError> {
        Ok(None)
    }

    async fn persist<A: Aggregate>(
        &self,
        events: &[SerializedEvent],
        snapshot_update: Option<(String, Value, usize)>,
    ) -> Result<(), PersistenceError> {
        if snapshot_update.is_some() {
            let why = "this log keeps no snapshots of `cqrs-es`: use `PersistedEventStore::new_event_store`";
            return Err(PersistenceError::UnknownError(why.into()));
        }
        match self.append(events).await? {
            UnitOutcome::Appended { .. } => Ok(()),
            UnitOutcome::Conflict | UnitOutcome::Repeated => Err(PersistenceError::OptimisticLockError),
        }
    }

    async fn stream_events<A: Aggregate>(&self, aggregate_id: &str) -> Result<ReplayStream, PersistenceError> {
        Ok(self.stream(PAGE_OF_ONE, A::TYPE, (aggregate_id.to_owned(), 0)))
    }

    async fn stream_all_events<A: Aggregate>(&self) -> Result<ReplayStream, PersistenceError> {
        Ok(self.stream(PAGE_OF_ALL, A::TYPE, (String::new(), 0)))
    }
}
