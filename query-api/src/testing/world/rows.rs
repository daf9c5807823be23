//! The rows that the projections make, kept in memory.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use cocotalk_application::row::{
    ItemKind, ItemMeta, ItemState, LastItem, MemberRow, MessageRow, ProfileRow, ReplyMeta, RoomRow, UserReadRow,
    UserRoomRow,
};
use cocotalk_domain::id::{RoomId, UserId};
use cocotalk_domain::number::{Cnt, Seq, Version};
use cocotalk_domain::room::event::{Opened, ReactionTotals};
use cocotalk_domain::room::{Role, RoomEvent, RoomKind, Settings};
use cocotalk_domain::sealed::Sealed;
use cocotalk_domain::text::Emoji;
use cocotalk_domain::time::Instant;

/// The tables of the read model.
#[derive(Clone, Default)]
pub(super) struct Rows {
    pub(super) rooms: HashMap<RoomId, RoomRow>,
    pub(super) user_rooms: BTreeMap<(UserId, RoomId), UserRoomRow>,
    pub(super) user_reads: BTreeMap<(UserId, RoomId), UserReadRow>,
    pub(super) members: BTreeMap<(RoomId, UserId), MemberRow>,
    pub(super) messages: BTreeMap<(RoomId, Seq), MessageRow>,
    pub(super) reactors: BTreeMap<(RoomId, Seq, UserId), Emoji>,
    pub(super) hidden: BTreeSet<(UserId, RoomId, Seq)>,
    pub(super) profiles: HashMap<UserId, ProfileRow>,
}

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Table {
    Rooms,
    UserRooms,
    Members,
    Messages,
    Reads,
    Profiles,
}

impl Table {
    pub(crate) const ALL: [Self; 6] = [
        Self::Rooms,
        Self::UserRooms,
        Self::Members,
        Self::Messages,
        Self::Reads,
        Self::Profiles,
    ];

    /// The projection that writes it.
    pub(super) const fn projection(self) -> &'static str {
        match self {
            Self::Rooms | Self::UserRooms | Self::Members | Self::Messages => "rooms",
            Self::Reads => "reads",
            Self::Profiles => "people",
        }
    }
}

impl Rows {
    /// Takes one table as it is elsewhere.
    pub(super) fn take(&mut self, table: Table, other: &Self) {
        match table {
            Table::Rooms => self.rooms.clone_from(&other.rooms),
            Table::UserRooms => {
                self.user_rooms.clone_from(&other.user_rooms);
                self.hidden.clone_from(&other.hidden);
            }
            Table::Members => self.members.clone_from(&other.members),
            Table::Messages => {
                self.messages.clone_from(&other.messages);
                self.reactors.clone_from(&other.reactors);
            }
            Table::Reads => self.user_reads.clone_from(&other.user_reads),
            Table::Profiles => self.profiles.clone_from(&other.profiles),
        }
    }

    pub(super) fn raise(&mut self, room_id: RoomId, user_id: UserId, read_seq: Seq, read_cnt: Cnt) {
        let row = UserReadRow {
            room_id,
            read_seq,
            read_cnt,
        };
        let read = self.user_reads.entry((user_id, room_id)).or_insert(row);
        if read.read_seq < read_seq {
            *read = row;
        }
    }

