//! What clients can do and what they are promised, written once and run on every stage.
//!
//! A scenario knows the platform by its API only: [`Stage::shared`](crate::stage::Stage::shared) is there, or one of its own
//! is put up, whatever processes that takes. Scenarios share a store, so each uses people and rooms of its own, and all of
//! them run in parallel. Every wait is a wait for a state, with a deadline; randomness prints its seed.
//!
//! What a scenario may not ask for is what only one process on a folder has: see the list in `tests/e2e/main.rs`.

mod accounts;
mod authorisation;
mod bad_frames;
mod bad_requests;
mod contract;
mod crowding;
mod descriptions;
mod events;
mod groups;
mod history;
mod idempotency;
mod live;
mod membership;
mod message_changes;
mod messages;
mod operator;
mod positions;
mod restarts;
mod resume;
mod rooms;
mod seats;
