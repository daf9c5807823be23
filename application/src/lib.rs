//! Ports and use cases: what CocoTalk does, without saying on which database, broker or protocol.
//!
//! - `port`: one trait a file; its doc is its contract, and `contract` holds one test per promise that every adapter runs.
//! - `use_case`: one a file; which streams it writes, which it only reads, and a pure decision over their states.
//! - `command_bus`: runs use cases: lanes, cached aggregates, units, idempotency, the pessimistic second try.
//! - `projection` and `row`: from events to rows of the read model, as data that every store can execute.
//! - `sealing`: what people wrote is sealed at the door and opened at the window.
//! - `trace`: which trace something belongs to, from a request to all that it causes.
//!
//! # How to add a use case
//! Write `use_case/<verb>.rs` with a struct of what the caller gives, implement [`use_case::UseCase`] for it, and let a
//! handler build it and hand it to [`command_bus::CommandBus`]. Nothing else changes.

pub mod command_bus;
pub mod directory;
pub mod error;
pub mod following;
pub mod metrics;
pub mod port;
pub mod position;
pub mod projection;
pub mod row;
pub mod sealing;
pub mod trace;
pub mod use_case;

#[cfg(feature = "testkit")]
pub mod contract;
