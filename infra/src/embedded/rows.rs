//! From row writes to statements.
//!
//! Writes to different tables do not see each other, so each table has its own steps; inside a table the order is kept, but
//! for registers, whose order never matters: a room's heads follow whatever else was written to it, and removed read
//! positions follow the raised ones.

use cocotalk_application::row::{ItemKind, LastItem, MessageRow, ProfileRow, RoomRow, RowWrite};
use cocotalk_domain::id::{RoomId, UserId};
use cocotalk_domain::number::Seq;
use cocotalk_domain::room::{Role, RoomKind};
use cocotalk_domain::sealed::Sealed;
use cocotalk_domain::text::Emoji;

use super::reads::BUCKET_SHIFT;
use super::script::{Step, Value};
use super::sql::Sql;

/// The steps of a projection's writes, split by what they are.
#[derive(Default)]
pub(super) struct RowSteps<'a> {
    /// Those of messages: items, heads, read positions. At most one step of each where the batch is not too large.
    pub(super) usual: Vec<Step<'a>>,
    /// Everything else; carried out first.
    pub(super) others: Vec<Step<'a>>,
    /// What changes rows that are there, or made by the others: messages and heads that became something else, removed read
    /// positions; carried out last.
    pub(super) later: Vec<Step<'a>>,
}

impl<'a> RowSteps<'a> {
    /// The steps of these writes.
    pub(super) fn of(writes: impl IntoIterator<Item = &'a RowWrite>) -> Self {
        let mut lists = Lists::default();
        for write in writes {
            lists.add(write);
        }
        lists.into_steps()
    }

    /// All of them, in order.
    pub(super) fn into_all(self) -> Vec<Step<'a>> {
        self.others.into_iter().chain(self.usual).chain(self.later).collect()
    }
}

/// Writes sorted by table. Runs of the same statement wait in `joins` and `arrivals` until another one follows.
#[derive(Default)]
struct Lists<'a> {
    messages: Vec<&'a MessageRow>,
    heads: Vec<&'a RowWrite>,
    reads: Vec<&'a RowWrite>,
    rooms: Vec<Step<'a>>,
    user_rooms: Vec<Step<'a>>,
    joins: Vec<&'a RowWrite>,
    members: Vec<Step<'a>>,
    arrivals: Vec<&'a RowWrite>,
    profiles: Vec<Step<'a>>,
    later: Vec<Step<'a>>,
}

impl<'a> Lists<'a> {
    fn add(&mut self, write: &'a RowWrite) {
        match write {
            RowWrite::Message(row) => self.messages.push(row),
            RowWrite::Head { .. } => self.heads.push(write),
            RowWrite::Read { .. } => self.reads.push(write),
            RowWrite::UserRoom { .. } => self.joins.push(write),
            RowWrite::Member { .. } => self.arrivals.push(write),
            RowWrite::UserRoomLeft { .. }
            | RowWrite::UserRoomFloor { .. }
            | RowWrite::UserRoomPreferences { .. }
            | RowWrite::UserRoomHidden { .. } => {
                self.flush_joins();
                self.user_rooms.push(single(write));
            }
            RowWrite::MemberLeft { .. } | RowWrite::MemberRole { .. } => {
                self.flush_arrivals();
                self.members.push(single(write));
            }
            RowWrite::Room(_)
            | RowWrite::RoomVersion { .. }
            | RowWrite::RoomMembers { .. }
            | RowWrite::RoomOwner { .. }
            | RowWrite::RoomName { .. }
            | RowWrite::RoomNotice { .. }
            | RowWrite::RoomSettings { .. }
            | RowWrite::RoomClosed { .. } => self.rooms.push(single(write)),
            RowWrite::ReadEnded { .. }
            | RowWrite::MessageEdited { .. }
            | RowWrite::MessageDeleted { .. }
            | RowWrite::Reactions { .. }
            | RowWrite::Reactor { .. }
            | RowWrite::LastChanged { .. }
            | RowWrite::Hidden { .. } => self.later.push(single(write)),
            RowWrite::Profile(_) => self.profiles.push(single(write)),
        }
    }

