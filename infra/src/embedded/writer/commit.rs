//! One group, one transaction.
//!
//! The usual way stages everything in memory and carries the transaction out as it is; the file's unique indexes say if a
//! command was carried out before. Where something is not as expected, the transaction is rolled back and done again
//! carefully: losers are looked up first, and the rows of each projection stand under a savepoint of their own.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use cocotalk_application::error::chain;
use cocotalk_application::port::event_log::{CommandKey, RecordedEvent, UnitOutcome};
use cocotalk_application::row::Stamped;
use cocotalk_domain::stream::{SLICES, Slice, StreamId};
use sqlx::Row as _;
use tokio::time::Instant;

use super::super::error::{Fault, fault};
use super::super::parking;
use super::super::rows::RowSteps;
use super::super::script::{Step, Value};
use super::super::sql::{MOST_ROWS, Sql, size_for};
use super::super::staging::{Known, SliceHead, Staged};
use super::super::texts;
use super::{Append, Group, KeepSnapshot, Writer, refuse};
use crate::clock::now_us;
use crate::encoding::EncodedUnit;
use crate::metrics::{COMMIT_EVENTS, COMMIT_SECONDS, ROWS_WRITTEN};
use cocotalk_application::following::{Aggregate, Projected};
use cocotalk_application::metrics::PARKED_AGGREGATES;

/// What a transaction did, to be remembered once it is durable.
struct Done {
    outcomes: Vec<UnitOutcome>,
    events: Vec<Arc<RecordedEvent>>,
    slices: [SliceHead; SLICES],
    versions: HashMap<StreamId, u64>,
    projected: Vec<Projected>,
    written: Vec<Written>,
}

