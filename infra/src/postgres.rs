//! PostgreSQL: the event log of a cluster, its keys, and what projections have parked.
//!
//! - `database`: the pool; every call on it has a deadline, and a connection on which something went wrong is not used again.
//! - `append`: units as arrays, and the one statement that appends them. `log` is the port around it, `locked` the second try.
//! - `outbox`: the log from the relay's side. `bell` rings after commits, so that it need not poll.
//! - `parking`, `key_vault`: the other ports.
//! - `repository`: the same log for programs that use `cqrs-es` as it comes.
//!
//! The statement itself is in `migrations/postgres`.

mod append;
mod bell;
mod database;
mod key_vault;
mod locked;
mod log;
mod outbox;
mod parking;

mod settings;

pub use database::{Database, Standing};
pub use key_vault::PostgresKeyVault;
pub use log::PostgresEventLog;
pub use outbox::PostgresOutbox;
pub use parking::PostgresParking;

pub use settings::Settings;

/// The server as operators know it.
const STORE: &str = "PostgreSQL";
