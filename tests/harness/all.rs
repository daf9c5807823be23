//! What every black-box target stands on: processes, a client over HTTP and WebSocket, and people who use it.
//!
//! Nothing here knows a crate of the server, nor which processes answer: a target says that in its `stage` module.

pub(crate) mod client;
#[cfg(feature = "otlp")]
pub(crate) mod collector;
pub(crate) mod contract;
pub(crate) mod person;
pub(crate) mod process;
pub(crate) mod quiet;
pub(crate) mod raw;
pub(crate) mod socket;

/// Tests send as fast as they can, so the rates are switched off, by configuration as the contract says.
pub(crate) const NO_RATES: &str =
    "[limits.rate]\ncommands_per_minute = 0\nqueries_per_minute = 0\nframes_per_minute = 0\n";
