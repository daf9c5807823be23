//! How far everything has come, kept in memory so that asking costs no statement. Moved after each commit.

use std::sync::atomic::{AtomicU64, Ordering};

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

/// The log's heads and the projections' checkpoints. One task moves them.
pub(super) struct Progress {
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
            heads: Positions::new(heads),
            projections: projections.collect(),
        }
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
