//! Events as text: encoded and hashed by callers side by side, before a store takes its turn with them.

use std::sync::Arc;

use cocotalk_application::port::event_log::{CommandKey, Metadata, NewEvent, Run, Unit, content_hash};
use cocotalk_domain::stream::{Slice, StreamId};

/// A unit whose events are text and hashed already: work that callers do side by side, before the one writer's turn.
pub(crate) struct EncodedUnit {
    pub(crate) runs: Vec<EncodedRun>,
}

/// A run of such a unit.
pub(crate) struct EncodedRun {
    pub(crate) stream: StreamId,
    pub(crate) slice: Slice,
    pub(crate) after: u64,
    pub(crate) aggregate_id: String,
    pub(crate) events: Vec<EncodedEvent>,
}

/// An event of such a run.
pub(crate) struct EncodedEvent {
    pub(crate) new: NewEvent,
    pub(crate) payload: String,
    pub(crate) metadata: Arc<str>,
    pub(crate) hash: [u8; 32],
}

impl EncodedUnit {
    pub(crate) fn of(unit: Unit) -> Self {
        Self {
            runs: unit.runs.into_iter().map(EncodedRun::of).collect(),
        }
    }

    /// The keys of its commands.
    pub(crate) fn keys(&self) -> impl Iterator<Item = CommandKey> {
        let events = self.runs.iter().flat_map(|run| &run.events);
        events.filter_map(|event| Some(event.new.stamp.as_ref()?.key))
    }

    #[cfg(feature = "embedded")]
    pub(crate) fn events(&self) -> usize {
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
