//! Lanes, without a bus.

use cocotalk_application::contract::support::{event, room};
use cocotalk_application::port::event_log::{Metadata, RecordedEvent};
use tokio::sync::mpsc::error::TryRecvError;

use super::*;

const QUEUE: usize = 2;

fn slice(number: usize) -> Slice {
    Slice::new(number).expect("it is below 64")
}

fn delivery(offset: i64) -> Delivery {
    let stream = room();
    let event = RecordedEvent {
        stream,
        sequence: 1,
        slice: stream.slice(),
        slice_pos: 1,
        ts_us: 1,
        event: Ok(event(stream, 1)),
        metadata: Arc::new(Metadata::default()),
    };
    Delivery {
        event: Arc::new(event),
        offset,
    }
}

fn fill(lanes: &mut Lanes, number: usize, offsets: std::ops::Range<i64>, now: Instant) {
    for offset in offsets {
        lanes.take(slice(number), delivery(offset), now);
    }
}

fn drain(assignment: &mut Assignment) -> Vec<i64> {
    let next = || assignment.deliveries.try_recv().ok();
    std::iter::from_fn(next).map(|delivery| delivery.offset).collect()
}

#[test]
fn a_slice_is_delivered_in_order_through_a_queue_that_is_too_short() {
    let (mut lanes, now) = (Lanes::new(QUEUE), Instant::now());
    let mut assignment = lanes.open(slice(7));
    fill(&mut lanes, 7, 0..5, now);
    assert!(lanes.is_pressed());
    let mut delivered = Vec::new();
    while delivered.len() < 5 {
        delivered.extend(drain(&mut assignment));
        assert_eq!(lanes.relieve(now), Pressure::default());
    }
    assert_eq!(delivered, [0, 1, 2, 3, 4]);
    assert!(!lanes.is_pressed());
}

#[test]
fn a_full_slice_holds_up_nobody_else() {
    let (mut lanes, now) = (Lanes::new(QUEUE), Instant::now());
    let (slow, mut fast) = (lanes.open(slice(1)), lanes.open(slice(2)));
    fill(&mut lanes, 1, 0..5, now);
    fill(&mut lanes, 2, 0..2, now);
    assert_eq!(drain(&mut fast), [0, 1]);
    drop(slow);
}

#[test]
fn a_slice_is_paused_after_a_while_and_goes_on_when_all_is_in_its_queue() {
    let (mut lanes, now) = (Lanes::new(QUEUE), Instant::now());
    let mut assignment = lanes.open(slice(1));
    fill(&mut lanes, 1, 0..5, now);
    let later = now + PATIENCE / 2;
    assert_eq!(lanes.relieve(later), Pressure::default());
    let later = now + PATIENCE;
    let pause = Pressure {
        pause: vec![slice(1)],
        resume: Vec::new(),
    };
    assert_eq!(lanes.relieve(later), pause);
    assert_eq!(lanes.relieve(later), Pressure::default(), "it is paused once");
    assert_eq!(drain(&mut assignment), [0, 1]);
    assert_eq!(lanes.relieve(later), Pressure::default(), "one is waiting still");
    assert_eq!(drain(&mut assignment), [2, 3]);
    let resume = Pressure {
        pause: Vec::new(),
        resume: vec![slice(1)],
    };
    assert_eq!(lanes.relieve(later), resume);
    assert_eq!(drain(&mut assignment), [4]);
}

#[test]
fn a_moment_of_pressure_begins_anew_after_relief() {
    let (mut lanes, now) = (Lanes::new(QUEUE), Instant::now());
    let mut assignment = lanes.open(slice(1));
    fill(&mut lanes, 1, 0..3, now);
    drain(&mut assignment);
    let later = now + PATIENCE;
    assert_eq!(lanes.relieve(later), Pressure::default());
    fill(&mut lanes, 1, 3..6, later);
    assert_eq!(lanes.relieve(later), Pressure::default());
}

#[test]
fn what_waits_is_bounded() {
    let (mut lanes, now) = (Lanes::new(QUEUE), Instant::now());
    let _assignment = lanes.open(slice(1));
    fill(&mut lanes, 1, 0..(QUEUE + QUEUE * WAITING) as i64, now);
    assert_eq!(lanes.relieve(now).pause, [slice(1)], "no time has passed");
}

#[test]
fn deliveries_end_when_the_lane_is_closed_and_what_was_delivered_is_still_there() {
    let (mut lanes, now) = (Lanes::new(QUEUE), Instant::now());
    let mut assignment = lanes.open(slice(1));
    fill(&mut lanes, 1, 0..1, now);
    let closed = lanes.close(&[slice(1), slice(2)]);
    assert_eq!(closed.len(), 1);
    assert_eq!(lanes.len(), 0);
    fill(&mut lanes, 1, 1..2, now);
    assert_eq!(drain(&mut assignment), [0]);
    assert_eq!(
        assignment.deliveries.try_recv().unwrap_err(),
        TryRecvError::Disconnected
    );
    assert!(!closed[0].is_dropped_by(Instant::now()));
    drop(assignment);
    assert!(closed[0].is_dropped_by(Instant::now() + PATIENCE));
}

#[test]
fn an_assignment_that_was_dropped_early_does_not_fill_up() {
    let (mut lanes, now) = (Lanes::new(QUEUE), Instant::now());
    drop(lanes.open(slice(1)));
    fill(&mut lanes, 1, 0..100, now);
    assert!(!lanes.is_pressed());
}

#[test]
fn what_was_acknowledged_is_told_once_and_never_goes_back() {
    let mut lanes = Lanes::new(QUEUE);
    let assignment = lanes.open(slice(1));
    let _other = lanes.open(slice(2));
    assert_eq!(lanes.done(), [(slice(1), None), (slice(2), None)]);
    assert_eq!(lanes.news(), []);
    assignment.acknowledge.done(0);
    assert_eq!(lanes.news(), [(slice(1), 0)]);
    assert_eq!(lanes.news(), []);
    assignment.acknowledge.done(7);
    assignment.acknowledge.done(5);
    assert_eq!(lanes.done()[0], (slice(1), Some(7)));
    let mut closed = lanes.close(&[slice(1)]);
    assert_eq!(closed[0].news(), Some((slice(1), 7)));
    assert_eq!(closed[0].news(), None);
}
