//! The slices that this process is to project, as a member of a group that shares them.

mod member;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use cocotalk_application::error::StoreError;
use cocotalk_application::port::assignment::{Assignment, Assignments};
use cocotalk_domain::stream::Slice;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::member::Group;
use super::client;
use super::health::Health;
use super::worker::Worker;
use super::{BUS, Settings, metrics, offsets, watch};

/// The slices of this process.
///
/// A slice whose assignment is dropped before its deliveries end is delivered to nobody until the slices are shared anew:
/// whoever cannot go on keeps the assignment and tries again.
pub struct KafkaAssignments {
    group: Arc<Group>,
    stop: CancellationToken,
    worker: Worker,
    _watch: Worker,
}

impl KafkaAssignments {
    /// Joins the group, in the background, until `stop`. Among `tasks` is one that lasts until the group knows that this
    /// process has left.
    ///
    /// # Errors
    /// Where no thread can be started. A bus that cannot be reached is a fault that ends.
    pub fn open(settings: &Settings, tasks: &TaskTracker, stop: CancellationToken) -> Result<Self, StoreError> {
        metrics::describe();
        let group = Arc::new(Group::new(settings));
        let serving = Arc::clone(&group);
        let run = move |stop: &CancellationToken| member::serve(&serving, stop);
        let worker = Worker::start("kafka-assignments", tasks, &stop, run)?;
        let watch = group.watch();
        let watch = Worker::start("kafka-assignments-watch", tasks, &stop, move |stop| watch.keep(stop))?;
        Ok(Self {
            group,
            stop,
            worker,
            _watch: watch,
        })
    }
}

#[async_trait]
impl Assignments for KafkaAssignments {
    async fn next(&self) -> Option<Assignment> {
        loop {
            let changed = self.group.offered.changed.notified();
            if self.stop.is_cancelled() {
                return None;
            }
            if let Some(assignment) = self.group.offered.take() {
                return Some(assignment);
            }
            tokio::select! {
                () = changed => {}
                () = self.stop.cancelled() => return None,
                () = self.worker.end() => return None,
            }
        }
    }

    fn fault(&self) -> Option<String> {
        self.worker.fault().or_else(|| self.group.health.fault())
    }

    async fn lag(&self) -> Result<u64, StoreError> {
        let done = self.group.lanes().done();
        if done.is_empty() {
            return Ok(0);
        }
        let (settings, health) = (Arc::clone(&self.group.settings), Arc::clone(&self.group.health));
        let asking = tokio::task::spawn_blocking(move || lag(&settings, &health, &done));
        asking.await.map_err(|error| StoreError::unavailable(BUS, error))?
    }
}

/// How many records are between what was acknowledged and the ends of the partitions. Where this process has acknowledged
/// nothing yet, what the group knows counts, and else everything that is there.
fn lag(settings: &Settings, health: &Arc<Health>, done: &[(Slice, Option<i64>)]) -> Result<u64, StoreError> {
    let consumer = client::asking(settings, health)?;
    let topic = &settings.events_topic;
    let ends = offsets::ends(&consumer, settings, topic)?;
    let next = watch::committed(&consumer, settings, topic)?;
    let behind = |(slice, done): &(Slice, Option<i64>)| {
        let next = done.map_or(next[slice.index()], |done| done + 1);
        (ends[slice.index()] - next).max(0) as u64
    };
    Ok(done.iter().map(behind).sum())
}

/// Assignments that nobody has taken yet.
#[derive(Default)]
struct Offered {
    assignments: Mutex<VecDeque<Assignment>>,
    changed: Notify,
}

impl Offered {
    fn offer(&self, assignment: Assignment) {
        self.all().push_back(assignment);
        self.changed.notify_waiters();
    }

    fn take(&self) -> Option<Assignment> {
        self.all().pop_front()
    }

    /// Drops those of these slices.
    fn withdraw(&self, slices: &[Slice]) {
        self.all().retain(|assignment| !slices.contains(&assignment.slice));
    }

    fn all(&self) -> std::sync::MutexGuard<'_, VecDeque<Assignment>> {
        self.assignments.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
