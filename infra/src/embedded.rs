//! Everything in one SQLite file: the event log, the read model and its checkpoints, one transaction for all of them. And the
//! keys in a file of their own.
//!
//! - One writer task with group commit; readers on connections of their own; a copier that moves the write-ahead log into
//!   the database, beside the writer. A commit is durable when it is answered (`synchronous=FULL`).
//! - The folder belongs to one server at a time; a second one is refused.
//! - The read tables are keyed like those of the big installation, so nothing can be asked here that could not be asked there.

mod codec;
mod connect;
mod copier;
mod error;
mod folder;
mod key_vault;
mod log;
mod parking;
mod progress;
mod readers;
mod reads;
mod rows;
mod script;
mod settings;
mod sql;
mod staging;
mod store;
mod texts;
mod writer;

pub use error::OpenError;
pub use key_vault::EmbeddedKeyVault;
pub use settings::Settings;
pub use store::EmbeddedStore;
