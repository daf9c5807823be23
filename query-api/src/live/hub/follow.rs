//! From the feed to the sockets. The feed may repeat events, bring the end of a slice in another order, leave some out, and
//! pause; what is told has none of that: each event once, in the order of its slice, without gaps.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use cocotalk_application::error::{StoreError, chain};
use cocotalk_application::port::event_log::RecordedEvent;
use cocotalk_application::port::live::Committed;
use cocotalk_domain::stream::Slice;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::super::marks::{Asked, Known, mark_of};
use super::super::metrics::{DROPPED, HEALED};
use super::super::rendered::Rendered;
use super::super::tables::Tables;
use super::Hub;
use crate::frame::{Gone, subjects_of};

/// Commits told together at most, when several wait.
const COMMITS_AT_ONCE: usize = 16;

impl Hub {
    /// Tells what the feed brings, until `stop` or its end.
    pub(super) async fn follow(&self, mut feed: broadcast::Receiver<Committed>, stop: &CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                received = feed.recv() => match received {
                    Ok(committed) => self.take(committed, &mut feed, stop).await,
                    Err(broadcast::error::RecvError::Lagged(_)) => self.heal_all(stop).await,
                    Err(broadcast::error::RecvError::Closed) => return,
                },
            }
        }
    }

    /// Takes what the feed brought, with whatever else waits there already.
    async fn take(&self, committed: Committed, feed: &mut broadcast::Receiver<Committed>, stop: &CancellationToken) {
        let mut events: Vec<Arc<RecordedEvent>> = committed.to_vec();
        for _ in 1..COMMITS_AT_ONCE {
            match feed.try_recv() {
                Ok(committed) => events.extend(committed.iter().map(Arc::clone)),
                Err(broadcast::error::TryRecvError::Lagged(_)) => return self.heal_all(stop).await,
                Err(broadcast::error::TryRecvError::Empty | broadcast::error::TryRecvError::Closed) => break,
            }
        }
        let Followed { next, holes } = self.follow_on(events);
        if !next.is_empty() {
            self.tell(&next, stop).await;
        }
        for (slice, up_to) in holes {
            self.heal(slice, up_to, stop).await;
        }
    }

    /// What follows on what was told. What was told already is dropped; what came too early is put where it belongs, and
    /// where something is missing before it, it is left to be fetched with that.
    fn follow_on(&self, events: Vec<Arc<RecordedEvent>>) -> Followed {
        let mut heads: HashMap<Slice, u64> = HashMap::new();
        let mut early: BTreeMap<(Slice, u64), Arc<RecordedEvent>> = BTreeMap::new();
        let mut next = Vec::with_capacity(events.len());
        let mut dropped = 0_u64;
        for event in events {
            let (slice, pos) = (event.slice, event.slice_pos);
            let head = heads.entry(slice).or_insert_with(|| self.tables().window.head(slice));
            if pos <= *head {
                dropped += 1;
            } else if pos > *head + 1 {
                dropped += u64::from(early.insert((slice, pos), event).is_some());
            } else {
                *head = pos;
                next.push(event);
                while let Some(event) = early.remove(&(slice, *head + 1)) {
                    *head += 1;
                    next.push(event);
                }
            }
        }
        if dropped > 0 {
            metrics::counter!(DROPPED).increment(dropped);
        }
        // The last one of each slice stays.
        let holes = early.into_keys().collect();
        Followed { next, holes }
    }

    /// Fetches from the log what the feed has lost, in every slice that has more.
    async fn heal_all(&self, stop: &CancellationToken) {
        let Some(heads) = until_done(stop, || self.ports.log.heads()).await else {
            return;
        };
        for slice in Slice::all() {
            self.heal(slice, heads[slice.index()], stop).await;
        }
    }

    /// Fetches from the log what the feed has lost of a slice, up to a position at least.
    async fn heal(&self, slice: Slice, up_to: u64, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            let head = self.tables().window.head(slice);
            if head >= up_to {
                return;
            }
            let Some(events) = until_done(stop, || self.ports.log.read_slice(slice, head)).await else {
                return;
            };
            if events.is_empty() {
                // Its sockets wait: what is not in the log is not told.
                tracing::warn!(%slice, "the feed told of {slice}:{up_to}, the log ends at {slice}:{head}");
                return;
            }
            metrics::counter!(HEALED).increment(events.len() as u64);
            let events: Vec<_> = events.into_iter().map(Arc::new).collect();
            self.tell(&events, stop).await;
        }
    }

    /// Tells events that follow on each other and on what was told.
    async fn tell(&self, events: &[Arc<RecordedEvent>], stop: &CancellationToken) {
        let trace = || Some(tracing::field::display(events.first()?.metadata.trace_id()?));
        let span = tracing::debug_span!("live.tell", events = events.len(), trace.id = trace());
        self.tell_all(events, stop).instrument(span).await;
    }

    /// What somebody here is told is rendered first, outside the lock; whoever joins meanwhile makes us look again.
    async fn tell_all(&self, events: &[Arc<RecordedEvent>], stop: &CancellationToken) {
        let mut rendered: Vec<Option<Rendered>> = events.iter().map(|_| None).collect();
        // What was made ready, and whether with what is left to read.
        let mut done: HashMap<usize, bool> = HashMap::new();
        loop {
            let (missing, known) = {
                let mut tables = self.tables();
                let mut missing = needed(&tables, events);
                missing.retain(|need| {
                    let is_numbered = done.get(&need.index);
                    is_numbered.is_none_or(|is_numbered| need.wants_number && !is_numbered)
                });
                if missing.is_empty() {
                    tables.tell(events, &rendered);
                    break;
                }
                let known = Known::of(events, tables.window.facts());
                (missing, known)
            };
            let subjects = || missing.iter().flat_map(|need| subjects_of(&events[need.index]));
            let Some(keys) = until_done(stop, || self.ports.sealing.keys(subjects())).await else {
                return;
            };
            let is_mark = |need: &&Asked| mark_of(&events[need.index]).is_some();
            let asked: Vec<Asked> = missing.iter().filter(is_mark).copied().collect();
            let tellings = self.marks.tellings(events, &asked, &known).await;
            for Asked { index, wants_number } in missing {
                // Each event is told as of its own moment.
                rendered[index] = Self::render(&events[index], &Gone::default(), &keys, tellings.get(&index));
                done.insert(index, wants_number);
            }
        }
        self.told.send_modify(|told| *told += 1);
        log(events);
    }
}

