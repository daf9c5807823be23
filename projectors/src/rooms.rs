//! `rooms`: timelines, room heads, everybody's rooms, every room's members, reactions and what people hide (R1, R2, R3, R5,
//! R8, R9).
//!
//! A message costs two rows however many people are in the room: its own and the room's head.

use cocotalk_application::port::event_log::RecordedEvent;
use cocotalk_application::projection::{Poison, Projection};
use cocotalk_application::row::{ItemKind, ItemMeta, ItemState, LastItem, MessageRow, ReplyMeta, RoomRow, RowWrite};
use cocotalk_domain::event::AnyEvent;
use cocotalk_domain::id::{RoomId, UserId};
use cocotalk_domain::number::{Cnt, Seq, Version};
use cocotalk_domain::room::event::{
    MemberKicked, MemberLeft, MembersInvited, MessageDeleted, MessageEdited, MessageSent, Opened, ReactionChanged,
    ReactionTotals, ReplyTo, RoleGiven,
};
use cocotalk_domain::room::{Role, RoomEvent, RoomKind, Settings};
use cocotalk_domain::seat::SeatEvent;
use cocotalk_domain::time::Instant;

/// Timelines, heads, and who is where.
pub struct Rooms;

impl Projection for Rooms {
    fn name(&self) -> &'static str {
        "rooms"
    }

    fn rows(&self, recorded: &RecordedEvent) -> Result<Vec<RowWrite>, Poison> {
        Ok(
            match recorded.event.as_ref().map_err(|error| Poison(error.to_string()))? {
                AnyEvent::Room(event) => of_room(event, Version(recorded.sequence)),
                AnyEvent::Seat(event) => of_seat(event),
                AnyEvent::Account(_) | AnyEvent::Claim(_) => Vec::new(),
            },
        )
    }
}

fn of_room(event: &RoomEvent, version: Version) -> Vec<RowWrite> {
    match event {
        RoomEvent::Opened(e) => opened(e, version),
        RoomEvent::MembersInvited(e) => invited(e, version),
        RoomEvent::MemberLeft(e) => left(e, version),
        RoomEvent::MemberKicked(e) => kicked(e, version),
        RoomEvent::RoleGiven(e) => role_given(e, version),
        RoomEvent::RoleChanged(e) => {
            let mut rows = role(e.room_id, e.user_id, e.role);
            rows.push(RowWrite::RoomVersion {
                room_id: e.room_id,
                version,
            });
            rows
        }
        RoomEvent::Renamed(e) => {
            let name = e.name.as_ref().map(ToString::to_string);
            let line = Line {
                room_id: e.room_id,
                by: e.by,
                seq: e.seq,
                cnt: e.cnt,
                at: e.at,
            };
            let meta = ItemMeta {
                name: name.clone(),
                ..ItemMeta::default()
            };
            let mut rows = line.rows(ItemKind::Renamed, meta, version);
            rows.push(RowWrite::RoomName {
                room_id: e.room_id,
                name,
            });
            rows
        }
        RoomEvent::NoticeChanged(e) => {
            let notice = e.notice.as_ref().map(ToString::to_string);
            let line = Line {
                room_id: e.room_id,
                by: e.by,
                seq: e.seq,
                cnt: e.cnt,
                at: e.at,
            };
            let meta = ItemMeta {
                name: notice.clone(),
                ..ItemMeta::default()
            };
            let mut rows = line.rows(ItemKind::Notice, meta, version);
            rows.push(RowWrite::RoomNotice {
                room_id: e.room_id,
                notice,
            });
            rows
        }
        RoomEvent::SettingsChanged(e) => vec![
            RowWrite::RoomSettings {
                room_id: e.room_id,
                settings: e.settings,
            },
            RowWrite::RoomVersion {
                room_id: e.room_id,
                version,
            },
        ],
        RoomEvent::MessageSent(e) => message(e, version),
        RoomEvent::MessageEdited(e) => edited(e, version),
        RoomEvent::MessageDeleted(e) => deleted(e, version),
        RoomEvent::ReactionChanged(e) => reacted(e, version),
        RoomEvent::Closed(e) => {
            vec![
                RowWrite::RoomClosed { room_id: e.room_id },
                RowWrite::RoomVersion {
                    room_id: e.room_id,
                    version,
                },
            ]
        }
    }
}

fn of_seat(event: &SeatEvent) -> Vec<RowWrite> {
    match event {
        SeatEvent::ReadAdvanced(_) => Vec::new(),
        SeatEvent::FloorRaised(e) => vec![RowWrite::UserRoomFloor {
            user_id: e.user_id,
            room_id: e.room_id,
            floor_seq: e.floor_seq,
            floor_cnt: e.floor_cnt,
        }],
        SeatEvent::MessageHidden(e) => vec![
            RowWrite::Hidden {
                user_id: e.user_id,
                room_id: e.room_id,
                seq: e.seq,
            },
            RowWrite::UserRoomHidden {
                user_id: e.user_id,
                room_id: e.room_id,
                last_hidden: e.last_hidden,
            },
        ],
        SeatEvent::PreferencesSet(e) => vec![RowWrite::UserRoomPreferences {
            user_id: e.user_id,
            room_id: e.room_id,
            muted_until: e.muted_until,
            pinned_at: e.pinned_at,
            alias: e.alias.clone(),
        }],
    }
}

