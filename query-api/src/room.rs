//! A room as its member sees it.

pub mod get;
pub mod list;
mod withheld;

use cocotalk_application::row::{LastItem, RoomRow, UserReadRow, UserRoomRow};
use cocotalk_application::sealing::Keys;
use cocotalk_domain::id::{RoomId, UserId};
use cocotalk_domain::limits::MEMBERS_SAMPLE;
use cocotalk_domain::number::{Cnt, Seq, Version};
use cocotalk_domain::time::Instant;
use serde::Serialize;
use utoipa::ToSchema;

use crate::activity::Activity;
use crate::item;
use crate::names::Names;
use crate::unread::{position, unread_count};
use crate::words::Kind;
use withheld::Withheld;

/// A room as its member sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Room {
    /// The room.
    #[schema(value_type = uuid::Uuid)]
    pub room_id: RoomId,
    /// The number of its newest event.
    #[schema(value_type = u64)]
    pub version: Version,
    /// What kind of room.
    pub kind: Kind,
    /// The name of a group; null if it has none.
    #[schema(required, example = "주말 등산")]
    pub name: Option<String>,
    /// How many are in it.
    pub member_count: u32,
    /// The first few of them, at most four.
    pub members_sample: Vec<Person>,
    /// The newest item that I may see.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub last_item: Option<LastItemShown>,
    /// Messages of others that I have not read.
    pub unread_count: u64,
    /// The newest item's place; 0 while there is none.
    #[schema(value_type = u64)]
    pub last_seq: Seq,
    /// Up to which item I have read.
    #[schema(value_type = u64)]
    pub read_seq: Seq,
    /// No pushes until then; absent if it is not muted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime, nullable = false)]
    pub muted_until: Option<Instant>,
    /// Whether I pinned it.
    pub pinned: bool,
    /// My own name for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub alias: Option<String>,
    /// The other person of a direct room; myself if I am alone in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<uuid::Uuid>, nullable = false)]
    pub peer_id: Option<UserId>,
}

/// Somebody in a room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Person {
    /// Who.
    #[schema(value_type = uuid::Uuid)]
    pub user_id: UserId,
    /// The name that others see; empty where the person was erased.
    #[schema(example = "보람")]
    pub display_name: String,
}

/// The newest item of a room, short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = LastItem)]
pub struct LastItemShown {
    /// Its place.
    #[schema(value_type = u64)]
    pub seq: Seq,
    /// What it is.
    pub kind: item::Kind,
    /// The first characters of a message; null for lines, where it was deleted and where the author was erased.
    #[schema(required)]
    pub preview: Option<String>,
    /// Who wrote it or did it.
    #[schema(value_type = uuid::Uuid)]
    pub author_id: UserId,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub sent_at: Instant,
    /// Whether it was deleted for everyone.
    pub deleted: bool,
}

/// What the read model knows of a room and of one person's place in it.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a> {
    pub(crate) room: &'a RoomRow,
    pub(crate) seat: &'a UserRoomRow,
    pub(crate) read: Option<&'a UserReadRow>,
    /// What they have hidden of it, where that shows here.
    pub(crate) withheld: Option<&'a Withheld>,
}

impl<'a> Rows<'a> {
    /// The newest item, if this person may see it.
    fn last_item(&self) -> Option<&'a LastItem> {
        let first_seq = self.seat.first_seq().max(Seq(1));
        let last = self.room.last.as_ref().filter(|last| last.seq >= first_seq)?;
        match self.withheld {
            Some(withheld) if withheld.hides(last.seq) => withheld.last(),
            Some(_) | None => Some(last),
        }
    }

    /// Its place in the list; none while it is not listed, as a direct room is until there is something to see.
    fn activity(&self) -> Option<Activity> {
        self.last_item().map(|last| Activity::new(last.at, self.room.room_id))
    }

    fn unread_count(&self) -> u64 {
        let last_cnt = self.room.last.as_ref().map_or(Cnt(0), |last| last.cnt);
        let read = self.read();
        let unread = unread_count(last_cnt, self.seat, read.as_ref());
        let hidden = self
            .withheld
            .map_or(0, |withheld| withheld.after(read.map_or(Seq(0), |read| read.read_seq)));
        unread.saturating_sub(hidden)
    }

    /// Whether what they have hidden may show here: a message that is new to them, or the room's newest one.
    fn may_withhold(&self) -> bool {
        let last_hidden = self.seat.last_hidden;
        let is_unread = self.read().is_none_or(|read| read.read_seq < last_hidden);
        let is_last = self.room.last.as_ref().is_some_and(|last| last.seq == last_hidden);
        last_hidden >= self.seat.first_seq().max(Seq(1)) && (is_unread || is_last)
    }

    /// How far this person has read. Their own message moves their position, and it may be the room's head before it is
    /// among the positions: those are another projection.
    fn read(&self) -> Option<UserReadRow> {
        let own = |last: &&LastItem| last.kind.is_message() && last.author_id == self.seat.user_id;
        let own = self.room.last.as_ref().filter(own).map(|last| UserReadRow {
            room_id: self.room.room_id,
            read_seq: last.seq,
            read_cnt: last.cnt,
        });
        self.read
            .copied()
            .into_iter()
            .chain(own)
            .max_by_key(|read| read.read_seq)
    }

    /// The people whose names are shown.
    fn people(&self) -> impl Iterator<Item = UserId> + use<'a> {
        self.room.member_sample.iter().copied().take(MEMBERS_SAMPLE)
    }

    /// Whose keys open what is shown, names aside.
    fn subjects(&self) -> impl Iterator<Item = UserId> + use<'a> {
        let preview = self.last_item().and_then(|last| last.preview.as_ref());
        [preview, self.seat.alias.as_ref()]
            .into_iter()
            .flatten()
            .map(|sealed| sealed.subject)
    }

    /// The room as it is shown at `now`.
    fn shown(&self, names: &Names, keys: &Keys, now: Instant) -> Room {
        let Self { room, seat, .. } = *self;
        let person = |user_id| Person {
            user_id,
            display_name: names.of(user_id),
        };
        Room {
            room_id: room.room_id,
            version: room.version,
            kind: room.kind.into(),
            name: room.name.clone(),
            member_count: room.member_count,
            members_sample: self.people().map(person).collect(),
            last_item: self.last_item().map(|last| last_item(last, keys)),
            unread_count: self.unread_count(),
            last_seq: room.last.as_ref().map_or(Seq(0), |last| last.seq),
            read_seq: position(room.kind, seat.joined_seq, self.read().map(|read| read.read_seq)),
            muted_until: seat.muted_until.filter(|until| *until > now),
            pinned: seat.pinned_at.is_some(),
            alias: seat.alias.as_ref().and_then(|alias| keys.open(alias)),
            peer_id: seat.peer_id,
        }
    }
}

fn last_item(last: &LastItem, keys: &Keys) -> LastItemShown {
    LastItemShown {
        seq: last.seq,
        kind: last.kind.into(),
        preview: last
            .preview
            .as_ref()
            .and_then(|preview| keys.open(preview))
            .map(item::preview),
        author_id: last.author_id,
        sent_at: last.at,
        deleted: last.deleted,
    }
}
