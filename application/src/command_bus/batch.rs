//! One batch of a lane: what its commands have decided so far, gathered into units and runs.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use cocotalk_domain::event::AnyEvent;
use cocotalk_domain::id::MessageId;
use cocotalk_domain::room::{MessageFacts, RoomEvent};
use cocotalk_domain::stream::{Slice, StreamId};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::facts::Known;
use super::{Accepted, Command, Waiting};
use crate::port::event_log::{NewEvent, Run, Stamp, Unit};
use crate::position::Position;
use crate::use_case::{Answer, Decision, Loaded};

/// The answer of a command as its first event keeps it.
#[derive(Serialize, Deserialize)]
pub(super) struct StoredAnswer {
    pub(super) status: u16,
    pub(super) body: Box<RawValue>,
    /// The slices it wrote: a replay answers with their present heads.
    pub(super) slices: Vec<Slice>,
}

/// Events of one command in one of its runs: `offset..offset + count`.
struct Part {
    stream: StreamId,
    last_offset: u64,
}

/// A command whose events are in the batch.
pub(super) struct Decided {
    pub(super) waiting: Waiting,
    answer: Answer,
    parts: Vec<Part>,
}

/// Commands that share a written stream, directly or through others: they commit together.
#[derive(Default)]
pub(super) struct Draft {
    pub(super) decided: Vec<Decided>,
    runs: Vec<Run>,
}

/// What a batch has done to a stream.
struct Written {
    /// The draft that its run is in.
    draft: usize,
    /// Its version before.
    after: u64,
}

/// What a batch has decided.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) states: HashMap<StreamId, Loaded>,
    /// What is known of messages, what was decided in the batch included.
    pub(super) facts: HashMap<MessageId, Known>,
    drafts: Vec<Draft>,
    written: HashMap<StreamId, Written>,
    /// Events in it.
    pub(super) events: usize,
    /// Roughly their bytes.
    pub(super) bytes: usize,
}

impl Batch {
    /// Whether some command of this batch has written to the stream, so that its state is not what is committed.
    pub(super) fn has_written(&self, stream: &StreamId) -> bool {
        self.written.contains_key(stream)
    }

    /// The version of a stream that is there without what this batch has decided.
    pub(super) fn committed(&self, stream: &StreamId) -> u64 {
        match self.written.get(stream) {
            Some(written) => written.after,
            None => self.states[stream].version,
        }
    }

    /// Takes a decision in: its events are applied, and it joins the unit of every stream it writes or might have written.
    /// Of the streams that it was only decided on the unit demands that they have not moved.
    pub(super) fn add(&mut self, waiting: Waiting, writes: &[StreamId], reads: &[StreamId], decision: Decision) {
        let Decision { events, answer } = decision;
        let draft = self.join(writes);
        let mut stamp = Some(stamp(&waiting.command, &answer, &events));
        let mut parts: Vec<Part> = Vec::new();
        self.events += events.len();
        for (stream, event) in events {
            self.bytes += bytes(&event);
            let loaded = self
                .states
                .get_mut(&stream)
                .expect("a decision writes only what its use case declared");
            let run = run_of(&mut self.drafts[draft].runs, stream, loaded.version);
            let after = loaded.version;
            loaded.state.evolve(&event);
            loaded.version += 1;
            if let AnyEvent::Room(event) = &event {
                learn(&mut self.facts, event, loaded.version);
            }
            let last_offset = run.events.len() as u64;
            run.events.push(NewEvent {
                subject: subject(&event),
                event,
                metadata: Arc::clone(&waiting.command.metadata),
                stamp: stamp.take(),
            });
            self.written.entry(stream).or_insert(Written { draft, after });
            match parts.iter_mut().find(|part| part.stream == stream) {
                Some(part) => part.last_offset = last_offset,
                None => parts.push(Part { stream, last_offset }),
            }
        }
        for stream in writes
            .iter()
            .chain(reads)
            .filter(|stream| !self.written.contains_key(stream))
        {
            run_of(&mut self.drafts[draft].runs, *stream, self.states[stream].version);
        }
        self.drafts[draft].decided.push(Decided { waiting, answer, parts });
    }

    /// Lets go of a stream whose state in this batch never came to be, and of everything that was known with it.
    pub(super) fn forget(&mut self, stream: &StreamId) {
        self.states.remove(stream);
        self.facts.retain(|_, known| known.stream() != *stream);
    }

    /// What is known of messages once everything that is left in the batch is committed.
    pub(super) fn take_facts(&mut self) -> Vec<(MessageId, Known)> {
        let mut facts: Vec<_> = std::mem::take(&mut self.facts).into_iter().collect();
        for (_, known) in &mut facts {
            let stream = known.stream();
            if let Some(loaded) = self.states.get(&stream)
                && known.version >= self.committed(&stream)
            {
                // What was read while it was written may be newer than the state.
                known.version = known.version.max(loaded.version);
            }
        }
        facts
    }

    /// The slices in which a command that writes nothing has its answer: its home's, and those of the streams that are there.
    pub(super) fn slices_of(&self, home: &StreamId, writes: &[StreamId]) -> Vec<Slice> {
        let there = writes.iter().filter(|stream| self.states[*stream].version > 0);
        let slices: BTreeSet<Slice> = there.chain([home]).map(StreamId::slice).collect();
        slices.into_iter().collect()
    }

