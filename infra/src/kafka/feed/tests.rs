//! The feed against a reader that hears nothing.

use cocotalk_application::contract::publisher::records;
use cocotalk_application::contract::support::{PATIENCE, room_in};
use cocotalk_application::port::publisher::Publisher as _;
use cocotalk_domain::stream::{SLICES, Slice};
use rdkafka::mocking::MockCluster;

use super::*;
use crate::kafka::KafkaPublisher;

#[tokio::test]
async fn a_reader_that_has_gone_deaf_is_found_and_listens_again() {
    let cluster = MockCluster::new(1).expect("a cluster is played");
    let settings = Settings {
        brokers: cluster.bootstrap_servers(),
        ..Settings::default()
    };
    let topic = &settings.events_topic;
    cluster
        .create_topic(topic, SLICES as i32, 1)
        .expect("a topic is played");
    let health = Arc::new(Health::new(CLIENT));
    let reader = Reader::at_the_ends(&settings, topic, &health).await.expect("it opens");
    // What the driver's fault does to one partition: nothing comes any more, and nothing says so.
    reader.turn_deaf();
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    let (guard, commits) = (reader.watch(), live::commits());
    let (mut listener, feed) = (commits.subscribe(), commits.clone());
    let follow = move |stop: &CancellationToken| follow(reader, &feed, stop);
    let _deaf = Worker::start("deaf", &tasks, &stop, follow).expect("a thread");
    let _keeps = Worker::start("deaf-watch", &tasks, &stop, move |stop| guard.keep(stop)).expect("a thread");

    let publisher = KafkaPublisher::open(&settings).expect("the settings are taken");
    let stream = room_in(Slice::new(5).expect("it is below 64"));
    let done = publisher.publish(records(stream, 1..=3)).await;
    done.expect("it is published");
    let mut positions = Vec::new();
    while positions.len() < 3 {
        let next = tokio::time::timeout(PATIENCE, listener.recv()).await;
        let next = next.expect("it is told").expect("nobody is behind");
        positions.extend(next.iter().map(|event| event.slice_pos));
    }
    assert_eq!(positions, [1, 2, 3]);
    stop.cancel();
}
