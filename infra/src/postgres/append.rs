//! Units as the arrays of `append_batch`, and what it says of them.

use std::collections::HashSet;
use std::ops::Range;

use cocotalk_application::port::event_log::{CommandKey, Stamp, UnitOutcome};
use cocotalk_domain::stream::{Slice, StreamId};
use sqlx::{PgConnection, Row as _};
use uuid::Uuid;

use super::error::damaged;
use crate::encoding::EncodedUnit;

const APPEND: &str = "SELECT run, outcome, first_pos FROM append_batch($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, \
    $14, $15, $16, $17, $18)";

/// The arrays, borrowed from what is to be appended. Names are those of the function's parameters.
#[derive(Default)]
pub(super) struct Arrays<'a> {
    units: i32,
    ru: Vec<i32>,
    rs: Vec<i16>,
    ra: Vec<&'a str>,
    ri: Vec<&'a str>,
    rf: Vec<i64>,
    rn: Vec<i32>,
    g: Vec<i32>,
    k: Vec<i32>,
    et: Vec<&'a str>,
    ev: Vec<&'a str>,
    p: Vec<&'a str>,
    m: Vec<&'a str>,
    sb: Vec<Option<Uuid>>,
    h: Vec<&'a [u8]>,
    ea: Vec<Option<Uuid>>,
    ec: Vec<Option<Uuid>>,
    er: Vec<Option<&'a [u8]>>,
    ej: Vec<Option<&'a str>>,
}

/// A run, but for its events.
pub(super) struct NewRun<'a> {
    pub(super) slice: Slice,
    pub(super) aggregate_type: &'a str,
    pub(super) aggregate_id: &'a str,
    pub(super) after: u64,
}

/// An event of a run.
pub(super) struct NewRow<'a> {
    pub(super) event_type: &'a str,
    pub(super) event_version: &'a str,
    pub(super) payload: &'a str,
    pub(super) metadata: &'a str,
    pub(super) subject: Option<Uuid>,
    pub(super) hash: &'a [u8],
    pub(super) stamp: Option<&'a Stamp>,
}

