//! The relay: what is committed, in order, to the bus. It may repeat; it never skips.
//!
//! Slices are led in groups, so that several relays can share the work and any of them can die. A leader begins where the bus
//! itself says its partitions end, publishes what comes after, and after any error asks again. What it publishes it does not
//! understand.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cocotalk_application::error::{StoreError, chain};
use cocotalk_application::port::outbox::{Lease, LogRecord, SliceGroup};
use cocotalk_application::port::publisher::RelayPorts;
use cocotalk_domain::stream::{SLICES, Slice};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, Span};

use crate::backoff::Backoff;
use crate::metrics::{RELAY_ERRORS, RELAY_LAG, RELAY_LAG_SECONDS, RELAY_LED, RELAY_PUBLISHED, RELAY_TAKEOVERS};

/// Groups that the slices are led in: two relays share them, four could.
const GROUPS: usize = 4;
/// How often a standby tries to become a leader, and a leader looks whether it still is one, whatever else it does: a leader
/// that is silent is replaced.
const STANDBY: Duration = Duration::from_millis(500);
const CHECK: Duration = Duration::from_secs(1);
/// How often it is noted how far everything is published. The bus itself knows better; this is for empty partitions.
const NOTE: Duration = Duration::from_secs(1);

/// What is published together, for whoever follows a trace: the span has the trace of the first record, a line in it that of
/// each.
fn span(records: &[LogRecord]) -> Span {
    let trace = |record: &LogRecord| record.trace_id().map(tracing::field::display);
    let first = || records.first().and_then(trace);
    let span = tracing::debug_span!("relay.publish", events = records.len(), trace.id = first());
    if !span.is_disabled() {
        let _entered = span.enter();
        for record in records {
            let (kind, id, sequence) = (&record.aggregate_type, &record.aggregate_id, record.sequence);
            tracing::debug!(
                trace.id = trace(record),
                trace.parent = record.command_place().map(tracing::field::display),
                stream = format_args!("{kind}/{id}"),
                event.sequence = sequence,
                "publishing event {sequence} of {kind}/{id}",
            );
        }
    }
    span
}

/// How a relay stands, to be asked at any time. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct RelayStatus(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    leads: usize,
    lag: u64,
    fault: Option<String>,
}

