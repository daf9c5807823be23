//! The statements of the writer, as text.
//!
//! Most come in sizes: one statement writes up to so many rows, and rows that are not there are padding that the statement
//! drops. So a handful of texts serve every batch, and each is compiled once.

use std::fmt::Write as _;

/// How many rows a statement of a size takes.
const SIZES: [usize; 14] = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128];
/// Most rows in one statement.
pub(super) const MOST_ROWS: usize = 128;

/// The smallest size that holds so many rows, at most [`MOST_ROWS`].
pub(super) fn size_for(rows: usize) -> usize {
    SIZES[SIZES.partition_point(|size| *size < rows).min(SIZES.len() - 1)]
}

/// What a statement does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Sql {
    Begin,
    Commit,
    Rollback,
    Savepoint,
    RollbackToSavepoint,
    Release,
    Events,
    Snapshot,
    /// Of the projections whose bits are set.
    Checkpoints(u16),
    Parked,
    Messages,
    MessageEdited,
    MessageDeleted,
    Reactions,
    Reactor,
    Heads,
    LastChanged,
    Room,
    RoomVersion,
    RoomMembers,
    RoomOwner,
    RoomName,
    RoomNotice,
    RoomSettings,
    RoomClosed,
    UserRooms,
    UserRoomLeft,
    UserRoomFloor,
    UserRoomPreferences,
    UserRoomHidden,
    Hidden,
    Members,
    MemberLeft,
    MemberRole,
    UserReads,
    RoomReads,
    ReadEnded,
    Profile,
}

/// A statement that takes rows.
struct Rows {
    /// Up to the rows.
    head: &'static str,
    /// Values a row.
    columns: usize,
    /// After the rows.
    tail: &'static str,
}

