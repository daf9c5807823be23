//! Locks that are held too long, logs that grow, and rows that nobody of ours wrote.

use std::time::Duration;

use cocotalk_application::contract::script::Script;
use cocotalk_application::contract::support::{
    PATIENCE, append, append_one, eventually, room, slice_events, stream_events, unit,
};
use cocotalk_application::error::{StoreError, chain};
use cocotalk_application::port::event_log::{EventLog as _, LogReader as _, UnitOutcome};
use cocotalk_application::port::read_model::ReadModel as _;
use cocotalk_infra::embedded::Settings;
use futures_util::future::join_all;
use sqlx::{Connection as _, SqliteConnection};

use crate::opened::{Home, Opened};

async fn beside(home: &Home) -> SqliteConnection {
    let url = format!("sqlite://{}", home.file("cocotalk.db").display());
    SqliteConnection::connect(&url).await.expect("the file opens")
}

#[tokio::test]
async fn a_lock_that_is_held_too_long_is_lost() {
    let home = Home::new();
    let settings = Settings {
        lock_ms: 50,
        ..home.settings()
    };
    let opened = Opened::with(&home, &settings, Vec::new())
        .await
        .expect("the store opens");
    let stream = room();
    let locked = opened
        .store
        .lock([stream.slice()].into())
        .await
        .expect("it can be locked");
    append(&opened.store, unit(stream, 0, 1)).await;
    assert_eq!(locked.load(&stream, 0).await.expect("it can be read").len(), 1);
    let late = locked.commit(unit(stream, 1, 1)).await;
    let Err(error @ StoreError::Unavailable { .. }) = late else {
        panic!("it was committed late: {late:?}")
    };
    assert!(chain(&error).contains("too long"), "{}", chain(&error));
    assert_eq!(stream_events(&opened.store, stream).await.len(), 1);
}

/// Pages in the engine's log, as its index tells.
fn logged_pages(home: &Home) -> u32 {
    let index = std::fs::read(home.file("cocotalk.db-shm")).expect("the index is there");
    u32::from_ne_bytes(index[16..20].try_into().expect("four bytes"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_of_the_engine_begins_anew_under_load() {
    const LIMIT: u64 = 512 << 10;
    let home = Home::new();
    let settings = Settings {
        log_prepared_bytes: 0,
        log_copy_bytes: LIMIT / 4,
        log_limit_bytes: LIMIT,
        ..home.settings()
    };
    let opened = Opened::with(&home, &settings, Vec::new())
        .await
        .expect("the store opens");
    let streams: Vec<_> = (0..20).map(|_| room()).collect();
    let (mut written, mut pages, mut beginnings) = (0, 0, 0);
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while beginnings < 3 {
        assert!(
            tokio::time::Instant::now() < deadline,
            "the log only grows: {pages} pages"
        );
        let units = streams.iter().map(|stream| unit(*stream, written, 1)).collect();
        let outcomes = opened.store.append(units).await.expect("it can be written");
        assert!(
            outcomes
                .iter()
                .all(|outcome| matches!(outcome, UnitOutcome::Appended { .. }))
        );
        written += 1;
        let before = std::mem::replace(&mut pages, logged_pages(&home));
        beginnings += usize::from(pages < before);
    }
    for stream in streams {
        assert_eq!(stream_events(&opened.store, stream).await.len() as u64, written);
    }
}

#[tokio::test]
async fn a_commit_that_comes_after_a_full_queue_waits() {
    let home = Home::new();
    let settings = Settings {
        queue_requests: 1,
        ..home.settings()
    };
    let opened = Opened::with(&home, &settings, Vec::new())
        .await
        .expect("the store opens");
    let stream = room();
    let locked = opened
        .store
        .lock([stream.slice()].into())
        .await
        .expect("it can be locked");
    let mut many = Box::pin(join_all((0..20).map(|_| append_one(&opened.store, unit(room(), 0, 1)))));
    assert!(
        tokio::time::timeout(Duration::from_millis(50), &mut many)
            .await
            .is_err(),
        "somebody did not wait"
    );
    drop(locked);
    assert!(
        many.await
            .iter()
            .all(|outcome| matches!(outcome, UnitOutcome::Appended { .. }))
    );
}

#[tokio::test]
async fn an_event_of_a_later_release_is_shown_as_such_and_parks_its_aggregate() {
    let opened = Opened::fresh(Vec::new()).await;
    let (stream, other) = (room(), room());
    append(&opened.store, unit(stream, 0, 2)).await;
    append(&opened.store, unit(other, 0, 2)).await;
    let home = opened.close().await;
    let text = "INSERT INTO events SELECT aggregate_type, aggregate_id, 3, 'room.painted', '9', '{}', metadata, slice, \
        (SELECT max(slice_pos) + 1 FROM events e WHERE e.slice = events.slice), ts_us + 1000000, NULL, NULL, NULL, NULL, \
        NULL, content_hash FROM events WHERE aggregate_id = ? AND sequence = 2";
    let aggregate_id = stream.aggregate_id();
    sqlx::query(text)
        .bind(aggregate_id)
        .execute(&mut beside(&home).await)
        .await
        .expect("it is written");

    let script = Script::new("script");
    let opened = Opened::at(&home, vec![script]).await;
    let events = stream_events(&opened.store, stream).await;
    assert!(events[1].event.is_ok());
    let error = events[2].event.as_ref().expect_err("nobody can read it");
    assert!(error.to_string().contains("room.painted v9"), "{error}");
    slice_events(&opened.store, stream.slice()).await;
    eventually("the projection arrives", async || {
        let at = opened.store.checkpoints("script").await.expect("it can be read");
        at == opened.store.heads().await.expect("it can be read")
    })
    .await;
    let home = opened.close().await;
    let parked: Vec<(i64,)> = sqlx::query_as("SELECT sequence FROM parked")
        .fetch_all(&mut beside(&home).await)
        .await
        .expect("it is there");
    assert_eq!(parked, [(3,)]);
}

#[tokio::test]
async fn events_cannot_be_changed_or_removed() {
    let opened = Opened::fresh(Vec::new()).await;
    append(&opened.store, unit(room(), 0, 1)).await;
    let home = opened.close().await;
    let mut connection = beside(&home).await;
    for text in ["UPDATE events SET payload = '{}'", "DELETE FROM events"] {
        let error = sqlx::query(text)
            .execute(&mut connection)
            .await
            .expect_err("the file refuses it");
        assert!(error.to_string().contains("events are never"), "{error}");
    }
}

#[tokio::test]
async fn after_the_end_callers_are_told() {
    let opened = Opened::fresh(Vec::new()).await;
    let store = opened.store.clone();
    opened.close().await;
    let error = store.append(vec![unit(room(), 0, 1)]).await.expect_err("it is closed");
    assert!(chain(&error).contains("closed"), "{}", chain(&error));
    assert!(store.load(&room(), 0).await.is_err());
}
