//! Group commit: what waits to be appended goes together, in one statement and one commit.
//!
//! There are a few writers, each with a connection and with slices of its own: what one of them sends does not wait at the
//! server for the locks of another, unless it writes to several slices. While a call is on its way, the next one gathers.

use std::sync::Arc;

use cocotalk_application::error::StoreError;
use cocotalk_application::port::event_log::UnitOutcome;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::append::{Arrays, parts};
use super::bell::Bell;
use super::database::Database;
use super::error::{Fault, fault, of_shared, stopped};
use super::mender::Health;
use super::orphans::UnderWay;
use super::session::Session;
use crate::encoding::EncodedUnit;
use crate::metrics::{POSTGRES_APPEND_EVENTS, POSTGRES_APPEND_SECONDS, POSTGRES_RESENT_UNITS};

/// Turns of the scheduler from an answer to the next call of whoever got it: the client's, its command's, its lane's.
const TURNS: usize = 3;
/// How often a unit is sent again because somebody was at the same key at the same moment.
const TRIES: usize = 5;

/// A call that waits.
pub(super) struct Append {
    pub(super) units: Vec<EncodedUnit>,
    pub(super) reply: oneshot::Sender<Result<Vec<UnitOutcome>, StoreError>>,
    pub(super) under_way: UnderWay,
}

/// What became of a unit.
type Outcome = Result<UnitOutcome, Arc<sqlx::Error>>;

/// The ways to the writers.
#[derive(Clone)]
pub(super) struct Writers(Arc<[mpsc::Sender<Append>]>);

/// Takes calls in turn and carries them out.
pub(super) struct Writer {
    queue: mpsc::Receiver<Append>,
    database: Database,
    session: Option<Session>,
    health: Arc<Health>,
    bell: Bell,
    stop: CancellationToken,
}

impl Writers {
    /// Starts the writers of a database. They end after `stop`, when everything that waits is carried out.
    pub(super) fn start(
        database: &Database,
        health: &Arc<Health>,
        bell: &Bell,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) -> Self {
        let settings = database.settings();
        let start = |_| {
            let (sender, queue) = mpsc::channel(settings.queue_calls);
            let writer = Writer {
                queue,
                database: database.clone(),
                session: None,
                health: Arc::clone(health),
                bell: bell.clone(),
                stop: stop.clone(),
            };
            tasks.spawn(writer.run());
            sender
        };
        Self((0..settings.writers).map(start).collect())
    }

    /// Puts a call into the queue of the writer that has the slice it writes first. Fails when the writers have ended.
    pub(super) async fn send(&self, append: Append) -> Result<(), StoreError> {
        let first = append.units.iter().flat_map(|unit| &unit.runs).next();
        let slice = first.map_or(0, |run| run.slice.index());
        let queued = self.0[slice % self.0.len()].send(append).await;
        queued.map_err(|_closed| stopped())
    }
}

impl Writer {
    async fn run(mut self) {
        while let Some(group) = self.gather().await {
            self.carry_out(group).await;
            // Whoever was answered may have more to write, and goes with the next call instead of the one after it. If there
            // is nobody, this takes no time.
            for _ in 0..TURNS {
                tokio::task::yield_now().await;
            }
        }
    }

    /// What waits, up to the size of a batch; nothing at the end.
    async fn gather(&mut self) -> Option<Vec<Append>> {
        let first = tokio::select! {
            biased;
            first = self.queue.recv() => first?,
            () = self.stop.cancelled() => {
                self.queue.close();
                self.queue.recv().await?
            }
        };
        let settings = self.database.settings();
        let (mut events, mut bytes) = weight(&first);
        let mut group = vec![first];
        while events < settings.batch_events && bytes < settings.batch_bytes {
            let Ok(next) = self.queue.try_recv() else { break };
            let more = weight(&next);
            (events, bytes) = (events + more.0, bytes + more.1);
            group.push(next);
        }
        Some(group)
    }

    async fn carry_out(&mut self, mut group: Vec<Append>) {
        // Nobody waits for them, and nothing of them was sent.
        group.retain(|append| !append.reply.is_closed());
        let units: Vec<&EncodedUnit> = group.iter().flat_map(|append| &append.units).collect();
        let mut outcomes = self.outcomes(&units).await.into_iter();
        for Append {
            units,
            reply,
            under_way,
        } in group
        {
            let own: Result<Vec<UnitOutcome>, Arc<sqlx::Error>> = outcomes.by_ref().take(units.len()).collect();
            drop(under_way);
            // Whoever has gone finds out by the key.
            let _gone = reply.send(own.map_err(|error| of_shared(&error)));
        }
    }