/// What the feed brought.
struct Followed {
    /// What is told next.
    next: Vec<Arc<RecordedEvent>>,
    /// The slices in which something is missing, and up to where at least.
    holes: HashMap<Slice, u64>,
}

/// The events that somebody is told of, and whether the owner of a mark is told what is left.
fn needed(tables: &Tables, events: &[Arc<RecordedEvent>]) -> Vec<Asked> {
    let wanted = tables.wanted(events).into_iter().enumerate();
    let needed = wanted.filter(|(_, wanted)| *wanted).map(|(index, _)| {
        let event = &events[index];
        let wants_number = mark_of(event).is_some_and(|mark| tables.has_other_sockets(mark.user_id, event));
        Asked { index, wants_number }
    });
    needed.collect()
}

/// One line for each event, for whoever follows a trace.
fn log(events: &[Arc<RecordedEvent>]) {
    for event in events {
        let (stream, sequence) = (&event.stream, event.sequence);
        tracing::debug!(
            trace.id = event.metadata.trace_id().map(tracing::field::display),
            trace.parent = event.metadata.command_place().map(tracing::field::display),
            %stream,
            event.sequence = sequence,
            "told sockets of event {sequence} of {stream}",
        );
    }
}

/// Tries until it works, with growing pauses: sockets wait rather than miss something. `None` when stopped.
pub(super) async fn until_done<T, F: Future<Output = Result<T, StoreError>>>(
    stop: &CancellationToken,
    mut attempt: impl FnMut() -> F,
) -> Option<T> {
    let mut pause = Duration::from_millis(20);
    loop {
        let attempted = tokio::select! {
            biased;
            attempted = attempt() => attempted,
            () = stop.cancelled() => return None,
        };
        match attempted {
            Ok(done) => return Some(done),
            Err(error) => tracing::warn!("live sockets wait for a store: {}", chain(&error)),
        }
        tokio::select! {
            () = stop.cancelled() => return None,
            () = tokio::time::sleep(pause) => pause = (pause * 2).min(Duration::from_secs(1)),
        }
    }
}
