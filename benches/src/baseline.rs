//! The baseline: a minimal handler over the unmodified `CqrsFramework` and `sqlite-es`, made as durable as the server it
//! is compared with.
//!
//! It does what a reader of those crates' guides would write: an aggregate, one command, one event, event-store mode, no
//! projections, no accounts, no live delivery. Only the pool differs from `default_sqlite_pool`: synchronous=FULL, because
//! a 201 must mean durable on both sides, and an explicit busy timeout. A conflict is told to the client, who tries again.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use axum::Json;
use axum::extract::{Path as UrlPath, State};
use axum::http::StatusCode;
use axum::routing::post;
use axum::serve::ListenerExt as _;
use cqrs_es::event_sink::EventSink;
use cqrs_es::persist::PersistedEventStore;
use cqrs_es::{Aggregate, AggregateError, CqrsFramework, DomainEvent};
use serde::{Deserialize, Serialize};
use sqlite_es::SqliteEventRepository;
use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use tokio::net::TcpListener;
use uuid::{Builder, Uuid};

/// The two tables of sqlite-es's own migration, without its example view.
const TABLES: [&str; 2] = [
    "CREATE TABLE events (
        aggregate_type text NOT NULL,
        aggregate_id text NOT NULL,
        sequence integer CHECK (sequence >= 0) NOT NULL,
        event_type text NOT NULL,
        event_version text NOT NULL,
        payload text NOT NULL,
        metadata text NOT NULL,
        PRIMARY KEY (aggregate_type, aggregate_id, sequence)
    ) STRICT",
    "CREATE TABLE snapshots (
        aggregate_type text NOT NULL,
        aggregate_id text NOT NULL,
        last_sequence integer CHECK (last_sequence >= 0) NOT NULL,
        current_snapshot integer CHECK (current_snapshot >= 0) NOT NULL,
        payload text NOT NULL,
        PRIMARY KEY (aggregate_type, aggregate_id, last_sequence)
    ) STRICT",
];

/// As many connections as `default_sqlite_pool` has.
const CONNECTIONS: u32 = 10;
/// As long as sqlx waits by default; said here because the figure depends on it.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

type Framework = CqrsFramework<Room, PersistedEventStore<SqliteEventRepository, Room>>;

/// Serves until the process is ended, on a free port that the ready line names.
pub(crate) async fn serve(data: &Path) -> Result<()> {
    let pool = open(data).await?;
    let listener = TcpListener::bind("127.0.0.1:0").await.context("cannot listen")?;
    let address = listener.local_addr().context("a listener without an address")?;
    announce(&format!("baseline is ready: http://{address}\n"))?;
    let listener = listener.tap_io(|stream| {
        // Both sides of the comparison answer small bodies at once; a platform that refuses is only slower.
        let _ = stream.set_nodelay(true);
    });
    axum::serve(listener, router(pool))
        .await
        .context("the baseline stopped serving")
}

fn announce(line: &str) -> Result<()> {
    use std::io::Write as _;
    let mut out = std::io::stdout().lock();
    out.write_all(line.as_bytes())
        .and_then(|()| out.flush())
        .context("cannot write to stdout")
}

async fn open(data: &Path) -> Result<SqlitePool> {
    let options = SqliteConnectOptions::new()
        .filename(data.join("baseline.sqlite"))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY_TIMEOUT)
        .foreign_keys(true);
    let pool = SqlitePoolOptions::new()
        .max_connections(CONNECTIONS)
        .connect_with(options)
        .await
        .context("cannot open the baseline's database")?;
    for table in TABLES {
        sqlx::query(table)
            .execute(&pool)
            .await
            .context("cannot create the baseline's tables")?;
    }
    Ok(pool)
}

fn router(pool: SqlitePool) -> axum::Router {
    let store = PersistedEventStore::new_event_store(SqliteEventRepository::new(pool));
    let state = Baseline {
        framework: CqrsFramework::new(store, vec![], ()),
        ids: AtomicU64::new(0),
    };
    axum::Router::new()
        .route("/v1/rooms/{room_id}/messages", post(send))
        .with_state(Arc::new(state))
}

struct Baseline {
    framework: Framework,
    ids: AtomicU64,
}

impl Baseline {
    fn next_message_id(&self, sent_at_ms: u64) -> Uuid {
        let count = self.ids.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        let mut unique = [0; 10];
        unique[2..].copy_from_slice(&count);
        Builder::from_unix_timestamp_millis(sent_at_ms, &unique).into_uuid()
    }
}

/// The body of a send, as the server's contract has it.
#[derive(Debug, Deserialize)]
struct SendBody {
    kind: String,
    text: String,
}

