//! Errors of the driver, sorted by what happens next, and turned into errors of the ports at this border.

use std::sync::Arc;

use cocotalk_application::error::StoreError;

use super::STORE;

/// What a failed statement tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Somebody else was at the same rows at the same moment: the same again may succeed.
    Collision,
    /// It cannot be carried out with these values, now or later.
    Values,
    /// Somebody else held for too long what it needs.
    Lock,
    /// The server does not do it, or not now: a limit, a right that is missing, no space. The connection is good.
    Server,
    /// The connection is gone, or is not to be used any more.
    Connection,
    /// What is stored is not what was written.
    Damage,
}

pub(super) fn fault(error: &sqlx::Error) -> Fault {
    let Some(code) = error.as_database_error().and_then(sqlx::error::DatabaseError::code) else {
        return match error {
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) | sqlx::Error::RowNotFound => Fault::Damage,
            // It was never sent.
            sqlx::Error::Encode(_) => Fault::Values,
            _ => Fault::Connection,
        };
    };
    match &*code {
        // serialization_failure, deadlock_detected, unique_violation
        "40001" | "40P01" | "23505" => Fault::Collision,
        // lock_not_available
        "55P03" => Fault::Lock,
        // data_corrupted, index_corrupted
        "XX001" | "XX002" => Fault::Damage,
        // read_only_sql_transaction: another server is the primary now; idle_in_transaction_session_timeout
        "25006" | "25P03" => Fault::Connection,
        // Connection errors, and a server or a database that goes away.
        code if code.starts_with("08") || code.starts_with("57P") => Fault::Connection,
        // Data and constraints.
        code if code.starts_with("22") || code.starts_with("23") => Fault::Values,
        _ => Fault::Server,
    }
}

/// An error of the driver as callers of the ports see it.
pub(super) fn of_store(error: sqlx::Error) -> StoreError {
    match fault(&error) {
        Fault::Damage => StoreError::corrupt(STORE, error),
        Fault::Collision | Fault::Values | Fault::Lock | Fault::Server | Fault::Connection => {
            StoreError::unavailable(STORE, error)
        }
    }
}

/// The same error for one of several callers.
pub(super) fn of_shared(error: &Arc<sqlx::Error>) -> StoreError {
    match fault(error) {
        Fault::Damage => StoreError::corrupt(STORE, error),
        Fault::Collision | Fault::Values | Fault::Lock | Fault::Server | Fault::Connection => {
            StoreError::unavailable(STORE, Arc::clone(error))
        }
    }
}

/// The process is about to end.
pub(super) fn stopped() -> StoreError {
    StoreError::unavailable(STORE, "it is being closed")
}

/// Something took longer than it may.
pub(super) fn late(what: &str) -> sqlx::Error {
    sqlx::Error::Io(std::io::Error::new(
        std::io::ErrorKind::TimedOut,
        format!("{what} took too long"),
    ))
}

/// What is stored is not what was written.
pub(super) fn damaged(why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> sqlx::Error {
    sqlx::Error::Decode(why.into())
}
