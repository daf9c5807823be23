//! The tables of the read model, in memory.

use std::collections::{BTreeMap, BTreeSet};

use cocotalk_application::row::{
    ItemMeta, ItemState, MemberRow, MessageRow, ProfileRow, RoomReadRow, RoomRow, RowWrite, UserReadRow, UserRoomRow,
};
use cocotalk_domain::id::{RoomId, UserId};
use cocotalk_domain::number::{Cnt, Seq};
use cocotalk_domain::text::Emoji;

/// A member, and whether they are in the room now.
pub(super) struct Membership {
    pub(super) row: MemberRow,
    pub(super) present: bool,
}

/// A person's place in a room, from two owners.
#[derive(Default)]
pub(super) struct Place {
    /// What the room's events say; without it the place is not shown.
    pub(super) row: Option<UserRoomRow>,
    own: Own,
}

/// What the seat's events say.
#[derive(Clone, Default)]
struct Own {
    floor_seq: Seq,
    floor_cnt: Cnt,
    muted_until: Option<cocotalk_domain::time::Instant>,
    pinned_at: Option<cocotalk_domain::time::Instant>,
    alias: Option<cocotalk_domain::sealed::Sealed>,
    last_hidden: Seq,
}

impl Place {
    /// Shows what the seat says in the row, if there is one.
    fn show_own(&mut self) {
        if let Some(row) = &mut self.row {
            let own = self.own.clone();
            (row.floor_seq, row.floor_cnt) = (own.floor_seq, own.floor_cnt);
            (row.muted_until, row.pinned_at, row.alias) = (own.muted_until, own.pinned_at, own.alias);
            row.last_hidden = own.last_hidden;
        }
    }
}

#[derive(Default)]
pub(super) struct Tables {
    pub(super) messages: BTreeMap<(RoomId, Seq), MessageRow>,
    pub(super) reactors: BTreeMap<(RoomId, Seq, UserId), Emoji>,
    pub(super) hidden: BTreeSet<(UserId, RoomId, Seq)>,
    pub(super) rooms: BTreeMap<RoomId, RoomRow>,
    pub(super) user_rooms: BTreeMap<(UserId, RoomId), Place>,
    pub(super) user_reads: BTreeMap<(UserId, RoomId), UserReadRow>,
    pub(super) members: BTreeMap<(RoomId, UserId), Membership>,
    pub(super) room_reads: BTreeMap<(RoomId, UserId), RoomReadRow>,
    pub(super) profiles: BTreeMap<UserId, ProfileRow>,
}

impl Tables {
    pub(super) fn write(&mut self, write: RowWrite) {
        match write {
            RowWrite::Message(row) => drop(self.messages.insert((row.room_id, row.seq), *row)),
            RowWrite::MessageEdited { .. }
            | RowWrite::MessageDeleted { .. }
            | RowWrite::Reactions { .. }
            | RowWrite::Reactor { .. } => self.change_message(write),
            RowWrite::LastChanged {
                room_id,
                seq,
                preview,
                deleted,
                ..
            } => self.room(room_id, |room| {
                if let Some(last) = room.last.as_mut().filter(|last| last.seq == seq) {
                    (last.preview, last.deleted) = (preview, deleted);
                }
            }),
            RowWrite::Hidden { user_id, room_id, seq } => drop(self.hidden.insert((user_id, room_id, seq))),
            RowWrite::Room(row) => drop(self.rooms.insert(row.room_id, *row)),
            RowWrite::Head { room_id, version, last } => self.room(room_id, |room| {
                room.version = room.version.max(version);
                if room.last.as_ref().is_none_or(|before| before.seq < last.seq) {
                    room.last = Some(last);
                }
            }),
            RowWrite::RoomVersion { room_id, version } => {
                self.room(room_id, |room| room.version = room.version.max(version));
            }
            RowWrite::RoomMembers {
                room_id,
                member_count,
                member_sample,
            } => self.room(room_id, |room| {
                (room.member_count, room.member_sample) = (member_count, member_sample);
            }),
            RowWrite::RoomOwner { room_id, owner_id } => self.room(room_id, |room| room.owner_id = Some(owner_id)),
            RowWrite::RoomName { room_id, name } => self.room(room_id, |room| room.name = name),
            RowWrite::RoomNotice { room_id, notice } => self.room(room_id, |room| room.notice = notice),
            RowWrite::RoomSettings { room_id, settings } => self.room(room_id, |room| room.settings = settings),
            RowWrite::RoomClosed { room_id } => self.room(room_id, |room| room.closed = true),
            RowWrite::UserRoom { .. }
            | RowWrite::UserRoomLeft { .. }
            | RowWrite::UserRoomFloor { .. }
            | RowWrite::UserRoomHidden { .. }
            | RowWrite::UserRoomPreferences { .. } => self.write_place(write),
            RowWrite::Member { .. } | RowWrite::MemberLeft { .. } | RowWrite::MemberRole { .. } => {
                self.write_member(write);
            }
            RowWrite::Read {
                room_id,
                user_id,
                read_seq,
                read_cnt,
            } => self.raise(room_id, user_id, read_seq, read_cnt),
            RowWrite::ReadEnded { room_id, user_id, seq } => {
                if self
                    .room_reads
                    .get(&(room_id, user_id))
                    .is_some_and(|read| read.read_seq <= seq)
                {
                    self.room_reads.remove(&(room_id, user_id));
                }
            }
            RowWrite::Profile(row) => drop(self.profiles.insert(row.user_id, row)),
        }
    }