    fn flush_joins(&mut self) {
        let joins = std::mem::take(&mut self.joins);
        self.user_rooms
            .extend(Step::many(Sql::UserRooms, &joins, |write, values| push(write, values)));
    }

    fn flush_arrivals(&mut self) {
        let arrivals = std::mem::take(&mut self.arrivals);
        self.members
            .extend(Step::many(Sql::Members, &arrivals, |write, values| push(write, values)));
    }

    fn into_steps(mut self) -> RowSteps<'a> {
        self.flush_joins();
        self.flush_arrivals();
        let mut usual = Step::many(Sql::Messages, &self.messages, |row, values| push_message(row, values));
        usual.extend(Step::many(Sql::Heads, &self.heads, |write, values| push(write, values)));
        usual.extend(Step::many(Sql::UserReads, &self.reads, |write, values| {
            push(write, values);
        }));
        usual.extend(Step::many(Sql::RoomReads, &self.reads, |write, values| {
            push_room_read(write, values);
        }));
        let others = self
            .rooms
            .into_iter()
            .chain(self.user_rooms)
            .chain(self.members)
            .chain(self.profiles)
            .collect();
        RowSteps {
            usual,
            others,
            later: self.later,
        }
    }
}

fn single(write: &RowWrite) -> Step<'_> {
    let sql = match write {
        RowWrite::Message(_) => Sql::Messages,
        RowWrite::MessageEdited { .. } => Sql::MessageEdited,
        RowWrite::MessageDeleted { .. } => Sql::MessageDeleted,
        RowWrite::Reactions { .. } => Sql::Reactions,
        RowWrite::Reactor { .. } => Sql::Reactor,
        RowWrite::LastChanged { .. } => Sql::LastChanged,
        RowWrite::Room(_) => Sql::Room,
        RowWrite::Head { .. } => Sql::Heads,
        RowWrite::RoomVersion { .. } => Sql::RoomVersion,
        RowWrite::RoomMembers { .. } => Sql::RoomMembers,
        RowWrite::RoomOwner { .. } => Sql::RoomOwner,
        RowWrite::RoomName { .. } => Sql::RoomName,
        RowWrite::RoomNotice { .. } => Sql::RoomNotice,
        RowWrite::RoomSettings { .. } => Sql::RoomSettings,
        RowWrite::RoomClosed { .. } => Sql::RoomClosed,
        RowWrite::UserRoom { .. } => Sql::UserRooms,
        RowWrite::UserRoomLeft { .. } => Sql::UserRoomLeft,
        RowWrite::UserRoomFloor { .. } => Sql::UserRoomFloor,
        RowWrite::UserRoomPreferences { .. } => Sql::UserRoomPreferences,
        RowWrite::UserRoomHidden { .. } => Sql::UserRoomHidden,
        RowWrite::Hidden { .. } => Sql::Hidden,
        RowWrite::Member { .. } => Sql::Members,
        RowWrite::MemberLeft { .. } => Sql::MemberLeft,
        RowWrite::MemberRole { .. } => Sql::MemberRole,
        RowWrite::Read { .. } => Sql::UserReads,
        RowWrite::ReadEnded { .. } => Sql::ReadEnded,
        RowWrite::Profile(_) => Sql::Profile,
    };
    let mut values = Vec::new();
    push(write, &mut values);
    Step::one(sql, values)
}

