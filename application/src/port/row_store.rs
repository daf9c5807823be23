//! The read model from the side of the projections: rows in, checkpoints beside them.

use async_trait::async_trait;
use cocotalk_domain::stream::{SLICES, Slice};

use crate::error::StoreError;
use crate::projection::Projection;
use crate::row::Stamped;

/// The tables of one version of one projection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tables {
    /// The projection's name.
    pub projection: &'static str,
    /// The version of its tables.
    pub version: u32,
}

impl Tables {
    /// Those of a projection.
    pub fn of(projection: &dyn Projection) -> Self {
        Self {
            projection: projection.name(),
            version: projection.version(),
        }
    }
}

/// How far a projection has come in a slice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checkpoint {
    /// Every event up to it is in the tables.
    pub position: u64,
    /// Every event up to it has been for so long that even a store which syncs now and then has it on its disks. Where a
    /// projector starts or finds the store again, it goes on from here. Never beyond `position`.
    pub settled: u64,
}

/// Where rows are written.
///
/// - Every write carries its event's `ts_us`; of two writes to one cell the one of the later event wins, whatever the order
///   in which they are executed and however often. So a redelivered, doubled or reordered suffix changes nothing.
/// - Read positions are registers: the highest `read_seq` wins; an ended position stays ended for anything not past it.
/// - `write` MAY execute its writes in any order and side by side, but a room's `version` MUST NOT be seen before the other
///   rows of the same call are there.
/// - When `write` returns, all of it can be read. After an error any part may have been written: write all of it again.
/// - `save_checkpoint` never lowers `position` nor `settled`.
#[async_trait]
pub trait RowStore: Send + Sync + 'static {
    /// Executes writes, without those that coalescing has made pointless.
    async fn write(&self, tables: Tables, writes: &[Stamped]) -> Result<(), StoreError>;
    /// How far a projection has come in every slice.
    async fn progress(&self, tables: Tables) -> Result<[Checkpoint; SLICES], StoreError>;
    /// Notes how far it has come.
    async fn save_checkpoint(&self, tables: Tables, slice: Slice, checkpoint: Checkpoint) -> Result<(), StoreError>;
}
