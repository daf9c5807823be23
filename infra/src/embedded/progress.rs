//! How far everything has come, kept in memory so that asking costs no statement. Moved after each commit.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use cocotalk_domain::stream::{SLICES, Slice};

/// One position a slice.
struct Positions([AtomicU64; SLICES]);

impl Positions {
    fn new(positions: &[u64; SLICES]) -> Self {
        Self(std::array::from_fn(|index| AtomicU64::new(positions[index])))
    }

    fn get(&self) -> [u64; SLICES] {
        std::array::from_fn(|index| self.0[index].load(Ordering::Acquire))
    }

    fn raise(&self, slice: Slice, position: u64) {
        self.0[slice.index()].store(position, Ordering::Release);
    }
}

/// How long a failed write is told: whoever waits for it to be over before they write again would wait for ever.
const FAULT_TOLD: Duration = Duration::from_secs(10);

/// The log's heads, the projections' checkpoints, and what went wrong last. One task moves them.
pub(super) struct Progress {
    fault: Mutex<Option<(Instant, String)>>,
    heads: Positions,
    projections: Vec<(&'static str, Positions)>,
}

impl Progress {
    pub(super) fn new<'a>(
        heads: &[u64; SLICES],
        projections: impl IntoIterator<Item = (&'static str, &'a [u64; SLICES])>,
    ) -> Self {
        let projections = projections
            .into_iter()
            .map(|(name, positions)| (name, Positions::new(positions)));
        Self {
            fault: Mutex::new(None),
            heads: Positions::new(heads),
            projections: projections.collect(),
        }
    }

    /// Why the last write failed, if it did, a moment ago.
    pub(super) fn fault(&self) -> Option<String> {
        let fault = self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        fault
            .as_ref()
            .filter(|(at, _)| at.elapsed() < FAULT_TOLD)
            .map(|(_, why)| why.clone())
    }

    pub(super) fn set_fault(&self, why: Option<String>) {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = why.map(|why| (Instant::now(), why));
    }

    pub(super) fn heads(&self) -> [u64; SLICES] {
        self.heads.get()
    }

    /// Nothing is known of a projection that nobody runs: it has come nowhere.
    pub(super) fn checkpoints(&self, projection: &str) -> [u64; SLICES] {
        let known = self.projections.iter().find(|(name, _)| *name == projection);
        known.map_or([0; SLICES], |(_, positions)| positions.get())
    }

    pub(super) fn raise_head(&self, slice: Slice, position: u64) {
        self.heads.raise(slice, position);
    }

    pub(super) fn raise_checkpoint(&self, projection: usize, slice: Slice, position: u64) {
        self.projections[projection].1.raise(slice, position);
    }
}