/// A line of the timeline that is no message.
struct Line {
    room_id: RoomId,
    by: UserId,
    seq: Seq,
    cnt: Cnt,
    at: Instant,
}

impl Line {
    fn last(&self, kind: ItemKind) -> LastItem {
        LastItem {
            seq: self.seq,
            cnt: self.cnt,
            at: self.at,
            kind,
            author_id: self.by,
            preview: None,
            deleted: false,
        }
    }

    fn item(&self, kind: ItemKind, meta: ItemMeta) -> RowWrite {
        RowWrite::Message(Box::new(MessageRow {
            room_id: self.room_id,
            seq: self.seq,
            cnt: self.cnt,
            message_id: None,
            author_id: self.by,
            kind,
            sent_at: self.at,
            body: None,
            meta,
            state: ItemState::Sent,
            changed_at: None,
            reactions: ReactionTotals::new(),
        }))
    }

    fn rows(&self, kind: ItemKind, meta: ItemMeta, version: Version) -> Vec<RowWrite> {
        let head = RowWrite::Head {
            room_id: self.room_id,
            version,
            last: self.last(kind),
        };
        vec![self.item(kind, meta), head]
    }
}

/// What lets one person into a room.
struct Arrival {
    room_id: RoomId,
    user_id: UserId,
    role: Role,
    seq: Seq,
    cnt: Cnt,
    at: Instant,
    by: UserId,
    peer_id: Option<UserId>,
}

impl Arrival {
    fn rows(self) -> [RowWrite; 2] {
        let Self {
            room_id,
            user_id,
            role,
            seq,
            cnt,
            at,
            by,
            peer_id,
        } = self;
        [
            RowWrite::Member {
                room_id,
                user_id,
                role,
                joined_seq: seq,
                joined_at: at,
                invited_by: by,
            },
            RowWrite::UserRoom {
                user_id,
                room_id,
                joined_seq: seq,
                joined_cnt: cnt,
                joined_at: at,
                peer_id,
            },
        ]
    }
}

fn opened(e: &Opened, version: Version) -> Vec<RowWrite> {
    let group = e.kind == RoomKind::Group;
    let line = Line {
        room_id: e.room_id,
        by: e.by,
        seq: e.seq,
        cnt: Cnt(0),
        at: e.at,
    };
    let mut rows = vec![RowWrite::Room(Box::new(RoomRow {
        room_id: e.room_id,
        kind: e.kind,
        name: e.name.as_ref().map(ToString::to_string),
        owner_id: group.then_some(e.by),
        member_count: e.user_ids.len() as u32,
        member_sample: e.sample(),
        notice: None,
        settings: Settings::default(),
        created_at: e.at,
        closed: false,
        version,
        last: group.then(|| line.last(ItemKind::Invited)),
    }))];
    if group {
        let members = e.user_ids.iter().copied().filter(|user| *user != e.by).collect();
        rows.push(line.item(
            ItemKind::Invited,
            ItemMeta {
                members,
                ..ItemMeta::default()
            },
        ));
    }
    for user_id in &e.user_ids {
        let peer = e.user_ids.iter().find(|other| *other != user_id).unwrap_or(user_id);
        let arrival = Arrival {
            room_id: e.room_id,
            user_id: *user_id,
            role: if group && *user_id == e.by {
                Role::Owner
            } else {
                Role::Member
            },
            seq: Seq(1),
            cnt: Cnt(0),
            at: e.at,
            by: e.by,
            peer_id: (!group).then_some(*peer),
        };
        rows.extend(arrival.rows());
    }
    rows
}

fn invited(e: &MembersInvited, version: Version) -> Vec<RowWrite> {
    let line = Line {
        room_id: e.room_id,
        by: e.by,
        seq: e.seq,
        cnt: e.cnt,
        at: e.at,
    };
    let meta = ItemMeta {
        members: e.user_ids.clone(),
        ..ItemMeta::default()
    };
    let mut rows = line.rows(ItemKind::Invited, meta, version);
    rows.push(members(e.room_id, e.member_count, &e.sample));
    for user_id in &e.user_ids {
        let arrival = Arrival {
            room_id: e.room_id,
            user_id: *user_id,
            role: Role::Member,
            seq: e.seq,
            cnt: e.cnt,
            at: e.at,
            by: e.by,
            peer_id: None,
        };
        rows.extend(arrival.rows());
    }
    rows
}

fn left(e: &MemberLeft, version: Version) -> Vec<RowWrite> {
    let line = Line {
        room_id: e.room_id,
        by: e.user_id,
        seq: e.seq,
        cnt: e.cnt,
        at: e.at,
    };
    gone(&line, ItemKind::Left, e.user_id, (e.member_count, &e.sample), version)
}

