//! Projections that the writer follows: what they make of events, how far they have come, and what is parked.

use std::collections::HashSet;
use std::sync::Arc;

use cocotalk_application::port::event_log::RecordedEvent;
use cocotalk_application::projection::{Projection, coalesce};
use cocotalk_application::row::RowWrite;
use cocotalk_domain::id::{RoomId, UserId};
use cocotalk_domain::stream::{ClaimId, SLICES, StreamId};

use super::rows;
use super::script::{Step, Value};
use super::sql::Sql;

/// What waits together behind an event that a projection cannot take: all streams with one slice key, so that a room and
/// the seats in it stay in order among themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Aggregate {
    Room(RoomId),
    Account(UserId),
    Claim(ClaimId),
}

impl From<StreamId> for Aggregate {
    fn from(stream: StreamId) -> Self {
        match stream {
            StreamId::Room(room) | StreamId::Seat(room, _) => Self::Room(room),
            StreamId::Account(user) => Self::Account(user),
            StreamId::Claim(claim) => Self::Claim(claim),
        }
    }
}

/// A projection with its state in this store.
pub(super) struct Followed {
    pub(super) projection: Arc<dyn Projection>,
    /// How far it has come in every slice.
    pub(super) positions: [u64; SLICES],
    /// What waits.
    pub(super) parked: HashSet<Aggregate>,
}

/// What a projection makes of some events.
#[derive(Default)]
pub(super) struct Projected {
    /// Rows, without those that later ones make pointless.
    pub(super) writes: Vec<RowWrite>,
    /// Events that wait, with the reason.
    pub(super) parked: Vec<(Arc<RecordedEvent>, String)>,
    /// Aggregates that begin to wait.
    pub(super) newly: HashSet<Aggregate>,
}

/// Why an event waits that is not itself to blame.
const BEHIND: &str = "waits behind an earlier event of its aggregate";

impl Followed {
    /// What it makes of events that come right after its positions.
    pub(super) fn project<'a>(&self, events: impl Iterator<Item = &'a Arc<RecordedEvent>>) -> Projected {
        let mut projected = Projected::default();
        let mut writes = Vec::new();
        for event in events {
            match self.rows(&projected, event) {
                Ok(rows) => writes.extend(rows),
                Err(why) => projected.park(event, why),
            }
        }
        projected.writes = coalesce(writes);
        projected
    }

    /// The rows of one event, or why it has to wait.
    pub(super) fn rows(&self, so_far: &Projected, event: &RecordedEvent) -> Result<Vec<RowWrite>, String> {
        let aggregate = Aggregate::from(event.stream);
        if self.parked.contains(&aggregate) || so_far.newly.contains(&aggregate) {
            return Err(BEHIND.to_owned());
        }
        if let Err(error) = &event.event {
            return Err(error.to_string());
        }
        let rows = self.projection.rows(event).map_err(|poison| poison.to_string())?;
        for row in &rows {
            rows::check(row).map_err(|error| error.to_string())?;
        }
        Ok(rows)
    }

    /// The statements that park what waits.
    pub(super) fn parking_steps<'a>(&self, projected: &Projected, now_ms: i64) -> Vec<Step<'a>> {
        Step::many(Sql::Parked, &projected.parked, |(event, error), values| {
            values.extend([
                Value::text(self.projection.name()),
                Value::int(self.projection.version().into()),
                Value::text(event.stream.aggregate_type()),
                Value::text(event.stream.aggregate_id()),
                Value::number(event.sequence),
                Value::int(event.slice.index() as i64),
                Value::number(event.slice_pos),
                Value::text(error.clone()),
                Value::int(now_ms),
            ]);
        })
    }
}

impl Projected {
    /// Makes an event wait, and everything of its aggregate after it.
    pub(super) fn park(&mut self, event: &Arc<RecordedEvent>, why: String) {
        self.newly.insert(event.stream.into());
        self.parked.push((Arc::clone(event), why));
    }
}