    async fn outcomes(&mut self, units: &[&EncodedUnit]) -> Vec<Outcome> {
        let mut outcomes = Vec::with_capacity(units.len());
        for part in parts(units) {
            let units = &units[part];
            match self.call(units).await {
                Ok(appended) => outcomes.extend(appended.into_iter().map(Ok)),
                Err(error) if may_be_of_one(&error, units) => self.one_by_one(units, &mut outcomes).await,
                Err(error) => {
                    let error = Arc::new(error);
                    outcomes.extend(units.iter().map(|_| Err(Arc::clone(&error))));
                }
            }
            if is_lost(&outcomes) {
                break;
            }
        }
        // What was not tried any more fails like what was.
        if let Some(Err(error)) = outcomes.last() {
            let error = Arc::clone(error);
            outcomes.resize_with(units.len(), || Err(Arc::clone(&error)));
        }
        outcomes
    }

    /// After a call that failed for one of its units, so that it does not fail for the others.
    async fn one_by_one(&mut self, units: &[&EncodedUnit], outcomes: &mut Vec<Outcome>) {
        tracing::debug!("{} units go one by one", units.len());
        for unit in units {
            let outcome = self.alone(unit).await;
            outcomes.push(outcome);
            if is_lost(outcomes) {
                return;
            }
        }
    }

    async fn alone(&mut self, unit: &EncodedUnit) -> Outcome {
        let mut tries = 0;
        loop {
            metrics::counter!(POSTGRES_RESENT_UNITS).increment(1);
            match self.call(&[unit]).await {
                Ok(mut outcomes) => return Ok(outcomes.remove(0)),
                Err(error) if fault(&error) == Fault::Collision && tries < TRIES => tries += 1,
                Err(error) => return Err(Arc::new(error)),
            }
        }
    }

    async fn call(&mut self, units: &[&EncodedUnit]) -> Result<Vec<UnitOutcome>, sqlx::Error> {
        let started = Instant::now();
        let called = self.try_call(units).await;
        self.health.note(called.as_ref().err());
        if let Ok(outcomes) = &called {
            metrics::histogram!(POSTGRES_APPEND_SECONDS).record(started.elapsed().as_secs_f64());
            metrics::histogram!(POSTGRES_APPEND_EVENTS).record(events(units) as f64);
            if outcomes
                .iter()
                .any(|outcome| matches!(outcome, UnitOutcome::Appended { .. }))
            {
                self.bell.ring();
            }
        }
        called
    }

    /// The connection of the last call, if it is still there.
    async fn alive(&mut self) -> Option<Session> {
        let mut session = self.session.take()?;
        session.is_alive().await.then_some(session)
    }

    async fn try_call(&mut self, units: &[&EncodedUnit]) -> Result<Vec<UnitOutcome>, sqlx::Error> {
        let mut session = match self.alive().await {
            Some(session) => session,
            None => Session::open(self.database.connector(), "append").await?,
        };
        let time = self.database.settings().statement();
        let arrays = Arrays::of(units);
        let called = session
            .run(time, async |connection| arrays.append(connection).await)
            .await;
        if session.is_open() {
            self.session = Some(session);
        }
        called
    }
}

fn events(units: &[&EncodedUnit]) -> usize {
    units
        .iter()
        .flat_map(|unit| &unit.runs)
        .map(|run| run.events.len())
        .sum()
}

/// Events of a call, and bytes of their payloads.
fn weight(append: &Append) -> (usize, usize) {
    let events = append
        .units
        .iter()
        .flat_map(|unit| &unit.runs)
        .flat_map(|run| &run.events);
    events.fold((0, 0), |(count, bytes), event| (count + 1, bytes + event.payload.len()))
}

/// Whether a call may have failed for one of its units, and the others, or the same again, may succeed.
fn may_be_of_one(error: &sqlx::Error, units: &[&EncodedUnit]) -> bool {
    match fault(error) {
        Fault::Collision => true,
        Fault::Values => units.len() > 1,
        Fault::Lock | Fault::Server | Fault::Connection | Fault::Damage => false,
    }
}

/// Whether the connection was lost over the last one.
fn is_lost(outcomes: &[Outcome]) -> bool {
    let last = outcomes.last();
    last.is_some_and(|outcome| outcome.as_ref().is_err_and(|error| fault(error) == Fault::Connection))
}