impl<'a> Arrays<'a> {
    pub(super) fn of(units: &[&'a EncodedUnit]) -> Self {
        let mut arrays = Self::default();
        for unit in units {
            arrays.begin_unit();
            for run in &unit.runs {
                let new = NewRun {
                    slice: run.slice,
                    aggregate_type: run.stream.aggregate_type(),
                    aggregate_id: &run.aggregate_id,
                    after: run.after,
                };
                let rows = run.events.iter().map(|event| NewRow {
                    event_type: event.new.event.name(),
                    event_version: event.new.event.version(),
                    payload: &event.payload,
                    metadata: &event.metadata,
                    subject: event.new.subject,
                    hash: &event.hash,
                    stamp: event.new.stamp.as_ref(),
                });
                arrays.add_run(&new, rows);
            }
        }
        arrays
    }

    /// Runs that are added from now on belong to the next unit.
    pub(super) const fn begin_unit(&mut self) {
        self.units += 1;
    }

    pub(super) fn add_run(&mut self, run: &NewRun<'a>, rows: impl ExactSizeIterator<Item = NewRow<'a>>) {
        self.ru.push(self.units);
        self.rs.push(run.slice.index() as i16);
        self.ra.push(run.aggregate_type);
        self.ri.push(run.aggregate_id);
        self.rf.push(run.after as i64 + 1);
        self.rn.push(rows.len() as i32);
        let number = self.ru.len() as i32;
        for (offset, row) in (0..).zip(rows) {
            self.g.push(number);
            self.k.push(offset);
            self.et.push(row.event_type);
            self.ev.push(row.event_version);
            self.p.push(row.payload);
            self.m.push(row.metadata);
            self.sb.push(row.subject);
            self.h.push(row.hash);
            self.ea.push(row.stamp.map(|stamp| stamp.key.actor));
            self.ec.push(row.stamp.map(|stamp| stamp.key.command_id.0));
            self.er.push(row.stamp.map(|stamp| stamp.request_mac.as_slice()));
            self.ej.push(row.stamp.map(|stamp| &*stamp.answer));
        }
    }

    /// Appends, in one round trip. Outcomes in the order of the units.
    pub(super) async fn append(&self, connection: &mut PgConnection) -> Result<Vec<UnitOutcome>, sqlx::Error> {
        let rows = sqlx::query(APPEND)
            .bind(&self.ru)
            .bind(&self.rs)
            .bind(&self.ra)
            .bind(&self.ri)
            .bind(&self.rf)
            .bind(&self.rn)
            .bind(&self.g)
            .bind(&self.k)
            .bind(&self.et)
            .bind(&self.ev)
            .bind(&self.p)
            .bind(&self.m)
            .bind(&self.sb)
            .bind(&self.h)
            .bind(&self.ea)
            .bind(&self.ec)
            .bind(&self.er)
            .bind(&self.ej)
            .fetch_all(connection)
            .await?;
        if rows.len() != self.ru.len() {
            return Err(damaged("not every run was answered"));
        }
        // A unit without runs has nothing that could lose.
        let mut outcomes = vec![UnitOutcome::Appended { first_pos: Vec::new() }; self.units as usize];
        for (row, unit) in rows.iter().zip(&self.ru) {
            let outcome = &mut outcomes[*unit as usize - 1];
            match (row.try_get::<&str, _>(1)?, outcome) {
                ("ok", UnitOutcome::Appended { first_pos }) => first_pos.push(row.try_get::<i64, _>(2)? as u64),
                ("conflict", outcome) => *outcome = UnitOutcome::Conflict,
                ("repeated", outcome) => *outcome = UnitOutcome::Repeated,
                (other, _) => return Err(damaged(format!("a unit came to {other:?}"))),
            }
        }
        Ok(outcomes)
    }
}

/// The units in as few parts as can be, each for a call of its own: units of one call must not meet, or what became of the
/// first would not be known when the second is looked at.
pub(super) fn parts(units: &[&EncodedUnit]) -> Vec<Range<usize>> {
    let mut parts = Vec::new();
    let (mut begin, mut met) = (0, Met::default());
    for (index, unit) in units.iter().enumerate() {
        if met.meets(unit) {
            parts.push(begin..index);
            (begin, met) = (index, Met::default());
        }
        met.take(unit);
    }
    if begin < units.len() {
        parts.push(begin..units.len());
    }
    parts
}

/// What the units of a call write.
#[derive(Default)]
struct Met {
    streams: HashSet<StreamId>,
    keys: HashSet<CommandKey>,
}

impl Met {
    fn meets(&self, unit: &EncodedUnit) -> bool {
        unit.runs.iter().any(|run| self.streams.contains(&run.stream))
            || unit.keys().any(|key| self.keys.contains(&key))
    }

    fn take(&mut self, unit: &EncodedUnit) {
        let written = unit.runs.iter().filter(|run| !run.events.is_empty());
        self.streams.extend(written.map(|run| run.stream));
        self.keys.extend(unit.keys());
    }
}

#[cfg(test)]
mod tests {
    use cocotalk_application::contract::support::{key, room, run, stamped, unit};
    use cocotalk_application::port::event_log::Unit;

    use super::*;

    fn parts_of(units: Vec<Unit>) -> Vec<Range<usize>> {
        let units: Vec<EncodedUnit> = units.into_iter().map(EncodedUnit::of).collect();
        parts(&units.iter().collect::<Vec<_>>())
    }

    #[test]
    fn units_that_do_not_meet_go_together() {
        let shared = room();
        let demands = |stream| Unit {
            runs: vec![run(stream, 0, 1), run(shared, 3, 0)],
        };
        let units = vec![unit(room(), 0, 2), demands(room()), demands(room()), unit(shared, 3, 1)];
        assert_eq!(parts_of(units), vec![Range { start: 0, end: 4 }]);
    }

    #[test]
    fn what_meets_a_unit_before_it_goes_after_it() {
        let (stream, key) = (room(), key());
        let demand = Unit {
            runs: vec![run(room(), 0, 1), run(stream, 1, 0)],
        };
        let units = vec![unit(stream, 0, 1), demand, unit(stream, 1, 1), unit(stream, 2, 1)];
        assert_eq!(parts_of(units), [0..1, 1..3, 3..4]);
        let twice = vec![stamped(unit(room(), 0, 1), key), stamped(unit(room(), 0, 1), key)];
        assert_eq!(parts_of(twice), [0..1, 1..2]);
    }
}