    pub(super) fn project(&mut self, room_id: RoomId, event: &RoomEvent, version: Version) {
        match event {
            RoomEvent::Opened(e) => self.open(e, version),
            RoomEvent::MembersInvited(e) => {
                let meta = ItemMeta {
                    members: e.user_ids.clone(),
                    ..ItemMeta::default()
                };
                self.item(line(room_id, (e.seq, e.cnt), ItemKind::Invited, e.by, e.at, meta), None);
                for user_id in &e.user_ids {
                    self.arrive(room_id, *user_id, Role::Member, (e.seq, e.cnt), e.at, None);
                }
                self.recount(room_id, e.member_count, &e.sample);
            }
            RoomEvent::MemberLeft(e) => {
                let meta = ItemMeta {
                    members: vec![e.user_id],
                    ..ItemMeta::default()
                };
                self.item(
                    line(room_id, (e.seq, e.cnt), ItemKind::Left, e.user_id, e.at, meta),
                    None,
                );
                self.depart(room_id, e.user_id);
                self.recount(room_id, e.member_count, &e.sample);
            }
            RoomEvent::MemberKicked(e) => {
                let meta = ItemMeta {
                    members: vec![e.user_id],
                    ..ItemMeta::default()
                };
                self.item(line(room_id, (e.seq, e.cnt), ItemKind::Kicked, e.by, e.at, meta), None);
                self.depart(room_id, e.user_id);
                self.recount(room_id, e.member_count, &e.sample);
            }
            RoomEvent::RoleGiven(e) => {
                let meta = ItemMeta {
                    members: vec![e.user_id],
                    role: Some(e.role),
                    ..ItemMeta::default()
                };
                let row = line(room_id, (e.seq, e.cnt), ItemKind::RoleChanged, e.by, e.at, meta);
                self.item(row, None);
                self.take_role(room_id, e.user_id, e.role);
            }
            RoomEvent::RoleChanged(e) => self.take_role(room_id, e.user_id, e.role),
            RoomEvent::Renamed(e) => {
                let name = e.name.as_ref().map(ToString::to_string);
                let meta = ItemMeta {
                    name: name.clone(),
                    ..ItemMeta::default()
                };
                self.item(line(room_id, (e.seq, e.cnt), ItemKind::Renamed, e.by, e.at, meta), None);
                self.rooms.get_mut(&room_id).unwrap().name = name;
            }
            RoomEvent::NoticeChanged(e) => {
                let notice = e.notice.as_ref().map(ToString::to_string);
                let meta = ItemMeta {
                    name: notice.clone(),
                    ..ItemMeta::default()
                };
                self.item(line(room_id, (e.seq, e.cnt), ItemKind::Notice, e.by, e.at, meta), None);
                self.rooms.get_mut(&room_id).unwrap().notice = notice;
            }
            RoomEvent::SettingsChanged(e) => self.rooms.get_mut(&room_id).unwrap().settings = e.settings,
            RoomEvent::MessageSent(e) => {
                let reply_to = e.reply_to.as_ref().map(|answered| ReplyMeta {
                    seq: answered.seq,
                    message_id: answered.message_id,
                    author_id: answered.author_id,
                });
                let meta = ItemMeta {
                    reply_to,
                    ..ItemMeta::default()
                };
                let item = MessageRow {
                    message_id: Some(e.message_id),
                    body: Some(e.body.clone()),
                    ..line(room_id, (e.seq, e.cnt), ItemKind::Text, e.author_id, e.sent_at, meta)
                };
                self.item(item, Some(e.shown().clone()));
                self.raise(room_id, e.author_id, e.seq, e.cnt);
            }
            RoomEvent::MessageEdited(e) => {
                let row = self.messages.get_mut(&(room_id, e.seq)).unwrap();
                (row.body, row.state, row.changed_at) = (Some(e.body.clone()), ItemState::Edited, Some(e.edited_at));
                self.change_last(room_id, e.is_newest, Some(e.shown().clone()));
            }
            RoomEvent::MessageDeleted(e) => {
                let row = self.messages.get_mut(&(room_id, e.seq)).unwrap();
                (row.body, row.state, row.changed_at) = (None, ItemState::Deleted, Some(e.at));
                (row.meta, row.reactions) = (ItemMeta::default(), ReactionTotals::new());
                self.change_last(room_id, e.is_newest, None);
            }
            RoomEvent::ReactionChanged(e) => {
                let row = self.messages.get_mut(&(room_id, e.seq)).unwrap();
                row.reactions.clone_from(&e.reactions);
                match &e.emoji {
                    Some(emoji) => drop(self.reactors.insert((room_id, e.seq, e.user_id), emoji.clone())),
                    None => drop(self.reactors.remove(&(room_id, e.seq, e.user_id))),
                }
            }
            RoomEvent::Closed(_) => self.rooms.get_mut(&room_id).unwrap().closed = true,
        }
        self.rooms.get_mut(&room_id).unwrap().version = version;
    }

