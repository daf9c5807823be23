//! One lane: takes what waits, decides it, appends it, answers.

use std::collections::{HashMap, HashSet, VecDeque};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use cocotalk_domain::id::MessageId;
use cocotalk_domain::stream::{Slice, StreamId};
use futures_util::FutureExt;
use futures_util::future::join_all;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::batch::{Batch, Drafted};
use super::cache::Cache;
use super::facts::Known;
use super::load::{load, snapshot};
use super::second_try::{Cause, second_try};
use super::{Accepted, CommandError, Context, Waiting};
use crate::error::{StoreError, chain};
use crate::metrics::{APPEND_SECONDS, BATCH_COMMANDS};
use crate::port::event_log::{CommandKey, UnitOutcome};
use crate::position::Position;
use crate::use_case::{Answer, Loaded, Refusal};

/// Bytes of events after which a batch is cut: what one round trip carries well.
const BATCH_BYTES: usize = 256 * 1024;

pub(super) struct Lane {
    context: Arc<Context>,
    slice: Slice,
    receiver: mpsc::Receiver<Waiting>,
    backlog: VecDeque<Waiting>,
    cache: Cache<StreamId, Loaded>,
    facts: Cache<MessageId, Known>,
}

/// A decision that writes nothing, to be checked against what is committed before it is an answer.
struct Check {
    waiting: Waiting,
    settled: Result<Answer, Refusal>,
    streams: Vec<StreamId>,
    slices: Vec<Slice>,
}

impl Lane {
    pub(super) fn new(context: Arc<Context>, slice: Slice, receiver: mpsc::Receiver<Waiting>) -> Self {
        let cache = Cache::new(context.settings.cache_weight);
        let facts = Cache::new(context.settings.facts_weight);
        Self {
            context,
            slice,
            receiver,
            backlog: VecDeque::new(),
            cache,
            facts,
        }
    }

