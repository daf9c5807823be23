-- The keys, in a file of their own: destroying one must not leave a copy in the pages or the log of the event store.

-- People's data keys, wrapped by the master key.
CREATE TABLE subject_keys (
    subject     BLOB    NOT NULL PRIMARY KEY,
    wrapped_key BLOB    NOT NULL,
    created_at  INTEGER NOT NULL                 -- milliseconds since the epoch
) STRICT, WITHOUT ROWID;

-- People whose key was destroyed: it never comes back.
CREATE TABLE destroyed_subjects (
    subject      BLOB    NOT NULL PRIMARY KEY,
    destroyed_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Secrets of the installation, wrapped by the master key.
CREATE TABLE secrets (
    name        TEXT    NOT NULL PRIMARY KEY,
    wrapped_key BLOB    NOT NULL,
    created_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