    /// The one draft of these streams; where they had several, those become one.
    fn join(&mut self, streams: &[StreamId]) -> usize {
        let mut found: Vec<usize> = streams
            .iter()
            .filter_map(|stream| self.written.get(stream).map(|written| written.draft))
            .collect();
        found.sort_unstable();
        found.dedup();
        let Some((&first, others)) = found.split_first() else {
            self.drafts.push(Draft::default());
            return self.drafts.len() - 1;
        };
        for &other in others {
            let Draft { decided, runs } = std::mem::take(&mut self.drafts[other]);
            self.drafts[first].decided.extend(decided);
            self.drafts[first].runs.extend(runs);
        }
        let runs = &mut self.drafts[first].runs;
        let written: HashSet<StreamId> = runs
            .iter()
            .filter(|run| !run.events.is_empty())
            .map(|run| run.stream)
            .collect();
        let mut seen = HashSet::new();
        runs.retain(|run| !run.events.is_empty() || (!written.contains(&run.stream) && seen.insert(run.stream)));
        self.written
            .values_mut()
            .filter(|written| others.contains(&written.draft))
            .for_each(|written| written.draft = first);
        first
    }

    /// The units to append, with the commands that wait for each.
    pub(super) fn take_units(&mut self) -> (Vec<Unit>, Vec<Drafted>) {
        let drafts = std::mem::take(&mut self.drafts)
            .into_iter()
            .filter(|draft| !draft.runs.is_empty());
        drafts
            .map(|draft| {
                let places = draft.runs.iter().map(|run| (run.stream, run.slice)).collect();
                (
                    Unit { runs: draft.runs },
                    Drafted {
                        decided: draft.decided,
                        places,
                    },
                )
            })
            .unzip()
    }
}

/// The commands of a unit and where its runs went.
pub(super) struct Drafted {
    pub(super) decided: Vec<Decided>,
    places: Vec<(StreamId, Slice)>,
}

impl Drafted {
    /// Answers every command of a unit that is durable now.
    pub(super) fn answer(self, first_pos: &[u64]) {
        for Decided { waiting, answer, parts } in self.decided {
            let mut position = Position::default();
            for part in parts {
                let run = self.places.iter().position(|(stream, _)| *stream == part.stream);
                if let Some(run) = run {
                    position.raise(self.places[run].1, first_pos[run] + part.last_offset);
                }
            }
            waiting.answer(Ok(Accepted {
                answer,
                position,
                replayed: false,
            }));
        }
    }

    /// The commands, undecided again.
    pub(super) fn into_waiting(self) -> impl Iterator<Item = Waiting> {
        self.decided.into_iter().map(|decided| decided.waiting)
    }

    /// The streams that were to be written.
    pub(super) fn streams(&self) -> impl Iterator<Item = &StreamId> {
        self.places.iter().map(|(stream, _)| stream)
    }
}

fn run_of(runs: &mut Vec<Run>, stream: StreamId, version: u64) -> &mut Run {
    let index = runs.iter().position(|run| run.stream == stream).unwrap_or_else(|| {
        runs.push(Run {
            stream,
            slice: stream.slice(),
            after: version,
            events: Vec::new(),
        });
        runs.len() - 1
    });
    &mut runs[index]
}

/// Folds an event that makes its room this version into what is known of the message it is about, which is known as it was
/// before: whoever decided the event has asked.
fn learn(facts: &mut HashMap<MessageId, Known>, event: &RoomEvent, version: u64) {
    let Some(message) = event.message_id() else { return };
    if let RoomEvent::MessageSent(_) = event {
        let sent = MessageFacts::after(None, event);
        facts.extend(sent.map(|facts| (message, Known { facts, version })));
    } else if let Some(known) = facts.get_mut(&message) {
        known.facts.evolve(event);
    }
}

fn subject(event: &AnyEvent) -> Option<uuid::Uuid> {
    match event {
        AnyEvent::Room(event) => event.message_id().map(|message| message.0),
        AnyEvent::Seat(_) | AnyEvent::Account(_) | AnyEvent::Claim(_) => None,
    }
}

/// Roughly the bytes of an event: what was sealed in it, or a little.
fn bytes(event: &AnyEvent) -> usize {
    match event {
        AnyEvent::Room(RoomEvent::MessageSent(sent)) => 256 + sent.body.bytes.len(),
        AnyEvent::Room(RoomEvent::MessageEdited(edited)) => 256 + edited.body.bytes.len(),
        AnyEvent::Room(RoomEvent::Opened(opened)) => 256 + opened.user_ids.len() * 40,
        AnyEvent::Room(_) | AnyEvent::Seat(_) | AnyEvent::Account(_) | AnyEvent::Claim(_) => 256,
    }
}

fn stamp(command: &Command, answer: &Answer, events: &[(StreamId, AnyEvent)]) -> Stamp {
    let slices: BTreeSet<Slice> = events.iter().map(|(stream, _)| stream.slice()).collect();
    let slices = slices.into_iter().collect();
    let stored = StoredAnswer {
        status: answer.status,
        body: answer.body.clone(),
        slices,
    };
    let answer = serde_json::to_string(&stored).expect("answers are plain data");
    Stamp {
        key: command.key,
        request_mac: command.request_mac,
        answer: answer.into(),
    }
}
