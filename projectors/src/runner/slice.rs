//! One slice, from its assignment until it is taken away.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use cocotalk_application::error::StoreError;
use cocotalk_application::following::{Aggregate, Followed};
use cocotalk_application::metrics::PARKED_AGGREGATES;
use cocotalk_application::port::assignment::{Acknowledge, Assignment, Delivery};
use cocotalk_application::port::event_log::RecordedEvent;
use cocotalk_application::port::parking::Parking;
use cocotalk_application::port::row_store::{Checkpoint, Tables};
use cocotalk_application::projection::Projection;
use cocotalk_domain::stream::{SLICES, Slice};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::Shared;
use crate::backoff::Backoff;
use crate::metrics::{DROPPED, HEALED, REWINDS};
use crate::slice_reader::{SliceReader, Verdict};

/// Positions reached within this time are one note, which keeps them few.
const NOTE: Duration = Duration::from_secs(1);

/// A projection in one slice.
pub(super) struct Track {
    pub(super) tables: Tables,
    pub(super) followed: Followed,
    /// What waits, with the position of the first event of it that does.
    pub(super) waiting: HashMap<Aggregate, u64>,
    /// How many of them operators have been told of.
    told: Told,
    pub(super) checkpoint: Checkpoint,
    /// Positions that were reached, with the beginning of the time in which they were, until they count as settled.
    reached: VecDeque<(Instant, u64)>,
}

impl Track {
    /// How far this projection has come in the slice.
    pub(super) const fn position(&self) -> u64 {
        self.checkpoint.position
    }

    /// Tells operators how many aggregates wait.
    pub(super) fn tell_waiting(&mut self) {
        self.told.tell(self.tables.projection, self.waiting.len());
    }

    /// Notes that a position was reached.
    pub(super) fn reach(&mut self, position: u64) {
        let now = Instant::now();
        self.checkpoint.position = self.checkpoint.position.max(position);
        match self.reached.back_mut() {
            Some((at, last)) if now - *at < NOTE => *last = position,
            Some(_) | None => self.reached.push_back((now, position)),
        }
    }

    /// Notes what has settled meanwhile. Whether anything has.
    pub(super) fn settle(&mut self, settle: Duration) -> bool {
        let before = self.checkpoint.settled;
        while let Some((at, position)) = self.reached.front().copied()
            // Its position may be from any moment of its time.
            && at.elapsed() >= settle + NOTE
        {
            self.checkpoint.settled = self.checkpoint.settled.max(position);
            self.reached.pop_front();
        }
        self.checkpoint.settled > before
    }

    /// When there is something to settle next.
    fn settles_at(&self, settle: Duration) -> Option<Instant> {
        self.reached.front().map(|(at, _)| *at + settle + NOTE)
    }
}

/// This slice's part of the aggregates that wait in the process. Whoever takes the slice over tells of them next.
#[derive(Default)]
struct Told(Option<(&'static str, usize)>);

impl Told {
    fn tell(&mut self, projection: &'static str, waiting: usize) {
        let before = self.0.map_or(0, |(_, before)| before);
        metrics::gauge!(PARKED_AGGREGATES, "projection" => projection).increment(waiting as f64 - before as f64);
        self.0 = Some((projection, waiting));
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        if let Some((projection, _)) = self.0 {
            self.tell(projection, 0);
        }
    }
}

/// A slice that is followed.
pub(super) struct Following {
    pub(super) shared: Shared,
    pub(super) slice: Slice,
    pub(super) tracks: Vec<Track>,
    pub(super) reader: SliceReader,
    /// Losses of the read model that this slice has not gone back for yet.
    pub(super) losses: watch::Receiver<Option<Instant>>,
    acknowledge: Arc<dyn Acknowledge>,
    /// The offset of the newest delivery that is in hand.
    offset: Option<i64>,
}

/// What a slice does next.
enum Next {
    /// Applies what the bus has brought.
    Take(Vec<Delivery>),
    /// Applies again what had not settled.
    GoBack,
    /// Notes what has settled.
    Settle,
}

/// Counts a slice while it is followed.
struct Counted(Shared, Slice);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.reached.forget(self.1);
        self.0.status.count(-1);
    }
}

/// Follows a slice until it is taken away or the process stops.
pub(super) async fn follow(shared: Shared, assignment: Assignment) {
    shared.status.count(1);
    let Assignment {
        slice,
        mut deliveries,
        acknowledge,
    } = assignment;
    let _counted = Counted(shared.clone(), slice);
    let stop = shared.stop.clone();
    let Some(mut following) = stop
        .run_until_cancelled(Following::begin(shared, slice, acknowledge))
        .await
    else {
        return;
    };
    if stop.run_until_cancelled(following.catch_up()).await.is_none() {
        return;
    }
    following.consume(&mut deliveries).await;
}

impl Following {
    /// Goes on from what is settled in every projection.
    async fn begin(shared: Shared, slice: Slice, acknowledge: Arc<dyn Acknowledge>) -> Self {
        let losses = shared.losses.subscribe();
        let mut tracks = Vec::new();
        for projection in shared.projections.iter() {
            tracks.push(track(&shared, slice, projection).await);
        }
        for track in &tracks {
            shared.reached.note(slice, track.tables.projection, track.position());
        }
        let settled = tracks.iter().map(|track| track.checkpoint.settled).min().unwrap_or(0);
        Self {
            shared,
            slice,
            tracks,
            reader: SliceReader::after(settled),
            acknowledge,
            offset: None,
            losses,
        }
    }

    /// Takes from the log what was committed up to now. Where the log is away the bus has to do; holes are healed later.
    async fn catch_up(&mut self) {
        match self.shared.ports.log.heads().await {
            Ok(heads) => self.heal(heads[self.slice.index()]).await,
            Err(error) => self.shared.status.failed("log", &error),
        }
    }

