//! Events as rows.

use cocotalk_application::error::StoreError;
use cocotalk_application::port::event_log::{RecordedEvent, StoredCommand, StoredEvent};
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use super::error::of_store;
use super::script::Value;
use crate::encoding::{EncodedEvent, EncodedRun};

/// The columns that [`decode`] takes, in its order.
pub(super) const EVENT_COLUMNS: &str =
    "aggregate_type, aggregate_id, sequence, slice, slice_pos, ts_us, event_type, event_version, payload, metadata";

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
    StoredEvent {
        aggregate_type: text(0)?,
        aggregate_id: text(1)?,
        sequence: number(2)?,
        slice: number(3)?,
        slice_pos: number(4)?,
        ts_us: number(5)?,
        event_type: text(6)?,
        event_version: text(7)?,
        payload: text(8)?,
        metadata: text(9)?,
    }
    .recorded()
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
