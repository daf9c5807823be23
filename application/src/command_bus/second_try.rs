//! The second try: under lock, on what is committed, so it cannot lose again.

use std::collections::{BTreeSet, HashMap, HashSet};

use cocotalk_domain::id::MessageId;
use cocotalk_domain::stream::{Slice, StreamId};

use super::batch::{Batch, Drafted, StoredAnswer};
use super::facts::Known;
use super::{Accepted, CommandError, Context, Waiting};
use crate::error::StoreError;
use crate::metrics::SECOND_TRIES;
use crate::port::event_log::{LockedLog, StoredCommand, Unit, UnitOutcome};
use crate::position::Position;
use crate::use_case::{Answer, Decision, Loaded};

/// Why there is a second try.
#[derive(Clone, Copy)]
pub(super) enum Cause {
    /// A stream had moved on.
    Conflict,
    /// A command of the unit had been carried out before.
    Repeated,
    /// A refusal was found on a state that was not the newest, or for a key that was used.
    Stale,
}

impl Cause {
    const fn label(self) -> &'static str {
        match self {
            Self::Conflict => "conflict",
            Self::Repeated => "repeated",
            Self::Stale => "stale",
        }
    }
}

/// What a second try leaves behind.
#[derive(Default)]
pub(super) struct Outcome {
    /// Committed states.
    pub(super) states: HashMap<StreamId, Loaded>,
    /// What is known of messages, as committed.
    pub(super) facts: Vec<(MessageId, Known)>,
    /// Repetitions of commands that were carried out just now: they are asked again.
    pub(super) later: Vec<Waiting>,
}

type Settled = Vec<(Waiting, Settlement)>;

/// How a command ends that writes nothing.
enum Settlement {
    /// A repetition, or a refusal that is final.
    Final(Result<Accepted, CommandError>),
    /// Nothing to do: the answer stands on everything that is in these slices once this try is committed.
    Unchanged(Answer, Vec<Slice>),
}

/// Decides commands again, in order, and answers them.
pub(super) async fn second_try(context: &Context, cause: Cause, commands: Vec<Waiting>) -> Outcome {
    metrics::counter!(SECOND_TRIES, "cause" => cause.label()).increment(1);
    let mut keys = HashSet::new();
    let (commands, later): (Vec<_>, Vec<_>) = commands
        .into_iter()
        .partition(|waiting| keys.insert(waiting.command.key));
    let slices: BTreeSet<Slice> = commands
        .iter()
        .flat_map(|waiting| [waiting.command.use_case.writes(), waiting.command.use_case.reads()].concat())
        .map(|stream| stream.slice())
        .collect();
    let mut batch = match context.log.lock(slices).await {
        Ok(locked) => attempt(context, locked, commands).await,
        Err(error) => {
            let error = CommandError::from(error);
            commands
                .into_iter()
                .for_each(|waiting| waiting.answer(Err(error.clone())));
            Batch::default()
        }
    };
    Outcome {
        facts: batch.take_facts(),
        states: batch.states,
        later,
    }
}

/// What is left of the batch is what is committed; nothing if it failed.
async fn attempt(context: &Context, locked: Box<dyn LockedLog>, commands: Vec<Waiting>) -> Batch {
    let mut batch = Batch::default();
    let mut settled = Settled::new();
    let mut commands = commands.into_iter();
    while let Some(waiting) = commands.next() {
        let writes = waiting.command.use_case.writes();
        match judge(context, &*locked, &mut batch, &waiting, &writes).await {
            Ok(Verdict::Decided(decision)) => {
                let reads = waiting.command.use_case.reads();
                batch.add(waiting, &writes, &reads, decision);
            }
            Ok(Verdict::Settled(settlement)) => settled.push((waiting, settlement)),
            Err(error) => {
                let undecided = std::iter::once(waiting).chain(commands);
                fail(
                    undecided.chain(settled.into_iter().map(|(waiting, _)| waiting)),
                    batch.take_units().1,
                    &error.into(),
                );
                return Batch::default();
            }
        }
    }
    commit(context, locked, batch, settled).await
}