/// The answer to a send. The framework's `execute` returns nothing, so it names no sequence number.
#[derive(Debug, Serialize)]
struct SendAnswer {
    room_id: Uuid,
    message_id: Uuid,
    sent_at_ms: u64,
}

async fn send(
    State(baseline): State<Arc<Baseline>>,
    UrlPath(room_id): UrlPath<Uuid>,
    Json(body): Json<SendBody>,
) -> Result<(StatusCode, Json<SendAnswer>), StatusCode> {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    let sent_at_ms = u64::try_from(since.as_millis()).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    let message_id = baseline.next_message_id(sent_at_ms);
    let command = SendMessage {
        message_id,
        kind: body.kind,
        text: body.text,
        sent_at_ms,
    };
    match baseline.framework.execute(&room_id.to_string(), command).await {
        Ok(()) => Ok((
            StatusCode::CREATED,
            Json(SendAnswer {
                room_id,
                message_id,
                sent_at_ms,
            }),
        )),
        Err(AggregateError::AggregateConflict) => Err(StatusCode::CONFLICT),
        Err(AggregateError::UserError(_)) => Err(StatusCode::UNPROCESSABLE_ENTITY),
        // A busy database comes as one of these; the client tries again.
        Err(
            AggregateError::DatabaseConnectionError(_)
            | AggregateError::DeserializationError(_)
            | AggregateError::UnexpectedError(_),
        ) => Err(StatusCode::SERVICE_UNAVAILABLE),
    }
}

/// A room that knows its last sequence number, which is all a send needs.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Room {
    last_seq: u64,
}

/// The one command.
#[derive(Debug)]
struct SendMessage {
    message_id: Uuid,
    kind: String,
    text: String,
    sent_at_ms: u64,
}

/// The one event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum RoomEvent {
    MessageSent {
        seq: u64,
        message_id: Uuid,
        kind: String,
        text: String,
        sent_at_ms: u64,
    },
}

impl DomainEvent for RoomEvent {
    fn event_type(&self) -> String {
        "MessageSent".to_owned()
    }

    fn event_version(&self) -> String {
        "1.0".to_owned()
    }
}

impl Aggregate for Room {
    const TYPE: &'static str = "room";
    type Command = SendMessage;
    type Event = RoomEvent;
    type Error = std::convert::Infallible;
    type Services = ();

    async fn handle(&mut self, command: SendMessage, (): &(), sink: &EventSink<Self>) -> Result<(), Self::Error> {
        let SendMessage {
            message_id,
            kind,
            text,
            sent_at_ms,
        } = command;
        let event = RoomEvent::MessageSent {
            seq: self.last_seq + 1,
            message_id,
            kind,
            text,
            sent_at_ms,
        };
        sink.write(event, self).await;
        Ok(())
    }

    fn apply(&mut self, event: RoomEvent) {
        let RoomEvent::MessageSent { seq, .. } = event;
        self.last_seq = seq;
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;
    use hyper::header::HeaderValue;
    use tokio::task::JoinSet;

    use super::*;
    use crate::http::{Call, HttpClient};

    #[tokio::test]
    async fn sends_are_numbered_without_holes_and_conflicts_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let pool = open(folder.path()).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut server = JoinSet::new();
        let router = router(pool.clone());
        server.spawn(async move { axum::serve(listener, router).await });

        let room = Builder::from_random_bytes([7; 16]).into_uuid();
        let uri: hyper::Uri = format!("/v1/rooms/{room}/messages").parse().unwrap();
        let mut call = Call::post(uri, None, r#"{"kind":"text","text":"hello"}"#);
        call.key = Some(HeaderValue::from_static("key"));
        let mut clients: Vec<HttpClient> = (0..8).map(|_| HttpClient::new(address).unwrap()).collect();
        let mut sent: i64 = 0;
        while sent < 20 {
            for answer in join_all(clients.iter_mut().map(|client| client.call(&call))).await {
                let status = answer.unwrap().status;
                assert!(
                    status == StatusCode::CREATED || status == StatusCode::CONFLICT,
                    "{status}"
                );
                sent += i64::from(status == StatusCode::CREATED);
            }
        }
        let counted = "SELECT count(*), max(sequence) FROM events";
        let (rows, last): (i64, i64) = sqlx::query_as(counted).fetch_one(&pool).await.unwrap();
        assert_eq!((rows, last), (sent, sent));
        let synchronous: i64 = sqlx::query_scalar("PRAGMA synchronous").fetch_one(&pool).await.unwrap();
        assert_eq!(synchronous, 2, "2 is FULL");
    }
}
