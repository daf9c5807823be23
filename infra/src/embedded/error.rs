//! Errors of the driver, sorted by what happens next, and turned into errors of the ports at this border.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use cocotalk_application::error::StoreError;

/// The store as operators know it.
const STORE: &str = "the embedded store";

/// The embedded store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A server runs on this folder already; two would destroy each other's work.
    #[error("the data folder {} is in use by another server", folder.display())]
    Locked {
        /// The folder.
        folder: PathBuf,
    },
    /// The folder or a file in it cannot be used: read-only, full, not ours, not a folder.
    #[error("cannot use {}", path.display())]
    Unavailable {
        /// The folder or file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// What lies there is not what this release wrote: a newer release did, or it is damaged.
    #[error("{} is not what this release can read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A setting makes no sense.
    #[error("embedded.{setting} {why}")]
    Setting {
        /// Which one.
        setting: &'static str,
        /// What is wrong with it.
        why: String,
    },
}

impl OpenError {
    pub(super) fn unavailable(path: &Path, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Unavailable {
            path: path.to_owned(),
            source: source.into(),
        }
    }

    pub(super) fn unreadable(path: &Path, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Unreadable {
            path: path.to_owned(),
            source: source.into(),
        }
    }

    /// An error of the driver while opening `path`.
    pub(super) fn of_driver(path: &Path, error: sqlx::Error) -> Self {
        match fault(&error) {
            Fault::Damage => Self::unreadable(path, error),
            Fault::Row | Fault::Storage => Self::unavailable(path, error),
        }
    }
}

/// What a failed statement tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The statement cannot be carried out with these values, now or later: a constraint, a type, a size.
    Row,
    /// The storage does not take it now: full, locked, read-only, an I/O error. It may later.
    Storage,
    /// The file is not a database or is damaged.
    Damage,
}

/// Primary result codes of SQLite.
const ERROR: u32 = 1;
const CORRUPT: u32 = 11;
const TOOBIG: u32 = 18;
const CONSTRAINT: u32 = 19;
const MISMATCH: u32 = 20;
const RANGE: u32 = 25;
const NOTADB: u32 = 26;

pub(super) fn fault(error: &sqlx::Error) -> Fault {
    if matches!(error, sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_)) {
        return Fault::Damage;
    }
    let code = error
        .as_database_error()
        .and_then(|error| error.code()?.parse::<u32>().ok());
    match code.map(|code| code & 0xff) {
        Some(ERROR | TOOBIG | CONSTRAINT | MISMATCH | RANGE) => Fault::Row,
        Some(CORRUPT | NOTADB) => Fault::Damage,
        Some(_) | None => Fault::Storage,
    }
}

/// An error of the driver as callers of the ports see it.
pub(super) fn of_store(error: sqlx::Error) -> StoreError {
    match fault(&error) {
        Fault::Damage => StoreError::corrupt(STORE, error),
        Fault::Row | Fault::Storage => StoreError::unavailable(STORE, error),
    }
}

/// The writer has ended, or ended before it answered.
pub(super) fn stopped() -> StoreError {
    StoreError::unavailable(STORE, "it is being closed")
}

/// The same error for one of several callers.
pub(super) fn of_shared(error: &Arc<sqlx::Error>) -> StoreError {
    match fault(error) {
        Fault::Damage => StoreError::corrupt(STORE, error),
        Fault::Row | Fault::Storage => StoreError::unavailable(STORE, Arc::clone(error)),
    }
}
