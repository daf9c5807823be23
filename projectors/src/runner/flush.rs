//! One flush: park, write, note the checkpoint. Tried until it works.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cocotalk_application::error::StoreError;
use cocotalk_application::following::Aggregate;
use cocotalk_application::port::event_log::RecordedEvent;
use cocotalk_application::port::parking::ToPark;
use cocotalk_application::projection::coalesce;
use cocotalk_application::row::Stamped;
use tokio::time::Instant;

use super::slice::Following;
use crate::backoff::Backoff;
use crate::metrics::{APPLIED, FLUSH_EVENTS, FLUSH_SECONDS, LAG_SECONDS, PARKED};

/// A read model that did not take rows for longer than this may have lost the newest ones: it was restarted, not just busy.
const LOST: Duration = Duration::from_secs(2);
/// Why an event waits that is not itself to blame.
const BEHIND: &str = "waits behind an earlier event of its aggregate";

impl Following {
    /// Applies events that come right after one another, in every projection. Where the read model was lost meanwhile, what
    /// had not settled is applied again, here and in every other slice.
    pub(super) async fn flush(&mut self, events: Vec<Arc<RecordedEvent>>) {
        let Some(end) = events.last().map(|event| event.slice_pos) else {
            return;
        };
        let started = Instant::now();
        let mut lost = false;
        for index in 0..self.tracks.len() {
            lost |= self.flush_into(index, &events, end).await;
        }
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
        let settle = self.shared.settings.settle;
        self.tracks[index].reach(end);
        self.tracks[index].settle(settle);
        let lost = self.note(index).await || lost;
        metrics::counter!(APPLIED, "projection" => name).increment(new.len() as u64);
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
            let followed = &self.tracks[index].followed;
            let waits = followed.parked.contains(&aggregate);
            let rows = followed.rows_alone(event);
            match rows {
                Ok(rows) if !waits => writes.extend(rows),
                Ok(_) => to_park.push((*event, BEHIND.to_owned(), false)),
                // To blame itself even if it also waits: it must not be applied when what is before it is gone.
                Err(why) => {
                    to_park.push((*event, why, true));
                    self.tracks[index].followed.parked.insert(aggregate);
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
        let followed = &mut self.tracks[index].followed;
        // In order: of one aggregate some may be free and a later one be parked.
        for (position, (event, ..)) in events.iter().enumerate() {
            let aggregate = Aggregate::from(event.stream);
            if free.contains(&position) {
                followed.parked.remove(&aggregate);
                let rows = followed.rows_alone(event);
                writes.extend(rows.expect("only what has rows is parked without being to blame"));
            } else {
                followed.parked.insert(aggregate);
            }
        }
        writes
    }

    /// Writes rows until it works. Whether the read model was lost meanwhile.
    async fn write(&self, index: usize, writes: &[Stamped]) -> bool {
        if writes.is_empty() {
            return false;
        }
        let (rows, tables) = (&self.shared.ports.rows, self.tracks[index].tables);
        self.insist(|| rows.write(tables, writes)).await
    }

    /// Notes what has settled since the last event, so that a quiet slice does not go back to before its last events for ever.
    pub(super) async fn settle(&mut self) {
        let settle = self.shared.settings.settle;
        for index in 0..self.tracks.len() {
            if self.tracks[index].settle(settle) {
                // Where the read model was lost meanwhile, this slice is told of it like every other.
                self.note(index).await;
            }
        }
    }

    /// Notes the checkpoint until it works. Whether the read model was lost meanwhile.
    async fn note(&self, index: usize) -> bool {
        let (rows, track) = (&self.shared.ports.rows, &self.tracks[index]);
        self.insist(|| rows.save_checkpoint(track.tables, self.slice, track.checkpoint))
            .await
    }

    /// Tries until it works. Whether that took so long that the read model may have lost something.
    async fn insist<T: Future<Output = Result<(), StoreError>>>(&self, attempt: impl Fn() -> T) -> bool {
        let mut backoff = Backoff::new();
        let mut failing: Option<Instant> = None;
        while let Err(error) = attempt().await {
            failing.get_or_insert_with(Instant::now);
            self.shared.status.failed("rows", &error);
            backoff.wait().await;
        }
        self.shared.status.works();
        match failing {
            Some(since) if since.elapsed() >= LOST => {
                self.tell_of_loss(since);
                true
            }
            Some(_) | None => false,
        }
    }

    /// Tells every slice that the read model was lost and is found again; once, however many of them have noticed.
    fn tell_of_loss(&self, since: Instant) {
        self.shared.losses.send_if_modified(|found| {
            let is_new = found.is_none_or(|found| found < since);
            if is_new {
                *found = Some(Instant::now());
            }
            is_new
        });
    }
}

fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_micros() as i64
}
