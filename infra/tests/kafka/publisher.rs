//! What lies on the bus after publishing, and where publishing goes on.

use cocotalk_application::contract::publisher::{publish, record, records};
use cocotalk_application::contract::support::{room, room_in};
use cocotalk_application::port::publisher::Publisher as _;
use cocotalk_domain::stream::Slice;
use cocotalk_infra::kafka::record::log_record;
use rdkafka::admin::AdminOptions;
use rdkafka::message::{Headers as _, Message as _};
use rdkafka::{Offset, TopicPartitionList};

use crate::opened::Opened;

fn slice(number: usize) -> Slice {
    Slice::new(number).expect("it is below 64")
}

#[tokio::test]
async fn a_record_lies_on_the_bus_as_it_lies_in_the_log() {
    let opened = Opened::fresh().await;
    let mut published = record(room(), 1);
    published.payload = "{ \"room.unheard_of\" : {\"x\":1.50, \"y\":\"\\u0041\"} }".to_owned();
    let partition = published.slice.index() as i32;
    publish(&opened.publisher(), vec![published.clone()]).await;
    let message = opened.read(partition, 1).await.remove(0);
    assert_eq!(log_record(&message).expect("it is a record"), published);
    assert_eq!(message.key(), Some(published.aggregate_id.as_bytes()));
    assert_eq!(message.partition(), partition);
    let value = format!(
        r#"{{"payload":{},"metadata":{}}}"#,
        published.payload, published.metadata
    );
    assert_eq!(message.payload(), Some(value.as_bytes()));
    let headers = message.headers().expect("it has headers");
    let names: Vec<_> = headers.iter().map(|header| header.key.to_owned()).collect();
    let expected = [
        "aggregate_type",
        "aggregate_id",
        "event_type",
        "event_version",
        "slice",
        "slice_pos",
        "ts_us",
        "sequence",
        "event_id",
        "traceparent",
    ];
    assert_eq!(names, expected);
}

#[tokio::test]
async fn a_call_that_is_larger_than_the_queue_waits_for_room() {
    let mut opened = Opened::fresh().await;
    opened.settings.publish_kib = 64;
    let publisher = opened.publisher();
    let streams = [3, 4, 5].map(|number| room_in(slice(number)));
    let all: Vec<_> = streams.iter().flat_map(|stream| records(*stream, 1..=100)).collect();
    let size: usize = all.iter().map(|record| record.payload.len()).sum();
    assert!(size > 64 * 1_024, "{size} bytes fit in");
    publish(&publisher, all).await;
    let tails = publisher.tails().await.expect("the bus can be asked");
    assert_eq!(tails[3..6], [Some(100); 3]);
}

#[tokio::test]
async fn tails_of_all_slices_are_found_at_once() {
    let opened = Opened::fresh().await;
    let publisher = opened.publisher();
    let all = Slice::all().flat_map(|slice| records(room_in(slice), 1..=slice.index() as u64 * 10));
    publish(&publisher, all.collect()).await;
    let tails = publisher.tails().await.expect("the bus can be asked");
    for slice in Slice::all() {
        let expected = slice.index() as u64 * 10;
        assert_eq!(
            tails[slice.index()],
            (expected > 0).then_some(expected),
            "slice {slice}"
        );
    }
}

#[tokio::test]
async fn a_tail_is_found_behind_many_repetitions() {
    let opened = Opened::fresh().await;
    let publisher = opened.publisher();
    let stream = room_in(slice(5));
    publish(&publisher, records(stream, 1..=600)).await;
    // An old leader goes on for a while, further than the first look back reaches.
    publish(&publisher, records(stream, 401..=595)).await;
    let tails = publisher.tails().await.expect("the bus can be asked");
    let tail = tails[5].expect("the partition is not empty");
    assert!((595..=600).contains(&tail), "{tail}");
    publish(&publisher, records(stream, tail + 1..=610)).await;
    assert_eq!(publisher.tails().await.expect("the bus can be asked")[5], Some(610));
}

#[tokio::test]
async fn a_tail_is_careful_where_the_rest_is_gone() {
    let opened = Opened::fresh().await;
    let publisher = opened.publisher();
    let stream = room_in(slice(9));
    publish(&publisher, records(stream, 1..=400)).await;
    // Retention has taken all but the last five, and of another slice everything.
    let other = room_in(slice(10));
    publish(&publisher, records(other, 1..=3)).await;
    let mut gone = TopicPartitionList::new();
    let topic = &opened.settings.events_topic;
    gone.add_partition_offset(topic, 9, Offset::Offset(395))
        .expect("an offset");
    gone.add_partition_offset(topic, 10, Offset::Offset(3))
        .expect("an offset");
    let deleted = opened.admin().delete_records(&gone, &AdminOptions::new()).await;
    deleted.expect("records are deleted");
    let tails = publisher.tails().await.expect("the bus can be asked");
    let tail = tails[9].expect("the partition is not empty");
    assert!(
        (400 - 128..=400).contains(&tail),
        "never beyond, and at most a round before: {tail}"
    );
    assert_eq!(tails[10], None);
}

#[tokio::test]
async fn what_is_none_of_ours_does_not_count() {
    let opened = Opened::fresh().await;
    let publisher = opened.publisher();
    let topic = &opened.settings.events_topic;
    opened.write(topic, 3, b"garbage", &[]).await;
    let tails = publisher.tails().await.expect("the bus can be asked");
    assert_eq!(tails[3], None);
    publish(&publisher, records(room_in(slice(3)), 1..=2)).await;
    opened
        .write(topic, 3, b"{}", &[("slice", b"4"), ("slice_pos", b"900")])
        .await;
    opened
        .write(topic, 3, b"{}", &[("slice", b"3"), ("slice_pos", b"many")])
        .await;
    let tails = publisher.tails().await.expect("the bus can be asked");
    assert_eq!(tails[3], Some(2));
}
