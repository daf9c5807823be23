//! How far the projections have come, and so how far they are behind the log.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cocotalk_domain::stream::{SLICES, Slice};

use super::Shared;
use crate::metrics::LAG;

/// How often the log is asked how far it is.
const LOOK: Duration = Duration::from_secs(1);

/// How far each projection has come in each slice that this process follows. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Reached(Arc<Mutex<HashMap<(Slice, &'static str), u64>>>);

impl Reached {
    fn with<T>(&self, what: impl FnOnce(&mut HashMap<(Slice, &'static str), u64>) -> T) -> T {
        what(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A projection is here now in this slice.
    pub(super) fn note(&self, slice: Slice, projection: &'static str, position: u64) {
        self.with(|reached| reached.insert((slice, projection), position));
    }

    /// The slice is not followed any more.
    pub(super) fn forget(&self, slice: Slice) {
        self.with(|reached| reached.retain(|(followed, _), _| *followed != slice));
    }

    /// How many events of the log each projection has not applied yet.
    fn behind(&self, heads: &[u64; SLICES]) -> HashMap<&'static str, u64> {
        let mut behind: HashMap<&'static str, u64> = HashMap::new();
        self.with(|reached| {
            for ((slice, projection), position) in reached.iter() {
                *behind.entry(projection).or_default() += heads[slice.index()].saturating_sub(*position);
            }
        });
        behind
    }
}

impl Shared {
    /// Tells now and then how far the projections are behind the log, where the log can say so.
    pub(super) async fn watch_log(self) {
        let watching = async {
            loop {
                tokio::time::sleep(LOOK).await;
                if let Ok(heads) = self.ports.log.heads().await {
                    self.tell_lag(&heads);
                }
            }
        };
        self.stop.run_until_cancelled(watching).await;
    }

    fn tell_lag(&self, heads: &[u64; SLICES]) {
        let behind = self.reached.behind(heads);
        for projection in self.projections.iter() {
            let behind = behind.get(projection.name()).copied().unwrap_or(0);
            metrics::gauge!(LAG, "projection" => projection.name()).set(behind as f64);
        }
        let most = behind.into_values().max().unwrap_or(0);
        self.status.0.lag.store(most, Ordering::Relaxed);
    }
}
