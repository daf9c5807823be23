//! PostgreSQL: the event log of a cluster, its outbox, its keys, and what projections have parked.
//!
//! - `database`: connections and the schema. `session` and `pool`: every statement has a deadline, and a connection on which
//!   something went wrong in the middle is not used again. `connector` opens new ones, with backoff. `error` sorts errors.
//! - `writer`: appends of the whole process are gathered: whatever waits when a connection is free goes as one statement, in
//!   one round trip and one commit. There is no timer: the commit before it is the window. `append` is that statement.
//! - `log` is the port around it, `reads` what it asks, `locked` the second try. `mender` finds out when writing works again, `orphans`
//!   when what nobody waits for any more is over.
//! - `outbox`: the log from the relay's side, `lease` who may publish. `bell` rings after commits, `listener` hears it.
//! - `parking`, `key_vault`: the other ports.
//! - `repository`: the same log for programs that use `cqrs-es` as it comes.
//!
//! The statement itself is in `migrations/postgres`. Connections are sessions of our own (settings, prepared statements,
//! `LISTEN`, advisory locks), so a pooler between us and the server has to pool sessions, not transactions.

mod append;
mod bell;
mod connector;
mod database;
mod error;
mod key_vault;
mod lease;
mod listener;
mod locked;
mod log;
mod mender;
mod orphans;
mod outbox;
mod parking;
mod pool;
mod reads;
mod repository;
mod session;
mod settings;
mod standing;
mod writer;

pub use database::Database;
pub use key_vault::PostgresKeyVault;
pub use log::PostgresEventLog;
pub use outbox::PostgresOutbox;
pub use parking::PostgresParking;
pub use repository::PostgresRepository;
pub use settings::Settings;
pub use standing::{Backlog, Schema, Standing};

/// The server as operators know it.
const STORE: &str = "PostgreSQL";
