//! Adapters: the ports of the application on real technology, one module each.
//!
//! - `embedded`: everything in one SQLite file, and the keys in another. For a laptop and a small installation.
//! - `memory`: everything in memory, for tests and examples. It keeps every promise but durability.
//! - `open`: the one place that knows which backend this is.
//!
//! # How to add an adapter
//! Implement the port in a module of its own, behind a feature if it is heavy, and run the port's contract against it:
//! `tests/` holds one file per adapter, which is little more than `event_log_contract!(factory)`. Then add the adapter to
//! [`open`], and nowhere else.

pub mod clock;
#[cfg(feature = "embedded")]
pub mod embedded;
mod following;
pub mod live;
pub mod memory;
pub mod metrics;
#[cfg(feature = "embedded")]
pub mod open;
pub mod telemetry;
