//! What the feed tells.

use cocotalk_application::contract::publisher::{publish, records};
use cocotalk_application::contract::support::{eventually, room_in};
use cocotalk_application::error::StoreError;
use cocotalk_application::port::live::{Committed, EventFeed as _};
use cocotalk_domain::stream::Slice;
use cocotalk_infra::kafka::KafkaFeed;
use tokio::sync::broadcast::Receiver;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::opened::{self, Opened, PATIENCE};

async fn open(opened: &Opened) -> KafkaFeed {
    let feed = KafkaFeed::open(&opened.settings, &opened.tasks, CancellationToken::new()).await;
    feed.expect("the feed opens")
}

/// The next so many events, as slice and position.
async fn told(feed: &mut Receiver<Committed>, count: usize) -> Vec<(usize, u64)> {
    let mut told = Vec::new();
    while told.len() < count {
        let next = tokio::time::timeout(PATIENCE, feed.recv()).await;
        let next = next.expect("what is published is told").expect("nobody is behind");
        assert!(!next.is_empty());
        told.extend(next.iter().map(|event| (event.slice.index(), event.slice_pos)));
    }
    told
}

fn of_slice(told: &[(usize, u64)], slice: usize) -> Vec<u64> {
    let of_slice = told.iter().filter(|(of, _)| *of == slice);
    of_slice.map(|(_, position)| *position).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_node_is_told_everything_published_after_it_opened() {
    const EACH: u64 = 50;
    let opened = Opened::fresh().await;
    let publisher = opened.publisher();
    let streams: Vec<_> = Slice::all().map(room_in).collect();
    let before = streams.iter().flat_map(|stream| records(*stream, 1..=3));
    publish(&publisher, before.collect()).await;
    let (one, two) = (open(&opened).await, open(&opened).await);
    let (mut to_one, mut to_two) = (one.subscribe(), two.subscribe());
    for position in 4..=EACH {
        let next = streams.iter().flat_map(|stream| records(*stream, [position]));
        publish(&publisher, next.collect()).await;
    }
    let expected: Vec<u64> = (4..=EACH).collect();
    let all = streams.len() * expected.len();
    for told in [told(&mut to_one, all).await, told(&mut to_two, all).await] {
        for slice in Slice::all() {
            assert_eq!(of_slice(&told, slice.index()), expected, "slice {slice}");
        }
    }
    assert_eq!((one.fault(), two.fault()), (None, None));
}

#[tokio::test]
async fn nothing_that_was_there_before_is_told() {
    let opened = Opened::fresh().await;
    let publisher = opened.publisher();
    let stream = room_in(Slice::new(2).expect("it is below 64"));
    publish(&publisher, records(stream, 1..=5)).await;
    let feed = open(&opened).await;
    let mut listener = feed.subscribe();
    publish(&publisher, records(stream, [6])).await;
    assert_eq!(told(&mut listener, 1).await, [(2, 6)]);
}

#[tokio::test]
async fn what_is_none_of_ours_is_skipped() {
    let opened = Opened::fresh().await;
    let publisher = opened.publisher();
    let feed = open(&opened).await;
    let mut listener = feed.subscribe();
    let stream = room_in(Slice::new(8).expect("it is below 64"));
    publish(&publisher, records(stream, [1])).await;
    opened.write(&opened.settings.events_topic, 8, b"garbage", &[]).await;
    publish(&publisher, records(stream, [2])).await;
    assert_eq!(told(&mut listener, 2).await, [(8, 1), (8, 2)]);
}

#[tokio::test]
async fn a_feed_ends_with_its_process() {
    let opened = Opened::fresh().await;
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    let feed = KafkaFeed::open(&opened.settings, &tasks, stop.clone()).await;
    let feed = feed.expect("the feed opens");
    stop.cancel();
    tasks.close();
    tokio::time::timeout(PATIENCE, tasks.wait()).await.expect("it ends");
    assert_eq!(feed.fault(), None, "it was told to");
    drop(feed);
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    drop(
        KafkaFeed::open(&opened.settings, &tasks, stop)
            .await
            .expect("the feed opens"),
    );
    tasks.close();
    tokio::time::timeout(PATIENCE, tasks.wait())
        .await
        .expect("one that is dropped ends too");
}

#[tokio::test]
async fn a_bus_that_is_away_or_was_not_migrated_is_told() {
    let tasks = TaskTracker::new();
    let mut settings = opened::settings("127.0.0.1:1".to_owned());
    settings.request_ms = 500;
    let away = KafkaFeed::open(&settings, &tasks, CancellationToken::new()).await.err();
    assert!(matches!(away, Some(StoreError::Unavailable { .. })), "{away:?}");
    let settings = opened::settings(opened::server());
    let missing = KafkaFeed::open(&settings, &tasks, CancellationToken::new()).await.err();
    let Some(StoreError::Corrupt { why, .. }) = missing else {
        panic!("{missing:?}")
    };
    assert!(why.contains("cocotalk migrate"), "{why}");
    eventually("nothing is left running", async || tasks.is_empty()).await;
}
