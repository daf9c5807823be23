//! A bus that is away, comes back, or refuses: against a cluster that the driver plays, since a test cannot stop the broker
//! that others work with.

use std::time::{Duration, Instant};

use cocotalk_application::contract::Process;
use cocotalk_application::contract::assignment::Follower;
use cocotalk_application::contract::publisher::{publish, records};
use cocotalk_application::contract::support::{eventually, room_in};
use cocotalk_application::error::StoreError;
use cocotalk_application::port::live::EventFeed as _;
use cocotalk_application::port::publisher::Publisher as _;
use cocotalk_domain::stream::{SLICES, Slice, StreamId};
use cocotalk_infra::kafka::{KafkaAssignments, KafkaFeed, KafkaPublisher, Settings};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::opened::{self, PATIENCE};

/// All brokers.
const ALL: i32 = -1;

/// A cluster of one broker that is played.
struct Played {
    cluster: MockCluster<'static, DefaultProducerContext>,
    settings: Settings,
    tasks: TaskTracker,
}

impl Played {
    fn new() -> Self {
        let cluster = MockCluster::new(1).expect("a cluster is played");
        let mut settings = opened::settings(cluster.bootstrap_servers());
        settings.delivery_ms = 3_000;
        for topic in [&settings.events_topic, &settings.ephemeral_topic] {
            cluster
                .create_topic(topic, SLICES as i32, 1)
                .expect("a topic is played");
        }
        Self {
            cluster,
            settings,
            tasks: TaskTracker::new(),
        }
    }

    fn publisher(&self) -> KafkaPublisher {
        KafkaPublisher::open(&self.settings).expect("the settings are taken")
    }

    async fn feed(&self) -> KafkaFeed {
        let feed = KafkaFeed::open(&self.settings, &self.tasks, CancellationToken::new()).await;
        feed.expect("the feed opens")
    }
}

fn stream() -> StreamId {
    room_in(Slice::new(4).expect("it is below 64"))
}

async fn tail(publisher: &KafkaPublisher) -> u64 {
    publisher.tails().await.expect("the bus can be asked")[4].unwrap_or(0)
}

#[tokio::test]
async fn publishing_fails_in_time_while_the_bus_is_away() {
    let mut settings = opened::settings("127.0.0.1:1".to_owned());
    (settings.delivery_ms, settings.request_ms) = (500, 500);
    let publisher = KafkaPublisher::open(&settings).expect("the settings are taken");
    let started = Instant::now();
    let refused = publisher.publish(records(stream(), 1..=300)).await;
    assert!(matches!(refused, Err(StoreError::Unavailable { .. })), "{refused:?}");
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    let fault = publisher.fault().unwrap_or_default();
    assert!(fault.starts_with("kafka: cannot be reached: 127.0.0.1:1"), "{fault}");
    let tails = publisher.tails().await;
    assert!(matches!(tails, Err(StoreError::Unavailable { .. })), "{tails:?}");
}

#[tokio::test]
async fn after_a_refusal_publishing_goes_on_where_the_bus_says() {
    let played = Played::new();
    let (publisher, stream) = (played.publisher(), stream());
    publish(&publisher, records(stream, 1..=3)).await;
    let refusal = RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE;
    played.cluster.request_errors(RDKafkaApiKey::Produce, &[refusal]);
    let refused = publisher.publish(records(stream, 4..=500)).await;
    assert!(matches!(refused, Err(StoreError::Unavailable { .. })), "{refused:?}");
    let reached = tail(&publisher).await;
    assert!((3..500).contains(&reached), "{reached}");
    publish(&publisher, records(stream, reached + 1..=500)).await;
    assert_eq!(tail(&publisher).await, 500);
}

#[tokio::test]
async fn a_producer_that_cannot_go_on_is_made_anew() {
    let played = Played::new();
    let (publisher, stream) = (played.publisher(), stream());
    publish(&publisher, records(stream, 1..=3)).await;
    // For the producer's oldest request this means that the bus has lost what it had acknowledged.
    let lost = RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_PRODUCER_ID;
    let out_of_order = RDKafkaRespErr::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER;
    played
        .cluster
        .request_errors(RDKafkaApiKey::Produce, &[out_of_order, lost]);
    let refused = publisher.publish(records(stream, [4])).await;
    assert!(matches!(refused, Err(StoreError::Unavailable { .. })), "{refused:?}");
    let reached = tail(&publisher).await;
    publish(&publisher, records(stream, reached + 1..=5)).await;
    assert_eq!(tail(&publisher).await, 5);
}

#[tokio::test]
async fn everybody_goes_on_when_the_bus_is_back() {
    let played = Played::new();
    let (publisher, stream) = (played.publisher(), stream());
    let feed = played.feed().await;
    let mut listener = feed.subscribe();
    let stop = CancellationToken::new();
    let assignments = KafkaAssignments::open(&played.settings, &played.tasks, stop.clone());
    let follower = Follower::of(Process {
        assignments: std::sync::Arc::new(assignments.expect("the settings are taken")),
        stop,
    });
    publish(&publisher, records(stream, 1..=3)).await;
    eventually("the group gets it", async || {
        follower.positions(stream.slice()) == [1, 2, 3]
    })
    .await;

    played.cluster.broker_down(ALL).expect("it is down");
    let refused = publisher.publish(records(stream, 4..=6)).await;
    assert!(matches!(refused, Err(StoreError::Unavailable { .. })), "{refused:?}");
    eventually("all are told", async || {
        publisher.fault().is_some() && feed.fault().is_some() && follower.assignments().fault().is_some()
    })
    .await;

    played.cluster.broker_up(ALL).expect("it is up");
    let reached = loop {
        // As the relay does.
        if let Ok(tails) = publisher.tails().await {
            break tails[4].unwrap_or(0);
        }
    };
    assert!(reached >= 3);
    eventually("it can be published", async || {
        publisher.publish(records(stream, reached + 1..=9)).await.is_ok()
    })
    .await;
    let mut told = Vec::new();
    while told.last() != Some(&9) {
        let next = tokio::time::timeout(PATIENCE, listener.recv()).await;
        let next = next.expect("it is told").expect("nobody is behind");
        told.extend(next.iter().map(|event| event.slice_pos));
    }
    told.dedup();
    assert_eq!(told, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    eventually("the group gets it", async || {
        follower.positions(stream.slice()).last() == Some(&9)
    })
    .await;
    eventually("no fault is left", async || {
        publisher.fault().is_none() && feed.fault().is_none() && follower.assignments().fault().is_none()
    })
    .await;
}

#[tokio::test]
async fn a_feed_that_retention_has_passed_by_goes_on_with_what_is_left() {
    let played = Played::new();
    let (publisher, stream) = (played.publisher(), stream());
    publish(&publisher, records(stream, 1..=3)).await;
    let feed = played.feed().await;
    let mut listener = feed.subscribe();
    let beyond = RDKafkaRespErr::RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE;
    played.cluster.request_errors(RDKafkaApiKey::Fetch, &[beyond; 4]);
    publish(&publisher, records(stream, 4..=6)).await;
    let mut told = Vec::new();
    while told.last() != Some(&6) {
        let next = tokio::time::timeout(PATIENCE, listener.recv()).await;
        let next = next.expect("it is told").expect("nobody is behind");
        told.extend(next.iter().map(|event| event.slice_pos));
    }
    assert!(told.ends_with(&[4, 5, 6]), "{told:?}");
}
