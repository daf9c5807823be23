//! The bus as the relay sees it: 64 partitions, one a slice.

use std::sync::Arc;

use async_trait::async_trait;
use cocotalk_domain::stream::SLICES;

use crate::error::StoreError;
use crate::port::outbox::{LogRecord, Outbox};

/// What a relay works with.
#[derive(Clone)]
pub struct RelayPorts {
    /// The log.
    pub outbox: Arc<dyn Outbox>,
    /// The bus.
    pub publisher: Arc<dyn Publisher>,
}

/// Where the relay publishes.
///
/// - `publish` returns when every record is acknowledged by the bus, in the order given inside each slice. After an error
///   nothing is known of any of them: ask `tails` and go on from there, never skip.
/// - `tails` is the highest position up to which a partition's end is gapless; `None` where the partition is empty and so
///   says nothing.
#[async_trait]
pub trait Publisher: Send + Sync + 'static {
    /// Publishes records and waits until all are durable on the bus.
    async fn publish(&self, records: Vec<LogRecord>) -> Result<(), StoreError>;
    /// How far each partition has come.
    async fn tails(&self) -> Result<[Option<u64>; SLICES], StoreError>;
}