async fn commit(context: &Context, locked: Box<dyn LockedLog>, mut batch: Batch, settled: Settled) -> Batch {
    let (units, drafted) = batch.take_units();
    let result = if units.is_empty() {
        Ok(UnitOutcome::Appended { first_pos: Vec::new() })
    } else {
        locked
            .commit(Unit {
                runs: units.into_iter().flat_map(|unit| unit.runs).collect(),
            })
            .await
    };
    let error = match result {
        Ok(UnitOutcome::Appended { first_pos }) => {
            let mut rest = first_pos.as_slice();
            for unit in drafted {
                let (own, others) = rest.split_at(unit.streams().count());
                unit.answer(own);
                rest = others;
            }
            settle(context, settled).await;
            return batch;
        }
        // The same key was carried out elsewhere at this very moment: whoever asks again finds it.
        Ok(UnitOutcome::Conflict | UnitOutcome::Repeated) => CommandError::Busy,
        Err(error) => error.into(),
    };
    fail(settled.into_iter().map(|(waiting, _)| waiting), drafted, &error);
    Batch::default()
}

/// Gives the answers that write nothing, now that what they stand on is committed.
async fn settle(context: &Context, settled: Settled) {
    for (waiting, settlement) in settled {
        let result = match settlement {
            Settlement::Final(result) => result,
            Settlement::Unchanged(answer, slices) => match context.log.probe(None, &[], &slices).await {
                Ok(probe) => Ok(Accepted {
                    answer,
                    position: at_heads(&slices, &probe.heads),
                    replayed: false,
                }),
                Err(error) => Err(error.into()),
            },
        };
        waiting.answer(result);
    }
}

fn at_heads(slices: &[Slice], heads: &[u64]) -> Position {
    let mut position = Position::default();
    slices
        .iter()
        .zip(heads)
        .for_each(|(slice, head)| position.raise(*slice, *head));
    position
}

enum Verdict {
    /// There is something to write.
    Decided(Decision),
    /// There is not: a repetition, nothing to do, or a refusal that is final.
    Settled(Settlement),
}

async fn judge(
    context: &Context,
    locked: &dyn LockedLog,
    batch: &mut Batch,
    waiting: &Waiting,
    writes: &[StreamId],
) -> Result<Verdict, StoreError> {
    let probe = locked.probe(Some(waiting.command.key), &[], &[]).await?;
    if let Some(stored) = probe.command {
        let replayed = replay(locked, &stored, waiting.command.request_mac).await?;
        return Ok(Verdict::Settled(Settlement::Final(replayed)));
    }
    let use_case = &waiting.command.use_case;
    let reads = use_case.reads();
    Ok(match context.decide(batch, waiting, writes, &reads, locked).await? {
        Ok(decision) if !decision.events.is_empty() => Verdict::Decided(decision),
        Ok(Decision { answer, .. }) => {
            Verdict::Settled(Settlement::Unchanged(answer, batch.slices_of(&use_case.home(), writes)))
        }
        Err(refusal) => Verdict::Settled(Settlement::Final(Err(refusal.into()))),
    })
}

/// The answer that a command got the first time, if this is the same request.
async fn replay(
    locked: &dyn LockedLog,
    stored: &StoredCommand,
    request_mac: [u8; 32],
) -> Result<Result<Accepted, CommandError>, StoreError> {
    if stored.request_mac != request_mac {
        return Ok(Err(CommandError::KeyReused));
    }
    let StoredAnswer { status, body, slices } =
        serde_json::from_str(&stored.answer).map_err(|error| StoreError::corrupt("a stored answer", error))?;
    let heads = locked.probe(None, &[], &slices).await?.heads;
    let position = at_heads(&slices, &heads);
    Ok(Ok(Accepted {
        answer: Answer { status, body },
        position,
        replayed: true,
    }))
}

fn fail(waiting: impl Iterator<Item = Waiting>, drafted: Vec<Drafted>, error: &CommandError) {
    let drafted = drafted.into_iter().flat_map(Drafted::into_waiting);
    waiting
        .chain(drafted)
        .for_each(|waiting| waiting.answer(Err(error.clone())));
}
