//! `cqrs-es` as it comes, on our log.

use std::collections::HashMap;

use cocotalk_application::contract::support::{at, eventually, id, sealed, slice_events, stream_events};
use cocotalk_application::port::event_log::{EventLog as _, content_hash};
use cocotalk_domain::id::{MessageId, RoomId, UserId};
use cocotalk_domain::room::{Invitation, Room, RoomCommand};
use cocotalk_domain::stream::StreamId;
use cocotalk_infra::postgres::PostgresRepository;
use cqrs_es::persist::{PersistedEventRepository as _, PersistedEventStore, PersistenceError};
use cqrs_es::{AggregateError, CqrsFramework, EventStore as _};
use futures_util::future::join_all;
use sqlx::Row as _;

use crate::opened::{Opened, end_connections};

type Store = PersistedEventStore<PostgresRepository, Room>;

fn store(opened: &Opened) -> Store {
    PersistedEventStore::new_event_store(PostgresRepository::new(opened.log.clone()))
}

fn framework(opened: &Opened) -> CqrsFramework<Room, Store> {
    CqrsFramework::new(store(opened), Vec::new(), ())
}

fn open(room_id: RoomId, by: UserId) -> RoomCommand {
    RoomCommand::OpenGroup {
        room_id,
        by,
        invitation: Invitation {
            user_ids: vec![UserId(id()), UserId(id())],
            refused: Vec::new(),
            min_members: 3,
            max_members: 3_000,
        },
        name: None,
        at: at(0),
    }
}

fn send(by: UserId) -> RoomCommand {
    RoomCommand::Send {
        by,
        message_id: MessageId(id()),
        body: sealed(by, "a text"),
        preview: None,
        mentions: Vec::new(),
        reply_to: None,
        at: at(1),
    }
}

