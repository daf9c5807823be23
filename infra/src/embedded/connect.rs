//! How connections to the two files are set up.

use std::path::Path;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions as _, SqliteConnection};

use super::error::OpenError;
use super::settings::Settings;

/// The schema of the store.
pub(super) static STORE: Migrator = sqlx::migrate!("../migrations/embedded");
/// The schema of the key vault.
pub(super) static KEYS: Migrator = sqlx::migrate!("../migrations/keys");

/// Compiled statements kept by a connection. The writer has some two hundred shapes of a transaction, most of them rare.
const STATEMENTS: usize = 512;
/// Rows that a statement may be ahead of whoever takes them: more than any page, so that nobody waits for the other.
const ROWS: usize = 4_096;

/// The connection that writes. Commits are durable when they return; nobody copies the log into the database for it.
pub(super) fn writer(path: &Path, settings: &Settings) -> SqliteConnectOptions {
    durable(path, settings.page_bytes)
        .pragma("wal_autocheckpoint", "0")
        .pragma("cache_size", format!("-{}", settings.writer_cache_kib))
        .pragma("temp_store", "MEMORY")
        .thread_name(|_| "store-writer".to_owned())
}

/// The connection that copies the log into the database, beside the writer.
pub(super) fn copier(path: &Path, settings: &Settings) -> SqliteConnectOptions {
    durable(path, settings.page_bytes)
        .create_if_missing(false)
        .pragma("wal_autocheckpoint", "0")
        .thread_name(|_| "store-copier".to_owned())
}

/// A connection that reads and cannot write.
pub(super) fn reader(path: &Path, settings: &Settings) -> SqliteConnectOptions {
    plain(path)
        .read_only(true)
        .pragma("cache_size", format!("-{}", settings.reader_cache_kib))
        .pragma("temp_store", "MEMORY")
        .thread_name(|index| format!("store-reader-{index}"))
}

/// The connection of the key vault: what is deleted is overwritten, in the file and in its log.
pub(super) fn vault(path: &Path) -> SqliteConnectOptions {
    durable(path, 4_096)
        .pragma("secure_delete", "ON")
        .thread_name(|_| "key-vault".to_owned())
}

fn durable(path: &Path, page_bytes: u32) -> SqliteConnectOptions {
    plain(path)
        .create_if_missing(true)
        .page_size(page_bytes)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
}

fn plain(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .foreign_keys(false)
        .statement_cache_capacity(STATEMENTS)
        .row_buffer_size(ROWS)
        .disable_statement_logging()
}

/// Opens a file for writing, brings its schema up to date, and makes sure that it can be written.
pub(super) async fn open(
    path: &Path,
    options: &SqliteConnectOptions,
    schema: &Migrator,
) -> Result<SqliteConnection, OpenError> {
    let failed = |error| OpenError::of_driver(path, error);
    let mut connection = options.connect().await.map_err(failed)?;
    schema
        .run_direct(&mut connection)
        .await
        .map_err(|error| migration_failed(path, error))?;
    sqlx::raw_sql("BEGIN IMMEDIATE; ROLLBACK")
        .execute(&mut connection)
        .await
        .map_err(failed)?;
    Ok(connection)
}

fn migration_failed(path: &Path, error: MigrateError) -> OpenError {
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => OpenError::of_driver(path, error),
        other => OpenError::unreadable(path, other),
    }
}
