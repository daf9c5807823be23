//! Events as rows: encoded before the writer sees them, decoded by whoever reads.

use std::sync::Arc;

use cocotalk_application::error::StoreError;
use cocotalk_application::port::event_log::{
    CommandKey, Metadata, NewEvent, RecordedEvent, Run, StoredCommand, Unit, content_hash,
};
use cocotalk_domain::event::AnyEvent;
use cocotalk_domain::stream::{Slice, StreamId};
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use super::error::of_store;
use super::script::Value;

/// The columns that [`decode`] takes, in its order.
pub(super) const EVENT_COLUMNS: &str =
    "aggregate_type, aggregate_id, sequence, slice, slice_pos, ts_us, event_type, event_version, payload, metadata";

/// A unit whose events are text and hashed already: work that callers do side by side, before the one writer's turn.
pub(super) struct EncodedUnit {
    pub(super) runs: Vec<EncodedRun>,
}

/// A run of such a unit.
pub(super) struct EncodedRun {
    pub(super) stream: StreamId,
    pub(super) slice: Slice,
    pub(super) after: u64,
    pub(super) aggregate_id: String,
    pub(super) events: Vec<EncodedEvent>,
}

/// An event of such a run.
pub(super) struct EncodedEvent {
    pub(super) new: NewEvent,
    pub(super) payload: String,
    pub(super) metadata: Arc<str>,
    pub(super) hash: [u8; 32],
}

impl EncodedUnit {
    pub(super) fn of(unit: Unit) -> Self {
        Self {
            runs: unit.runs.into_iter().map(EncodedRun::of).collect(),
        }
    }

    /// The keys of its commands.
    pub(super) fn keys(&self) -> impl Iterator<Item = CommandKey> {
        let events = self.runs.iter().flat_map(|run| &run.events);
        events.filter_map(|event| Some(event.new.stamp.as_ref()?.key))
    }

    pub(super) fn events(&self) -> usize {
        self.runs.iter().map(|run| run.events.len()).sum()
    }
}

impl EncodedRun {
    fn of(run: Run) -> Self {
        let aggregate_id = run.stream.aggregate_id();
        let mut known: Option<(Arc<Metadata>, Arc<str>)> = None;
        let mut sequence = run.after;
        let encode = |new: NewEvent| {
            sequence += 1;
            let metadata = match &known {
                Some((of, text)) if Arc::ptr_eq(of, &new.metadata) => Arc::clone(text),
                Some(_) | None => serde_json::to_string(&*new.metadata)
                    .expect("metadata is plain data")
                    .into(),
            };
            known = Some((Arc::clone(&new.metadata), Arc::clone(&metadata)));
            let payload = new.event.payload();
            let event = (new.event.name(), new.event.version());
            let hash = content_hash(
                &run.stream,
                sequence,
                event,
                &payload,
                &metadata,
                new.subject,
                new.stamp.as_ref(),
            );
            EncodedEvent {
                new,
                payload,
                metadata,
                hash,
            }
        };
        let events = run.events.into_iter().map(encode).collect();
        Self {
            stream: run.stream,
            slice: run.slice,
            after: run.after,
            aggregate_id,
            events,
        }
    }
}

/// The values of an event's row, in the order of its statement.
pub(super) fn push_event<'a>(
    run: &'a EncodedRun,
    event: &'a EncodedEvent,
    at: &RecordedEvent,
    to: &mut Vec<Value<'a>>,
) {
    let stamp = event.new.stamp.as_ref();
    to.extend([
        Value::text(run.stream.aggregate_type()),
        Value::text(run.aggregate_id.as_str()),
        Value::number(at.sequence),
        Value::text(event.new.event.name()),
        Value::text(event.new.event.version()),
        Value::text(event.payload.as_str()),
        Value::text(&*event.metadata),
        Value::int(run.slice.index() as i64),
        Value::number(at.slice_pos),
        Value::int(at.ts_us),
        Value::or_null(event.new.subject.as_ref(), Value::id),
        Value::or_null(stamp, |stamp| Value::id(&stamp.key.actor)),
        Value::or_null(stamp, |stamp| Value::id(&stamp.key.command_id.0)),
        Value::or_null(stamp, |stamp| Value::blob(stamp.request_mac.as_slice())),
        Value::or_null(stamp, |stamp| Value::text(&*stamp.answer)),
        Value::blob(event.hash.as_slice()),
    ]);
}

/// The event of a row of [`EVENT_COLUMNS`].
pub(super) fn decode(row: &SqliteRow) -> Result<RecordedEvent, StoreError> {
    let text = |index: usize| row.try_get::<&str, _>(index).map_err(of_store);
    let number = |index: usize| row.try_get::<i64, _>(index).map_err(of_store);
    let (aggregate_type, aggregate_id) = (text(0)?, text(1)?);
    let stream = StreamId::parse(aggregate_type, aggregate_id).ok_or_else(|| {
        StoreError::corrupt(
            "the event log",
            format!("{aggregate_type}/{aggregate_id} is no stream of ours"),
        )
    })?;
    let slice = usize::try_from(number(3)?).ok().and_then(Slice::new);
    let slice =
        slice.ok_or_else(|| StoreError::corrupt("the event log", format!("an event of {stream} has no slice")))?;
    let metadata: Metadata = serde_json::from_str(text(9)?)
        .map_err(|error| StoreError::corrupt("the event log", format!("metadata of {stream}: {error}")))?;
    Ok(RecordedEvent {
        stream,
        sequence: number(2)? as u64,
        slice,
        slice_pos: number(4)? as u64,
        ts_us: number(5)?,
        event: AnyEvent::decode(aggregate_type, text(6)?, text(7)?, text(8)?),
        metadata: Arc::new(metadata),
    })
}

/// The command of a row whose columns `mac` and `mac + 1` are `request_mac` and `answer`.
pub(super) fn decode_command(row: &SqliteRow, mac: usize) -> Result<StoredCommand, StoreError> {
    let bytes: &[u8] = row.try_get(mac).map_err(of_store)?;
    let answer: &str = row.try_get(mac + 1).map_err(of_store)?;
    let request_mac = bytes.try_into();
    let request_mac = request_mac.map_err(|_| StoreError::corrupt("the event log", "a request_mac is not 32 bytes"))?;
    Ok(StoredCommand {
        request_mac,
        answer: answer.into(),
    })
}