impl RelayStatus {
    fn with<T>(&self, what: impl FnOnce(&mut State) -> T) -> T {
        what(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// In words: what it leads, how far it is behind, and what is wrong.
    pub fn describe(&self) -> String {
        self.with(|state| match &state.fault {
            Some(fault) => fault.clone(),
            None if state.leads == 0 => "standby".to_owned(),
            None if state.lag == 0 => format!("leads {} of {GROUPS} groups", state.leads),
            None => format!("leads {} of {GROUPS} groups, {} events behind", state.leads, state.lag),
        })
    }

    /// What is wrong now.
    pub fn fault(&self) -> Option<String> {
        self.with(|state| state.fault.clone())
    }

    fn failed(&self, at: &'static str, error: &StoreError) {
        metrics::counter!(RELAY_ERRORS, "at" => at).increment(1);
        let why = chain(error);
        let is_new = self.with(|state| {
            let is_new = state.fault.as_ref() != Some(&why);
            state.fault = Some(why.clone());
            is_new
        });
        if is_new {
            tracing::warn!("the relay waits: {why}");
        }
    }

    fn works(&self) {
        if self.with(|state| state.fault.take()).is_some() {
            tracing::info!("the relay goes on");
        }
    }
}

/// Publishes until `stop`, leading what nobody else leads.
pub async fn run(ports: RelayPorts, status: RelayStatus, stop: CancellationToken) {
    let mut relay = Relay {
        status,
        led: Led::default(),
        course: Course {
            ports,
            published: HashMap::new(),
            noted_at: Instant::now(),
        },
    };
    stop.run_until_cancelled(relay.work()).await;
    relay.resign().await;
}

struct Relay {
    status: RelayStatus,
    led: Led,
    course: Course,
}

impl Relay {
    async fn work(&mut self) {
        let (mut campaign, mut check) = (Instant::now(), Instant::now() + CHECK);
        let mut backoff = Backoff::new();
        loop {
            if Instant::now() >= campaign {
                self.campaign().await;
                campaign = Instant::now() + STANDBY.mul_f64(rand::random_range(0.8..1.2));
            }
            if Instant::now() >= check {
                self.check().await;
                self.measure().await;
                check = Instant::now() + CHECK;
            }
            if self.led.is_empty() {
                tokio::time::sleep_until(campaign).await;
                continue;
            }
            let slices = self.led.slices();
            match self.led.during(self.course.round(&slices)).await {
                Ok(published) => {
                    self.status.works();
                    backoff.reset();
                    if published == 0 {
                        self.led.during(self.course.ports.outbox.appended()).await;
                    }
                }
                Err((at, error)) => {
                    self.status.failed(at, &error);
                    // What is on the bus is not known any more.
                    self.course.published.clear();
                    self.led.during(backoff.wait()).await;
                }
            }
        }
    }

    /// Tries to lead what nobody leads.
    async fn campaign(&mut self) {
        if let Err(error) = self.try_to_lead().await {
            self.status.failed("lease", &error);
        } else if self.led.is_empty() {
            self.status.works();
        }
        self.count();
    }

    async fn try_to_lead(&mut self) -> Result<(), StoreError> {
        for group in SliceGroup::all(GROUPS) {
            if self.led.0.contains_key(&group.number) {
                continue;
            }
            if let Some(lease) = self.led.during(self.course.ports.outbox.lead(group)).await? {
                tracing::info!(relay.group = group.number, "leads group {} of slices", group.number);
                metrics::counter!(RELAY_TAKEOVERS).increment(1);
                self.led.0.insert(group.number, lease);
            }
        }
        Ok(())
    }

    /// Gives up what is not surely led any more.
    async fn check(&mut self) {
        for number in self.led.lost().await {
            tracing::warn!(relay.group = number, "no longer leads group {number} of slices");
            self.led.0.remove(&number);
            for slice in slices(number) {
                self.course.published.remove(&slice);
            }
        }
        self.count();
    }

    fn count(&self) {
        let leads = self.led.0.len();
        metrics::gauge!(RELAY_LED).set(leads as f64);
        self.status.with(|state| state.leads = leads);
    }

    /// Tells how far the bus is behind the log, where the log can say so.
    async fn measure(&mut self) {
        let slices = self.led.slices();
        if let Some(lag) = self.led.during(self.course.lag(&slices)).await {
            metrics::gauge!(RELAY_LAG).set(lag as f64);
            if lag == 0 {
                metrics::gauge!(RELAY_LAG_SECONDS).set(0.0);
            }
            self.status.with(|state| state.lag = lag);
        }
    }

    /// Leaves in order: standbys need not wait for the connections to die.
    async fn resign(&mut self) {
        if let Err(error) = self.course.save().await {
            tracing::debug!("how far the relay came is not noted: {}", chain(&error));
        }
        for (_, lease) in self.led.0.drain() {
            lease.release().await;
        }
        self.count();
    }
}

/// The groups that are led, by number.
#[derive(Default)]
struct Led(HashMap<usize, Box<dyn Lease>>);

impl Led {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All slices of these groups.
    fn slices(&self) -> Vec<Slice> {
        self.0.keys().flat_map(|number| slices(*number)).collect()
    }

    /// Does something that may take longer than a leader may be silent, and asks for the leases meanwhile.
    async fn during<T>(&mut self, what: impl Future<Output = T>) -> T {
        let mut what = pin!(what);
        loop {
            tokio::select! {
                biased;
                done = &mut what => return done,
                // Whether one was lost is asked again in its time: what is under way may end, readers drop by position.
                () = tokio::time::sleep(CHECK) => drop(self.lost().await),
            }
        }
    }

    /// Those that are not surely held any more.
    async fn lost(&mut self) -> Vec<usize> {
        let mut lost = Vec::new();
        for (number, lease) in &mut self.0 {
            if !matches!(lease.is_held().await, Ok(true)) {
                lost.push(*number);
            }
        }
        lost
    }
}

/// What is published, and how far.
struct Course {
    ports: RelayPorts,
    /// How far every led slice is on the bus. A slice is not here until the bus was asked.
    published: HashMap<Slice, u64>,
    noted_at: Instant,
}

impl Course {
    /// Reads once what these slices have and publishes what was read. How many events.
    async fn round(&mut self, led: &[Slice]) -> Result<usize, (&'static str, StoreError)> {
        self.look(led).await?;
        let after: Vec<(Slice, u64)> = self.published.iter().map(|(slice, pos)| (*slice, *pos)).collect();
        let records = self
            .ports
            .outbox
            .read_after(&after)
            .await
            .map_err(|error| ("log", error))?;
        let count = records.len();
        if count > 0 {
            let (reached, oldest_us) = (ends(&records), records.iter().map(|record| record.ts_us).min());
            // Before it is published: while the bus is away, the age grows with every try.
            let age_us = oldest_us.map_or(0, |oldest_us| (now_us() - oldest_us).max(0));
            metrics::gauge!(RELAY_LAG_SECONDS).set(age_us as f64 / 1e6);
            let span = span(&records);
            let publishing = self.ports.publisher.publish(records).instrument(span);
            publishing.await.map_err(|error| ("bus", error))?;
            metrics::counter!(RELAY_PUBLISHED).increment(count as u64);
            self.published.extend(reached);
        }
        self.note().await?;
        Ok(count)
    }

    /// Asks the bus how far it is where that is not known: of slices newly led, and of all after an error.
    async fn look(&mut self, led: &[Slice]) -> Result<(), (&'static str, StoreError)> {
        let unknown: Vec<&Slice> = led.iter().filter(|slice| !self.published.contains_key(slice)).collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let tails = self.ports.publisher.tails().await.map_err(|error| ("bus", error))?;
        let noted = self.ports.outbox.progress().await.map_err(|error| ("log", error))?;
        let heads = self.ports.outbox.heads().await.map_err(|error| ("log", error))?;
        for slice in unknown {
            self.published.insert(*slice, begin(*slice, &tails, &noted, &heads));
        }
        Ok(())
    }

    /// Notes now and then how far everything is.
    async fn note(&mut self) -> Result<(), (&'static str, StoreError)> {
        if self.noted_at.elapsed() < NOTE {
            return Ok(());
        }
        self.noted_at = Instant::now();
        self.save().await.map_err(|error| ("log", error))
    }

    async fn save(&self) -> Result<(), StoreError> {
        let positions: Vec<(Slice, u64)> = self.published.iter().map(|(slice, pos)| (*slice, *pos)).collect();
        if positions.is_empty() {
            return Ok(());
        }
        self.ports.outbox.save_progress(&positions).await
    }

    /// How many events of these slices are not on the bus, where the log can say so; what is not known of the bus is taken as
    /// noted.
    async fn lag(&self, led: &[Slice]) -> Option<u64> {
        let (heads, noted) = tokio::join!(self.ports.outbox.heads(), self.ports.outbox.progress());
        let (heads, noted) = (heads.ok()?, noted.ok()?);
        let behind = |slice: &Slice| {
            let published = self.published.get(slice).copied().unwrap_or(noted[slice.index()]);
            heads[slice.index()].saturating_sub(published)
        };
        Some(led.iter().map(behind).sum())
    }
}

fn slices(number: usize) -> impl Iterator<Item = Slice> {
    SliceGroup { number, of: GROUPS }.slices()
}

/// Where publishing of a slice goes on: behind the gapless end of its partition; where that is empty, behind what was noted.
/// Never beyond the log: a bus that knows more than the log is of another log, and nothing of it counts.
fn begin(slice: Slice, tails: &[Option<u64>; SLICES], noted: &[u64; SLICES], heads: &[u64; SLICES]) -> u64 {
    let index = slice.index();
    let known = tails[index].unwrap_or(noted[index]);
    if known > heads[index] {
        tracing::error!(%slice, "the bus is at {known} and the log at {}: is it the bus of another log?", heads[index]);
        return heads[index];
    }
    known
}

/// The last position of each slice.
fn ends(records: &[LogRecord]) -> HashMap<Slice, u64> {
    let mut ends: HashMap<Slice, u64> = HashMap::new();
    for record in records {
        let end = ends.entry(record.slice).or_default();
        *end = record.slice_pos.max(*end);
    }
    ends
}

fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_micros() as i64
}
