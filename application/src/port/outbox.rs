//! The event log as the relay sees it: what is committed and not published yet, and who may publish it.

use async_trait::async_trait;
use cocotalk_domain::stream::{SLICES, Slice};

use crate::error::StoreError;
use crate::port::event_log::{Metadata, StoredEvent};
use crate::trace::{TraceId, TraceParent};

/// An event on its way from the log to the bus: text and numbers, never understood, so that a relay passes on what a newer
/// release wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRecord {
    /// The type of its stream.
    pub aggregate_type: String,
    /// The id of its stream.
    pub aggregate_id: String,
    /// Its number in the stream.
    pub sequence: u64,
    /// Its slice.
    pub slice: Slice,
    /// Its number in the slice.
    pub slice_pos: u64,
    /// Its instant, microseconds since the epoch.
    pub ts_us: i64,
    /// Its wire name.
    pub event_type: String,
    /// Its wire version.
    pub event_version: String,
    /// Its payload, JSON, byte for byte as it lies in the log.
    pub payload: String,
    /// Its metadata, JSON, byte for byte as it lies in the log.
    pub metadata: String,
}

impl LogRecord {
    /// The same, to be understood.
    pub fn as_stored(&self) -> StoredEvent<'_> {
        StoredEvent {
            aggregate_type: &self.aggregate_type,
            aggregate_id: &self.aggregate_id,
            sequence: self.sequence as i64,
            slice: self.slice.index() as i64,
            slice_pos: self.slice_pos as i64,
            ts_us: self.ts_us,
            event_type: &self.event_type,
            event_version: &self.event_version,
            payload: &self.payload,
            metadata: &self.metadata,
        }
    }

    /// The trace it belongs to, for the log of whoever passes it on; none where its metadata is not understood.
    pub fn trace_id(&self) -> Option<TraceId> {
        self.understood()?.trace_id()
    }

    /// The place of its command in that trace; none where its metadata is not understood.
    pub fn command_place(&self) -> Option<TraceParent> {
        self.understood()?.command_place()
    }

    fn understood(&self) -> Option<Metadata> {
        serde_json::from_str(&self.metadata).ok()
    }
}

/// Slices that have one leader at a time: the slices of a group are those whose index leaves this rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SliceGroup {
    /// Its number, below `of`.
    pub number: usize,
    /// How many groups there are.
    pub of: usize,
}

impl SliceGroup {
    /// All groups of so many.
    pub fn all(of: usize) -> impl Iterator<Item = Self> {
        (0..of).map(move |number| Self { number, of })
    }

    /// Its slices, in order.
    pub fn slices(self) -> impl Iterator<Item = Slice> {
        Slice::all().filter(move |slice| slice.index() % self.of == self.number)
    }
}

/// The log from the relay's side.
///
/// - `read_after` answers whole prefixes: of each slice the events right after the given position, in order, without gaps;
///   bounded in events and in bytes a slice, but never empty where the slice has more, however large the next event is.
/// - `appended` returns when something may have been appended since it was called last, and at the latest after the poll
///   interval of the adapter, so that a lost wake-up costs that long and nothing else. It may return for no reason.
/// - `lead` MUST NOT give the leadership of one group to two at a time while both can reach the log. It is no fence: a
///   leader that was stopped and goes on may still publish once; readers drop what they have by position.
/// - A leader that asks for none of its leases for so long that it must be dead is replaced, also if it is there. How long that
///   is the adapter says; it is longer than ten seconds.
/// - `save_progress` never lowers what is kept; `progress` may be behind what was published, never ahead.
#[async_trait]
pub trait Outbox: Send + Sync + 'static {
    /// What comes after these positions.
    async fn read_after(&self, after: &[(Slice, u64)]) -> Result<Vec<LogRecord>, StoreError>;
    /// Waits until there may be more.
    async fn appended(&self);
    /// The position of every slice's newest event.
    async fn heads(&self) -> Result<[u64; SLICES], StoreError>;
    /// How far everything was published when it was noted last.
    async fn progress(&self) -> Result<[u64; SLICES], StoreError>;
    /// Notes how far everything is published.
    async fn save_progress(&self, positions: &[(Slice, u64)]) -> Result<(), StoreError>;
    /// Tries to become the leader of a group; nothing where another one is.
    async fn lead(&self, group: SliceGroup) -> Result<Option<Box<dyn Lease>>, StoreError>;
}

/// Leadership of a group, until dropped or lost.
#[async_trait]
pub trait Lease: Send + Sync {
    /// Whether it is still held. An error means that it cannot be known: publish nothing until it is.
    async fn is_held(&mut self) -> Result<bool, StoreError>;
    /// Gives it up, so that a standby need not wait for the connection to die.
    async fn release(self: Box<Self>);
}
