//! A store with one projection whose rows the test writes down, and rows to write.

use std::sync::Arc;

use cocotalk_domain::id::{MessageId, RoomId, UserId};
use cocotalk_domain::number::{Cnt, Seq, Version};
use cocotalk_domain::room::event::ReactionTotals;
use cocotalk_domain::room::{RoomKind, Settings, Who};
use cocotalk_domain::stream::StreamId;

use super::Store;
use super::script::Script;
use super::support::{at, id, room, room_id, sealed};
use crate::port::read_model::{From, Page};
use crate::projection::Projection;
use crate::row::{ItemKind, ItemMeta, ItemState, LastItem, MessageRow, RoomRow, RowWrite};

type Projections = Vec<Arc<dyn Projection>>;

/// A store, its script, and a room whose events carry the rows.
pub struct Stage {
    /// The store.
    pub store: Store,
    /// Its only projection.
    pub script: Arc<Script>,
    /// The stream whose events carry the rows.
    pub stream: StreamId,
    /// Its room.
    pub room_id: RoomId,
}

impl Stage {
    /// Sets it up.
    pub async fn set(fresh: impl AsyncFn(Projections) -> Store) -> Self {
        let script = Script::new("script");
        let store = fresh(vec![Arc::<Script>::clone(&script)]).await;
        let stream = room();
        Self {
            store,
            script,
            stream,
            room_id: room_id(stream),
        }
    }

    /// Appends an event that makes these rows.
    pub async fn write(&self, rows: Vec<RowWrite>) {
        self.script.write(&*self.store.log, self.stream, rows).await;
    }

    /// The room as it is shown.
    pub async fn room(&self) -> Option<RoomRow> {
        self.store
            .reads
            .rooms(&[self.room_id])
            .await
            .expect("it can be read")
            .remove(&self.room_id)
    }

    /// The seqs of a page.
    pub async fn seqs(&self, from: From, floor: u64, limit: usize) -> Vec<u64> {
        let page = Page {
            from,
            floor: Seq(floor),
            limit,
        };
        let rows = self
            .store
            .reads
            .messages(self.room_id, page)
            .await
            .expect("it can be read");
        rows.iter().map(|row| row.seq.0).collect()
    }

    /// A read position; as many items counted, and a hundred.
    pub fn read(&self, user_id: UserId, seq: u64) -> RowWrite {
        RowWrite::Read {
            room_id: self.room_id,
            user_id,
            read_seq: Seq(seq),
            read_cnt: Cnt(seq + 100),
        }
    }

    /// A person in the room, since this seq.
    pub fn user_room(&self, user_id: UserId, seq: u64) -> RowWrite {
        let (joined_seq, joined_cnt) = (Seq(seq), Cnt(seq - 1));
        let peer_id = Some(UserId::from_u128(9));
        RowWrite::UserRoom {
            user_id,
            room_id: self.room_id,
            joined_seq,
            joined_cnt,
            joined_at: at(3),
            peer_id,
        }
    }

    /// A room with something in every column.
    pub fn full_room(&self) -> RoomRow {
        full_room(self.room_id)
    }
}

/// A room with something in every column.
pub fn full_room(room_id: RoomId) -> RoomRow {
    let owner = UserId(id());
    RoomRow {
        room_id,
        kind: RoomKind::Group,
        name: Some("산책 🐕 \"a\\b\" \t'c'".to_owned()),
        owner_id: Some(owner),
        member_count: 3,
        member_sample: vec![owner, UserId(id()), UserId(id())],
        notice: Some("bring water".to_owned()),
        settings: Settings {
            rename_by: Who::Admins,
            invite_by: Who::All,
        },
        created_at: at(1),
        closed: false,
        version: Version(1),
        last: Some(last(1)),
    }
}

/// A newest item.
pub fn last(seq: u64) -> LastItem {
    let author_id = UserId::from_u128(5);
    LastItem {
        seq: Seq(seq),
        cnt: Cnt(seq),
        at: at(2),
        kind: ItemKind::Text,
        author_id,
        preview: Some(sealed(author_id, &format!("preview {seq}"))),
        deleted: false,
    }
}

/// A message in a timeline.
pub fn message(room_id: RoomId, seq: u64) -> MessageRow {
    let author_id = UserId::from_u128(5);
    MessageRow {
        room_id,
        seq: Seq(seq),
        cnt: Cnt(seq),
        message_id: Some(MessageId(id())),
        author_id,
        kind: ItemKind::Text,
        sent_at: at(seq as i64),
        body: Some(sealed(author_id, &format!("text {seq}"))),
        meta: ItemMeta::default(),
        state: ItemState::Sent,
        changed_at: None,
        reactions: ReactionTotals::new(),
    }
}

/// The write of one.
pub fn item(room_id: RoomId, seq: u64) -> RowWrite {
    RowWrite::Message(Box::new(message(room_id, seq)))
}
