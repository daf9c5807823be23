//! Units as the arrays of `append_batch`.

use std::collections::HashSet;

use cocotalk_application::port::event_log::{CommandKey, UnitOutcome};
use sqlx::{PgConnection, Row as _};
use uuid::Uuid;

use crate::encoding::EncodedUnit;

const APPEND: &str = "SELECT run, outcome, first_pos FROM append_batch($1::int[], $2::smallint[], $3::text[], $4::text[], \
    $5::bigint[], $6::int[], $7::int[], $8::int[], $9::text[], $10::text[], $11::text[], $12::text[], $13::uuid[], $14::bytea[], \
    $15::uuid[], $16::uuid[], $17::bytea[], $18::text[])";

/// The arrays, borrowed from the units. Names are those of the function's parameters.
#[derive(Default)]
struct Arrays<'a> {
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

impl<'a> Arrays<'a> {
    fn add(&mut self, number: i32, unit: &'a EncodedUnit) {
        for run in &unit.runs {
            self.ru.push(number);
            self.rs.push(run.slice.index() as i16);
            self.ra.push(run.stream.aggregate_type());
            self.ri.push(&run.aggregate_id);
            self.rf.push(run.after as i64 + 1);
            self.rn.push(run.events.len() as i32);
            let run_number = self.ru.len() as i32;
            for (offset, event) in (0..).zip(&run.events) {
                let stamp = event.new.stamp.as_ref();
                self.g.push(run_number);
                self.k.push(offset);
                self.et.push(event.new.event.name());
                self.ev.push(event.new.event.version());
                self.p.push(&event.payload);
                self.m.push(&event.metadata);
                self.sb.push(event.new.subject);
                self.h.push(&event.hash);
                self.ea.push(stamp.map(|stamp| stamp.key.actor));
                self.ec.push(stamp.map(|stamp| stamp.key.command_id.0));
                self.er.push(stamp.map(|stamp| stamp.request_mac.as_slice()));
                self.ej.push(stamp.map(|stamp| &*stamp.answer));
            }
        }
    }
}

/// Appends units whose keys are distinct, in one round trip. Outcomes in the order of the units.
pub(super) async fn append(
    connection: &mut PgConnection,
    units: &[&EncodedUnit],
) -> Result<Vec<UnitOutcome>, sqlx::Error> {
    let mut arrays = Arrays::default();
    for (number, unit) in (0..).zip(units) {
        arrays.add(number, unit);
    }
    let a = &arrays;
    let rows = sqlx::query(APPEND)
        .bind(&a.ru)
        .bind(&a.rs)
        .bind(&a.ra)
        .bind(&a.ri)
        .bind(&a.rf)
        .bind(&a.rn)
        .bind(&a.g)
        .bind(&a.k)
        .bind(&a.et)
        .bind(&a.ev)
        .bind(&a.p)
        .bind(&a.m)
        .bind(&a.sb)
        .bind(&a.h)
        .bind(&a.ea)
        .bind(&a.ec)
        .bind(&a.er)
        .bind(&a.ej)
        .fetch_all(connection)
        .await?;
    // A unit without runs has nothing that could lose.
    let mut outcomes = vec![UnitOutcome::Appended { first_pos: Vec::new() }; units.len()];
    for row in rows {
        let run: i32 = row.try_get(0)?;
        let unit = arrays.ru[run as usize - 1] as usize;
        match (row.try_get::<&str, _>(1)?, &mut outcomes[unit]) {
            ("ok", UnitOutcome::Appended { first_pos }) => {
                first_pos.push(row.try_get::<Option<i64>, _>(2)?.unwrap_or(0) as u64);
            }
            ("repeated", outcome) => *outcome = UnitOutcome::Repeated,
            (_, outcome) => *outcome = UnitOutcome::Conflict,
        }
    }
    Ok(outcomes)
}

/// The units of a call in waves, as indexes: of two with the same key the second goes after the first, because what became of
/// the first decides whether it is a repetition.
pub(super) fn waves(units: &[EncodedUnit]) -> Vec<Vec<usize>> {
    let mut waves: Vec<(HashSet<CommandKey>, Vec<usize>)> = Vec::new();
    for (index, unit) in units.iter().enumerate() {
        let last = waves
            .iter()
            .rposition(|(keys, _)| unit.keys().any(|key| keys.contains(&key)));
        let wave = last.map_or(0, |last| last + 1);
        if wave == waves.len() {
            waves.push(Default::default());
        }
        waves[wave].0.extend(unit.keys());
        waves[wave].1.push(index);
    }
    waves.into_iter().map(|(_, units)| units).collect()
}
