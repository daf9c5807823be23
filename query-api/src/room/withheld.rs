//! What somebody has hidden of their rooms, as far as it shows in a list of rooms: a hidden message is not unread, and it is
//! not what a room is listed with. Nearly nobody has hidden what is new, and then nothing is asked.

use std::collections::{BTreeSet, HashMap};

use cocotalk_application::error::StoreError;
use cocotalk_application::port::read_model::ReadModel;
use cocotalk_application::row::{ItemState, LastItem, MessageRow};
use cocotalk_domain::id::{RoomId, UserId};
use cocotalk_domain::number::Seq;
use futures_util::future::try_join_all;

use super::Rows;

/// What somebody has hidden of one room.
pub(crate) struct Withheld {
    seqs: BTreeSet<Seq>,
    /// The newest item that they may see, where the room's newest one is hidden.
    last: Option<LastItem>,
}

impl Withheld {
    /// What a person has hidden of those of their rooms in which it shows.
    pub(crate) async fn of<'a>(
        model: &dyn ReadModel,
        user: UserId,
        rooms: impl Iterator<Item = Rows<'a>>,
    ) -> Result<HashMap<RoomId, Self>, StoreError> {
        let asked: Vec<Rows<'_>> = rooms.filter(Rows::may_withhold).collect();
        if asked.is_empty() {
            return Ok(HashMap::new());
        }
        let from: Vec<(RoomId, Seq)> = asked
            .iter()
            .map(|rows| (rows.room.room_id, rows.seat.first_seq()))
            .collect();
        let mut hidden = model.hidden(user, &from).await?;
        let withheld = asked.iter().filter_map(|rows| {
            let seqs = hidden.remove(&rows.room.room_id)?;
            Some(Self::in_room(model, *rows, seqs))
        });
        // Collected first: a future over the borrowing iterator itself would not be `Send`.
        let withheld: Vec<_> = withheld.collect();
        Ok(try_join_all(withheld).await?.into_iter().collect())
    }

    async fn in_room(model: &dyn ReadModel, rows: Rows<'_>, seqs: BTreeSet<Seq>) -> Result<(RoomId, Self), StoreError> {
        let room = rows.room.room_id;
        let first = rows.seat.first_seq().max(Seq(1));
        let head = rows.room.last.as_ref().map_or(Seq(0), |last| last.seq);
        let mut shown = (first.0..=head.0).rev().map(Seq);
        let last = match shown.find(|seq| !seqs.contains(seq)).filter(|seq| *seq < head) {
            Some(seq) => model.messages_at(room, &[seq]).await?.pop().map(as_last),
            None => None,
        };
        Ok((room, Self { seqs, last }))
    }

    /// How many messages after an item are hidden.
    pub(crate) fn after(&self, seq: Seq) -> u64 {
        self.seqs.range(seq.next()..).count() as u64
    }

    /// Whether an item is hidden.
    pub(crate) fn hides(&self, seq: Seq) -> bool {
        self.seqs.contains(&seq)
    }

    /// The newest item that may be seen, where the room's newest one is hidden.
    pub(crate) const fn last(&self) -> Option<&LastItem> {
        self.last.as_ref()
    }
}

/// An item as the newest of a room.
fn as_last(row: MessageRow) -> LastItem {
    LastItem {
        seq: row.seq,
        cnt: row.cnt,
        at: row.sent_at,
        kind: row.kind,
        author_id: row.author_id,
        preview: row.body,
        deleted: row.state == ItemState::Deleted,
    }
}
