-- The embedded store: the event log, the read model and its checkpoints in one file. Columns and keys are those of the big
-- installation (PostgreSQL and CQL); ids are blobs of 16 bytes, instants of rows are milliseconds since the epoch.

-- The event log. The rowid is the order of arrival in this file and means nothing.
CREATE TABLE events (
    aggregate_type TEXT    NOT NULL,
    aggregate_id   TEXT    NOT NULL,
    sequence       INTEGER NOT NULL CHECK (sequence > 0),
    event_type     TEXT    NOT NULL,
    event_version  TEXT    NOT NULL,
    payload        TEXT    NOT NULL,             -- JSON, byte-exact: it is hashed
    metadata       TEXT    NOT NULL,             -- an object of string -> string
    slice          INTEGER NOT NULL,
    slice_pos      INTEGER NOT NULL,             -- gapless per slice, in commit order
    ts_us          INTEGER NOT NULL,             -- strictly rising per slice, microseconds since the epoch
    subject        BLOB,                         -- the message an event is about
    actor          BLOB,                         -- on the first event of a command only: who, ...
    command_id     BLOB,                         --   ... the idempotency key,
    request_mac    BLOB,                         --   ... the fingerprint of the request,
    answer         TEXT,                         --   ... and what was answered (ids and numbers only)
    content_hash   BLOB    NOT NULL,             -- SHA-256 of every column but slice, slice_pos and ts_us
    CHECK (command_id IS NULL OR actor IS NOT NULL)
) STRICT;
CREATE UNIQUE INDEX events_stream  ON events (aggregate_type, aggregate_id, sequence);
CREATE UNIQUE INDEX events_slice   ON events (slice, slice_pos);
CREATE UNIQUE INDEX events_command ON events (actor, command_id) WHERE command_id IS NOT NULL;
CREATE INDEX        events_subject ON events (subject, sequence) WHERE subject IS NOT NULL;

-- What was written happened: nothing in this program changes or removes an event, and nothing may.
CREATE TRIGGER events_are_not_changed BEFORE UPDATE ON events BEGIN SELECT RAISE(ABORT, 'events are never changed'); END;
CREATE TRIGGER events_are_not_removed BEFORE DELETE ON events BEGIN SELECT RAISE(ABORT, 'events are never removed'); END;

-- States kept to save loading long streams from their beginning. Nothing depends on them.
CREATE TABLE snapshots (
    aggregate_type TEXT    NOT NULL,
    aggregate_id   TEXT    NOT NULL,
    state_version  INTEGER NOT NULL,
    sequence       INTEGER NOT NULL,
    state          BLOB    NOT NULL,
    PRIMARY KEY (aggregate_type, aggregate_id, state_version)
) STRICT;

