//! The queues between the thread that polls and those who follow slices: a bounded one for each assigned slice.
//!
//! A full queue holds up nobody else: what comes for its slice waits beside it, and when that goes on for a second or grows
//! too long the slice is paused at the bus, until everything has found its way into the queue. Not sooner, since a pause
//! throws away what was fetched ahead.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::mpsc as blocking;
use std::time::{Duration, Instant};

use cocotalk_application::port::assignment::{Acknowledge, Assignment, Delivery};
use cocotalk_domain::stream::{SLICES, Slice};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

/// How long a slice may be too slow before it is paused.
const PATIENCE: Duration = Duration::from_secs(1);
/// How many times the length of the queue may wait beside it.
const WAITING: usize = 4;
/// The offset before the first one.
const NONE: i64 = -1;

/// The queues of all assigned slices.
pub(super) struct Lanes {
    lanes: [Option<Lane>; SLICES],
    queue: usize,
}

/// What is to be done at the bus.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Pressure {
    pub(super) pause: Vec<Slice>,
    pub(super) resume: Vec<Slice>,
}

/// The queue of one slice.
struct Lane {
    queue: mpsc::Sender<Delivery>,
    /// What did not fit in.
    waiting: VecDeque<Delivery>,
    /// Since when something has been waiting.
    pressed: Option<Instant>,
    is_paused: bool,
    progress: Progress,
}

/// How far a slice has been taken, also after its lane was closed.
pub(super) struct Progress {
    pub(super) slice: Slice,
    done: Arc<AtomicI64>,
    /// What the group knows.
    told: i64,
    /// Ends when the assignment is dropped.
    held: blocking::Receiver<Infallible>,
}

/// How whoever follows a slice acknowledges.
struct Acknowledger {
    done: Arc<AtomicI64>,
    /// Dropped with the assignment.
    _held: blocking::Sender<Infallible>,
}

impl Acknowledge for Acknowledger {
    fn done(&self, offset: i64) {
        self.done.fetch_max(offset, Ordering::AcqRel);
    }
}

impl Lanes {
    /// No lanes, with queues of this length when they are opened.
    pub(super) fn new(queue: usize) -> Self {
        Self {
            lanes: [const { None }; SLICES],
            queue,
        }
    }

    /// Opens the lane of a slice, for somebody to follow it.
    pub(super) fn open(&mut self, slice: Slice) -> Assignment {
        let (queue, deliveries) = mpsc::channel(self.queue);
        let (hold, released) = blocking::channel();
        let done = Arc::new(AtomicI64::new(NONE));
        let progress = Progress {
            slice,
            done: Arc::clone(&done),
            told: NONE,
            held: released,
        };
        self.lanes[slice.index()] = Some(Lane {
            queue,
            waiting: VecDeque::new(),
            pressed: None,
            is_paused: false,
            progress,
        });
        Assignment {
            slice,
            deliveries,
            acknowledge: Arc::new(Acknowledger { done, _held: hold }),
        }
    }

    /// Ends the deliveries of these slices.
    pub(super) fn close(&mut self, slices: &[Slice]) -> Vec<Progress> {
        let lanes = slices.iter().filter_map(|slice| self.lanes[slice.index()].take());
        lanes.map(|lane| lane.progress).collect()
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.open_lanes().count()
    }

    /// Passes on what the bus delivered. Of a slice that is not assigned any more it is dropped.
    pub(super) fn take(&mut self, slice: Slice, delivery: Delivery, now: Instant) {
        if let Some(lane) = &mut self.lanes[slice.index()] {
            lane.waiting.push_back(delivery);
            if lane.pressed.is_none() {
                lane.pass_on(now);
            }
        }
    }

    /// Whether anything waits.
    pub(super) fn is_pressed(&self) -> bool {
        self.open_lanes().any(|lane| lane.pressed.is_some())
    }

    /// Passes on what waits, and says which slices are to be paused and which to go on.
    pub(super) fn relieve(&mut self, now: Instant) -> Pressure {
        let mut pressure = Pressure::default();
        let most = self.queue * WAITING;
        for lane in self.lanes.iter_mut().flatten() {
            lane.pass_on(now);
            let Some(since) = lane.pressed else {
                if lane.is_paused {
                    lane.is_paused = false;
                    pressure.resume.push(lane.progress.slice);
                }
                continue;
            };
            let is_too_much = lane.waiting.len() >= most || now.duration_since(since) >= PATIENCE;
            if is_too_much && !lane.is_paused {
                lane.is_paused = true;
                pressure.pause.push(lane.progress.slice);
            }
        }
        pressure
    }

    /// How far each assigned slice has been taken; nothing where nothing was acknowledged.
    pub(super) fn done(&self) -> Vec<(Slice, Option<i64>)> {
        let done = |lane: &Lane| (lane.progress.slice, lane.progress.done());
        self.open_lanes().map(done).collect()
    }

    /// What was acknowledged since this was asked last.
    pub(super) fn news(&mut self) -> Vec<(Slice, i64)> {
        let lanes = self.lanes.iter_mut().flatten();
        lanes.filter_map(|lane| lane.progress.news()).collect()
    }

    fn open_lanes(&self) -> impl Iterator<Item = &Lane> {
        self.lanes.iter().flatten()
    }
}

impl Lane {
    fn pass_on(&mut self, now: Instant) {
        while let Some(delivery) = self.waiting.pop_front() {
            match self.queue.try_send(delivery) {
                Ok(()) => {}
                Err(TrySendError::Full(delivery)) => {
                    self.waiting.push_front(delivery);
                    self.pressed.get_or_insert(now);
                    return;
                }
                // Nobody follows the slice any more; what is not acknowledged comes again to whoever gets it next.
                Err(TrySendError::Closed(_)) => self.waiting.clear(),
            }
        }
        self.pressed = None;
    }
}

impl Progress {
    /// How far it was acknowledged.
    fn done(&self) -> Option<i64> {
        let done = self.done.load(Ordering::Acquire);
        (done > NONE).then_some(done)
    }

    /// How far it was acknowledged, if the group does not know yet.
    pub(super) fn news(&mut self) -> Option<(Slice, i64)> {
        let done = self.done.load(Ordering::Acquire);
        if done <= self.told {
            return None;
        }
        self.told = done;
        Some((self.slice, done))
    }

    /// Waits until the assignment is dropped; false when it is not in time.
    pub(super) fn is_dropped_by(&self, deadline: Instant) -> bool {
        let left = deadline.saturating_duration_since(Instant::now());
        // Nothing is ever sent: either the other side is gone, or the time is up.
        self.held.recv_timeout(left) == Err(blocking::RecvTimeoutError::Disconnected)
    }
}

#[cfg(test)]
mod tests;
