//! The event log: the one truth. Everything else can be made from it again.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use cocotalk_domain::event::{AnyEvent, DecodeError};
use cocotalk_domain::id::CommandId;
use cocotalk_domain::stream::{SLICES, Slice, StreamId};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::error::StoreError;
use crate::trace::{TraceId, TraceParent};

/// Most events that one call of `load`, `about` or `read_slice` returns.
pub const PAGE_EVENTS: usize = 1_000;

/// Whose command it is and which: what makes a retry recognisable for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CommandKey {
    /// The account, or what stands for it before there is one.
    pub actor: Uuid,
    /// The idempotency key.
    pub command_id: CommandId,
}

/// What is kept of a command, on its first event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Whose and which.
    pub key: CommandKey,
    /// The fingerprint of the request.
    pub request_mac: [u8; 32],
    /// What was answered, as JSON: ids, numbers, times and codes only.
    pub answer: Arc<str>,
}

/// Where an event comes from; a flat map of strings in the log. Never business data.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metadata {
    /// Who caused it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub actor: String,
    /// Which command caused it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub command_id: String,
    /// The session it came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    /// The W3C trace context that the request brought along.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
}

impl Metadata {
    /// The place in a trace that the request brought along, if it brought one.
    pub fn trace_parent(&self) -> Option<TraceParent> {
        self.traceparent.as_deref()?.parse().ok()
    }

    /// The place of its command in the trace it belongs to: what follows from the event is caused by that step.
    pub fn command_place(&self) -> Option<TraceParent> {
        TraceParent::of_command(self.command_id.parse().ok()?, self.trace_parent())
    }

    /// The trace it belongs to: the one that the request brought along, else the command's own.
    pub fn trace_id(&self) -> Option<TraceId> {
        match self.trace_parent() {
            Some(parent) => Some(parent.trace_id()),
            None => TraceId::of_command(self.command_id.parse().ok()?),
        }
    }
}

/// An event about to be appended.
#[derive(Clone, Debug)]
pub struct NewEvent {
    /// What happened.
    pub event: AnyEvent,
    /// Where it comes from.
    pub metadata: Arc<Metadata>,
    /// The message it is about, if it is about one.
    pub subject: Option<Uuid>,
    /// The command, on its first event only.
    pub stamp: Option<Stamp>,
}

/// Consecutive new events of one stream; several commands may share it. A run without events writes nothing: it only demands
/// that the stream has not moved, for a decision that was made on it.
#[derive(Clone, Debug)]
pub struct Run {
    /// The stream.
    pub stream: StreamId,
    /// Its slice (`stream.slice()`, carried because it costs a hash).
    pub slice: Slice,
    /// The version the decision was made on: the run is appended right after it or not at all.
    pub after: u64,
    /// The events.
    pub events: Vec<NewEvent>,
}

/// Runs that commit whole or not at all.
#[derive(Clone, Debug, Default)]
pub struct Unit {
    /// At most one per stream.
    pub runs: Vec<Run>,
}

/// What became of a unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UnitOutcome {
    /// Durable. The slice position of the first event of each of its runs.
    Appended {
        /// In the order of the unit's runs.
        first_pos: Vec<u64>,
    },
    /// Nothing was written: a stream had moved on.
    Conflict,
    /// Nothing was written: one of its commands had been carried out before.
    Repeated,
}

/// An event as the log keeps it.
#[derive(Clone, Debug)]
pub struct RecordedEvent {
    /// Its stream.
    pub stream: StreamId,
    /// Its number in the stream: 1, 2, 3 ...
    pub sequence: u64,
    /// Its slice.
    pub slice: Slice,
    /// Its number in the slice: gapless, in commit order.
    pub slice_pos: u64,
    /// Its instant, microseconds since the epoch; strictly rising in a slice.
    pub ts_us: i64,
    /// What happened, if this build can read it.
    pub event: Result<AnyEvent, DecodeError>,
    /// Where it comes from.
    pub metadata: Arc<Metadata>,
}

/// An event as stores and streams hold it: text and numbers, not understood yet.
#[derive(Clone, Copy, Debug)]
pub struct StoredEvent<'a> {
    /// The type of its stream.
    pub aggregate_type: &'a str,
    /// The id of its stream.
    pub aggregate_id: &'a str,
    /// Its number in the stream.
    pub sequence: i64,
    /// The number of its slice.
    pub slice: i64,
    /// Its number in the slice.
    pub slice_pos: i64,
    /// Its instant.
    pub ts_us: i64,
    /// Its wire name.
    pub event_type: &'a str,
    /// Its wire version.
    pub event_version: &'a str,
    /// Its payload, JSON.
    pub payload: &'a str,
    /// Its metadata, a JSON object of strings.
    pub metadata: &'a str,
}

impl StoredEvent<'_> {
    /// The event. One that this build cannot read is still an event, with the reason in its place.
    ///
    /// # Errors
    /// `Corrupt` where its stream, slice or metadata are none.
    pub fn recorded(&self) -> Result<RecordedEvent, StoreError> {
        let damaged = |why: String| StoreError::corrupt("the event log", why);
        let Self {
            aggregate_type,
            aggregate_id,
            ..
        } = *self;
        let stream = StreamId::parse(aggregate_type, aggregate_id)
            .ok_or_else(|| damaged(format!("{aggregate_type}/{aggregate_id} is no stream of ours")))?;
        let slice = usize::try_from(self.slice).ok().and_then(Slice::new);
        let slice = slice.ok_or_else(|| damaged(format!("an event of {stream} has no slice")))?;
        let metadata: Metadata =
            serde_json::from_str(self.metadata).map_err(|error| damaged(format!("metadata of {stream}: {error}")))?;
        Ok(RecordedEvent {
            stream,
            sequence: self.sequence as u64,
            slice,
            slice_pos: self.slice_pos as u64,
            ts_us: self.ts_us,
            event: AnyEvent::decode(aggregate_type, self.event_type, self.event_version, self.payload),
            metadata: Arc::new(metadata),
        })
    }
}