    /// Until nothing waits any more, after `stop` or when the bus is dropped.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let limit = self
            .context
            .settings
            .batch_commands
            .min(self.context.settings.lane_queue);
        let mut incoming = Vec::new();
        loop {
            if self.backlog.is_empty() {
                let received = tokio::select! {
                    biased;
                    received = self.receiver.recv_many(&mut incoming, limit) => received,
                    () = stop.cancelled() => 0,
                };
                if received == 0 {
                    return;
                }
            } else {
                let room = limit.saturating_sub(self.backlog.len());
                incoming.extend(std::iter::from_fn(|| self.receiver.try_recv().ok()).take(room));
            }
            self.backlog.extend(incoming.drain(..));
            if AssertUnwindSafe(self.batch()).catch_unwind().await.is_err() {
                // Whoever waited in the batch is told to come back; what was being decided is forgotten, so nothing is kept
                // that did not happen.
                tracing::error!(slice = %self.slice, "a batch of lane {} panicked and was given up", self.slice);
                self.cache = Cache::new(self.context.settings.cache_weight);
                self.facts = Cache::new(self.context.settings.facts_weight);
            }
        }
    }

    async fn batch(&mut self) {
        self.fold_repetitions();
        let (batch, checks) = self.decide().await;
        let Appended { retries, versions } = self.append(batch).await;
        for (cause, commands) in retries {
            self.second_try(cause, commands).await;
        }
        self.check(checks, &versions).await;
    }

    /// Of commands that were sent again while they waited only the first is carried out.
    fn fold_repetitions(&mut self) {
        let mut first: HashMap<CommandKey, usize> = HashMap::new();
        let mut kept: VecDeque<Waiting> = VecDeque::with_capacity(self.backlog.len());
        for waiting in self.backlog.drain(..) {
            match first.get(&waiting.command.key) {
                Some(&index) if kept[index].is_repeated_by(&waiting) => {
                    kept[index].again.push(waiting.reply);
                    kept[index].again.extend(waiting.again);
                }
                Some(_) => kept.push_back(waiting),
                None => {
                    first.insert(waiting.command.key, kept.len());
                    kept.push_back(waiting);
                }
            }
        }
        self.backlog = kept;
    }

    /// Decides what waits, in arrival order. What must see the outcome of this batch first stays for the next one.
    async fn decide(&mut self) -> (Batch, Vec<Check>) {
        let mut batch = Batch::default();
        let mut checks = Vec::new();
        let mut later = VecDeque::new();
        let mut keys = HashSet::new();
        self.preload(&mut batch).await;
        while let Some(waiting) = self.backlog.pop_front() {
            let use_case = &waiting.command.use_case;
            let (writes, reads) = (use_case.writes(), use_case.reads());
            if self.is_full(&batch, keys.len()) {
                later.push_back(waiting);
                break;
            }
            if reads.iter().any(|stream| batch.has_written(stream)) || !keys.insert(waiting.command.key) {
                later.push_back(waiting);
                continue;
            }
            checks.extend(self.consider(&mut batch, waiting, &writes, &reads).await);
        }
        while let Some(waiting) = later.pop_back() {
            self.backlog.push_front(waiting);
        }
        (batch, checks)
    }

    fn is_full(&self, batch: &Batch, commands: usize) -> bool {
        let settings = &self.context.settings;
        commands >= settings.batch_commands || batch.events >= settings.batch_events || batch.bytes >= BATCH_BYTES
    }

    /// Brings the states that what waits will need, the missing ones all at once. One that cannot be had is asked for again
    /// by the command that needs it, and that command is told.
    async fn preload(&mut self, batch: &mut Batch) {
        let mut missing = Vec::new();
        for waiting in self.backlog.iter().take(self.context.settings.batch_commands) {
            let use_case = &waiting.command.use_case;
            if let Some(message) = use_case.message()
                && let Some(known) = self.facts.take(&message)
            {
                batch.facts.insert(message, known);
            }
            for stream in use_case.writes().into_iter().chain(use_case.reads()) {
                if batch.states.contains_key(&stream) || missing.contains(&stream) {
                    continue;
                }
                match self.cache.take(&stream) {
                    Some(loaded) => drop(batch.states.insert(stream, loaded)),
                    None => missing.push(stream),
                }
            }
        }
        let log = &*self.context.log;
        let loads = missing.iter().map(|stream| load(log, log, stream));
        for (stream, loaded) in missing.iter().zip(join_all(loads).await) {
            if let Ok(loaded) = loaded {
                batch.states.insert(*stream, loaded);
            }
        }
    }

    /// Decides one command, into the batch or into a check.
    async fn consider(
        &self,
        batch: &mut Batch,
        waiting: Waiting,
        writes: &[StreamId],
        reads: &[StreamId],
    ) -> Option<Check> {
        let settled = match self
            .context
            .decide(batch, &waiting, writes, reads, &*self.context.log)
            .await
        {
            Ok(Ok(decision)) if !decision.events.is_empty() => {
                batch.add(waiting, writes, reads, decision);
                return None;
            }
            Ok(settled) => settled.map(|decision| decision.answer),
            Err(error) => {
                waiting.answer(Err(error.into()));
                return None;
            }
        };
        let streams: Vec<StreamId> = writes.iter().chain(reads).copied().collect();
        let slices = batch.slices_of(&waiting.command.use_case.home(), writes);
        Some(Check {
            waiting,
            settled,
            streams,
            slices,
        })
    }

    /// Makes a batch durable and answers it. What lost a race comes back; states of what was not written are gone.
    async fn append(&mut self, mut batch: Batch) -> Appended {
        let (units, drafted) = batch.take_units();
        let mut retries = Vec::new();
        if !units.is_empty() {
            metrics::histogram!(BATCH_COMMANDS)
                .record(drafted.iter().map(|unit| unit.decided.len()).sum::<usize>() as f64);
            let started = Instant::now();
            let outcomes = self.context.log.append(units).await;
            metrics::histogram!(APPEND_SECONDS).record(started.elapsed().as_secs_f64());
            match outcomes {
                Ok(outcomes) => {
                    for (unit, outcome) in drafted.into_iter().zip(outcomes) {
                        retries.extend(settle(&mut batch, unit, outcome));
                    }
                }
                Err(error) => fail(&mut batch, drafted, error),
            }
        }
        let versions = batch
            .states
            .iter()
            .map(|(stream, loaded)| (*stream, loaded.version))
            .collect();
        self.keep_facts(batch.take_facts());
        for (stream, loaded) in batch.states {
            self.keep(stream, loaded);
        }
        Appended { retries, versions }
    }

    /// Puts a committed state into the cache, if this lane is the one that will be asked for it, and snapshots it when due.
    fn keep(&mut self, stream: StreamId, mut loaded: Loaded) {
        if loaded.version - loaded.snapshot >= self.context.settings.snapshot_every {
            loaded.snapshot = loaded.version;
            let (log, taken) = (Arc::clone(&self.context.log), snapshot(&loaded));
            self.context.tasks.spawn(async move {
                if let Err(error) = log.save_snapshot(&stream, taken).await {
                    tracing::warn!(stream = %stream, "no snapshot of {stream} was kept: {}", chain(&error));
                }
            });
        }
        if stream.slice() == self.slice {
            self.cache.put(stream, loaded);
        }
    }

    /// Puts what is known of messages into the cache, if this lane is the one that will be asked for them.
    fn keep_facts(&mut self, facts: Vec<(MessageId, Known)>) {
        for (message, known) in facts {
            if known.stream().slice() == self.slice {
                self.facts.put(message, known);
            }
        }
    }

    async fn second_try(&mut self, cause: Cause, commands: Vec<Waiting>) {
        let outcome = second_try(&self.context, cause, commands).await;
        self.keep_facts(outcome.facts);
        for (stream, loaded) in outcome.states {
            self.keep(stream, loaded);
        }
        self.backlog.extend(outcome.later);
    }

    /// Gives the answers that write nothing: only for a new key, and only if nobody else has written since they were decided.
    /// What this batch has written itself counts only if it is durable now: `versions` are those of what is.
    async fn check(&mut self, checks: Vec<Check>, versions: &HashMap<StreamId, u64>) {
        let log = &*self.context.log;
        let probes = checks
            .iter()
            .map(|check| log.probe(Some(check.waiting.command.key), &check.streams, &check.slices));
        let probes = join_all(probes).await;
        for (check, probe) in checks.into_iter().zip(probes) {
            let probe = match probe {
                Ok(probe) => probe,
                Err(error) => {
                    check.waiting.answer(Err(error.into()));
                    continue;
                }
            };
            let expected: Option<Vec<u64>> = check
                .streams
                .iter()
                .map(|stream| versions.get(stream).copied())
                .collect();
            if probe.command.is_some() || Some(probe.versions) != expected {
                check.streams.iter().for_each(|stream| drop(self.cache.take(stream)));
                self.second_try(Cause::Stale, vec![check.waiting]).await;
                continue;
            }
            let mut position = Position::default();
            check
                .slices
                .iter()
                .zip(probe.heads)
                .for_each(|(slice, head)| position.raise(*slice, head));
            let accepted = |answer| Accepted {
                answer,
                position,
                replayed: false,
            };
            check
                .waiting
                .answer(check.settled.map(accepted).map_err(CommandError::from));
        }
    }
}

/// What became of a batch.
struct Appended {
    /// What lost a race.
    retries: Vec<(Cause, Vec<Waiting>)>,
    /// The versions of the streams that were worked on, but for those of which something was not written.
    versions: HashMap<StreamId, u64>,
}

fn settle(batch: &mut Batch, unit: Drafted, outcome: UnitOutcome) -> Option<(Cause, Vec<Waiting>)> {
    let cause = match outcome {
        UnitOutcome::Appended { first_pos } => {
            unit.answer(&first_pos);
            return None;
        }
        UnitOutcome::Conflict => Cause::Conflict,
        UnitOutcome::Repeated => Cause::Repeated,
    };
    unit.streams().for_each(|stream| batch.forget(stream));
    Some((cause, unit.into_waiting().collect()))
}

fn fail(batch: &mut Batch, drafted: Vec<Drafted>, error: StoreError) {
    let error = CommandError::from(error);
    for unit in drafted {
        unit.streams().for_each(|stream| batch.forget(stream));
        unit.into_waiting()
            .for_each(|waiting| waiting.answer(Err(error.clone())));
    }
}
