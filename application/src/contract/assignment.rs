//! What sharing the slices promises.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cocotalk_domain::stream::{SLICES, Slice};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::publisher::{publish, records};
use super::support::{PATIENCE, eventually, room_in};
use super::{Bus, Process};
use crate::port::assignment::{Assignment, Assignments};
use crate::port::event_log::RecordedEvent;

/// A process that takes whatever it is assigned and delivered, and acknowledges it.
pub struct Follower {
    seen: Arc<Mutex<Seen>>,
    stop: CancellationToken,
    assignments: Arc<dyn Assignments>,
    tasks: JoinSet<()>,
}

#[derive(Default)]
struct Seen {
    assigned: HashSet<Slice>,
    ever: HashSet<Slice>,
    events: HashMap<Slice, Vec<Arc<RecordedEvent>>>,
}

impl Follower {
    /// Follows what a process is assigned.
    pub fn of(process: Process) -> Self {
        Self::with(process, |_| Duration::ZERO)
    }

    /// Follows what a process is assigned; holds on to a slice for so long after its deliveries have ended.
    pub fn with(process: Process, hold: fn(Slice) -> Duration) -> Self {
        let Process { assignments, stop } = process;
        let seen = Arc::new(Mutex::new(Seen::default()));
        let mut tasks = JoinSet::new();
        let (taking, noted) = (Arc::clone(&assignments), Arc::clone(&seen));
        tasks.spawn(async move {
            let mut slices = JoinSet::new();
            while let Some(assignment) = taking.next().await {
                let hold = hold(assignment.slice);
                slices.spawn(take(assignment, Arc::clone(&noted), hold));
            }
            slices.join_all().await;
        });
        Self {
            seen,
            stop,
            assignments,
            tasks,
        }
    }

    /// How many events were delivered, repeated ones counted again.
    pub fn count(&self) -> usize {
        self.seen().events.values().map(Vec::len).sum()
    }

    /// What was delivered of a slice.
    pub fn events(&self, slice: Slice) -> Vec<Arc<RecordedEvent>> {
        self.seen().events.get(&slice).cloned().unwrap_or_default()
    }

    /// The positions that were delivered of a slice.
    pub fn positions(&self, slice: Slice) -> Vec<u64> {
        self.events(slice).iter().map(|event| event.slice_pos).collect()
    }

    /// The slices that are assigned now.
    pub fn assigned(&self) -> HashSet<Slice> {
        self.seen().assigned.clone()
    }

    /// The slices that were ever assigned.
    pub fn ever_assigned(&self) -> HashSet<Slice> {
        self.seen().ever.clone()
    }

    /// Its assignments.
    pub fn assignments(&self) -> &dyn Assignments {
        &*self.assignments
    }

