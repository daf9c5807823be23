//! The one writer. It gathers what waits, and puts events, the rows of every projection and their checkpoints into one
//! transaction. While that is made durable the next group gathers; there is no timer.

mod catch_up;
mod commit;

use std::num::NonZeroUsize;
use std::sync::Arc;

use cocotalk_application::error::{StoreError, chain};
use cocotalk_application::port::event_log::{Snapshot, UnitOutcome};
use cocotalk_application::port::live::Committed;
use cocotalk_domain::stream::{SLICES, Slice, StreamId};
use lru::LruCache;
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::progress::Progress;
use super::script::WriteConnection;
use super::staging::SliceHead;
use crate::encoding::EncodedUnit;
use crate::metrics::{PROJECTION_LAG, QUEUE_DEPTH};
use cocotalk_application::following::Followed;
use cocotalk_application::metrics::PARKED_AGGREGATES;

/// Streams whose versions are remembered, so that most races are found without asking the file.
const REMEMBERED_STREAMS: usize = 100_000;

/// What is asked of the writer.
pub(super) enum Request {
    /// Units to append.
    Append(Append),
    /// A turn alone.
    Lock(oneshot::Sender<Turn>),
    /// A state to keep.
    Snapshot(KeepSnapshot),
    /// To stand still until the sender that it answers with is dropped.
    Pause(oneshot::Sender<oneshot::Sender<()>>),
}

/// Units of one call.
pub(super) struct Append {
    pub(super) units: Vec<EncodedUnit>,
    pub(super) reply: oneshot::Sender<Result<Vec<UnitOutcome>, StoreError>>,
}

/// A snapshot to keep.
pub(super) struct KeepSnapshot {
    pub(super) stream: StreamId,
    pub(super) snapshot: Snapshot,
    pub(super) reply: oneshot::Sender<Result<(), StoreError>>,
}

/// A turn alone with the writer: nobody else writes until it is used or dropped.
pub(super) struct Turn(oneshot::Sender<Append>);

impl Turn {
    /// Appends, which ends the turn. Fails if the turn has ended already, because it took too long.
    pub(super) fn append(self, append: Append) -> Result<(), StoreError> {
        let late = |_| StoreError::unavailable("the embedded store", "the lock was held too long and is lost");
        self.0.send(append).map_err(late)
    }
}

/// What is committed together.
#[derive(Default)]
struct Group {
    appends: Vec<Append>,
    snapshots: Vec<KeepSnapshot>,
    events: usize,
}

impl Group {
    fn units(&self) -> impl Iterator<Item = &EncodedUnit> {
        self.appends.iter().flat_map(|append| &append.units)
    }

    fn is_empty(&self) -> bool {
        self.appends.is_empty() && self.snapshots.is_empty()
    }
}

/// Bounds of the writer.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    pub(super) batch_events: usize,
    pub(super) lock: std::time::Duration,
    pub(super) pause: std::time::Duration,
}

/// The writer's own state.
pub(super) struct Writer {
    pub(super) connection: WriteConnection,
    pub(super) requests: mpsc::Receiver<Request>,
    pub(super) slices: [SliceHead; SLICES],
    pub(super) followed: Vec<Followed>,
    pub(super) progress: Arc<Progress>,
    pub(super) feed: broadcast::Sender<Committed>,
    pub(super) bounds: Bounds,
    versions: LruCache<StreamId, u64>,
    retry_catch_up_at: Option<tokio::time::Instant>,
}

/// What there is to do next.
enum Next {
    Request(Request),
    CatchUp,
    End,
}

impl Writer {
    pub(super) fn new(
        connection: WriteConnection,
        requests: mpsc::Receiver<Request>,
        heads: ([SliceHead; SLICES], Vec<Followed>),
        shared: (Arc<Progress>, broadcast::Sender<Committed>),
        bounds: Bounds,
    ) -> Self {
        let remembered = NonZeroUsize::new(REMEMBERED_STREAMS).expect("the capacity is not zero");
        Self {
            connection,
            requests,
            slices: heads.0,
            followed: heads.1,
            progress: shared.0,
            feed: shared.1,
            bounds,
            versions: LruCache::new(remembered),
            retry_catch_up_at: None,
        }
    }

