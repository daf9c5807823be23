//! Adapters: the ports of the application on real technology, one module each.
//!
//! - `embedded`: everything in one SQLite file, and the keys in another. For a laptop and a small installation.
//! - `postgres`: the event log, the keys and what is parked, of a cluster.
//! - `kafka`: the bus of a cluster: what the relay publishes to, and what projectors and live sockets read from.
//! - `scylla`: the read model of a cluster, in ScyllaDB or Apache Cassandra.
//! - `memory`: everything in memory, for tests and examples. It keeps every promise but durability.
//! - `open`: the one place that knows which backend this is.
//!
//! # How to add an adapter
//! Implement the port in a module of its own, behind a feature if it is heavy, and run the port's contract against it:
//! `tests/` holds one file per adapter, which is little more than `event_log_contract!(factory)`. Then add the adapter to
//! [`open`], and nowhere else.

pub mod clock;
#[cfg(feature = "cluster")]
pub mod cluster;
#[cfg(feature = "embedded")]
pub mod embedded;
#[cfg(any(feature = "embedded", feature = "postgres"))]
mod encoding;
#[cfg(feature = "kafka")]
pub mod kafka;
pub mod live;
#[cfg(any(feature = "embedded", feature = "postgres"))]
mod master_key;
pub mod memory;
pub mod metrics;
#[cfg(feature = "embedded")]
pub mod open;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(feature = "scylla")]
pub mod scylla;
pub mod secret;
pub mod telemetry;
