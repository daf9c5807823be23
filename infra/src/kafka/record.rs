//! How an event lies in a record of the bus.
//!
//! The value is `{"payload":...,"metadata":...}`, both byte for byte as they lie in the log; everything else is in headers,
//! as text, so that a reader can route and order records without understanding them. Fields and headers that are not known
//! are passed over: a newer release may add some.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use cocotalk_application::error::StoreError;
use cocotalk_application::port::event_log::{RecordedEvent, StoredEvent};
use cocotalk_application::port::outbox::LogRecord;
use cocotalk_domain::stream::Slice;
use rdkafka::message::{Header, Headers, Message, OwnedHeaders};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

const AGGREGATE_TYPE: &str = "aggregate_type";
const AGGREGATE_ID: &str = "aggregate_id";
const EVENT_TYPE: &str = "event_type";
const EVENT_VERSION: &str = "event_version";
const SLICE: &str = "slice";
const SLICE_POS: &str = "slice_pos";
const TS_US: &str = "ts_us";
const SEQUENCE: &str = "sequence";
const EVENT_ID: &str = "event_id";
const TRACEPARENT: &str = "traceparent";

/// A record is none of ours.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// A header is missing, or it is no text.
    #[error("it has no header `{0}`")]
    Header(&'static str),
    /// A header is no number that there can be.
    #[error("its header `{0}` is not the number it should be")]
    Number(&'static str),
    /// It lies in the partition of another slice.
    #[error("it is of another slice than its partition")]
    Slice,
    /// Its value is not what the value of an event is.
    #[error("its value is not the value of an event")]
    Value,
    /// It is of no stream of ours, or its metadata are none.
    #[error(transparent)]
    Foreign(#[from] StoreError),
}

/// What is handed to a producer.
pub(super) struct Encoded {
    pub(super) partition: i32,
    pub(super) key: String,
    pub(super) value: Vec<u8>,
    pub(super) headers: OwnedHeaders,
}

#[derive(Serialize, Deserialize)]
struct Value<'a> {
    #[serde(borrow)]
    payload: &'a RawValue,
    #[serde(borrow)]
    metadata: &'a RawValue,
}

/// Of an event's metadata what becomes a header.
#[derive(Deserialize)]
struct Trace<'a> {
    #[serde(borrow, default)]
    traceparent: Option<Cow<'a, str>>,
}

/// The record of an event.
///
/// # Errors
/// `Corrupt` where payload or metadata are not JSON: nobody could read the record.
pub(super) fn encode(record: &LogRecord) -> Result<Encoded, StoreError> {
    let LogRecord {
        aggregate_type,
        aggregate_id,
        sequence,
        ..
    } = record;
    let damaged = |error: serde_json::Error| {
        let why = format!("event {sequence} of {aggregate_type}/{aggregate_id} is no JSON: {error}");
        StoreError::corrupt("the event log", why)
    };
    let value = Value {
        payload: serde_json::from_str(&record.payload).map_err(damaged)?,
        metadata: serde_json::from_str(&record.metadata).map_err(damaged)?,
    };
    let value = serde_json::to_vec(&value).map_err(damaged)?;
    Ok(Encoded {
        partition: record.slice.index() as i32,
        key: aggregate_id.clone(),
        value,
        headers: headers(record),
    })
}

fn headers(record: &LogRecord) -> OwnedHeaders {
    let text = |headers: OwnedHeaders, key, value: &str| {
        headers.insert(Header {
            key,
            value: Some(value),
        })
    };
    let LogRecord {
        aggregate_type,
        aggregate_id,
        sequence,
        ..
    } = record;
    let mut headers = OwnedHeaders::new_with_capacity(10);
    headers = text(headers, AGGREGATE_TYPE, aggregate_type);
    headers = text(headers, AGGREGATE_ID, aggregate_id);
    headers = text(headers, EVENT_TYPE, &record.event_type);
    headers = text(headers, EVENT_VERSION, &record.event_version);
    headers = text(headers, SLICE, &record.slice.to_string());
    headers = text(headers, SLICE_POS, &record.slice_pos.to_string());
    headers = text(headers, TS_US, &record.ts_us.to_string());
    headers = text(headers, SEQUENCE, &sequence.to_string());
    headers = text(
        headers,
        EVENT_ID,
        &format!("{aggregate_type}/{aggregate_id}/{sequence}"),
    );
    match serde_json::from_str::<Trace<'_>>(&record.metadata) {
        Ok(Trace {
            traceparent: Some(traceparent),
        }) => text(headers, TRACEPARENT, &traceparent),
        Ok(Trace { traceparent: None }) | Err(_) => headers,
    }
}

