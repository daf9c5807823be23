//! A log that counts what is asked of it, and can be held up, made to fail, or overtaken by somebody else.

use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use cocotalk_application::error::StoreError;
use cocotalk_application::port::event_log::{
    CommandKey, EventLog, LockedLog, LogReader, Probe, RecordedEvent, Snapshot, Unit, UnitOutcome,
};
use cocotalk_domain::stream::{SLICES, Slice, StreamId};
use futures_util::future::BoxFuture;
use tokio::sync::watch;
use uuid::Uuid;

/// What happens to an append.
pub(crate) enum Step {
    /// Nothing special.
    Pass,
    /// It fails and nothing is written.
    Fail,
    /// It is written, but the answer is lost.
    Lose,
    /// Somebody else acts before it.
    After(BoxFuture<'static, ()>),
}

/// Another log, watched.
pub(crate) struct Watched {
    inner: Arc<dyn EventLog>,
    steps: Mutex<VecDeque<Step>>,
    held: watch::Sender<bool>,
    entered: watch::Sender<usize>,
    pub(crate) locks: AtomicUsize,
    pub(crate) lock_failures: AtomicUsize,
    pub(crate) snapshots_found: AtomicUsize,
    pub(crate) events_loaded: AtomicUsize,
    pub(crate) about_reads: AtomicUsize,
}

impl Watched {
    pub(crate) fn new(inner: &Arc<dyn EventLog>) -> Arc<Self> {
        Arc::new(Self {
            inner: Arc::clone(inner),
            steps: Mutex::default(),
            held: watch::Sender::new(false),
            entered: watch::Sender::new(0),
            locks: AtomicUsize::new(0),
            lock_failures: AtomicUsize::new(0),
            snapshots_found: AtomicUsize::new(0),
            events_loaded: AtomicUsize::new(0),
            about_reads: AtomicUsize::new(0),
        })
    }

    /// What happens to the next appends, one each.
    pub(crate) fn next(&self, steps: impl IntoIterator<Item = Step>) {
        self.steps.lock().unwrap_or_else(PoisonError::into_inner).extend(steps);
    }

    /// Appends asked for so far.
    pub(crate) fn appends(&self) -> usize {
        *self.entered.borrow()
    }

    pub(crate) fn locked(&self) -> usize {
        self.locks.load(Ordering::Acquire)
    }

    /// From now on every append waits.
    pub(crate) fn hold(&self) {
        self.held.send_replace(true);
    }

    /// Those that wait go on.
    pub(crate) fn release(&self) {
        self.held.send_replace(false);
    }

    /// Until so many appends were asked for.
    pub(crate) async fn entered(&self, appends: usize) {
        let mut entered = self.entered.subscribe();
        entered
            .wait_for(|count| *count >= appends)
            .await
            .expect("the log is there");
    }
}

fn down() -> StoreError {
    StoreError::unavailable("the log of this test", "it was told to fail")
}

#[async_trait]
impl LogReader for Watched {
    async fn load(&self, stream: &StreamId, after: u64) -> Result<Vec<RecordedEvent>, StoreError> {
        let events = self.inner.load(stream, after).await?;
        self.events_loaded.fetch_add(events.len(), Ordering::AcqRel);
        Ok(events)
    }

    async fn about(&self, subject: Uuid, after: u64) -> Result<Vec<RecordedEvent>, StoreError> {
        self.about_reads.fetch_add(1, Ordering::AcqRel);
        self.inner.about(subject, after).await
    }

    async fn probe(
        &self,
        key: Option<CommandKey>,
        streams: &[StreamId],
        slices: &[Slice],
    ) -> Result<Probe, StoreError> {
        self.inner.probe(key, streams, slices).await
    }
}

#[async_trait]
impl EventLog for Watched {
    async fn append(&self, units: Vec<Unit>) -> Result<Vec<UnitOutcome>, StoreError> {
        self.entered.send_modify(|count| *count += 1);
        let mut held = self.held.subscribe();
        held.wait_for(|held| !held).await.map_err(|_gone| down())?;
        let step = self.steps.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        match step.unwrap_or(Step::Pass) {
            Step::Pass => self.inner.append(units).await,
            Step::Fail => Err(down()),
            Step::Lose => {
                self.inner.append(units).await?;
                Err(down())
            }
            Step::After(act) => {
                act.await;
                self.inner.append(units).await
            }
        }
    }

    async fn lock(&self, slices: BTreeSet<Slice>) -> Result<Box<dyn LockedLog>, StoreError> {
        self.locks.fetch_add(1, Ordering::AcqRel);
        let failing = self
            .lock_failures
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| left.checked_sub(1));
        if failing.is_ok() {
            return Err(down());
        }
        self.inner.lock(slices).await
    }

    async fn read_slice(&self, slice: Slice, after: u64) -> Result<Vec<RecordedEvent>, StoreError> {
        self.inner.read_slice(slice, after).await
    }

    async fn heads(&self) -> Result<[u64; SLICES], StoreError> {
        self.inner.heads().await
    }

    async fn snapshot(&self, stream: &StreamId, state_version: u32) -> Result<Option<Snapshot>, StoreError> {
        let found = self.inner.snapshot(stream, state_version).await?;
        self.snapshots_found
            .fetch_add(usize::from(found.is_some()), Ordering::AcqRel);
        Ok(found)
    }

    async fn save_snapshot(&self, stream: &StreamId, snapshot: Snapshot) -> Result<(), StoreError> {
        self.inner.save_snapshot(stream, snapshot).await
    }
}