/// A command that was carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredCommand {
    /// The fingerprint of its request.
    pub request_mac: [u8; 32],
    /// What was answered.
    pub answer: Arc<str>,
}

/// What a decision that writes nothing is checked against, read at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// The command of that key, if it was carried out.
    pub command: Option<StoredCommand>,
    /// The versions of the streams, in the order asked; 0 where there is none.
    pub versions: Vec<u64>,
    /// The heads of the slices, in the order asked.
    pub heads: Vec<u64>,
}

/// A state kept to save loading a long stream from its beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The version it stands at.
    pub sequence: u64,
    /// The shape of `state`.
    pub state_version: u32,
    /// The state.
    pub state: Vec<u8>,
}

/// Reading the log. A `LockedLog` reads what its own lock protects.
#[async_trait]
pub trait LogReader: Send + Sync {
    /// At most [`PAGE_EVENTS`] events of a stream after version `after`, in order.
    async fn load(&self, stream: &StreamId, after: u64) -> Result<Vec<RecordedEvent>, StoreError>;
    /// At most [`PAGE_EVENTS`] events about a message after version `after` of their stream, in order. A message has one stream.
    async fn about(&self, subject: Uuid, after: u64) -> Result<Vec<RecordedEvent>, StoreError>;
    /// A command, stream versions and slice heads, read at one moment.
    async fn probe(&self, key: Option<CommandKey>, streams: &[StreamId], slices: &[Slice])
    -> Result<Probe, StoreError>;
}

/// The event log.
///
/// - **Order.** In a slice, positions are 1, 2, 3 ... without gaps, in commit order: whoever has read up to a position has
///   read everything before it. `ts_us` rises strictly. In a stream, sequences are 1, 2, 3 ... without gaps.
/// - **Units.** A unit commits whole or not at all; units do not depend on each other: a losing one is left out, the others
///   commit. Runs with events MUST be of distinct streams in one call.
/// - **Durability.** What `append` or `commit` reports as appended survives the loss of the process and of power.
/// - **Idempotency.** A `CommandKey` is appended once, ever; a second time the unit is `Repeated` and nothing is written.
/// - **Concurrency.** A run whose stream has moved past `after` makes its unit a `Conflict`. `lock` waits for whoever holds
///   the slices; what is decided under it cannot conflict.
/// - **Cancellation.** A dropped `append` may or may not have been carried out: look the command up before retrying.
///   A dropped `LockedLog` has written nothing.
/// - **Errors** are errors: no read ends early without saying so.
#[async_trait]
pub trait EventLog: LogReader + 'static {
    /// Appends units, all of them in one round trip. Outcomes in the order of the units.
    async fn append(&self, units: Vec<Unit>) -> Result<Vec<UnitOutcome>, StoreError>;
    /// Locks slices, to decide on what is there and append without a conflict.
    async fn lock(&self, slices: BTreeSet<Slice>) -> Result<Box<dyn LockedLog>, StoreError>;
    /// At most [`PAGE_EVENTS`] events of a slice after a position, in order.
    async fn read_slice(&self, slice: Slice, after: u64) -> Result<Vec<RecordedEvent>, StoreError>;
    /// The position of every slice's newest event; 0 where there is none.
    async fn heads(&self) -> Result<[u64; SLICES], StoreError>;
    /// Why writing failed a moment ago, if it did and has not worked since; an adapter that cannot tell says nothing.
    fn fault(&self) -> Option<String> {
        None
    }
    /// The newest snapshot of a stream in this shape.
    async fn snapshot(&self, stream: &StreamId, state_version: u32) -> Result<Option<Snapshot>, StoreError>;
    /// Keeps a snapshot, unless a newer one of its shape is there. May be lost; nothing depends on it.
    async fn save_snapshot(&self, stream: &StreamId, snapshot: Snapshot) -> Result<(), StoreError>;
}

/// Slices held until commit: the second try of a unit that lost the first.
#[async_trait]
pub trait LockedLog: LogReader {
    /// Appends one unit and lets the slices go. `Conflict` can only mean that a run named a wrong version.
    async fn commit(self: Box<Self>, unit: Unit) -> Result<UnitOutcome, StoreError>;
}

/// The hash of an event's content: every column but its place (`slice`, `slice_pos`, `ts_us`), each length-prefixed, so
/// that it is known before the place is. Hashes are over sealed bytes: forgetting a person leaves every proof valid.
pub fn content_hash(
    stream: &StreamId,
    sequence: u64,
    event: (&str, &str),
    payload: &str,
    metadata: &str,
    subject: Option<Uuid>,
    stamp: Option<&Stamp>,
) -> [u8; 32] {
    let mut hash = Sha256::new();
    let mut column = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_be_bytes());
        hash.update(bytes);
    };
    column(stream.aggregate_type().as_bytes());
    column(stream.aggregate_id().as_bytes());
    column(&sequence.to_be_bytes());
    column(event.0.as_bytes());
    column(event.1.as_bytes());
    column(payload.as_bytes());
    column(metadata.as_bytes());
    column(subject.as_ref().map_or(&[][..], |id| id.as_bytes().as_slice()));
    column(stamp.map_or(&[][..], |s| s.key.actor.as_bytes().as_slice()));
    column(stamp.map_or(&[][..], |s| s.key.command_id.0.as_bytes().as_slice()));
    column(stamp.map_or(&[][..], |s| s.request_mac.as_slice()));
    column(stamp.map_or(&[][..], |s| s.answer.as_bytes()));
    hash.finalize().into()
}
