//! The questions that are asked of the tables, as text. Lists come in sizes like the writer's rows: what is missing is NULL,
//! which is found nowhere.

use std::fmt::Write as _;

use super::codec::EVENT_COLUMNS;

/// The size of a list of so many: a power of two, so that few texts exist.
pub(super) fn list_size(items: usize) -> usize {
    items.max(1).next_power_of_two()
}

/// `?, ?, ...`
pub(super) fn list(size: usize) -> String {
    let mut text = "?,".repeat(size);
    text.pop();
    text
}

/// `(?, ...), (?, ...), ...`
pub(super) fn values(size: usize, columns: usize) -> String {
    let row = format!("({}),", list(columns));
    let mut text = row.repeat(size);
    text.pop();
    text
}

/// Rows of (number, type, id) -> (number, version).
pub(super) fn versions(size: usize) -> String {
    format!(
        "SELECT column1, ifnull((SELECT max(sequence) FROM events WHERE aggregate_type = column2 \
         AND aggregate_id = column3), 0) FROM (VALUES {}) WHERE column1 IS NOT NULL",
        values(size, 3)
    )
}

/// Rows of (number, actor, command) -> the numbers of those that were carried out.
pub(super) fn repeated(size: usize) -> String {
    format!(
        "SELECT column1 FROM (VALUES {}) WHERE EXISTS \
         (SELECT 1 FROM events WHERE actor = column2 AND command_id = column3)",
        values(size, 3)
    )
}

/// A command, the versions of streams and the heads of slices, at one moment: (what, number, mac, answer, version).
pub(super) fn probe(streams: usize, slices: usize) -> String {
    let mut text =
        String::from("SELECT 0, 0, request_mac, answer, NULL FROM events WHERE actor = ? AND command_id = ?");
    if streams > 0 {
        let _infallible = write!(
            text,
            " UNION ALL SELECT 1, column1, NULL, NULL, ifnull((SELECT max(sequence) FROM events \
             WHERE aggregate_type = column2 AND aggregate_id = column3), 0) FROM (VALUES {}) WHERE column1 IS NOT NULL",
            values(streams, 3)
        );
    }
    if slices > 0 {
        let _infallible = write!(
            text,
            " UNION ALL SELECT 2, column1, NULL, NULL, ifnull((SELECT max(slice_pos) FROM events WHERE slice = column2), 0) \
             FROM (VALUES {}) WHERE column1 IS NOT NULL",
            values(slices, 2)
        );
    }
    text
}

/// Events of a stream after a version.
pub(super) fn load() -> String {
    format!(
        "SELECT {EVENT_COLUMNS} FROM events WHERE aggregate_type = ? AND aggregate_id = ? AND sequence > ? \
         ORDER BY sequence LIMIT ?"
    )
}

/// Events about a message after a version. The index is by (subject, sequence), and a message has one stream.
pub(super) fn about() -> String {
    format!("SELECT {EVENT_COLUMNS} FROM events WHERE subject = ? AND sequence > ? ORDER BY sequence LIMIT ?")
}

/// Events of a slice after a position.
pub(super) fn read_slice() -> String {
    format!("SELECT {EVENT_COLUMNS} FROM events WHERE slice = ? AND slice_pos > ? ORDER BY slice_pos LIMIT ?")
}

/// The newest event of every slice that has one: one seek a slice, however long the log is.
pub(super) const HEADS: &str = "WITH RECURSIVE slices (slice) AS (SELECT 0 UNION ALL SELECT slice + 1 FROM slices \
    WHERE slice < 63) SELECT slice, (SELECT max(slice_pos) FROM events e WHERE e.slice = slices.slice) AS pos, \
    (SELECT ts_us FROM events e WHERE e.slice = slices.slice ORDER BY slice_pos DESC LIMIT 1) FROM slices \
    WHERE pos IS NOT NULL";

/// How far a projection has come.
pub(super) const CHECKPOINTS: &str =
    "SELECT slice, position FROM projection_state WHERE projection = ? AND version = ?";

/// What waits for a projection.
pub(super) const PARKED: &str =
    "SELECT DISTINCT aggregate_type, aggregate_id FROM parked WHERE projection = ? AND version = ?";

/// The newest snapshot of a stream.
pub(super) const SNAPSHOT: &str =
    "SELECT sequence, state FROM snapshots WHERE aggregate_type = ? AND aggregate_id = ? AND state_version = ?";
