//! Projections as a store follows them: what they make of events, how far they have come, and what is parked.

use std::collections::HashSet;
use std::sync::Arc;

use cocotalk_domain::id::{RoomId, UserId};
use cocotalk_domain::sealed::Sealed;
use cocotalk_domain::stream::{ClaimId, SLICES, StreamId};

use crate::port::event_log::RecordedEvent;
use crate::projection::{Projection, coalesce};
use crate::row::{RowWrite, Stamped};

/// What waits together behind an event that a projection cannot take: all streams with one slice key, so that a room and
/// the seats in it stay in order among themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Aggregate {
    /// A room and every seat in it.
    Room(RoomId),
    /// A person's account.
    Account(UserId),
    /// A claim.
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

/// A projection with its state in a store.
pub struct Followed {
    /// The fold.
    pub projection: Arc<dyn Projection>,
    /// How far it has come in every slice.
    pub positions: [u64; SLICES],
    /// What waits.
    pub parked: HashSet<Aggregate>,
}

/// What a projection makes of some events.
#[derive(Default)]
pub struct Projected {
    /// Rows, without those that later ones make pointless.
    pub writes: Vec<Stamped>,
    /// Events that wait, with the reason.
    pub parked: Vec<(Arc<RecordedEvent>, String)>,
    /// Aggregates that begin to wait.
    pub newly: HashSet<Aggregate>,
}

/// Why an event waits that is not itself to blame.
const BEHIND: &str = "waits behind an earlier event of its aggregate";

impl Followed {
    /// What it makes of events that come right after its positions.
    pub fn project<'a>(&self, events: impl Iterator<Item = &'a Arc<RecordedEvent>>) -> Projected {
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
    pub fn rows(&self, so_far: &Projected, event: &RecordedEvent) -> Result<Vec<Stamped>, String> {
        let aggregate = Aggregate::from(event.stream);
        if self.parked.contains(&aggregate) || so_far.newly.contains(&aggregate) {
            return Err(BEHIND.to_owned());
        }
        self.rows_alone(event)
    }

    /// The rows of one event, whatever waits, or why it cannot be taken.
    pub fn rows_alone(&self, event: &RecordedEvent) -> Result<Vec<Stamped>, String> {
        if let Err(error) = &event.event {
            return Err(error.to_string());
        }
        let rows = self.projection.rows(event).map_err(|poison| poison.to_string())?;
        for row in &rows {
            check(row).map_err(|error| error.to_string())?;
        }
        let stamp = |write| Stamped {
            ts_us: event.ts_us,
            write,
        };
        Ok(rows.into_iter().map(stamp).collect())
    }
}

impl Projected {
    /// Makes an event wait, and everything of its aggregate after it.
    pub fn park(&mut self, event: &Arc<RecordedEvent>, why: String) {
        self.newly.insert(event.stream.into());
        self.parked.push((Arc::clone(event), why));
    }
}

/// A row that the tables cannot hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a text is sealed by {found}, not by the person it is stored under, {expected}")]
struct ForeignSeal {
    expected: UserId,
    found: UserId,
}

/// Whether every sealed text is sealed by the person that its row names: the tables keep the bytes alone.
fn check(write: &RowWrite) -> Result<(), ForeignSeal> {
    let (expected, sealed) = match write {
        RowWrite::Message(row) => (row.author_id, row.body.as_ref()),
        RowWrite::Head { last, .. } => (last.author_id, last.preview.as_ref()),
        RowWrite::Room(row) => match &row.last {
            Some(last) => (last.author_id, last.preview.as_ref()),
            None => return Ok(()),
        },
        RowWrite::UserRoomPreferences { user_id, alias, .. } => (*user_id, alias.as_ref()),
        RowWrite::MessageEdited { author_id, body, .. } => (*author_id, Some(body)),
        RowWrite::LastChanged { author_id, preview, .. } => (*author_id, preview.as_ref()),
        RowWrite::Profile(row) => (row.user_id, Some(&row.sealed)),
        RowWrite::MessageDeleted { .. }
        | RowWrite::Reactions { .. }
        | RowWrite::Reactor { .. }
        | RowWrite::Hidden { .. }
        | RowWrite::UserRoomHidden { .. }
        | RowWrite::RoomVersion { .. }
        | RowWrite::RoomMembers { .. }
        | RowWrite::RoomOwner { .. }
        | RowWrite::RoomName { .. }
        | RowWrite::RoomNotice { .. }
        | RowWrite::RoomSettings { .. }
        | RowWrite::RoomClosed { .. }
        | RowWrite::UserRoom { .. }
        | RowWrite::UserRoomLeft { .. }
        | RowWrite::UserRoomFloor { .. }
        | RowWrite::Member { .. }
        | RowWrite::MemberLeft { .. }
        | RowWrite::MemberRole { .. }
        | RowWrite::Read { .. }
        | RowWrite::ReadEnded { .. } => return Ok(()),
    };
    match sealed {
        Some(Sealed { subject, .. }) if *subject != expected => Err(ForeignSeal {
            expected,
            found: *subject,
        }),
        Some(_) | None => Ok(()),
    }
}
