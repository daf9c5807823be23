//! Faults of `cqrs-es` and `postgres-es` 0.5.0, unmodified, for which this log goes its own way. Where one of these tests fails
//! because a release has mended the fault, `docs/adr/0002-own-append-path-beside-cqrs-es.md` is to be looked at again.

use cqrs_es::event_sink::EventSink;
use cqrs_es::persist::{PersistedEventRepository as _, PersistedEventStore, PersistenceError, SerializedEvent};
use cqrs_es::{Aggregate, CqrsFramework, DomainEvent, EventStore};
use postgres_es::PostgresEventRepository;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::postgres::PgPoolOptions;
use sqlx::{Executor as _, PgPool};

use crate::named::Named;

/// The tables of postgres-es's own migration.
const TABLES: &str = "
    CREATE TABLE events (
        aggregate_type text NOT NULL, aggregate_id text NOT NULL, sequence bigint CHECK (sequence >= 0) NOT NULL,
        event_type text NOT NULL, event_version text NOT NULL, payload json NOT NULL, metadata json NOT NULL,
        PRIMARY KEY (aggregate_type, aggregate_id, sequence));
    CREATE TABLE snapshots (
        aggregate_type text NOT NULL, aggregate_id text NOT NULL, last_sequence bigint CHECK (last_sequence >= 0) NOT NULL,
        current_snapshot bigint CHECK (current_snapshot >= 0) NOT NULL, payload json NOT NULL,
        PRIMARY KEY (aggregate_type, aggregate_id, last_sequence));";

/// Counts.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Counter {
    count: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Counted {
    Up,
}

#[derive(Debug, thiserror::Error)]
#[error("never")]
struct Never;

impl DomainEvent for Counted {
    fn event_type(&self) -> String {
        "counter.up".to_owned()
    }

    fn event_version(&self) -> String {
        "1".to_owned()
    }
}

impl Aggregate for Counter {
    const TYPE: &'static str = "counter";
    type Command = ();
    type Event = Counted;
    type Error = Never;
    type Services = ();

    async fn handle(&mut self, (): (), (): &(), sink: &EventSink<Self>) -> Result<(), Never> {
        sink.write(Counted::Up, self).await;
        Ok(())
    }

    fn apply(&mut self, _event: Counted) {
        self.count += 1;
    }
}

async fn tables() -> (PgPool, Named) {
    let named = Named::empty().await;
    let pool = PgPoolOptions::new()
        .max_connections(2)
        .connect(named.settings().url.expose())
        .await;
    let pool = pool.expect("the server answers");
    pool.execute(TABLES).await.expect("the tables are made");
    (pool, named)
}

/// What a counter says after six commands.
async fn count_to_six<S>(store: impl Fn() -> S) -> u64
where
    S: EventStore<Counter, AC = cqrs_es::persist::EventStoreAggregateContext<Counter>>,
{
    let framework = CqrsFramework::new(store(), Vec::new(), ());
    for _ in 0..6 {
        framework.execute("c", ()).await.expect("it counts");
    }
    store().load_aggregate("c").await.expect("it is loaded").aggregate.count
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn aggregate_mode_applies_events_twice() {
    let (pool, _named) = tables().await;
    let repository = || PostgresEventRepository::new(pool.clone());
    let counted = count_to_six(|| PersistedEventStore::new_aggregate_store(repository())).await;
    assert_eq!(
        counted, 12,
        "6 would be right: cqrs-es no longer applies events twice in aggregate mode, see the top of this file"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn snapshot_mode_applies_events_twice() {
    let (pool, _named) = tables().await;
    let repository = || PostgresEventRepository::new(pool.clone());
    let counted = count_to_six(|| PersistedEventStore::new_snapshot_store(repository(), 2)).await;
    assert_ne!(
        counted, 6,
        "cqrs-es no longer applies events twice in snapshot mode, see the top of this file"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn event_store_mode_counts_rightly() {
    let (pool, _named) = tables().await;
    let repository = || PostgresEventRepository::new(pool.clone());
    assert_eq!(
        count_to_six(|| PersistedEventStore::new_event_store(repository())).await,
        6
    );
}

fn event(sequence: usize, metadata: serde_json::Value) -> SerializedEvent {
    SerializedEvent::new(
        "c".to_owned(),
        sequence,
        Counter::TYPE.to_owned(),
        "counter.up".to_owned(),
        "1".to_owned(),
        json!("Up"),
        metadata,
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_ends_as_if_it_were_whole_when_the_database_does() {
    const EVENTS: usize = 300;
    let (pool, _named) = tables().await;
    let repository = PostgresEventRepository::new(pool.clone()).with_streaming_channel_size(1);
    // So large that they cannot all be on their way when the connection ends.
    let padding = "x".repeat(100_000);
    for sequence in 1..=EVENTS {
        let persisted = repository
            .persist::<Counter>(&[event(sequence, json!({ "padding": padding }))], None)
            .await;
        persisted.expect("it is stored");
    }
    let mut stream = repository.stream_events::<Counter>("c").await.expect("it begins");
    stream
        .next::<Counter>(&[])
        .await
        .expect("there is one")
        .expect("it can be read");
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
    pool.execute(end).await.expect("it may");
    let (mut count, mut failed) = (1, false);
    while let Some(event) = stream.next::<Counter>(&[]).await {
        match event {
            Ok(_) => count += 1,
            Err(_) => failed = true,
        }
    }
    assert!(
        count < EVENTS,
        "all events were on their way already, so nothing was shown"
    );
    assert!(
        !failed,
        "postgres-es now says when a stream breaks, see the top of this file"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_unique_violation_is_taken_for_a_race() {
    let (pool, _named) = tables().await;
    let other = "CREATE UNIQUE INDEX events_key ON events ((metadata->>'key'))";
    pool.execute(other).await.expect("it is made");
    let repository = PostgresEventRepository::new(pool.clone());
    let persisted = repository
        .persist::<Counter>(&[event(1, json!({ "key": "a" }))], None)
        .await;
    persisted.expect("it is stored");
    let repeated = repository
        .persist::<Counter>(&[event(2, json!({ "key": "a" }))], None)
        .await;
    assert!(
        matches!(repeated, Err(PersistenceError::OptimisticLockError)),
        "postgres-es now tells which index was violated ({repeated:?}), see the top of this file"
    );
}
