//! Tables that keep the newest cell, and forget what was not on a disk when they come to a stop.

use std::collections::HashMap;
use std::time::Duration;

use cocotalk_application::port::row_store::{Checkpoint, Tables};
use cocotalk_application::row::{RowWrite, Stamped};
use cocotalk_domain::id::UserId;
use cocotalk_domain::stream::{SLICES, Slice};
use tokio::time::Instant;

use crate::world::mark;

#[derive(Default)]
pub(crate) struct ReadModelDouble {
    journal: Vec<(Instant, Tables, Stamped)>,
    /// Since when the row of an event's own is there.
    marks: HashMap<(Tables, UserId), Instant>,
    checkpoints: HashMap<Tables, Vec<Checkpoint>>,
    /// Writes that were forgotten.
    lost: usize,
}

impl ReadModelDouble {
    pub(crate) fn write(&mut self, tables: Tables, writes: &[Stamped]) {
        let now = Instant::now();
        self.journal
            .extend(writes.iter().map(|write| (now, tables, write.clone())));
        for stamped in writes {
            self.mark(now, tables, stamped);
        }
    }

    fn mark(&mut self, at: Instant, tables: Tables, stamped: &Stamped) {
        if let RowWrite::MemberRole { user_id, .. } = stamped.write {
            self.marks.entry((tables, user_id)).or_insert(at);
        }
    }

    pub(crate) fn lose(&mut self, unsynced: Duration) {
        let before = self.journal.len();
        self.journal.retain(|(at, ..)| at.elapsed() >= unsynced);
        self.lost += before - self.journal.len();
        self.marks.clear();
        for (at, tables, stamped) in self.journal.clone() {
            self.mark(at, tables, &stamped);
        }
    }

    pub(crate) const fn has_lost(&self) -> bool {
        self.lost > 0
    }

    /// Since when the row of an event is there.
    pub(crate) fn written(&self, tables: Tables, slice: Slice, position: u64) -> Option<Instant> {
        self.marks.get(&(tables, mark(slice, position))).copied()
    }

    pub(crate) fn progress(&self, tables: Tables) -> [Checkpoint; SLICES] {
        let known = self.checkpoints.get(&tables);
        std::array::from_fn(|index| known.map(|known| known[index]).unwrap_or_default())
    }

    pub(crate) fn save(&mut self, tables: Tables, slice: Slice, checkpoint: Checkpoint) {
        let known = self
            .checkpoints
            .entry(tables)
            .or_insert_with(|| vec![Checkpoint::default(); SLICES]);
        let known = &mut known[slice.index()];
        known.position = known.position.max(checkpoint.position);
        known.settled = known.settled.max(checkpoint.settled);
    }

    /// Every cell with its newest contents.
    pub(crate) fn cells(&self, tables: Tables) -> HashMap<String, String> {
        let mut cells: HashMap<String, (i64, String)> = HashMap::new();
        for (_, _, stamped) in self.journal.iter().filter(|(_, of, _)| *of == tables) {
            let (cell, new) = cell(stamped);
            let kept = cells.entry(cell).or_insert_with(|| new.clone());
            if new > *kept {
                *kept = new;
            }
        }
        cells.into_iter().map(|(cell, (_, value))| (cell, value)).collect()
    }
}

/// The cell that is written, its rank among the writes to it, and its contents.
fn cell(stamped: &Stamped) -> (String, (i64, String)) {
    match &stamped.write {
        RowWrite::RoomName { room_id, name } => (format!("name of {room_id}"), (stamped.ts_us, format!("{name:?}"))),
        RowWrite::MemberRole { room_id, user_id, role } => (
            format!("role of {user_id} in {room_id}"),
            (stamped.ts_us, format!("{role:?}")),
        ),
        RowWrite::Read {
            room_id,
            user_id,
            read_seq,
            ..
        } => {
            let rank = read_seq.0 as i64;
            (format!("read of {user_id} in {room_id}"), (rank, rank.to_string()))
        }
        other => panic!("these tests do not write {other:?}"),
    }
}