    /// Works until `stop`, then carries out what waits already, and ends.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        self.tell_projections();
        loop {
            match self.next(&stop).await {
                Next::Request(request) => self.serve(request).await,
                Next::CatchUp => self.catch_up().await,
                Next::End => break,
            }
        }
        if let Err(error) = self.connection.close().await {
            tracing::warn!("the embedded store did not close in order: {error}; the next start reads its log");
        }
    }

    async fn next(&mut self, stop: &CancellationToken) -> Next {
        let behind = self.behind().is_some();
        if behind
            && self
                .retry_catch_up_at
                .is_none_or(|at| at <= tokio::time::Instant::now())
        {
            return match self.requests.try_recv() {
                Ok(request) => Next::Request(request),
                Err(mpsc::error::TryRecvError::Empty) if !stop.is_cancelled() => Next::CatchUp,
                Err(mpsc::error::TryRecvError::Empty | mpsc::error::TryRecvError::Disconnected) => Next::End,
            };
        }
        let retry = self.retry_catch_up_at.filter(|_| behind);
        let again = async {
            match retry {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            request = self.requests.recv() => request.map_or(Next::End, Next::Request),
            () = again => Next::CatchUp,
            () = stop.cancelled() => {
                self.requests.close();
                self.requests.recv().await.map_or(Next::End, Next::Request)
            }
        }
    }

    async fn serve(&mut self, request: Request) {
        let mut group = Group::default();
        let mut next = Some(request);
        while let Some(request) = next.take() {
            match request {
                Request::Append(append) => {
                    group.events += append.units.iter().map(EncodedUnit::events).sum::<usize>();
                    group.appends.push(append);
                }
                Request::Snapshot(snapshot) => group.snapshots.push(snapshot),
                Request::Lock(reply) => {
                    self.commit(std::mem::take(&mut group)).await;
                    return self.give_turn(reply).await;
                }
                Request::Pause(reply) => {
                    self.commit(std::mem::take(&mut group)).await;
                    return self.pause(reply).await;
                }
            }
            if group.events < self.bounds.batch_events {
                next = self.requests.try_recv().ok();
            }
        }
        metrics::gauge!(QUEUE_DEPTH).set(self.requests.len() as f64);
        self.commit(group).await;
    }

    /// Lets one caller decide and append alone, for a bounded time. Nothing is open in the file meanwhile: what stands
    /// there cannot change while this task waits, and a turn that is dropped has written nothing.
    async fn give_turn(&mut self, reply: oneshot::Sender<Turn>) {
        let (turn, used) = oneshot::channel();
        if reply.send(Turn(turn)).is_err() {
            return;
        }
        match tokio::time::timeout(self.bounds.lock, used).await {
            Ok(Ok(append)) => {
                let events = append.units.iter().map(EncodedUnit::events).sum();
                self.commit(Group {
                    appends: vec![append],
                    snapshots: Vec::new(),
                    events,
                })
                .await;
            }
            Ok(Err(_dropped)) => {}
            Err(_elapsed) => tracing::warn!("a lock of the event log was held too long and is lost"),
        }
    }

    async fn pause(&self, reply: oneshot::Sender<oneshot::Sender<()>>) {
        let (resume, resumed) = oneshot::channel();
        if reply.send(resume).is_ok() {
            // Either way it is over: the copier is done, or it takes longer than commits may wait.
            let _over = tokio::time::timeout(self.bounds.pause, resumed).await;
        }
    }

    /// The first projection that is behind, and the slice in which it is.
    fn behind(&self) -> Option<(usize, Slice)> {
        let behind = |followed: &Followed| {
            Slice::all().find(|slice| followed.positions[slice.index()] < self.slices[slice.index()].pos)
        };
        self.followed
            .iter()
            .enumerate()
            .find_map(|(index, followed)| Some((index, behind(followed)?)))
    }

    fn tell_projections(&self) {
        for followed in &self.followed {
            let lag: u64 = self
                .slices
                .iter()
                .zip(followed.positions)
                .map(|(head, at)| head.pos.saturating_sub(at))
                .sum();
            metrics::gauge!(PROJECTION_LAG, "projection" => followed.projection.name()).set(lag as f64);
            metrics::gauge!(PARKED_AGGREGATES, "projection" => followed.projection.name())
                .set(followed.parked.len() as f64);
        }
    }
}

fn refuse(group: Group, error: sqlx::Error) {
    tracing::warn!(
        "a transaction of the embedded store failed, and nothing of it was kept: {}",
        chain(&error)
    );
    let error = Arc::new(error);
    for append in group.appends {
        let _gone = append.reply.send(Err(super::error::of_shared(&error)));
    }
    for snapshot in group.snapshots {
        let _gone = snapshot.reply.send(Err(super::error::of_shared(&error)));
    }
}