    fn change_message(&mut self, write: RowWrite) {
        let (room, seq) = match &write {
            RowWrite::Reactor { room_id, seq, .. }
            | RowWrite::Reactions { room_id, seq, .. }
            | RowWrite::MessageEdited { room_id, seq, .. }
            | RowWrite::MessageDeleted { room_id, seq, .. } => (*room_id, *seq),
            other => unreachable!("{other:?} is about no message"),
        };
        let row = self.messages.get_mut(&(room, seq));
        match (write, row) {
            (RowWrite::Reactor { user_id, emoji, .. }, _) => match emoji {
                Some(emoji) => drop(self.reactors.insert((room, seq, user_id), emoji)),
                None => drop(self.reactors.remove(&(room, seq, user_id))),
            },
            (RowWrite::MessageEdited { body, at, .. }, Some(row)) => {
                (row.body, row.state, row.changed_at) = (Some(body), ItemState::Edited, Some(at));
            }
            (RowWrite::MessageDeleted { at, .. }, Some(row)) => {
                (row.body, row.state, row.changed_at) = (None, ItemState::Deleted, Some(at));
                row.meta = ItemMeta::default();
                row.reactions.clear();
            }
            (RowWrite::Reactions { reactions, .. }, Some(row)) => row.reactions = reactions,
            _ => {}
        }
    }

    fn room(&mut self, room: RoomId, change: impl FnOnce(&mut RoomRow)) {
        if let Some(row) = self.rooms.get_mut(&room) {
            change(row);
        }
    }

    fn write_place(&mut self, write: RowWrite) {
        match write {
            RowWrite::UserRoom {
                user_id,
                room_id,
                joined_seq,
                joined_cnt,
                joined_at,
                peer_id,
            } => {
                let place = self.user_rooms.entry((user_id, room_id)).or_default();
                place.row = Some(UserRoomRow {
                    user_id,
                    room_id,
                    present: true,
                    joined_seq,
                    joined_cnt,
                    joined_at,
                    peer_id,
                    floor_seq: Seq(0),
                    floor_cnt: Cnt(0),
                    pinned_at: None,
                    muted_until: None,
                    alias: None,
                    last_hidden: Seq(0),
                });
                place.show_own();
            }
            RowWrite::UserRoomLeft { user_id, room_id } => {
                if let Some(row) = self
                    .user_rooms
                    .get_mut(&(user_id, room_id))
                    .and_then(|place| place.row.as_mut())
                {
                    row.present = false;
                }
            }
            RowWrite::UserRoomFloor {
                user_id,
                room_id,
                floor_seq,
                floor_cnt,
            } => {
                let place = self.user_rooms.entry((user_id, room_id)).or_default();
                if place.own.floor_seq < floor_seq {
                    (place.own.floor_seq, place.own.floor_cnt) = (floor_seq, floor_cnt);
                }
                place.show_own();
            }
            RowWrite::UserRoomHidden {
                user_id,
                room_id,
                last_hidden,
            } => {
                let place = self.user_rooms.entry((user_id, room_id)).or_default();
                place.own.last_hidden = last_hidden;
                place.show_own();
            }
            RowWrite::UserRoomPreferences {
                user_id,
                room_id,
                muted_until,
                pinned_at,
                alias,
            } => {
                let place = self.user_rooms.entry((user_id, room_id)).or_default();
                (place.own.muted_until, place.own.pinned_at, place.own.alias) = (muted_until, pinned_at, alias);
                place.show_own();
            }
            other => unreachable!("{other:?} is about no place"),
        }
    }

    fn write_member(&mut self, write: RowWrite) {
        match write {
            RowWrite::Member {
                room_id,
                user_id,
                role,
                joined_seq,
                joined_at,
                invited_by: _,
            } => {
                let row = MemberRow {
                    user_id,
                    role,
                    joined_seq,
                    joined_at,
                };
                self.members
                    .insert((room_id, user_id), Membership { row, present: true });
            }
            RowWrite::MemberLeft { room_id, user_id } => {
                if let Some(member) = self.members.get_mut(&(room_id, user_id)) {
                    member.present = false;
                }
            }
            RowWrite::MemberRole { room_id, user_id, role } => {
                if let Some(member) = self.members.get_mut(&(room_id, user_id)) {
                    member.row.role = role;
                }
            }
            other => unreachable!("{other:?} is about no member"),
        }
    }

    fn raise(&mut self, room_id: RoomId, user_id: UserId, read_seq: Seq, read_cnt: Cnt) {
        let own = UserReadRow {
            room_id,
            read_seq,
            read_cnt,
        };
        let kept = self.user_reads.entry((user_id, room_id)).or_insert(own);
        if kept.read_seq < read_seq {
            *kept = own;
        }
        let of_room = RoomReadRow { user_id, read_seq };
        let kept = self.room_reads.entry((room_id, user_id)).or_insert(of_room);
        kept.read_seq = kept.read_seq.max(read_seq);
    }
}
