//! What publishing to the bus promises.

use cocotalk_domain::stream::{Slice, StreamId};

use super::Bus;
use super::assignment::Follower;
use super::support::{event, eventually, room, room_in};
use crate::port::event_log::Metadata;
use crate::port::outbox::LogRecord;
use crate::port::publisher::Publisher;

/// The record of some event of a stream: its number in the stream is its position in the slice.
pub fn record(stream: StreamId, position: u64) -> LogRecord {
    let metadata = Metadata {
        actor: "somebody".to_owned(),
        command_id: format!("command of {position}"),
        session_id: None,
        traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()),
    };
    let event = event(stream, position);
    LogRecord {
        aggregate_type: stream.aggregate_type().to_owned(),
        aggregate_id: stream.aggregate_id(),
        sequence: position,
        slice: stream.slice(),
        slice_pos: position,
        ts_us: 1_767_225_600_000_000 + position as i64,
        event_type: event.name().to_owned(),
        event_version: event.version().to_owned(),
        payload: event.payload(),
        metadata: serde_json::to_string(&metadata).expect("metadata is plain data"),
    }
}

/// Records of a stream at these positions.
pub fn records(stream: StreamId, positions: impl IntoIterator<Item = u64>) -> Vec<LogRecord> {
    positions.into_iter().map(|position| record(stream, position)).collect()
}

/// Publishes records that have to arrive.
pub async fn publish(publisher: &dyn Publisher, records: Vec<LogRecord>) {
    publisher.publish(records).await.expect("the bus takes records");
}

async fn tail(bus: &Bus, stream: StreamId) -> Option<u64> {
    let tails = bus.publisher.tails().await.expect("the bus can be asked");
    tails[stream.slice().index()]
}

/// Two slices, with a stream in each.
fn two() -> (StreamId, StreamId) {
    let stream = room();
    let other = Slice::all().find(|slice| *slice != stream.slice());
    (stream, room_in(other.expect("there are others")))
}

/// What is delivered is what was published.
pub async fn what_is_published_is_delivered(bus: Bus) {
    let follower = Follower::of((bus.join)());
    let (one, two) = two();
    let mut published = Vec::new();
    for position in 1..=5 {
        published.extend([record(one, position), record(two, position)]);
    }
    publish(&*bus.publisher, published.clone()).await;
    eventually("everything is delivered", async || follower.count() >= 10).await;
    for stream in [one, two] {
        let delivered = follower.events(stream.slice());
        let published: Vec<_> = published.iter().filter(|r| r.slice == stream.slice()).collect();
        assert_eq!(delivered.len(), published.len());
        for (event, record) in delivered.iter().zip(published) {
            let expected = record.as_stored().recorded().expect("it is an event");
            assert_eq!((event.stream, event.sequence), (expected.stream, expected.sequence));
            assert_eq!((event.slice, event.slice_pos), (expected.slice, expected.slice_pos));
            assert_eq!(event.ts_us, expected.ts_us);
            assert_eq!(event.event, expected.event);
            assert_eq!(event.metadata, expected.metadata);
        }
    }
}

/// Everything is there once, in the order of the calls, while others publish to other slices.
pub async fn a_slice_is_delivered_in_the_order_of_its_calls(bus: Bus) {
    const SLICES: usize = 8;
    let follower = Follower::of((bus.join)());
    let streams: Vec<_> = (0..SLICES)
        .map(|i| room_in(Slice::new(i * 7).expect("it is below 64")))
        .collect();
    let sizes = [1, 2, 37, 300, 1, 1, 64, 700, 5];
    let calls = streams.iter().map(|stream| async {
        let mut next = 1;
        for size in sizes {
            publish(&*bus.publisher, records(*stream, next..next + size)).await;
            next += size;
        }
    });
    futures_util::future::join_all(calls).await;
    let each: u64 = sizes.iter().sum();
    let all = SLICES * each as usize;
    eventually("everything is delivered", async || follower.count() >= all).await;
    for stream in streams {
        let expected: Vec<u64> = (1..=each).collect();
        assert_eq!(follower.positions(stream.slice()), expected);
    }
}

/// An empty slice says nothing.
pub async fn an_empty_slice_has_no_tail(bus: Bus) {
    let (one, two) = two();
    publish(&*bus.publisher, records(one, 1..=3)).await;
    assert_eq!(tail(&bus, two).await, None);
    assert_eq!(tail(&bus, one).await, Some(3));
}

/// The tail is the last position that was published.
pub async fn a_tail_is_where_publishing_has_ended(bus: Bus) {
    let (one, two) = two();
    for position in 1..=3 {
        publish(&*bus.publisher, records(one, [position])).await;
        assert_eq!(tail(&bus, one).await, Some(position));
    }
    publish(&*bus.publisher, records(one, 4..=1_000)).await;
    publish(&*bus.publisher, records(two, 1..=1)).await;
    assert_eq!(tail(&bus, one).await, Some(1_000));
    assert_eq!(tail(&bus, two).await, Some(1));
}

/// What an old leader repeats moves no tail.
pub async fn what_is_repeated_moves_no_tail(bus: Bus) {
    let stream = room();
    publish(&*bus.publisher, records(stream, 1..=10)).await;
    publish(&*bus.publisher, records(stream, 4..=6)).await;
    assert_eq!(tail(&bus, stream).await, Some(10));
    publish(&*bus.publisher, records(stream, 7..=11)).await;
    assert_eq!(tail(&bus, stream).await, Some(11));
}

/// What is missing is what is published next.
pub async fn a_hole_holds_the_tail_back(bus: Bus) {
    let stream = room();
    publish(&*bus.publisher, records(stream, [1, 2, 4, 5])).await;
    assert_eq!(tail(&bus, stream).await, Some(2));
    publish(&*bus.publisher, records(stream, [3, 4, 5, 6])).await;
    assert_eq!(tail(&bus, stream).await, Some(6));
}

/// An empty call does nothing.
pub async fn nothing_is_published_by_an_empty_call(bus: Bus) {
    publish(&*bus.publisher, Vec::new()).await;
    let tails = bus.publisher.tails().await.expect("the bus can be asked");
    assert!(tails.iter().all(Option::is_none));
}