fn kicked(e: &MemberKicked, version: Version) -> Vec<RowWrite> {
    let line = Line {
        room_id: e.room_id,
        by: e.by,
        seq: e.seq,
        cnt: e.cnt,
        at: e.at,
    };
    gone(&line, ItemKind::Kicked, e.user_id, (e.member_count, &e.sample), version)
}

/// A line that says that somebody is not in the room any more, and what follows from that.
fn gone(
    line: &Line,
    kind: ItemKind,
    user_id: UserId,
    (member_count, sample): (u32, &[UserId]),
    version: Version,
) -> Vec<RowWrite> {
    let room_id = line.room_id;
    let meta = ItemMeta {
        members: vec![user_id],
        ..ItemMeta::default()
    };
    let mut rows = line.rows(kind, meta, version);
    rows.push(members(room_id, member_count, sample));
    rows.push(RowWrite::MemberLeft { room_id, user_id });
    rows.push(RowWrite::UserRoomLeft { user_id, room_id });
    rows
}

fn members(room_id: RoomId, member_count: u32, sample: &[UserId]) -> RowWrite {
    RowWrite::RoomMembers {
        room_id,
        member_count,
        member_sample: sample.to_vec(),
    }
}

fn role_given(e: &RoleGiven, version: Version) -> Vec<RowWrite> {
    let line = Line {
        room_id: e.room_id,
        by: e.by,
        seq: e.seq,
        cnt: e.cnt,
        at: e.at,
    };
    let meta = ItemMeta {
        members: vec![e.user_id],
        role: Some(e.role),
        ..ItemMeta::default()
    };
    let mut rows = line.rows(ItemKind::RoleChanged, meta, version);
    rows.extend(role(e.room_id, e.user_id, e.role));
    rows
}

fn role(room_id: RoomId, user_id: UserId, role: Role) -> Vec<RowWrite> {
    let mut rows = vec![RowWrite::MemberRole { room_id, user_id, role }];
    if role == Role::Owner {
        rows.push(RowWrite::RoomOwner {
            room_id,
            owner_id: user_id,
        });
    }
    rows
}

fn message(e: &MessageSent, version: Version) -> Vec<RowWrite> {
    let reply_to = e.reply_to.as_ref().map(
        |ReplyTo {
             seq,
             message_id,
             author_id,
             ..
         }| ReplyMeta {
            seq: *seq,
            message_id: *message_id,
            author_id: *author_id,
        },
    );
    let item = MessageRow {
        room_id: e.room_id,
        seq: e.seq,
        cnt: e.cnt,
        message_id: Some(e.message_id),
        author_id: e.author_id,
        kind: ItemKind::Text,
        sent_at: e.sent_at,
        body: Some(e.body.clone()),
        meta: ItemMeta {
            reply_to,
            mentions: e.mentions.clone(),
            ..ItemMeta::default()
        },
        state: ItemState::Sent,
        changed_at: None,
        reactions: ReactionTotals::new(),
    };
    let last = LastItem {
        seq: e.seq,
        cnt: e.cnt,
        at: e.sent_at,
        kind: ItemKind::Text,
        author_id: e.author_id,
        preview: Some(e.shown().clone()),
        deleted: false,
    };
    vec![
        RowWrite::Message(Box::new(item)),
        RowWrite::Head {
            room_id: e.room_id,
            version,
            last,
        },
    ]
}

/// A message in other words; the head keeps its place and shows them too.
fn edited(e: &MessageEdited, version: Version) -> Vec<RowWrite> {
    let (room_id, seq) = (e.room_id, e.seq);
    let item = RowWrite::MessageEdited {
        room_id,
        seq,
        author_id: e.author_id,
        body: e.body.clone(),
        at: e.edited_at,
    };
    let last = e.is_newest.then(|| RowWrite::LastChanged {
        room_id,
        seq,
        author_id: e.author_id,
        preview: Some(e.shown().clone()),
        deleted: false,
    });
    std::iter::once(item)
        .chain(last)
        .chain([RowWrite::RoomVersion { room_id, version }])
        .collect()
}

/// A message of which nothing is left but its place, in the head too.
fn deleted(e: &MessageDeleted, version: Version) -> Vec<RowWrite> {
    let (room_id, seq) = (e.room_id, e.seq);
    let item = RowWrite::MessageDeleted { room_id, seq, at: e.at };
    let last = e.is_newest.then_some(RowWrite::LastChanged {
        room_id,
        seq,
        author_id: e.author_id,
        preview: None,
        deleted: true,
    });
    std::iter::once(item)
        .chain(last)
        .chain([RowWrite::RoomVersion { room_id, version }])
        .collect()
}

fn reacted(e: &ReactionChanged, version: Version) -> Vec<RowWrite> {
    let (room_id, seq) = (e.room_id, e.seq);
    vec![
        RowWrite::Reactions {
            room_id,
            seq,
            reactions: e.reactions.clone(),
        },
        RowWrite::Reactor {
            room_id,
            seq,
            user_id: e.user_id,
            emoji: e.emoji.clone(),
            at: e.at,
        },
        RowWrite::RoomVersion { room_id, version },
    ]
}