impl Sql {
    /// Its text for so many rows.
    pub(super) fn text(self, rows: usize, projections: &[(&'static str, u32)]) -> String {
        if let Self::Checkpoints(which) = self {
            return checkpoints(which, rows, projections);
        }
        let Some(Rows { head, columns, tail }) = self.rows() else {
            return self.single().to_owned();
        };
        let mut text = String::with_capacity(head.len() + tail.len() + rows * (2 * columns + 2) + 48);
        text.push_str(head);
        push_values(&mut text, rows, columns);
        text.push_str(" WHERE column1 IS NOT NULL ");
        text.push_str(tail);
        text
    }

    /// The table of the read model that it writes, as metrics name it.
    pub(super) const fn table(self) -> Option<&'static str> {
        Some(match self {
            Self::Messages | Self::MessageEdited | Self::MessageDeleted | Self::Reactions => "messages",
            Self::Reactor => "message_reactors",
            Self::Hidden => "user_hidden",
            Self::Heads
            | Self::LastChanged
            | Self::Room
            | Self::RoomVersion
            | Self::RoomMembers
            | Self::RoomOwner
            | Self::RoomName
            | Self::RoomNotice
            | Self::RoomSettings
            | Self::RoomClosed => "rooms",
            Self::UserRooms
            | Self::UserRoomLeft
            | Self::UserRoomFloor
            | Self::UserRoomPreferences
            | Self::UserRoomHidden => "user_rooms",
            Self::Members | Self::MemberLeft | Self::MemberRole => "room_members",
            Self::UserReads => "user_reads",
            Self::RoomReads | Self::ReadEnded => "room_reads",
            Self::Profile => "profiles",
            Self::Begin
            | Self::Commit
            | Self::Rollback
            | Self::Savepoint
            | Self::RollbackToSavepoint
            | Self::Release
            | Self::Events
            | Self::Snapshot
            | Self::Checkpoints(_)
            | Self::Parked => return None,
        })
    }

    const fn rows(self) -> Option<Rows> {
        let (head, columns, tail) = match self {
            Self::Events => (
                "INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata, \
                 slice, slice_pos, ts_us, subject, actor, command_id, request_mac, answer, content_hash) SELECT * FROM ",
                16,
                "",
            ),
            Self::Messages => (
                "INSERT OR REPLACE INTO messages_v1 (room_id, bucket, seq, cnt, message_id, author_id, kind, sent_at, body, \
                 meta) SELECT column1, column2 >> 12, column2, column3, column4, column5, column6, column7, column8, \
                 column9 FROM ",
                9,
                "",
            ),
            Self::Heads => (
                "INSERT INTO rooms_v1 (room_id, version, last_seq, last_cnt, last_at, last_kind, last_author, last_preview) \
                 SELECT * FROM ",
                8,
                "ON CONFLICT (room_id) DO UPDATE SET version = max(version, excluded.version), \
                 last_seq = excluded.last_seq, last_cnt = excluded.last_cnt, last_at = excluded.last_at, \
                 last_kind = excluded.last_kind, last_author = excluded.last_author, \
                 last_preview = excluded.last_preview, last_deleted = 0 \
                 WHERE last_seq IS NULL OR excluded.last_seq > last_seq",
            ),
            Self::UserRooms => (
                "INSERT INTO user_rooms_v1 (user_id, room_id, state, joined_seq, joined_cnt, joined_at, peer_id) \
                 SELECT column1, column2, 1, column3, column4, column5, column6 FROM ",
                6,
                "ON CONFLICT (user_id, room_id) DO UPDATE SET state = 1, joined_seq = excluded.joined_seq, \
                 joined_cnt = excluded.joined_cnt, joined_at = excluded.joined_at, peer_id = excluded.peer_id",
            ),
            Self::Members => (
                "INSERT OR REPLACE INTO room_members_v1 (room_id, user_id, state, role, joined_seq, joined_at, invited_by) \
                 SELECT column1, column2, 1, column3, column4, column5, column6 FROM ",
                6,
                "",
            ),
            Self::UserReads => (
                "INSERT INTO user_reads_v1 (user_id, room_id, read_seq, read_cnt) SELECT * FROM ",
                4,
                "ON CONFLICT (user_id, room_id) DO UPDATE SET read_seq = excluded.read_seq, read_cnt = excluded.read_cnt \
                 WHERE excluded.read_seq > read_seq",
            ),
            Self::RoomReads => (
                "INSERT INTO room_reads_v1 (room_id, user_id, read_seq) SELECT * FROM ",
                3,
                "ON CONFLICT (room_id, user_id) DO UPDATE SET read_seq = excluded.read_seq \
                 WHERE excluded.read_seq > read_seq",
            ),
            Self::Parked => (
                "INSERT INTO parked (projection, version, aggregate_type, aggregate_id, sequence, slice, slice_pos, error, \
                 first_at, last_at) SELECT *, column9 FROM ",
                9,
                "ON CONFLICT DO UPDATE SET attempts = attempts + 1, error = excluded.error, last_at = excluded.last_at",
            ),
            _ => return None,
        };
        Some(Rows { head, columns, tail })
    }

    const fn single(self) -> &'static str {
        match self {
            Self::Begin => "BEGIN IMMEDIATE",
            Self::Commit => "COMMIT",
            Self::Rollback => "ROLLBACK",
            Self::Savepoint => "SAVEPOINT rows",
            Self::RollbackToSavepoint => "ROLLBACK TO rows",
            Self::Release => "RELEASE rows",
            Self::Snapshot => {
                "INSERT INTO snapshots (aggregate_type, aggregate_id, state_version, sequence, state) \
                 VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET sequence = excluded.sequence, state = excluded.state \
                 WHERE excluded.sequence > sequence"
            }
            Self::MessageEdited => {
                "UPDATE messages_v1 SET body = ?, state = 1, changed_at = ? WHERE room_id = ? AND bucket = ? AND seq = ?"
            }
            Self::MessageDeleted => {
                "UPDATE messages_v1 SET body = NULL, meta = NULL, reactions = NULL, state = 2, changed_at = ? \
                 WHERE room_id = ? AND bucket = ? AND seq = ?"
            }
            Self::Reactions => "UPDATE messages_v1 SET reactions = ? WHERE room_id = ? AND bucket = ? AND seq = ?",
            Self::Reactor => {
                "INSERT OR REPLACE INTO message_reactors_v1 (emoji, reacted_at, room_id, bucket, seq, user_id) \
                 VALUES (?, ?, ?, ?, ?, ?)"
            }
            Self::LastChanged => {
                "UPDATE rooms_v1 SET last_preview = ?, last_deleted = ? WHERE room_id = ? AND last_seq = ?"
            }
            Self::Room => {
                "INSERT OR REPLACE INTO rooms_v1 (room_id, kind, name, owner_id, member_count, member_sample, notice, \
                 settings, created_at, closed, version, last_seq, last_cnt, last_at, last_kind, last_author, last_preview) \
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
            }
            Self::RoomVersion => "UPDATE rooms_v1 SET version = max(version, ?) WHERE room_id = ?",
            Self::RoomMembers => "UPDATE rooms_v1 SET member_count = ?, member_sample = ? WHERE room_id = ?",
            Self::RoomOwner => "UPDATE rooms_v1 SET owner_id = ? WHERE room_id = ?",
            Self::RoomName => "UPDATE rooms_v1 SET name = ? WHERE room_id = ?",
            Self::RoomNotice => "UPDATE rooms_v1 SET notice = ? WHERE room_id = ?",
            Self::RoomSettings => "UPDATE rooms_v1 SET settings = ? WHERE room_id = ?",
            Self::RoomClosed => "UPDATE rooms_v1 SET closed = 1 WHERE room_id = ?",
            Self::UserRoomLeft => "UPDATE user_rooms_v1 SET state = 0 WHERE user_id = ? AND room_id = ?",
            Self::UserRoomFloor => {
                "INSERT INTO user_rooms_v1 (user_id, room_id, floor_seq, floor_cnt) VALUES (?, ?, ?, ?) \
                 ON CONFLICT (user_id, room_id) DO UPDATE SET floor_seq = excluded.floor_seq, \
                 floor_cnt = excluded.floor_cnt WHERE excluded.floor_seq > floor_seq"
            }
            Self::UserRoomPreferences => {
                "INSERT INTO user_rooms_v1 (user_id, room_id, muted_until, pinned_at, alias) VALUES (?, ?, ?, ?, ?) \
                 ON CONFLICT (user_id, room_id) DO UPDATE SET muted_until = excluded.muted_until, \
                 pinned_at = excluded.pinned_at, alias = excluded.alias"
            }
            Self::UserRoomHidden => {
                "INSERT INTO user_rooms_v1 (user_id, room_id, last_hidden) VALUES (?, ?, ?) \
                 ON CONFLICT (user_id, room_id) DO UPDATE SET last_hidden = excluded.last_hidden"
            }
            Self::Hidden => "INSERT OR IGNORE INTO user_hidden_v1 (user_id, room_id, seq) VALUES (?, ?, ?)",
            Self::MemberLeft => "UPDATE room_members_v1 SET state = 0 WHERE room_id = ? AND user_id = ?",
            Self::MemberRole => "UPDATE room_members_v1 SET role = ? WHERE room_id = ? AND user_id = ?",
            Self::ReadEnded => "DELETE FROM room_reads_v1 WHERE room_id = ? AND user_id = ? AND read_seq <= ?",
            Self::Profile => "INSERT OR REPLACE INTO profiles_v1 (user_id, sealed, version) VALUES (?, ?, ?)",
            Self::Events
            | Self::Checkpoints(_)
            | Self::Parked
            | Self::Messages
            | Self::Heads
            | Self::UserRooms
            | Self::Members
            | Self::UserReads
            | Self::RoomReads => "",
        }
    }
}