    /// Stops, and waits until everything that was delivered is taken.
    pub async fn leave(mut self) -> Vec<Arc<RecordedEvent>> {
        self.stop.cancel();
        let ended = tokio::time::timeout(PATIENCE, self.tasks.join_next()).await;
        let ended = ended.expect("assignments end after the stop").expect("there is a task");
        ended.expect("it does not panic");
        let events = self.seen().events.clone();
        events.into_values().flatten().collect()
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn take(mut assignment: Assignment, seen: Arc<Mutex<Seen>>, hold: Duration) {
    let slice = assignment.slice;
    let seen = || seen.lock().unwrap_or_else(PoisonError::into_inner);
    seen().assigned.insert(slice);
    seen().ever.insert(slice);
    while let Some(delivery) = assignment.deliveries.recv().await {
        seen().events.entry(slice).or_default().push(delivery.event);
        assignment.acknowledge.done(delivery.offset);
    }
    tokio::time::sleep(hold).await;
    seen().assigned.remove(&slice);
}

/// Publishes so many events after `after` to every slice.
async fn publish_everywhere(bus: &Bus, after: u64, count: u64) {
    let all = Slice::all().flat_map(|slice| records(room_in(slice), after + 1..=after + count));
    publish(&*bus.publisher, all.collect()).await;
}

/// The only process gets all slices, each once.
pub async fn every_slice_is_assigned(bus: Bus) {
    let process = (bus.join)();
    let mut assigned = Vec::new();
    while assigned.len() < SLICES {
        let next = tokio::time::timeout(PATIENCE, process.assignments.next()).await;
        assigned.push(next.expect("every slice is assigned").expect("nobody has stopped it"));
    }
    let slices: HashSet<Slice> = assigned.iter().map(|assignment| assignment.slice).collect();
    assert_eq!(slices.len(), SLICES);
    assert_eq!(process.assignments.fault(), None);
    process.stop.cancel();
}

/// Each of two processes has something to do, and no slice is with both in the end.
pub async fn processes_share_the_slices(bus: Bus) {
    let one = Follower::of((bus.join)());
    eventually("the first has everything", async || one.assigned().len() == SLICES).await;
    let two = Follower::of((bus.join)());
    eventually("they share", async || {
        let (one, two) = (one.assigned(), two.assigned());
        !one.is_empty() && !two.is_empty() && one.len() + two.len() == SLICES && one.is_disjoint(&two)
    })
    .await;
    publish_everywhere(&bus, 0, 3).await;
    eventually("both take what is theirs", async || {
        one.count() + two.count() >= 3 * SLICES
    })
    .await;
    for slice in Slice::all() {
        let taken = [one.positions(slice), two.positions(slice)].concat();
        assert_eq!(taken, [1, 2, 3], "slice {slice}");
    }
}

/// What one process has not taken, another one gets; all of it in order.
pub async fn nothing_is_missed_when_a_process_leaves(bus: Bus) {
    let (one, two) = (Follower::of((bus.join)()), Follower::of((bus.join)()));
    eventually("they share", async || {
        let (one, two) = (one.assigned(), two.assigned());
        !one.is_empty() && !two.is_empty() && one.len() + two.len() == SLICES
    })
    .await;
    publish_everywhere(&bus, 0, 20).await;
    let (left, ()) = tokio::join!(one.leave(), publish_everywhere(&bus, 20, 20));
    publish_everywhere(&bus, 40, 5).await;
    eventually("the other one takes over", async || two.assigned().len() == SLICES).await;
    eventually("nothing is missed", async || {
        Slice::all().all(|slice| two.positions(slice).last() == Some(&45))
    })
    .await;
    for slice in Slice::all() {
        let of_slice = left.iter().filter(|event| event.slice == slice);
        let before: Vec<u64> = of_slice.map(|event| event.slice_pos).collect();
        let after = two.positions(slice);
        assert!(is_whole(&before), "slice {slice}: {before:?}");
        assert!(is_whole(&after), "slice {slice}: {after:?}");
        let first = after[0];
        let reached = before.last().copied().unwrap_or(0);
        assert!(
            first <= reached + 1,
            "slice {slice}: {reached} was the last, {first} came next"
        );
    }
}

/// Whether nothing is left out; something may be repeated.
fn is_whole(positions: &[u64]) -> bool {
    let mut last = positions.first().map_or(0, |first| first - 1);
    positions.iter().all(|position| {
        let follows = *position <= last + 1;
        last = last.max(*position);
        follows
    })
}

/// Another process gets a slice after this one has dropped it.
pub async fn a_slice_is_given_away_after_it_was_dropped(bus: Bus) {
    let one = Follower::with((bus.join)(), |_| Duration::from_millis(700));
    eventually("the first has everything", async || one.assigned().len() == SLICES).await;
    let two = Follower::of((bus.join)());
    eventually("the second gets some", async || {
        // In this order: what the second has, the first had dropped before.
        let (theirs, ours) = (two.assigned(), one.assigned());
        assert!(theirs.is_disjoint(&ours), "{theirs:?} is with both");
        !theirs.is_empty()
    })
    .await;
}

/// A slice whose deliveries nobody takes does not hold up the others, and none of them is lost.
pub async fn a_slow_slice_holds_up_nothing_else(bus: Bus) {
    const EACH: u64 = 3_000;
    let process = (bus.join)();
    let mut assigned = Vec::new();
    while assigned.len() < SLICES {
        let next = tokio::time::timeout(PATIENCE, process.assignments.next()).await;
        assigned.push(next.expect("every slice is assigned").expect("nobody has stopped it"));
    }
    let (slow, fast) = assigned.split_at_mut(1);
    let (slow, fast) = (&mut slow[0], &mut fast[..3]);
    let streams: Vec<_> = fast.iter().map(|assignment| room_in(assignment.slice)).collect();
    publish(&*bus.publisher, records(room_in(slow.slice), 1..=EACH)).await;
    for stream in streams {
        publish(&*bus.publisher, records(stream, 1..=EACH)).await;
    }
    for assignment in fast {
        receive(assignment, EACH).await;
    }
    receive(slow, EACH).await;
    process.stop.cancel();
}

async fn receive(assignment: &mut Assignment, count: u64) {
    for position in 1..=count {
        let next = tokio::time::timeout(PATIENCE, assignment.deliveries.recv()).await;
        let next = next.expect("it is delivered").expect("the slice is still assigned");
        assert_eq!(next.event.slice_pos, position, "slice {}", assignment.slice);
    }
}

/// After the stop there are no assignments, and the deliveries of those that there are end.
pub async fn nothing_comes_after_the_stop(bus: Bus) {
    let process = (bus.join)();
    let first = tokio::time::timeout(PATIENCE, process.assignments.next()).await;
    let mut first = first.expect("slices are assigned").expect("nobody has stopped it");
    process.stop.cancel();
    let next = tokio::time::timeout(PATIENCE, process.assignments.next()).await;
    assert!(next.expect("it returns").is_none());
    let ended = tokio::time::timeout(PATIENCE, first.deliveries.recv()).await;
    assert!(ended.expect("deliveries end").is_none());
}

/// The lag is what was published and not acknowledged.
pub async fn what_is_not_acknowledged_is_behind(bus: Bus) {
    let process = (bus.join)();
    let mut assigned = Vec::new();
    while assigned.len() < SLICES {
        let next = tokio::time::timeout(PATIENCE, process.assignments.next()).await;
        assigned.push(next.expect("every slice is assigned").expect("nobody has stopped it"));
    }
    let lag = async || process.assignments.lag().await.expect("the bus can be asked");
    assert_eq!(lag().await, 0);
    publish_everywhere(&bus, 0, 3).await;
    assert_eq!(lag().await, 3 * SLICES as u64);
    for assignment in &mut assigned {
        for _ in 0..2 {
            let next = tokio::time::timeout(PATIENCE, assignment.deliveries.recv()).await;
            let next = next.expect("it is delivered").expect("the slice is still assigned");
            assignment.acknowledge.done(next.offset);
        }
    }
    assert_eq!(lag().await, SLICES as u64);
    process.stop.cancel();
}
