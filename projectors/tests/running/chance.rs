//! Chance that a test can repeat: a number begins it.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

pub(crate) struct Chance(Mutex<StdRng>);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Mutex::new(StdRng::seed_from_u64(seed)))
    }

    /// A number below this one.
    pub(crate) fn below(&self, end: u64) -> u64 {
        let mut rng = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        rng.random_range(0..end)
    }

    /// Whether something of so many in a thousand happens.
    pub(crate) fn happens(&self, per_mille: u64) -> bool {
        self.below(1_000) < per_mille
    }

    /// A pause of some milliseconds below this many.
    pub(crate) async fn pause(&self, millis: u64) {
        tokio::time::sleep(Duration::from_millis(self.below(millis))).await;
    }
}