/// The same positions for several projections at once.
fn checkpoints(which: u16, rows: usize, projections: &[(&'static str, u32)]) -> String {
    let mut names = String::new();
    for (index, (name, version)) in projections.iter().enumerate() {
        if which & (1 << index) != 0 {
            let comma = if names.is_empty() { "" } else { ", " };
            let _infallible = write!(names, "{comma}('{}', {version})", name.replace('\'', "''"));
        }
    }
    let mut text =
        String::from("INSERT INTO projection_state (projection, version, slice, position) SELECT p.*, s.* FROM ");
    let _infallible = write!(text, "(SELECT * FROM (VALUES {names})) p CROSS JOIN (SELECT * FROM ");
    push_values(&mut text, rows, 2);
    text.push_str(
        " WHERE column1 IS NOT NULL) s WHERE true \
         ON CONFLICT (projection, version, slice) DO UPDATE SET position = excluded.position",
    );
    text
}

fn push_values(text: &mut String, rows: usize, columns: usize) {
    text.push_str("(VALUES ");
    for row in 0..rows {
        text.push_str(if row == 0 { "(" } else { ",(" });
        for column in 0..columns {
            text.push_str(if column == 0 { "?" } else { ",?" });
        }
        text.push(')');
    }
    text.push(')');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_size_that_is_large_enough_is_taken() {
        let sizes: Vec<usize> = [1, 2, 5, 16, 17, 65, 128, 500].into_iter().map(size_for).collect();
        assert_eq!(sizes, [1, 2, 6, 16, 24, 96, 128, 128]);
    }

    #[test]
    fn a_text_has_a_marker_for_every_value() {
        let text = Sql::Messages.text(3, &[]);
        assert_eq!(text.matches('?').count(), 27, "{text}");
    }
}
