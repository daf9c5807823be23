//! The bus as projectors see it: slices that this process is to follow, given and taken away as processes come and go.

use std::sync::Arc;

use async_trait::async_trait;
use cocotalk_domain::stream::Slice;
use tokio::sync::mpsc;

use crate::error::StoreError;
use crate::port::event_log::{EventLog, RecordedEvent};
use crate::port::parking::Parking;
use crate::port::row_store::RowStore;

/// What projectors work with.
#[derive(Clone)]
pub struct ProjectorPorts {
    /// The slices to follow.
    pub assignments: Arc<dyn Assignments>,
    /// The log, for what the bus does not bring.
    pub log: Arc<dyn EventLog>,
    /// Where rows go.
    pub rows: Arc<dyn RowStore>,
    /// Where events wait that cannot be taken.
    pub parking: Arc<dyn Parking>,
}

/// An event as the bus delivered it.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The event.
    pub event: Arc<RecordedEvent>,
    /// Its place on the bus, to be acknowledged.
    pub offset: i64,
}

/// A slice to follow, until its `deliveries` end.
pub struct Assignment {
    /// Which.
    pub slice: Slice,
    /// What the bus delivers: in the order of the bus, possibly repeated, possibly with holes. They end when the slice is
    /// taken away or the process stops; what was delivered is then finished, and the assignment dropped.
    pub deliveries: mpsc::Receiver<Delivery>,
    /// Where to acknowledge.
    pub acknowledge: Arc<dyn Acknowledge>,
}

/// Tells the bus how far a slice has been taken, as a hint for whoever takes it over; the checkpoint in the read model is
/// the truth.
pub trait Acknowledge: Send + Sync {
    /// Everything up to this offset is done. Never waits; may be lost.
    fn done(&self, offset: i64);
}

/// Where slices are assigned.
///
/// - One slice MAY for a moment be assigned to two processes; whatever is done for it has to bear that.
/// - Before a slice is given to another process, this one gets bounded time to drop its `Assignment`.
/// - Each slice has its own bounded queue: one that is slow holds up nothing else.
#[async_trait]
pub trait Assignments: Send + Sync + 'static {
    /// The next slice to follow; `None` after the stop.
    async fn next(&self) -> Option<Assignment>;
    /// Why nothing arrives, if the bus cannot be reached now.
    fn fault(&self) -> Option<String>;
    /// How many events each assigned slice is behind the end of the bus, as far as known.
    async fn lag(&self) -> Result<u64, StoreError>;
}