/// The values of a write, in the order of its statement.
fn push<'a>(write: &'a RowWrite, to: &mut Vec<Value<'a>>) {
    match write {
        RowWrite::Message(row) => push_message(row, to),
        RowWrite::MessageEdited {
            room_id, seq, body, at, ..
        } => {
            to.extend([Value::blob(&body.bytes), Value::int(at.millis())]);
            to.extend(place(room_id, *seq));
        }
        RowWrite::MessageDeleted { room_id, seq, at } => {
            to.push(Value::int(at.millis()));
            to.extend(place(room_id, *seq));
        }
        RowWrite::Reactions {
            room_id,
            seq,
            reactions,
        } => {
            to.push(Value::or_null((!reactions.is_empty()).then_some(reactions), |some| {
                Value::blob(json(some))
            }));
            to.extend(place(room_id, *seq));
        }
        RowWrite::Reactor {
            room_id,
            seq,
            user_id,
            emoji,
            at,
        } => {
            let emoji = emoji.as_ref().map_or("", Emoji::as_str);
            to.extend([Value::text(emoji), Value::int(at.millis())]);
            to.extend(place(room_id, *seq));
            to.push(Value::id(&user_id.0));
        }
        RowWrite::LastChanged {
            room_id,
            seq,
            preview,
            deleted,
            ..
        } => to.extend([
            sealed(preview.as_ref()),
            Value::int((*deleted).into()),
            Value::id(&room_id.0),
            Value::number(seq.0),
        ]),
        RowWrite::Room(row) => push_room(row, to),
        RowWrite::Head { room_id, version, last } => {
            to.extend([Value::id(&room_id.0), Value::number(version.0)]);
            push_last(Some(last), to);
        }
        RowWrite::RoomVersion { room_id, version } => to.extend([Value::number(version.0), Value::id(&room_id.0)]),
        RowWrite::RoomMembers {
            room_id,
            member_count,
            member_sample,
        } => to.extend([
            Value::int((*member_count).into()),
            Value::blob(ids(member_sample)),
            Value::id(&room_id.0),
        ]),
        RowWrite::RoomOwner { room_id, owner_id } => to.extend([Value::id(&owner_id.0), Value::id(&room_id.0)]),
        RowWrite::RoomName { room_id, name: text } | RowWrite::RoomNotice { room_id, notice: text } => {
            to.extend([Value::or_null(text.as_deref(), Value::text), Value::id(&room_id.0)]);
        }
        RowWrite::RoomSettings { room_id, settings } => to.extend([Value::blob(json(settings)), Value::id(&room_id.0)]),
        RowWrite::RoomClosed { room_id } => to.push(Value::id(&room_id.0)),
        RowWrite::UserRoom {
            user_id,
            room_id,
            joined_seq,
            joined_cnt,
            joined_at,
            peer_id,
        } => to.extend([
            Value::id(&user_id.0),
            Value::id(&room_id.0),
            Value::number(joined_seq.0),
            Value::number(joined_cnt.0),
            Value::int(joined_at.millis()),
            Value::or_null(peer_id.as_ref(), |peer| Value::id(&peer.0)),
        ]),
        RowWrite::UserRoomHidden {
            user_id,
            room_id,
            last_hidden: seq,
        }
        | RowWrite::Hidden { user_id, room_id, seq } => {
            to.extend([Value::id(&user_id.0), Value::id(&room_id.0), Value::number(seq.0)]);
        }
        RowWrite::UserRoomLeft { user_id, room_id } => to.extend([Value::id(&user_id.0), Value::id(&room_id.0)]),
        RowWrite::UserRoomFloor {
            user_id,
            room_id,
            floor_seq,
            floor_cnt,
        } => to.extend([
            Value::id(&user_id.0),
            Value::id(&room_id.0),
            Value::number(floor_seq.0),
            Value::number(floor_cnt.0),
        ]),
        RowWrite::UserRoomPreferences {
            user_id,
            room_id,
            muted_until,
            pinned_at,
            alias,
        } => to.extend([
            Value::id(&user_id.0),
            Value::id(&room_id.0),
            Value::or_null(*muted_until, |at| Value::int(at.millis())),
            Value::or_null(*pinned_at, |at| Value::int(at.millis())),
            sealed(alias.as_ref()),
        ]),
        RowWrite::Member {
            room_id,
            user_id,
            role,
            joined_seq,
            joined_at,
            invited_by,
        } => to.extend([
            Value::id(&room_id.0),
            Value::id(&user_id.0),
            Value::int(role_number(*role)),
            Value::number(joined_seq.0),
            Value::int(joined_at.millis()),
            Value::id(&invited_by.0),
        ]),
        RowWrite::MemberLeft { room_id, user_id } => to.extend([Value::id(&room_id.0), Value::id(&user_id.0)]),
        RowWrite::MemberRole { room_id, user_id, role } => {
            to.extend([
                Value::int(role_number(*role)),
                Value::id(&room_id.0),
                Value::id(&user_id.0),
            ]);
        }
        RowWrite::Read {
            room_id,
            user_id,
            read_seq,
            read_cnt,
        } => to.extend([
            Value::id(&user_id.0),
            Value::id(&room_id.0),
            Value::number(read_seq.0),
            Value::number(read_cnt.0),
        ]),
        RowWrite::ReadEnded { room_id, user_id, seq } => {
            to.extend([Value::id(&room_id.0), Value::id(&user_id.0), Value::number(seq.0)]);
        }
        RowWrite::Profile(ProfileRow {
            user_id,
            sealed,
            version,
        }) => {
            to.extend([
                Value::id(&user_id.0),
                Value::blob(&sealed.bytes),
                Value::number(version.0),
            ]);
        }
    }
}