-- Which versions of a read model exist, and which one queries use.
CREATE TABLE projections (
    name       TEXT    NOT NULL,
    version    INTEGER NOT NULL,
    state      TEXT    NOT NULL CHECK (state IN ('building', 'following', 'active', 'retired')),
    created_at INTEGER NOT NULL,
    PRIMARY KEY (name, version)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX projections_active ON projections (name) WHERE state = 'active';

-- Events that a projection could not apply, and later ones of their aggregate, which wait in order.
CREATE TABLE parked (
    projection     TEXT    NOT NULL,
    version        INTEGER NOT NULL,
    aggregate_type TEXT    NOT NULL,
    aggregate_id   TEXT    NOT NULL,
    sequence       INTEGER NOT NULL,
    slice          INTEGER NOT NULL,
    slice_pos      INTEGER NOT NULL,
    error          TEXT    NOT NULL,
    attempts       INTEGER NOT NULL DEFAULT 1,
    first_at       INTEGER NOT NULL,
    last_at        INTEGER NOT NULL,
    PRIMARY KEY (projection, version, aggregate_type, aggregate_id, sequence)
) STRICT, WITHOUT ROWID;

-- R1 message history. bucket = seq >> 12.
CREATE TABLE messages_v1 (
    room_id       BLOB    NOT NULL,
    bucket        INTEGER NOT NULL,
    seq           INTEGER NOT NULL CHECK (seq > 0),
    cnt           INTEGER NOT NULL,
    message_id    BLOB,
    author_id     BLOB    NOT NULL,
    kind          INTEGER NOT NULL,
    sent_at       INTEGER NOT NULL,
    body          BLOB,                          -- sealed by author_id
    meta          BLOB,                          -- JSON; not sealed
    state         INTEGER NOT NULL DEFAULT 0,    -- 0 sent, 1 edited, 2 deleted
    changed_at    INTEGER,
    withheld_from BLOB,
    reactions     BLOB,
    PRIMARY KEY (room_id, bucket, seq)
) STRICT, WITHOUT ROWID;

-- R2 room head and room metadata. A row without kind is not shown: its room has not begun yet.
CREATE TABLE rooms_v1 (
    room_id       BLOB NOT NULL PRIMARY KEY,
    kind          INTEGER,                       -- 0 direct, 1 group
    name          TEXT,
    avatar        TEXT,
    owner_id      BLOB,
    member_count  INTEGER,
    member_sample BLOB,                          -- ids, one after the other
    notice        TEXT,
    settings      BLOB,                          -- JSON
    created_at    INTEGER,
    closed        INTEGER NOT NULL DEFAULT 0,
    version       INTEGER NOT NULL DEFAULT 0,
    last_seq      INTEGER,                       -- last_*: the newest item that everybody may see
    last_cnt      INTEGER,
    last_at       INTEGER,
    last_kind     INTEGER,
    last_author   BLOB,
    last_preview  BLOB,                          -- sealed by last_author
    last_deleted  INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

-- R3 a person's rooms. A row without joined_at is not shown: the room's own event has not come yet.
CREATE TABLE user_rooms_v1 (
    user_id     BLOB    NOT NULL,
    room_id     BLOB    NOT NULL,
    state       INTEGER NOT NULL DEFAULT 0,      -- 1 in it, 0 not
    joined_seq  INTEGER NOT NULL DEFAULT 0,
    joined_cnt  INTEGER NOT NULL DEFAULT 0,
    joined_at   INTEGER,
    peer_id     BLOB,
    own_seq     INTEGER,
    own_at      INTEGER,
    own_kind    INTEGER,
    own_preview BLOB,
    own_deleted INTEGER,
    floor_seq   INTEGER NOT NULL DEFAULT 0,
    floor_cnt   INTEGER NOT NULL DEFAULT 0,
    pinned_at   INTEGER,
    muted_until INTEGER,
    alias       BLOB,                            -- sealed by user_id
    PRIMARY KEY (user_id, room_id)
) STRICT, WITHOUT ROWID;

-- R4 a person's read positions: they only rise.
CREATE TABLE user_reads_v1 (
    user_id  BLOB    NOT NULL,
    room_id  BLOB    NOT NULL,
    read_seq INTEGER NOT NULL,
    read_cnt INTEGER NOT NULL,
    PRIMARY KEY (user_id, room_id)
) STRICT, WITHOUT ROWID;

-- R5 members of a room; those who left stay with state 0.
CREATE TABLE room_members_v1 (
    room_id    BLOB    NOT NULL,
    user_id    BLOB    NOT NULL,
    state      INTEGER NOT NULL,
    role       INTEGER NOT NULL,                 -- 0 member, 1 admin, 2 owner
    joined_seq INTEGER NOT NULL,
    joined_at  INTEGER NOT NULL,
    invited_by BLOB    NOT NULL,
    PRIMARY KEY (room_id, user_id)
) STRICT, WITHOUT ROWID;

-- R6 read positions of a room's members: they only rise; leaving a group removes them.
CREATE TABLE room_reads_v1 (
    room_id  BLOB    NOT NULL,
    user_id  BLOB    NOT NULL,
    read_seq INTEGER NOT NULL,
    PRIMARY KEY (room_id, user_id)
) STRICT, WITHOUT ROWID;

-- R11 profiles: what a person wrote or is, sealed as one blob.
CREATE TABLE profiles_v1 (
    user_id    BLOB    NOT NULL PRIMARY KEY,
    sealed     BLOB    NOT NULL,                 -- sealed by user_id
    photo      BLOB,
    background BLOB,
    version    INTEGER NOT NULL,
    forgotten  INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

-- R16 how far a projection has come in every slice, moved in the transaction that moves its rows.
CREATE TABLE projection_state (
    projection TEXT    NOT NULL,
    version    INTEGER NOT NULL,
    slice      INTEGER NOT NULL,
    position   INTEGER NOT NULL,
    PRIMARY KEY (projection, version, slice)
) STRICT, WITHOUT ROWID;
