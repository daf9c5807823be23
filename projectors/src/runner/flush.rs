//! One flush: park, write, note the checkpoint. Tried until it works.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cocotalk_application::error::StoreError;
use cocotalk_application::following::Aggregate;
use cocotalk_application::port::event_log::RecordedEvent;
use cocotalk_application::port::parking::ToPark;
use cocotalk_application::port::row_store::Tables;
use cocotalk_application::projection::coalesce;
use cocotalk_application::row::Stamped;
use tokio::time::Instant;
use tracing::Instrument as _;

use super::Shared;
use super::slice::{Following, Track};
use crate::backoff::Backoff;
use crate::metrics::{APPLIED, FLUSH_EVENTS, FLUSH_SECONDS, LAG_SECONDS, PARKED};

/// A read model that did not take rows for longer than this may have lost the newest ones: it was restarted, not just busy.
const LOST: Duration = Duration::from_secs(2);
/// How often the read model is asked whether it is there.
const WATCH: Duration = Duration::from_secs(1);
/// Why an event waits that is not itself to blame.
const BEHIND: &str = "waits behind an earlier event of its aggregate";

impl Following {
    /// Applies events that come right after one another, in every projection. Where the read model was lost meanwhile, what
    /// had not settled is applied again, here and in every other slice.
    pub(super) async fn flush(&mut self, events: Vec<Arc<RecordedEvent>>) {
        let Some(end) = events.last().map(|event| event.slice_pos) else {
            return;
        };
        let inside = self.shared.gate.enter().await;
        let started = Instant::now();
        let mut lost = false;
        for index in 0..self.tracks.len() {
            let projection = self.tracks[index].tables.projection;
            let trace = || events.first()?.metadata.trace_id().map(tracing::field::display);
            let span = tracing::debug_span!(
                "projection.apply",
                projection,
                events = events.len(),
                trace.id = trace()
            );
            lost |= self.flush_into(index, &events, end).instrument(span).await;
        }
        drop(inside);
        metrics::histogram!(FLUSH_SECONDS).record(started.elapsed().as_secs_f64());
        metrics::histogram!(FLUSH_EVENTS).record(events.len() as f64);
        if lost {
            self.rewind().await;
        }
    }

    /// Applies them in one projection. Whether the read model was lost meanwhile.
    async fn flush_into(&mut self, index: usize, events: &[Arc<RecordedEvent>], end: u64) -> bool {
        let name = self.tracks[index].tables.projection;
        let position = self.tracks[index].position();
        let new: Vec<&Arc<RecordedEvent>> = events.iter().filter(|event| event.slice_pos > position).collect();
        if new.is_empty() {
            return false;
        }
        let writes = self.project(index, &new).await;
        let lost = self.write(index, &writes).await;
        self.tracks[index].reach(end);
        self.settle_in(index);
        let lost = self.note(index).await || lost;
        self.shared.reached.note(self.slice, name, end);
        metrics::counter!(APPLIED, "projection" => name).increment(new.len() as u64);
        for event in &new {
            let (stream, sequence) = (&event.stream, event.sequence);
            tracing::debug!(
                trace.id = event.metadata.trace_id().map(tracing::field::display),
                trace.parent = event.metadata.command_place().map(tracing::field::display),
                %stream,
                event.sequence = sequence,
                "applied event {sequence} of {stream} to {name}",
            );
        }
        if let Some(event) = new.last() {
            let age_us = (now_us() - event.ts_us).max(0);
            metrics::gauge!(LAG_SECONDS, "projection" => name).set(age_us as f64 / 1e6);
        }
        lost
    }

    /// The rows of events; what cannot be taken is parked first, so that nothing is lost between the two.
    async fn project(&mut self, index: usize, events: &[&Arc<RecordedEvent>]) -> Vec<Stamped> {
        let mut writes = Vec::new();
        let mut to_park = Vec::new();
        for event in events {
            let aggregate = Aggregate::from(event.stream);
            let track = &mut self.tracks[index];
            // What comes before the first that waits was applied, and may have been lost with the read model since.
            let waits = track
                .waiting
                .get(&aggregate)
                .is_some_and(|first| event.slice_pos >= *first);
            match track.followed.rows_alone(event) {
                Ok(rows) if !waits => writes.extend(rows),
                Ok(_) => to_park.push((*event, BEHIND.to_owned(), false)),
                // To blame itself even if it also waits: it must not be applied when what is before it is gone.
                Err(why) => {
                    to_park.push((*event, why, true));
                    track.waiting.entry(aggregate).or_insert(event.slice_pos);
                }
            }
        }
        if !to_park.is_empty() {
            writes.extend(self.park(index, to_park).await);
        }
        coalesce(writes)
    }

