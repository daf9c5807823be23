//! Which units win, and where their events go: decided in memory, before any statement.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use cocotalk_application::port::event_log::{CommandKey, RecordedEvent, UnitOutcome};
use cocotalk_domain::stream::{SLICES, StreamId};

use super::codec::push_event;
use super::script::Step;
use super::sql::Sql;
use crate::encoding::{EncodedEvent, EncodedRun, EncodedUnit};

/// The newest event of a slice.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SliceHead {
    pub(super) pos: u64,
    pub(super) ts_us: i64,
}

/// What winners and losers are told apart by.
pub(super) struct Known<'a> {
    /// The heads of all slices.
    pub(super) slices: &'a [SliceHead; SLICES],
    /// The versions of streams; one that is missing is taken for new.
    pub(super) versions: &'a HashMap<StreamId, u64>,
    /// Commands that were carried out before.
    pub(super) repeated: &'a HashSet<CommandKey>,
}

/// Units with their outcomes, and the events of the winners with their places. Nothing is written yet.
pub(super) struct Staged<'a> {
    /// In the order of the units.
    pub(super) outcomes: Vec<UnitOutcome>,
    /// In slice order.
    pub(super) events: Vec<Arc<RecordedEvent>>,
    /// The heads of all slices afterwards.
    pub(super) slices: [SliceHead; SLICES],
    /// The versions of the written streams afterwards.
    pub(super) versions: HashMap<StreamId, u64>,
    sources: Vec<(&'a EncodedRun, &'a EncodedEvent)>,
    keys: HashSet<CommandKey>,
}

impl<'a> Staged<'a> {
    pub(super) fn of(units: impl Iterator<Item = &'a EncodedUnit>, known: &Known<'_>, now_us: i64) -> Self {
        let mut staged = Self {
            outcomes: Vec::new(),
            events: Vec::new(),
            slices: *known.slices,
            versions: HashMap::new(),
            sources: Vec::new(),
            keys: HashSet::new(),
        };
        for unit in units {
            let outcome = staged.place(unit, known, now_us);
            staged.outcomes.push(outcome);
        }
        staged
    }

    /// Whether every unit won.
    pub(super) fn all_win(&self) -> bool {
        self.outcomes
            .iter()
            .all(|outcome| matches!(outcome, UnitOutcome::Appended { .. }))
    }

    /// The statements that append its events.
    pub(super) fn steps(&self) -> Vec<Step<'a>> {
        let rows: Vec<_> = self.sources.iter().zip(&self.events).collect();
        Step::many(Sql::Events, &rows, |((run, event), at), values| {
            push_event(run, event, at, values);
        })
    }

    fn place(&mut self, unit: &'a EncodedUnit, known: &Known<'_>, now_us: i64) -> UnitOutcome {
        if unit
            .keys()
            .any(|key| known.repeated.contains(&key) || self.keys.contains(&key))
        {
            return UnitOutcome::Repeated;
        }
        let moved = |run: &EncodedRun| {
            let version = self
                .versions
                .get(&run.stream)
                .or_else(|| known.versions.get(&run.stream));
            version.copied().unwrap_or(0) != run.after
        };
        if unit.runs.iter().any(moved) {
            return UnitOutcome::Conflict;
        }
        self.keys.extend(unit.keys());
        UnitOutcome::Appended {
            first_pos: unit.runs.iter().map(|run| self.append(run, now_us)).collect(),
        }
    }

    fn append(&mut self, run: &'a EncodedRun, now_us: i64) -> u64 {
        let head = &mut self.slices[run.slice.index()];
        let first_pos = head.pos + 1;
        let mut sequence = run.after;
        for event in &run.events {
            sequence += 1;
            *head = SliceHead {
                pos: head.pos + 1,
                ts_us: now_us.max(head.ts_us + 1),
            };
            self.events.push(Arc::new(RecordedEvent {
                stream: run.stream,
                sequence,
                slice: run.slice,
                slice_pos: head.pos,
                ts_us: head.ts_us,
                event: Ok(event.new.event.clone()),
                metadata: Arc::clone(&event.new.metadata),
            }));
            self.sources.push((run, event));
        }
        self.versions.insert(run.stream, sequence);
        first_pos
    }
}
