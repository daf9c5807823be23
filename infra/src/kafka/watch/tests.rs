//! The watch over a consumer.

use super::*;

const NOTHING: Vec<usize> = Vec::new();

/// What is read of partition 3, with its end.
fn at(next: Option<i64>, end: i64) -> ([Option<i64>; SLICES], Offsets) {
    let (mut read, mut ends) = ([None; SLICES], [0; SLICES]);
    (read[3], ends[3]) = (next, end);
    (read, ends)
}

#[test]
fn a_partition_is_deaf_that_reads_nothing_of_what_is_there() {
    let (mut silence, now) = (Silence::default(), Instant::now());
    let (read, ends) = at(Some(5), 6);
    assert_eq!(silence.of(&read, &ends, now), NOTHING);
    let more = at(Some(5), 9).1;
    assert_eq!(silence.of(&read, &more, now + PATIENCE / 2), NOTHING);
    assert_eq!(silence.of(&read, &more, now + PATIENCE), [3]);
}

#[test]
fn a_partition_that_moves_or_is_at_its_end_is_not_deaf() {
    let (mut silence, now) = (Silence::default(), Instant::now());
    for second in 0..60 {
        let now = now + Duration::from_secs(second);
        let (read, ends) = at(Some(second as i64), 1_000);
        assert_eq!(silence.of(&read, &ends, now), NOTHING, "it moves");
    }
    let (read, ends) = at(Some(1_000), 1_000);
    for second in 60..120 {
        let now = now + Duration::from_secs(second);
        assert_eq!(silence.of(&read, &ends, now), NOTHING, "there is nothing");
    }
}

#[test]
fn silence_begins_anew_when_there_is_something_again() {
    let (mut silence, now) = (Silence::default(), Instant::now());
    let (read, ends) = at(Some(5), 6);
    assert_eq!(silence.of(&read, &ends, now), NOTHING);
    let (_, none) = at(Some(5), 5);
    assert_eq!(silence.of(&read, &none, now + PATIENCE / 2), NOTHING);
    assert_eq!(silence.of(&read, &ends, now + PATIENCE), NOTHING);
    assert_eq!(silence.of(&read, &ends, now + PATIENCE * 2), [3]);
}

#[test]
fn what_is_not_read_is_not_deaf() {
    let (mut silence, now) = (Silence::default(), Instant::now());
    let (read, ends) = at(None, 6);
    assert_eq!(silence.of(&read, &ends, now), NOTHING);
    assert_eq!(silence.of(&read, &ends, now + PATIENCE), NOTHING);
}

#[test]
fn positions_tell_what_is_read() {
    let positions = Positions::default();
    let slice = Slice::new(3).expect("it is below 64");
    assert_eq!(positions.read(), [None; SLICES]);
    positions.begin(slice);
    assert!(positions.has_unknown());
    assert_eq!(positions.read()[3], None, "nobody knows where it begins");
    positions.learn(slice, 7);
    assert_eq!((positions.read()[3], positions.has_unknown()), (Some(7), false));
    positions.reach(slice, 9);
    positions.learn(slice, 7);
    assert_eq!(positions.read()[3], Some(9), "what was read is better");
    positions.pause(slice, true);
    assert_eq!(positions.read()[3], None);
    positions.pause(slice, false);
    assert_eq!(positions.read()[3], Some(9));
    positions.while_busy(|| assert_eq!(positions.read()[3], None));
    assert_eq!(positions.read()[3], Some(9));
    positions.end(slice);
    assert_eq!(positions.read()[3], None);
    assert!(!positions.take_renewal());
    positions.renew();
    assert!(positions.take_renewal());
    assert!(!positions.take_renewal(), "it is told once");
}