    async fn consume(&mut self, deliveries: &mut mpsc::Receiver<Delivery>) {
        let mut batch = Vec::new();
        let most = self.shared.settings.flush_events;
        let stop = self.shared.stop.clone();
        loop {
            if stop.run_until_cancelled(self.shared.gate.is_open()).await.is_none() {
                return;
            }
            let settle = self.shared.settings.settle;
            let settles_at = self.tracks.iter().filter_map(|track| track.settles_at(settle)).min();
            // Not at once: while the read model is away nothing settles.
            let settles_at = settles_at.map(|at| at.max(Instant::now() + NOTE));
            let next = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = self.shared.gate.is_shut() => continue,
                // Nobody else can close it while this slice holds `Shared`.
                _ = self.losses.changed() => Next::GoBack,
                // Whatever waits is taken; the flush before was the time in which it gathered.
                count = deliveries.recv_many(&mut batch, most) => match count {
                    0 => return,
                    _ => Next::Take(std::mem::take(&mut batch)),
                },
                () = sleep_until(settles_at) => Next::Settle,
            };
            if stop.run_until_cancelled(self.go_on(next)).await.is_none() {
                return;
            }
        }
    }

    async fn go_on(&mut self, next: Next) {
        match next {
            Next::Take(deliveries) => self.take(deliveries).await,
            Next::GoBack => self.rewind().await,
            Next::Settle => self.settle().await,
        }
    }

    /// Takes deliveries: in order, without those that came before, and with what is missing between them.
    async fn take(&mut self, deliveries: Vec<Delivery>) {
        let mut run: Vec<Arc<RecordedEvent>> = Vec::with_capacity(deliveries.len());
        for delivery in deliveries {
            self.offset = self.offset.max(Some(delivery.offset));
            let mut reader = self.reader;
            match reader.offer(delivery.event.slice_pos) {
                Verdict::Next => {
                    self.reader = reader;
                    run.push(delivery.event);
                }
                Verdict::Repeated => metrics::counter!(DROPPED).increment(1),
                Verdict::Hole { .. } => {
                    self.flush(std::mem::take(&mut run)).await;
                    self.heal(delivery.event.slice_pos).await;
                }
            }
        }
        self.flush(run).await;
        if let Some(offset) = self.offset {
            self.acknowledge.done(offset);
        }
    }

    /// Fetches everything up to a position from the log and applies it.
    async fn heal(&mut self, until: u64) {
        let mut backoff = Backoff::new();
        while self.reader.last() < until {
            let page = match self.shared.ports.log.read_slice(self.slice, self.reader.last()).await {
                Ok(page) => page,
                Err(error) => {
                    self.shared.status.failed("log", &error);
                    backoff.wait().await;
                    continue;
                }
            };
            let mut run = Vec::with_capacity(page.len());
            for event in page.into_iter().take_while(|event| event.slice_pos <= until) {
                if self.reader.offer(event.slice_pos) == Verdict::Next {
                    run.push(Arc::new(event));
                }
            }
            if run.is_empty() {
                // The log does not show yet what the bus has told: a replica that is behind, or another log.
                let why = "it ends before what the bus has told";
                self.shared
                    .status
                    .failed("log", &StoreError::unavailable("the event log", why));
                backoff.wait().await;
                continue;
            }
            metrics::counter!(HEALED).increment(run.len() as u64);
            self.flush(run).await;
            backoff.reset();
        }
    }

    /// The read model was lost and found again: what had not settled is applied again.
    pub(super) async fn rewind(&mut self) {
        metrics::counter!(REWINDS).increment(1);
        self.losses.mark_unchanged();
        let until = self.reader.last();
        let settled = self.tracks.iter().map(|track| track.checkpoint.settled).min();
        self.reader = SliceReader::after(settled.unwrap_or(0));
        for track in &mut self.tracks {
            track.checkpoint.position = track.checkpoint.settled;
            track.reached.clear();
            self.shared
                .reached
                .note(self.slice, track.tables.projection, track.checkpoint.position);
        }
        Box::pin(self.heal(until)).await;
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// A projection in a slice, as its checkpoint and what is parked have it.
async fn track(shared: &Shared, slice: Slice, projection: &Arc<dyn Projection>) -> Track {
    let tables = Tables::of(&**projection);
    let mut backoff = Backoff::new();
    let checkpoint = loop {
        match shared.ports.rows.progress(tables).await {
            Ok(progress) => break progress[slice.index()],
            Err(error) => shared.status.failed("rows", &error),
        }
        backoff.wait().await;
    };
    let waiting = loop {
        match waiting(&*shared.ports.parking, tables, slice).await {
            Ok(waiting) => break waiting,
            Err(error) => shared.status.failed("parking", &error),
        }
        backoff.wait().await;
    };
    shared.status.works();
    let mut track = Track {
        tables,
        followed: Followed {
            projection: Arc::clone(projection),
            positions: [0; SLICES],
            parked: HashSet::new(),
        },
        waiting,
        told: Told::default(),
        checkpoint: Checkpoint {
            position: checkpoint.settled,
            settled: checkpoint.settled,
        },
        reached: VecDeque::new(),
    };
    track.tell_waiting();
    track
}

/// The aggregates of a slice of which something waits, with the position of the first that does.
async fn waiting(parking: &dyn Parking, tables: Tables, slice: Slice) -> Result<HashMap<Aggregate, u64>, StoreError> {
    let mut waiting = HashMap::new();
    for aggregate in parking.aggregates(tables, slice).await? {
        let first = parking.of_aggregate(tables, aggregate).await?;
        if let Some(first) = first.first() {
            waiting.insert(aggregate, first.slice_pos);
        }
    }
    Ok(waiting)
}
