//! Loading an aggregate: its newest snapshot, then every event after it.

use cocotalk_domain::stream::StreamId;

use crate::error::StoreError;
use crate::metrics::LOADS;
use crate::port::event_log::{EventLog, LogReader, PAGE_EVENTS, Snapshot};
use crate::use_case::{AnyState, Loaded};

/// The present state of a stream as `reader` sees it. Snapshots come from the log itself: they are of the past.
pub(super) async fn load(log: &dyn EventLog, reader: &dyn LogReader, stream: &StreamId) -> Result<Loaded, StoreError> {
    metrics::counter!(LOADS, "aggregate" => stream.aggregate_type()).increment(1);
    let mut loaded = from_snapshot(log, stream).await?;
    loop {
        let events = reader.load(stream, loaded.version).await?;
        let page = events.len();
        for recorded in events {
            loaded.state.evolve(&recorded.event?);
            loaded.version = recorded.sequence;
        }
        if page < PAGE_EVENTS {
            return Ok(loaded);
        }
    }
}

async fn from_snapshot(log: &dyn EventLog, stream: &StreamId) -> Result<Loaded, StoreError> {
    let empty = AnyState::new(stream);
    let found = log.snapshot(stream, empty.state_version()).await?;
    let kept = found.and_then(|snapshot| Some((AnyState::from_bytes(stream, &snapshot.state)?, snapshot.sequence)));
    let (state, version) = kept.unwrap_or((empty, 0));
    Ok(Loaded {
        state,
        version,
        snapshot: version,
    })
}

/// The snapshot of a state.
pub(super) fn snapshot(loaded: &Loaded) -> Snapshot {
    let (sequence, state_version) = (loaded.version, loaded.state.state_version());
    Snapshot {
        sequence,
        state_version,
        state: loaded.state.to_bytes(),
    }
}
