//! The edge: what the HTTP doors of commands and queries share, so that both answer, refuse and limit alike.
//!
//! - `problem`: the one shape of every refusal, its closed set of codes, and what each error beneath becomes.
//! - `door`: what the extractors need to know; a door's state gives it by `FromRef`.
//! - `auth`, `rate`: who asks, and how often they may.
//! - `body`, `query`, `path`, `page`: what they sent, parsed strictly.
//! - `idempotency`, `position`: the headers of commands, and of queries that wait for them.
//! - `seq`: the places in rooms that they name.
//! - `command`, `message`: from a request, or a frame of the socket, to a command and its answer.
//! - `client`: where a request comes from, through trusted proxies or not.
//! - `crowd`: how much of something one network holds at a time.
//! - `describe`: what the descriptions of all operations share, above all their refusals.
//! - `layers`: the one layer around every route, and the fallbacks.
//! - `settings`: the sections `[http]` and `[limits]` of the configuration.
//!
//! # How to add a problem code
//! Add a row to the table in `problem.rs` and a page `docs/problems/<code>.md`; `cargo xtask tidy` compares the two. Where
//! a rule of the domain refuses, add its variant to `problem/refusal.rs`: the match there has no wildcard.

pub mod auth;
pub mod body;
pub mod client;
pub mod command;
pub mod crowd;
pub mod describe;
pub mod door;
pub mod idempotency;
pub mod layers;
pub mod message;
pub mod metrics;
pub mod page;
pub mod path;
pub mod position;
pub mod problem;
pub mod query;
pub mod rate;
pub mod scope;
pub mod seq;
pub mod settings;

#[cfg(test)]
mod tests;
