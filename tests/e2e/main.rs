//! Black-box tests: the real `cocotalk` binary as a child process, spoken to over HTTP and WebSocket only.
//!
//! The contract is the API description; nothing here knows a crate of the server. Tests that do not restart their server
//! share one and use people and rooms of their own, so all of them run in parallel. Every wait is a wait for a state,
//! with a deadline; randomness prints its seed.
#![expect(
    clippy::unwrap_used,
    reason = "in a test, a panic with its line is the failure report"
)]

mod accounts;
mod chaos;
mod client;
mod contract;
mod events;
mod faults;
mod history;
mod idempotency;
mod live;
mod membership;
mod messages;
mod operations;
mod person;
mod positions;
mod resume;
mod rooms;
mod seats;
mod server;
mod socket;
mod walk;