/// A room with an owner, opened through the framework.
async fn opened_room(framework: &CqrsFramework<Room, Store>) -> (RoomId, UserId) {
    let (room_id, by) = (RoomId(id()), UserId(id()));
    let opened = framework.execute(&room_id.to_string(), open(room_id, by)).await;
    opened.expect("a room is opened");
    (room_id, by)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_framework_leaves_positions_and_sequences_dense() {
    let opened = Opened::fresh().await;
    let framework = framework(&opened);
    let rooms = join_all((0..4).map(|_| opened_room(&framework))).await;
    let metadata = HashMap::from([
        ("command_id".to_owned(), "17".to_owned()),
        ("shoe".to_owned(), "42".to_owned()),
    ]);
    let talk = async |(room_id, by): &(RoomId, UserId)| {
        for _ in 0..10 {
            let sent = framework
                .execute_with_metadata(&room_id.to_string(), send(*by), metadata.clone())
                .await;
            sent.expect("a message is sent");
        }
    };
    join_all(rooms.iter().map(talk)).await;
    let heads = opened.log.heads().await.expect("it can be read");
    assert_eq!(heads.iter().sum::<u64>(), 44);
    for (room_id, _) in &rooms {
        let stream = StreamId::Room(*room_id);
        let events = stream_events(&opened.log, stream).await;
        assert!(events.iter().map(|event| event.sequence).eq(1..=11));
        assert!(
            events.iter().all(|event| event.event.is_ok()),
            "our own readers understand them"
        );
        assert_eq!(events[1].metadata.command_id, "17");
        slice_events(&opened.log, stream.slice()).await;
        let loaded = store(&opened)
            .load_aggregate(&room_id.to_string())
            .await
            .expect("it is loaded");
        assert_eq!(loaded.current_sequence, 11);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_given_is_kept_and_hashed() {
    let opened = Opened::fresh().await;
    let framework = framework(&opened);
    let (room_id, by) = opened_room(&framework).await;
    let metadata = HashMap::from([("shoe".to_owned(), "42".to_owned())]);
    let sent = framework
        .execute_with_metadata(&room_id.to_string(), send(by), metadata)
        .await;
    sent.expect("a message is sent");
    let mut administrator = opened.administrator().await;
    let text =
        "SELECT event_type, event_version, payload::text, metadata::text, content_hash FROM events WHERE sequence = 2";
    let row = sqlx::query(text)
        .fetch_one(&mut administrator)
        .await
        .expect("it may look");
    let column = |index: usize| row.get::<String, _>(index);
    assert_eq!(column(3), r#"{"shoe":"42"}"#);
    let (name, version) = (column(0), column(1));
    let hash = content_hash(
        &StreamId::Room(room_id),
        2,
        (&name, &version),
        &column(2),
        &column(3),
        None,
        None,
    );
    assert_eq!(row.get::<Vec<u8>, _>(4), hash);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_race_is_a_conflict_and_loses_nothing() {
    let opened = Opened::fresh().await;
    let framework = framework(&opened);
    let (room_id, by) = opened_room(&framework).await;
    let name = room_id.to_string();
    let sends = join_all((0..16).map(|_| framework.execute(&name, send(by)))).await;
    let sent = sends.iter().filter(|sent| sent.is_ok()).count();
    let conflicts = sends
        .iter()
        .filter(|sent| matches!(sent, Err(AggregateError::AggregateConflict)))
        .count();
    assert_eq!(sent + conflicts, 16, "{sends:?}");
    assert!(sent >= 1);
    assert_eq!(
        stream_events(&opened.log, StreamId::Room(room_id)).await.len(),
        sent + 1
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_are_whole() {
    let opened = Opened::fresh().await;
    let framework = framework(&opened);
    let rooms = join_all((0..3).map(|_| opened_room(&framework))).await;
    let (room_id, by) = rooms[1];
    for _ in 0..250 {
        framework
            .execute(&room_id.to_string(), send(by))
            .await
            .expect("a message is sent");
    }
    let repository = PostgresRepository::new(opened.log.clone());
    let count = async |mut stream: cqrs_es::persist::ReplayStream| {
        let mut sequences: HashMap<String, usize> = HashMap::new();
        while let Some(event) = stream.next::<Room>(&[]).await {
            let event = event.expect("it can be read");
            let sequence = sequences.entry(event.aggregate_id).or_default();
            *sequence += 1;
            assert_eq!(event.sequence, *sequence);
        }
        sequences.values().sum::<usize>()
    };
    let one = repository.stream_events::<Room>(&room_id.to_string()).await;
    assert_eq!(count(one.expect("it begins")).await, 251);
    let all = repository.stream_all_events::<Room>().await;
    assert_eq!(count(all.expect("it begins")).await, 253);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_breaks_ends_in_an_error() {
    let opened = Opened::with(|settings| (settings.statement_ms, settings.lock_ms) = (500, 500)).await;
    let framework = framework(&opened);
    let (room_id, by) = opened_room(&framework).await;
    for _ in 0..600 {
        framework
            .execute(&room_id.to_string(), send(by))
            .await
            .expect("a message is sent");
    }
    let repository = PostgresRepository::new(opened.log.clone());
    let mut stream = repository
        .stream_events::<Room>(&room_id.to_string())
        .await
        .expect("it begins");
    stream
        .next::<Room>(&[])
        .await
        .expect("there is one")
        .expect("it can be read");
    // From now on nothing can be read: its pages are over before all of it was taken.
    let mut administrator = opened.administrator().await;
    sqlx::query("ALTER TABLE events RENAME TO elsewhere")
        .execute(&mut administrator)
        .await
        .expect("it may");
    eventually("its connections are ended", async || {
        end_connections(&mut administrator, "true").await == 0
    })
    .await;
    let mut last = None;
    let mut count = 1;
    while let Some(event) = stream.next::<Room>(&[]).await {
        count += 1;
        last = Some(event);
    }
    assert!(count < 601, "all of it was read before it could break");
    let last = last.expect("there is more");
    assert!(
        matches!(last, Err(PersistenceError::ConnectionError(_))),
        "it ended as if it were whole, after {count}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn snapshots_of_the_framework_are_refused() {
    let opened = Opened::fresh().await;
    let repository = PostgresRepository::new(opened.log.clone());
    let store = PersistedEventStore::<_, Room>::new_aggregate_store(repository);
    let framework = CqrsFramework::new(store, Vec::new(), ());
    let (room_id, by) = (RoomId(id()), UserId(id()));
    let refused = framework.execute(&room_id.to_string(), open(room_id, by)).await;
    assert!(
        matches!(refused, Err(AggregateError::UnexpectedError(_))),
        "{refused:?}"
    );
    assert_eq!(opened.log.heads().await.expect("it can be read").iter().sum::<u64>(), 0);
}