/// A table and how many rows of it were written.
type Written = (&'static str, u64);

impl Writer {
    /// Commits a group and answers everybody in it.
    pub(super) async fn commit(&mut self, group: Group) {
        if group.is_empty() {
            return;
        }
        let started = Instant::now();
        let done = match self.usual_way(&group).await {
            Ok(None) => self.careful_way(&group).await,
            Ok(Some(done)) => Ok(done),
            Err(error) => Err(error),
        };
        match done {
            Ok(done) => {
                metrics::histogram!(COMMIT_SECONDS).record(started.elapsed().as_secs_f64());
                metrics::histogram!(COMMIT_EVENTS).record(done.events.len() as f64);
                self.progress.set_fault(None);
                let outcomes = self.remember(done);
                answer(group, outcomes);
            }
            Err(error) => {
                self.connection.roll_back().await;
                self.connection.discard();
                self.progress.set_fault(Some(chain(&error)));
                refuse(group, error);
            }
        }
    }

    /// Nothing if it has to be done carefully; then nothing was kept.
    async fn usual_way(&mut self, group: &Group) -> Result<Option<Done>, sqlx::Error> {
        let versions = self.versions_of(group).await?;
        let known = Known {
            slices: &self.slices,
            versions: &versions,
            repeated: &HashSet::new(),
        };
        let staged = Staged::of(group.units(), &known, now_us());
        if !staged.all_win() {
            return Ok(None);
        }
        let projected = self.project(&staged.events);
        let (joined, steps) = self.script(group, &staged, &projected);
        let written = steps.iter().filter_map(Step::written).collect();
        let result = if joined {
            self.connection.run_joined(steps).await
        } else {
            self.connection.run(steps).await
        };
        match result {
            Ok(()) => Ok(Some(Done::of(staged, projected, written))),
            Err(error) if fault(&error) == Fault::Row => {
                tracing::debug!("a transaction is done again carefully: {error}");
                self.connection.roll_back().await;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// The whole transaction, and whether it is of a usual shape and so goes in one trip.
    fn script<'a>(&self, group: &'a Group, staged: &Staged<'a>, projected: &'a [Projected]) -> (bool, Vec<Step<'a>>) {
        let count = staged.events.len();
        let of_rows = RowSteps::of(
            projected
                .iter()
                .flat_map(|projected| &projected.writes)
                .map(|stamped| &stamped.write),
        );
        let now_ms = now_us() / 1_000;
        let each = self.followed.iter().zip(projected);
        let parking: Vec<Step<'_>> = each
            .flat_map(|(followed, projected)| parking::steps(followed, projected, now_ms))
            .collect();
        let unusual = !of_rows.others.is_empty() || !of_rows.later.is_empty() || !parking.is_empty();
        let joined = !unusual && group.snapshots.is_empty() && count <= MOST_ROWS;
        let mut steps = vec![Step::one(Sql::Begin, [])];
        steps.extend(staged.steps());
        steps.extend(of_rows.others);
        steps.extend(of_rows.usual.into_iter().map(|step| step.padded_for(count)));
        steps.extend(of_rows.later);
        steps.extend(parking);
        steps.extend(
            self.checkpoints(&staged.slices)
                .into_iter()
                .map(|step| step.padded_for(count)),
        );
        steps.extend(group.snapshots.iter().map(snapshot_step));
        steps.push(Step::one(Sql::Commit, []));
        (joined, steps)
    }

    async fn careful_way(&mut self, group: &Group) -> Result<Done, sqlx::Error> {
        self.connection.run(vec![Step::one(Sql::Begin, [])]).await?;
        let keys: Vec<CommandKey> = group.units().flat_map(EncodedUnit::keys).collect();
        let streams = group.units().flat_map(|unit| unit.runs.iter().map(|run| run.stream));
        let streams: Vec<StreamId> = streams.collect::<HashSet<_>>().into_iter().collect();
        let repeated = self.repeated(&keys).await?;
        let versions = self.stored_versions(&streams).await?;
        let known = Known {
            slices: &self.slices,
            versions: &versions,
            repeated: &repeated,
        };
        let staged = Staged::of(group.units(), &known, now_us());
        self.connection.run(staged.steps()).await?;
        let mut written = Vec::new();
        let mut projected = Vec::new();
        for index in 0..self.followed.len() {
            let events: Vec<_> = self.inline(index, &staged.events).cloned().collect();
            projected.push(self.apply(index, &events, &mut written).await?);
        }
        let mut steps = self.checkpoints(&staged.slices);
        steps.extend(group.snapshots.iter().map(snapshot_step));
        steps.push(Step::one(Sql::Commit, []));
        self.connection.run(steps).await?;
        Ok(Done::of(staged, projected, written))
    }

    /// Writes what a projection makes of events, inside a transaction. If the file does not take the rows, the events are
    /// gone through one by one, and what is to blame is parked.
    pub(super) async fn apply(
        &mut self,
        index: usize,
        events: &[Arc<RecordedEvent>],
        written: &mut Vec<Written>,
    ) -> Result<Projected, sqlx::Error> {
        let mut projected = self.followed[index].project(events.iter());
        if let Err(error) = self.try_rows(&projected.writes, written).await? {
            let name = self.followed[index].projection.name();
            tracing::warn!(
                projection = name,
                "rows of {name} were not taken, its events go one by one: {error}"
            );
            projected = Projected::default();
            for event in events {
                match self.followed[index].rows(&projected, event) {
                    Ok(writes) => {
                        if let Err(error) = self.try_rows(&writes, written).await? {
                            projected.park(event, error.to_string());
                        }
                    }
                    Err(why) => projected.park(event, why),
                }
            }
        }
        let parking = parking::steps(&self.followed[index], &projected, now_us() / 1_000);
        self.connection.run(parking).await?;
        Ok(projected)
    }

    /// Writes rows under a savepoint. The inner error says that the file does not take them; then none was written.
    async fn try_rows(
        &mut self,
        writes: &[Stamped],
        written: &mut Vec<Written>,
    ) -> Result<Result<(), sqlx::Error>, sqlx::Error> {
        if writes.is_empty() {
            return Ok(Ok(()));
        }
        let steps = RowSteps::of(writes.iter().map(|stamped| &stamped.write)).into_all();
        let counted: Vec<Written> = steps.iter().filter_map(Step::written).collect();
        self.connection.run(vec![Step::one(Sql::Savepoint, [])]).await?;
        match self.connection.run(steps).await {
            Ok(()) => {
                self.connection.run(vec![Step::one(Sql::Release, [])]).await?;
                written.extend(counted);
                Ok(Ok(()))
            }
            Err(error) if fault(&error) == Fault::Row => {
                let undo = vec![Step::one(Sql::RollbackToSavepoint, []), Step::one(Sql::Release, [])];
                self.connection.run(undo).await?;
                Ok(Err(error))
            }
            Err(error) => Err(error),
        }
    }

    /// What every projection makes of events that are its next ones.
    fn project(&self, events: &[Arc<RecordedEvent>]) -> Vec<Projected> {
        let all = self.followed.iter().enumerate();
        all.map(|(index, followed)| followed.project(self.inline(index, events)))
            .collect()
    }

    /// The events that a projection takes right away: those of slices in which it is not behind.
    fn inline<'a>(
        &self,
        index: usize,
        events: &'a [Arc<RecordedEvent>],
    ) -> impl Iterator<Item = &'a Arc<RecordedEvent>> {
        let current = self.current_in(index);
        events.iter().filter(move |event| current[event.slice.index()])
    }

    /// The slices in which a projection is not behind.
    fn current_in(&self, index: usize) -> [bool; SLICES] {
        let positions = &self.followed[index].positions;
        std::array::from_fn(|slice| positions[slice] == self.slices[slice].pos)
    }

    /// The statements that move checkpoints along with the heads.
    fn checkpoints(&self, after: &[SliceHead; SLICES]) -> Vec<Step<'static>> {
        let mut by_projections: BTreeMap<u16, Vec<(usize, u64)>> = BTreeMap::new();
        let current: Vec<_> = (0..self.followed.len()).map(|index| self.current_in(index)).collect();
        for slice in 0..SLICES {
            if after[slice].pos == self.slices[slice].pos {
                continue;
            }
            let bits = current
                .iter()
                .enumerate()
                .map(|(index, current)| u16::from(current[slice]) << index);
            let which = bits.fold(0, |all, bit| all | bit);
            if which != 0 {
                by_projections.entry(which).or_default().push((slice, after[slice].pos));
            }
        }
        let steps = by_projections
            .into_iter()
            .flat_map(|(which, places)| checkpoint_steps(which, &places));
        steps.collect()
    }

    /// The versions of the streams that a group writes; streams that its runs begin may be missing.
    async fn versions_of(&mut self, group: &Group) -> Result<HashMap<StreamId, u64>, sqlx::Error> {
        let mut versions = HashMap::new();
        let mut missing = Vec::new();
        for run in group.units().flat_map(|unit| &unit.runs) {
            match self.versions.get(&run.stream) {
                Some(version) => drop(versions.insert(run.stream, *version)),
                // Of a new stream that is written the unique index tells; of one that is only demanded nothing would.
                None if run.after > 0 || run.events.is_empty() => missing.push(run.stream),
                None => {}
            }
        }
        versions.extend(self.stored_versions(&missing).await?);
        Ok(versions)
    }

    /// The versions of streams as they stand in the file.
    async fn stored_versions(&mut self, streams: &[StreamId]) -> Result<HashMap<StreamId, u64>, sqlx::Error> {
        let mut versions = HashMap::new();
        for chunk in streams.chunks(MOST_ROWS) {
            let names = chunk.iter().enumerate().flat_map(|(index, stream)| {
                [
                    Value::int(index as i64),
                    Value::text(stream.aggregate_type()),
                    Value::text(stream.aggregate_id()),
                ]
            });
            let text = texts::versions(size_for(chunk.len()));
            for row in self.connection.fetch(&text, names.collect()).await? {
                let (index, version): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
                versions.insert(chunk[index as usize], version as u64);
            }
        }
        Ok(versions)
    }

    /// Those of the keys whose commands were carried out before.
    async fn repeated(&mut self, keys: &[CommandKey]) -> Result<HashSet<CommandKey>, sqlx::Error> {
        let mut repeated = HashSet::new();
        for chunk in keys.chunks(MOST_ROWS) {
            let values = chunk.iter().enumerate().flat_map(|(index, key)| {
                [
                    Value::int(index as i64),
                    Value::id(&key.actor),
                    Value::id(&key.command_id.0),
                ]
            });
            let text = texts::repeated(size_for(chunk.len()));
            for row in self.connection.fetch(&text, values.collect()).await? {
                let index: i64 = row.try_get(0)?;
                repeated.insert(chunk[index as usize]);
            }
        }
        Ok(repeated)
    }

    /// Takes note of a durable transaction and tells it to everybody who listens.
    fn remember(&mut self, done: Done) -> Vec<UnitOutcome> {
        for index in 0..self.followed.len() {
            for (slice, current) in Slice::all().zip(self.current_in(index)) {
                let (before, after) = (self.slices[slice.index()].pos, done.slices[slice.index()].pos);
                if current && before != after {
                    self.followed[index].positions[slice.index()] = after;
                    self.progress.raise_checkpoint(index, slice, after);
                }
            }
        }
        for slice in Slice::all() {
            if done.slices[slice.index()].pos != self.slices[slice.index()].pos {
                self.progress.raise_head(slice, done.slices[slice.index()].pos);
            }
        }
        self.slices = done.slices;
        for (stream, version) in done.versions {
            self.versions.put(stream, version);
        }
        for (index, projected) in done.projected.into_iter().enumerate() {
            self.keep_parked(index, projected.newly);
        }
        count(&done.written);
        if !done.events.is_empty() {
            // An error means that nobody listens.
            let _nobody = self.feed.send(done.events.into());
        }
        done.outcomes
    }

    pub(super) fn keep_parked(&mut self, index: usize, newly: HashSet<Aggregate>) {
        if newly.is_empty() {
            return;
        }
        let followed = &mut self.followed[index];
        let before = followed.parked.len();
        followed.parked.extend(newly);
        let name = followed.projection.name();
        metrics::gauge!(PARKED_AGGREGATES, "projection" => name).set(followed.parked.len() as f64);
        if followed.parked.len() > before {
            tracing::warn!(
                projection = name,
                "{name} could not take an event: its aggregate is parked"
            );
        }
    }
}

