//! Events that a projection could not take, and those of the same aggregate that wait behind them.

use async_trait::async_trait;
use cocotalk_domain::stream::{Slice, StreamId};
use cocotalk_domain::time::Instant;

use crate::error::StoreError;
use crate::following::Aggregate;
use crate::port::row_store::Tables;

/// Parked events that one call returns at most.
pub const PAGE_PARKED: usize = 1_000;

/// An event that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParkedEvent {
    /// Its stream.
    pub stream: StreamId,
    /// Its number in the stream.
    pub sequence: u64,
    /// Its slice.
    pub slice: Slice,
    /// Its number in the slice: the order in which they are retried.
    pub slice_pos: u64,
    /// Why it waits.
    pub error: String,
    /// How often it was tried.
    pub attempts: u32,
    /// When it was parked.
    pub first_at: Instant,
    /// When it was tried last.
    pub last_at: Instant,
}

/// An event about to be parked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToPark {
    /// Its stream.
    pub stream: StreamId,
    /// Its number in the stream.
    pub sequence: u64,
    /// Its slice.
    pub slice: Slice,
    /// Its number in the slice.
    pub slice_pos: u64,
    /// Why.
    pub error: String,
    /// Whether it is itself to blame. One that only waits behind another is parked only while that one still is.
    pub is_culprit: bool,
}

/// Where events wait, apart from the read model: what could not be written there is not lost with it.
///
/// - `park` is durable when it returns, and parking the same event again changes nothing but its error.
/// - An event that is no culprit is parked only if something of its aggregate is parked at that moment; else it is returned,
///   to be applied: it was retried or skipped meanwhile. Between parking and `remove` of one aggregate one comes first.
/// - `of_aggregate` answers in the order of `slice_pos`.
#[async_trait]
pub trait Parking: Send + Sync + 'static {
    /// Parks events of one slice, in order. The indexes of those that need not wait any more.
    async fn park(&self, tables: Tables, events: &[ToPark]) -> Result<Vec<usize>, StoreError>;
    /// The aggregates of a slice of which something waits.
    async fn aggregates(&self, tables: Tables, slice: Slice) -> Result<Vec<Aggregate>, StoreError>;
    /// What waits, oldest first, at most [`PAGE_PARKED`] after `offset`; of all projections where none is named.
    async fn list(&self, tables: Option<Tables>, offset: usize) -> Result<Vec<(String, u32, ParkedEvent)>, StoreError>;
    /// What of an aggregate waits, at most [`PAGE_PARKED`].
    async fn of_aggregate(&self, tables: Tables, aggregate: Aggregate) -> Result<Vec<ParkedEvent>, StoreError>;
    /// Lets an event go: it was applied, or is given up. Whether it was parked.
    async fn remove(&self, tables: Tables, stream: &StreamId, sequence: u64) -> Result<bool, StoreError>;
    /// Notes that an event was tried again in vain.
    async fn tried(&self, tables: Tables, stream: &StreamId, sequence: u64, error: &str) -> Result<(), StoreError>;
}