/// The key of an item's row.
fn place(room_id: &RoomId, seq: Seq) -> [Value<'_>; 3] {
    [
        Value::id(&room_id.0),
        Value::number(seq.0 >> BUCKET_SHIFT),
        Value::number(seq.0),
    ]
}

fn push_message<'a>(row: &'a MessageRow, to: &mut Vec<Value<'a>>) {
    let meta = if row.meta.is_empty() {
        Value::NULL
    } else {
        Value::blob(json(&row.meta))
    };
    to.extend([
        Value::id(&row.room_id.0),
        Value::number(row.seq.0),
        Value::number(row.cnt.0),
        Value::or_null(row.message_id.as_ref(), |id| Value::id(&id.0)),
        Value::id(&row.author_id.0),
        Value::int(kind_number(row.kind)),
        Value::int(row.sent_at.millis()),
        sealed(row.body.as_ref()),
        meta,
    ]);
}

fn push_room<'a>(row: &'a RoomRow, to: &mut Vec<Value<'a>>) {
    let kind = match row.kind {
        RoomKind::Direct => 0,
        RoomKind::Group => 1,
    };
    to.extend([
        Value::id(&row.room_id.0),
        Value::int(kind),
        Value::or_null(row.name.as_deref(), Value::text),
        Value::or_null(row.owner_id.as_ref(), |owner| Value::id(&owner.0)),
        Value::int(row.member_count.into()),
        Value::blob(ids(&row.member_sample)),
        Value::or_null(row.notice.as_deref(), Value::text),
        Value::blob(json(&row.settings)),
        Value::int(row.created_at.millis()),
        Value::int(row.closed.into()),
        Value::number(row.version.0),
    ]);
    push_last(row.last.as_ref(), to);
}

fn push_last<'a>(last: Option<&'a LastItem>, to: &mut Vec<Value<'a>>) {
    match last {
        Some(last) => to.extend([
            Value::number(last.seq.0),
            Value::number(last.cnt.0),
            Value::int(last.at.millis()),
            Value::int(kind_number(last.kind)),
            Value::id(&last.author_id.0),
            sealed(last.preview.as_ref()),
        ]),
        None => to.extend(std::iter::repeat_n(Value::NULL, 6)),
    }
}

fn push_room_read<'a>(write: &'a RowWrite, to: &mut Vec<Value<'a>>) {
    if let RowWrite::Read {
        room_id,
        user_id,
        read_seq,
        ..
    } = write
    {
        to.extend([Value::id(&room_id.0), Value::id(&user_id.0), Value::number(read_seq.0)]);
    }
}

fn sealed(sealed: Option<&Sealed>) -> Value<'_> {
    Value::or_null(sealed, |sealed| Value::blob(&sealed.bytes))
}

fn ids(users: &[UserId]) -> Vec<u8> {
    users.iter().flat_map(|user| *user.0.as_bytes()).collect()
}

fn json(value: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("rows are plain data")
}

const fn kind_number(kind: ItemKind) -> i64 {
    kind as i64
}

const fn role_number(role: Role) -> i64 {
    match role {
        Role::Member => 0,
        Role::Admin => 1,
        Role::Owner => 2,
    }
}
