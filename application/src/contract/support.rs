//! Events, units and questions that the promises share.

use std::sync::Arc;
use std::time::Duration;

use cocotalk_domain::event::AnyEvent;
use cocotalk_domain::id::{CommandId, MessageId, RoomId, UserId};
use cocotalk_domain::number::{Cnt, Seq};
use cocotalk_domain::room::RoomEvent;
use cocotalk_domain::room::event::MessageSent;
use cocotalk_domain::sealed::Sealed;
use cocotalk_domain::seat::SeatEvent;
use cocotalk_domain::seat::event::ReadAdvanced;
use cocotalk_domain::stream::{Slice, StreamId};
use cocotalk_domain::time::Instant;
use uuid::Uuid;

use crate::port::event_log::{
    CommandKey, EventLog, LogReader, Metadata, NewEvent, PAGE_EVENTS, RecordedEvent, Run, Stamp, Unit, UnitOutcome,
};

/// Longest time that anything may take before a test gives up.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A new random id.
pub fn id() -> Uuid {
    Uuid::from_u128(rand::random())
}

/// A new room's stream.
pub fn room() -> StreamId {
    StreamId::Room(RoomId(id()))
}

/// A new room's stream in this slice.
pub fn room_in(slice: Slice) -> StreamId {
    std::iter::repeat_with(room)
        .find(|room| room.slice() == slice)
        .expect("every slice has rooms")
}

/// The room of a stream.
pub fn room_id(stream: StreamId) -> RoomId {
    match stream {
        StreamId::Room(room) | StreamId::Seat(room, _) => room,
        StreamId::Account(_) | StreamId::Claim(_) => panic!("{stream} is of no room"),
    }
}

/// An instant, the same every time.
pub const fn at(second: i64) -> Instant {
    Instant::from_millis(1_767_225_600_000 + second * 1_000)
}

/// A text that a person sealed.
pub fn sealed(by: UserId, text: &str) -> Sealed {
    Sealed {
        subject: by,
        bytes: text.as_bytes().to_vec(),
    }
}

/// Some event that fits the stream; `number` tells it from others.
pub fn event(stream: StreamId, number: u64) -> AnyEvent {
    let user = UserId::from_u128(7);
    match stream {
        StreamId::Seat(room_id, user_id) => AnyEvent::Seat(SeatEvent::ReadAdvanced(ReadAdvanced {
            room_id,
            user_id,
            read_seq: Seq(number),
            read_cnt: Cnt(number),
            hidden: 0,
            at: at(1),
        })),
        StreamId::Room(room_id) => AnyEvent::Room(RoomEvent::MessageSent(MessageSent {
            room_id,
            message_id: MessageId(id()),
            author_id: user,
            seq: Seq(number),
            cnt: Cnt(number),
            sent_at: at(1),
            body: sealed(user, &format!("message {number}")),
            preview: None,
            mentions: vec![user],
            reply_to: None,
            member_count: 2,
        })),
        StreamId::Account(_) | StreamId::Claim(_) => panic!("no event is made up for {stream}"),
    }
}

/// An event to append, of no command.
pub fn new_event(stream: StreamId, number: u64) -> NewEvent {
    let metadata = Metadata {
        actor: "somebody".to_owned(),
        command_id: format!("command of {number}"),
        session_id: Some("a \"session\"".to_owned()),
        traceparent: None,
    };
    NewEvent {
        event: event(stream, number),
        metadata: Arc::new(metadata),
        subject: None,
        stamp: None,
    }
}

/// A run of so many events.
pub fn run(stream: StreamId, after: u64, count: u64) -> Run {
    let events = (after + 1..=after + count)
        .map(|number| new_event(stream, number))
        .collect();
    Run {
        stream,
        slice: stream.slice(),
        after,
        events,
    }
}

/// A unit of one run.
pub fn unit(stream: StreamId, after: u64, count: u64) -> Unit {
    Unit {
        runs: vec![run(stream, after, count)],
    }
}

/// A new command's key.
pub fn key() -> CommandKey {
    CommandKey {
        actor: id(),
        command_id: CommandId(id()),
    }
}

/// The stamp of a command; its answer names it.
pub fn stamp(key: CommandKey) -> Stamp {
    Stamp {
        key,
        request_mac: [7; 32],
        answer: format!(r#"{{"of":"{}"}}"#, key.command_id).into(),
    }
}

/// The unit with this command on its first event.
pub fn stamped(mut unit: Unit, key: CommandKey) -> Unit {
    unit.runs[0].events[0].stamp = Some(stamp(key));
    unit
}

/// Appends a unit that has to win; the positions of its runs.
pub async fn append(log: &dyn EventLog, unit: Unit) -> Vec<u64> {
    match append_one(log, unit).await {
        UnitOutcome::Appended { first_pos } => first_pos,
        other @ (UnitOutcome::Conflict | UnitOutcome::Repeated) => panic!("the unit was not appended: {other:?}"),
    }
}

/// Appends a unit.
pub async fn append_one(log: &dyn EventLog, unit: Unit) -> UnitOutcome {
    let mut outcomes = log.append(vec![unit]).await.expect("the log can be written");
    assert_eq!(outcomes.len(), 1, "one unit has one outcome");
    outcomes.remove(0)
}

/// All events of a stream.
pub async fn stream_events(log: &dyn LogReader, stream: StreamId) -> Vec<RecordedEvent> {
    let mut all: Vec<RecordedEvent> = Vec::new();
    loop {
        let after = all.last().map_or(0, |event| event.sequence);
        let page = log.load(&stream, after).await.expect("the log can be read");
        assert!(page.len() <= PAGE_EVENTS, "a page has {} events", page.len());
        if page.is_empty() {
            return all;
        }
        all.extend(page);
    }
}

/// All events of a slice, in order, checked for holes.
pub async fn slice_events(log: &dyn EventLog, slice: Slice) -> Vec<RecordedEvent> {
    let mut all: Vec<RecordedEvent> = Vec::new();
    loop {
        let page = log
            .read_slice(slice, all.len() as u64)
            .await
            .expect("the log can be read");
        assert!(page.len() <= PAGE_EVENTS, "a page has {} events", page.len());
        if page.is_empty() {
            return all;
        }
        for event in page {
            assert_eq!(event.slice_pos, all.len() as u64 + 1, "slice {slice} has a hole");
            assert_eq!(event.slice, slice);
            all.push(event);
        }
    }
}

/// Asserts that what is recorded is what was to be appended.
pub fn assert_same(recorded: &RecordedEvent, new: &NewEvent) {
    assert_eq!(recorded.event.as_ref(), Ok(&new.event));
    assert_eq!(recorded.metadata, new.metadata);
}

/// Waits until something is so.
pub async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !holds().await {
        assert!(tokio::time::Instant::now() < deadline, "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