    /// The newest item was edited, or deleted.
    fn change_last(&mut self, room_id: RoomId, is_newest: bool, preview: Option<Sealed>) {
        let last = self.rooms.get_mut(&room_id).and_then(|room| room.last.as_mut());
        if let Some(last) = last.filter(|_| is_newest) {
            (last.deleted, last.preview) = (preview.is_none(), preview);
        }
    }

    fn open(&mut self, e: &Opened, version: Version) {
        let group = e.kind == RoomKind::Group;
        self.rooms.insert(
            e.room_id,
            RoomRow {
                room_id: e.room_id,
                kind: e.kind,
                name: None,
                owner_id: group.then_some(e.by),
                member_count: e.user_ids.len() as u32,
                member_sample: e.sample(),
                notice: None,
                settings: Settings::default(),
                created_at: e.at,
                closed: false,
                version,
                last: None,
            },
        );
        if group {
            let members = e.user_ids.iter().copied().filter(|user| *user != e.by).collect();
            let meta = ItemMeta {
                members,
                ..ItemMeta::default()
            };
            self.item(
                line(e.room_id, (e.seq, Cnt(0)), ItemKind::Invited, e.by, e.at, meta),
                None,
            );
        }
        for user_id in &e.user_ids {
            let peer = e.user_ids.iter().find(|other| *other != user_id).unwrap_or(user_id);
            let peer = (!group).then_some(*peer);
            let role = if group && *user_id == e.by {
                Role::Owner
            } else {
                Role::Member
            };
            self.arrive(e.room_id, *user_id, role, (Seq(1), Cnt(0)), e.at, peer);
        }
    }

    fn arrive(
        &mut self,
        room_id: RoomId,
        user_id: UserId,
        role: Role,
        (joined_seq, joined_cnt): (Seq, Cnt),
        joined_at: Instant,
        peer_id: Option<UserId>,
    ) {
        let member = MemberRow {
            user_id,
            role,
            joined_seq,
            joined_at,
        };
        self.members.insert((room_id, user_id), member);
        let seat = UserRoomRow {
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
        };
        self.user_rooms.insert((user_id, room_id), seat);
        if peer_id.is_none() {
            self.raise(room_id, user_id, joined_seq, joined_cnt);
        }
    }

    fn depart(&mut self, room_id: RoomId, user_id: UserId) {
        self.members.remove(&(room_id, user_id));
        self.user_rooms.get_mut(&(user_id, room_id)).unwrap().present = false;
    }

    fn take_role(&mut self, room_id: RoomId, user_id: UserId, role: Role) {
        self.members.get_mut(&(room_id, user_id)).unwrap().role = role;
        if role == Role::Owner {
            self.rooms.get_mut(&room_id).unwrap().owner_id = Some(user_id);
        }
    }

    fn item(&mut self, row: MessageRow, preview: Option<Sealed>) {
        self.rooms.get_mut(&row.room_id).unwrap().last = Some(LastItem {
            seq: row.seq,
            cnt: row.cnt,
            at: row.sent_at,
            kind: row.kind,
            author_id: row.author_id,
            preview,
            deleted: false,
        });
        self.messages.insert((row.room_id, row.seq), row);
    }

    fn recount(&mut self, room_id: RoomId, member_count: u32, sample: &[UserId]) {
        let room = self.rooms.get_mut(&room_id).unwrap();
        room.member_count = member_count;
        room.member_sample = sample.to_vec();
    }
}

fn line(
    room_id: RoomId,
    (seq, cnt): (Seq, Cnt),
    kind: ItemKind,
    author_id: UserId,
    sent_at: Instant,
    meta: ItemMeta,
) -> MessageRow {
    MessageRow {
        room_id,
        seq,
        cnt,
        message_id: None,
        author_id,
        kind,
        sent_at,
        body: None,
        meta,
        state: ItemState::Sent,
        changed_at: None,
        reactions: ReactionTotals::new(),
    }
}