/// The event of a record.
///
/// # Errors
/// Where the record is none of ours. An event that this release cannot read is still an event.
pub fn event<M: Message>(message: &M) -> Result<RecordedEvent, Unreadable> {
    Ok(stored(message)?.recorded()?)
}

/// The record as the log has it, not understood.
///
/// # Errors
/// As for [`event`].
pub fn log_record<M: Message>(message: &M) -> Result<LogRecord, Unreadable> {
    let stored = stored(message)?;
    Ok(LogRecord {
        aggregate_type: stored.aggregate_type.to_owned(),
        aggregate_id: stored.aggregate_id.to_owned(),
        sequence: stored.sequence as u64,
        slice: slice_of(message.partition()).ok_or(Unreadable::Slice)?,
        slice_pos: stored.slice_pos as u64,
        ts_us: stored.ts_us,
        event_type: stored.event_type.to_owned(),
        event_version: stored.event_version.to_owned(),
        payload: stored.payload.to_owned(),
        metadata: stored.metadata.to_owned(),
    })
}

/// The position of a record in its slice, without a look at its value.
pub(super) fn position<M: Message>(message: &M) -> Result<u64, Unreadable> {
    let texts = Texts::of(message);
    texts.check_slice(message.partition())?;
    Ok(texts.count(SLICE_POS)? as u64)
}

/// The slice of a partition.
pub(super) fn slice_of(partition: i32) -> Option<Slice> {
    usize::try_from(partition).ok().and_then(Slice::new)
}

fn stored<M: Message>(message: &M) -> Result<StoredEvent<'_>, Unreadable> {
    let texts = Texts::of(message);
    texts.check_slice(message.partition())?;
    let value = message.payload().unwrap_or_default();
    // What is wrong with a value may quote it, and it may be anybody's.
    let value: Value<'_> = serde_json::from_slice(value).map_err(|_| Unreadable::Value)?;
    Ok(StoredEvent {
        aggregate_type: texts.text(AGGREGATE_TYPE)?,
        aggregate_id: texts.text(AGGREGATE_ID)?,
        sequence: texts.count(SEQUENCE)?,
        slice: i64::from(message.partition()),
        slice_pos: texts.count(SLICE_POS)?,
        ts_us: texts.number(TS_US)?,
        event_type: texts.text(EVENT_TYPE)?,
        event_version: texts.text(EVENT_VERSION)?,
        payload: value.payload.get(),
        metadata: value.metadata.get(),
    })
}

/// The headers that are read, in the order of [`Texts`].
const READ: [&str; 8] = [
    AGGREGATE_TYPE,
    AGGREGATE_ID,
    EVENT_TYPE,
    EVENT_VERSION,
    SLICE,
    SLICE_POS,
    TS_US,
    SEQUENCE,
];

/// The headers of a record that are text.
#[derive(Default)]
struct Texts<'a>([Option<&'a str>; READ.len()]);

impl<'a> Texts<'a> {
    fn of<M: Message>(message: &'a M) -> Self {
        message.headers().map(Self::read).unwrap_or_default()
    }

    fn read<H: Headers>(headers: &'a H) -> Self {
        // The driver panics at a header whose name is no UTF-8, which anybody who may write to the topic can send. Such a
        // record is none of ours, and no reason for a consumer to end.
        let read = catch_unwind(AssertUnwindSafe(|| {
            let mut texts = Self::default();
            for header in headers.iter() {
                if let Some(i) = READ.iter().position(|name| *name == header.key) {
                    texts.0[i] = header.value.and_then(|value| std::str::from_utf8(value).ok());
                }
            }
            texts
        }));
        read.unwrap_or_default()
    }

    fn text(&self, name: &'static str) -> Result<&'a str, Unreadable> {
        let i = READ.iter().position(|read| *read == name);
        i.and_then(|i| self.0[i]).ok_or(Unreadable::Header(name))
    }

    fn number(&self, name: &'static str) -> Result<i64, Unreadable> {
        self.text(name)?.parse().map_err(|_| Unreadable::Number(name))
    }

    /// A number that begins at 1.
    fn count(&self, name: &'static str) -> Result<i64, Unreadable> {
        let number = self.number(name)?;
        if number < 1 {
            return Err(Unreadable::Number(name));
        }
        Ok(number)
    }

    fn check_slice(&self, partition: i32) -> Result<(), Unreadable> {
        if slice_of(partition).is_none() || self.number(SLICE)? != i64::from(partition) {
            return Err(Unreadable::Slice);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