impl Done {
    fn of(staged: Staged<'_>, projected: Vec<Projected>, written: Vec<Written>) -> Self {
        let Staged {
            outcomes,
            events,
            slices,
            versions,
            ..
        } = staged;
        Self {
            outcomes,
            events,
            slices,
            versions,
            projected,
            written,
        }
    }
}

/// The statements that put checkpoints of some projections at places.
pub(super) fn checkpoint_steps(which: u16, places: &[(usize, u64)]) -> Vec<Step<'static>> {
    Step::many(Sql::Checkpoints(which), places, |(slice, pos), values| {
        values.extend([Value::int(*slice as i64), Value::number(*pos)]);
    })
}

pub(super) fn count(written: &[Written]) {
    for (table, rows) in written {
        metrics::counter!(ROWS_WRITTEN, "table" => *table).increment(*rows);
    }
}

fn snapshot_step(keep: &KeepSnapshot) -> Step<'_> {
    Step::one(
        Sql::Snapshot,
        [
            Value::text(keep.stream.aggregate_type()),
            Value::text(keep.stream.aggregate_id()),
            Value::int(keep.snapshot.state_version.into()),
            Value::number(keep.snapshot.sequence),
            Value::blob(&keep.snapshot.state),
        ],
    )
}

fn answer(group: Group, outcomes: Vec<UnitOutcome>) {
    let mut outcomes = outcomes.into_iter();
    for Append { units, reply } in group.appends {
        let _gone = reply.send(Ok(outcomes.by_ref().take(units.len()).collect()));
    }
    for snapshot in group.snapshots {
        let _gone = snapshot.reply.send(Ok(()));
    }
}
