//! Projectors: what the bus brings, as rows of the read model, slice by slice.
//!
//! Each slice that is assigned to this process has a task of its own. It goes on from what its checkpoints call settled, takes
//! from the log what the bus has not, and then follows the bus. A flush is: park what cannot be taken, write the rows, note
//! the checkpoint, acknowledge. Errors of stores are tried again for ever; an event that cannot be projected parks its
//! aggregate and nothing else.

mod flush;
mod reached;
mod slice;

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cocotalk_application::error::{StoreError, chain};
use cocotalk_application::port::assignment::ProjectorPorts;
use cocotalk_application::projection::Projection;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::reached::Reached;
use crate::gate::Gate;
use crate::metrics::{RETRIES, SLICES};

/// How projectors work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunnerSettings {
    /// Events of one flush at most (500: more make a retry dearer and everybody wait longer).
    pub flush_events: usize,
    /// How long something has to be in the read model until it counts as settled (60 s: the stores sync every 10).
    pub settle: Duration,
}

impl Default for RunnerSettings {
    fn default() -> Self {
        Self {
            flush_events: 500,
            settle: Duration::from_mins(1),
        }
    }
}

/// How the projectors stand, to be asked at any time. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct RunnerStatus(Arc<Standing>);

#[derive(Debug, Default)]
struct Standing {
    slices: AtomicUsize,
    faults: AtomicU64,
    lag: AtomicU64,
    fault: Mutex<Option<String>>,
}

impl RunnerStatus {
    /// In words: what is followed, and how far it is behind, or what is wrong.
    pub fn describe(&self) -> String {
        let slices = self.0.slices.load(Ordering::Relaxed);
        match (self.fault(), self.0.lag.load(Ordering::Relaxed)) {
            (Some(fault), _) => fault,
            (None, 0) => format!("follows {slices} slices"),
            (None, lag) => format!("follows {slices} slices, {lag} events behind"),
        }
    }

    /// What is wrong now.
    pub fn fault(&self) -> Option<String> {
        self.0.fault.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn failed(&self, at: &'static str, error: &StoreError) {
        metrics::counter!(RETRIES, "at" => at).increment(1);
        self.0.faults.fetch_add(1, Ordering::Relaxed);
        let why = chain(error);
        let mut fault = self.0.fault.lock().unwrap_or_else(PoisonError::into_inner);
        if fault.is_none() {
            tracing::warn!("projectors wait: {why}");
        }
        *fault = Some(why);
    }

    fn works(&self) {
        let mut fault = self.0.fault.lock().unwrap_or_else(PoisonError::into_inner);
        if fault.take().is_some() {
            tracing::info!("projectors go on");
        }
    }

    fn count(&self, change: isize) {
        let before = self.0.slices.fetch_add(change as usize, Ordering::Relaxed);
        metrics::gauge!(SLICES).set((before as isize + change) as f64);
    }
}

/// What all slices of a process share.
#[derive(Clone)]
struct Shared {
    ports: ProjectorPorts,
    projections: Arc<[Arc<dyn Projection>]>,
    settings: RunnerSettings,
    status: RunnerStatus,
    gate: Gate,
    /// When the read model was found again last: each slice goes back, also one that had nothing to write meanwhile.
    losses: watch::Sender<Option<Instant>>,
    /// How far each projection has come in each slice that is followed.
    reached: Reached,
    /// Calls to the read model that do not work now.
    failing: Arc<AtomicUsize>,
    stop: CancellationToken,
}

/// Follows every slice that is assigned, until `stop`. What is in hand then is broken off: it is not noted as done, and applied
/// again by whoever comes next. While `gate` is shut, nothing is taken and nothing is written.
pub async fn run(
    ports: ProjectorPorts,
    projections: Vec<Arc<dyn Projection>>,
    settings: RunnerSettings,
    status: RunnerStatus,
    gate: Gate,
    stop: CancellationToken,
) {
    let shared = Shared {
        ports,
        projections: projections.into(),
        settings,
        status,
        gate,
        losses: watch::Sender::new(None),
        reached: Reached::default(),
        failing: Arc::default(),
        stop,
    };
    let slices = TaskTracker::new();
    slices.spawn(shared.clone().watch_rows());
    slices.spawn(shared.clone().watch_log());
    let stop = shared.stop.clone();
    while let Some(Some(assignment)) = stop.run_until_cancelled(shared.ports.assignments.next()).await {
        slices.spawn(slice::follow(shared.clone(), assignment));
    }
    slices.close();
    slices.wait().await;
}