    /// Parks events. The rows of those that need not wait any more: an operator has applied or given up what was before them.
    async fn park(&mut self, index: usize, events: Vec<(&Arc<RecordedEvent>, String, bool)>) -> Vec<Stamped> {
        let tables = self.tracks[index].tables;
        let park: Vec<ToPark> = events
            .iter()
            .map(|(event, error, is_culprit)| ToPark {
                stream: event.stream,
                sequence: event.sequence,
                slice: event.slice,
                slice_pos: event.slice_pos,
                error: error.clone(),
                is_culprit: *is_culprit,
            })
            .collect();
        let mut backoff = Backoff::new();
        let free = loop {
            match self.shared.ports.parking.park(tables, &park).await {
                Ok(free) => break free,
                Err(error) => self.shared.status.failed("parking", &error),
            }
            backoff.wait().await;
        };
        self.shared.status.works();
        let culprits = park.iter().filter(|event| event.is_culprit);
        for event in culprits {
            tracing::error!(
                projection = tables.projection,
                event.stream = %event.stream,
                event.sequence = event.sequence,
                "an event cannot be projected and its aggregate waits: {}",
                event.error
            );
        }
        metrics::counter!(PARKED, "projection" => tables.projection).increment((park.len() - free.len()) as u64);
        let free: HashSet<usize> = free.into_iter().collect();
        let mut writes = Vec::new();
        let Track { waiting, followed, .. } = &mut self.tracks[index];
        // In order: of one aggregate some may be free and a later one be parked.
        for (position, (event, ..)) in events.iter().enumerate() {
            let aggregate = Aggregate::from(event.stream);
            if free.contains(&position) {
                waiting.remove(&aggregate);
                let rows = followed.rows_alone(event);
                writes.extend(rows.expect("only what has rows is parked without being to blame"));
            } else {
                waiting.entry(aggregate).or_insert(event.slice_pos);
            }
        }
        self.tracks[index].tell_waiting();
        writes
    }

    /// Writes rows until it works. Whether the read model was lost meanwhile.
    async fn write(&self, index: usize, writes: &[Stamped]) -> bool {
        if writes.is_empty() {
            return false;
        }
        let (rows, tables) = (&self.shared.ports.rows, self.tracks[index].tables);
        self.shared.insist(|| rows.write(tables, writes)).await
    }

    /// Notes what has settled since the last event, so that a quiet slice does not go back to before its last events for ever.
    pub(super) async fn settle(&mut self) {
        let _inside = self.shared.gate.enter().await;
        for index in 0..self.tracks.len() {
            if self.settle_in(index) {
                // Where the read model was lost meanwhile, this slice is told of it like every other.
                self.note(index).await;
            }
        }
    }

    /// What has settled meanwhile in one projection; nothing while the read model may have lost what was written last and this
    /// slice has not gone back yet. Whether anything has.
    fn settle_in(&mut self, index: usize) -> bool {
        let is_sound =
            self.shared.failing.load(Ordering::Relaxed) == 0 && self.losses.has_changed().is_ok_and(|new| !new);
        is_sound && self.tracks[index].settle(self.shared.settings.settle)
    }

    /// Notes the checkpoint until it works. Whether the read model was lost meanwhile.
    async fn note(&self, index: usize) -> bool {
        let (rows, track) = (&self.shared.ports.rows, &self.tracks[index]);
        let (tables, checkpoint) = (track.tables, track.checkpoint);
        self.shared
            .insist(|| rows.save_checkpoint(tables, self.slice, checkpoint))
            .await
    }
}

impl Shared {
    /// Asks the read model now and then, so that it is noticed when it is lost while nobody writes.
    pub(super) async fn watch_rows(self) {
        let Some(projection) = self.projections.first() else {
            return;
        };
        let tables = Tables::of(&**projection);
        let watching = async {
            loop {
                tokio::time::sleep(WATCH).await;
                self.insist(|| self.ports.rows.progress(tables)).await;
            }
        };
        self.stop.run_until_cancelled(watching).await;
    }

    /// Tries until it works. Whether that took so long that the read model may have lost something.
    async fn insist<T, F: Future<Output = Result<T, StoreError>>>(&self, attempt: impl Fn() -> F) -> bool {
        let mut backoff = Backoff::new();
        let mut failing: Option<(Instant, Failing)> = None;
        while let Err(error) = attempt().await {
            failing.get_or_insert_with(|| (Instant::now(), Failing::begin(&self.failing)));
            self.status.failed("rows", &error);
            backoff.wait().await;
        }
        self.status.works();
        match failing {
            Some((since, _failing)) if since.elapsed() >= LOST => {
                // Before it counts as working again.
                self.tell_of_loss(since);
                true
            }
            Some(_) | None => false,
        }
    }

    /// Tells every slice that the read model was lost and is found again; once, however many of them have noticed.
    fn tell_of_loss(&self, since: Instant) {
        self.losses.send_if_modified(|found| {
            let is_new = found.is_none_or(|found| found < since);
            if is_new {
                *found = Some(Instant::now());
            }
            is_new
        });
    }
}

/// Counted while a call to the read model does not work.
struct Failing(Arc<AtomicUsize>);

impl Failing {
    fn begin(failing: &Arc<AtomicUsize>) -> Self {
        failing.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(failing))
    }
}

impl Drop for Failing {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_micros() as i64
}
