-- What happens to messages after they were sent. Nothing in the log did yet, so the tables that are there stay right.

-- R8 who reacted, one reaction a person; the totals are in messages. '' is one that was taken back.
CREATE TABLE message_reactors_v1 (
    room_id    BLOB    NOT NULL,
    bucket     INTEGER NOT NULL,
    seq        INTEGER NOT NULL,
    user_id    BLOB    NOT NULL,
    emoji      TEXT    NOT NULL,
    reacted_at INTEGER NOT NULL,
    PRIMARY KEY (room_id, bucket, seq, user_id)
) STRICT, WITHOUT ROWID;

-- R9 messages that a person has hidden from themselves.
CREATE TABLE user_hidden_v1 (
    user_id BLOB    NOT NULL,
    room_id BLOB    NOT NULL,
    seq     INTEGER NOT NULL,
    PRIMARY KEY (user_id, room_id, seq)
) STRICT, WITHOUT ROWID;

-- R3: the newest of those, so that nobody has to look for what is not there.
ALTER TABLE user_rooms_v1 ADD COLUMN last_hidden INTEGER NOT NULL DEFAULT 0;
