//! Black-box tests of the platform as separate processes, two of each role, on the real servers.
//!
//! The scenarios are those of `tests/e2e`, all of them: commands go to the `command-api` nodes, queries and sockets to the
//! `query-api` nodes, in turn, so that whatever somebody does next is done by another process than what they did before. On
//! top of them `nodes` has what only several nodes can promise, and `parts` the command line of the processes. What runs in
//! `tests/e2e` alone, and why, is said in `tests/e2e/main.rs`.
//!
//! The servers are those that `COCOTALK_TEST_POSTGRES`, `COCOTALK_TEST_KAFKA` and `COCOTALK_TEST_CQL` name. A run makes a
//! database, topics and a keyspace of its own there.
#![expect(
    clippy::unwrap_used,
    reason = "in a test, a panic with its line is the failure report"
)]

mod deploy;
#[path = "../harness/all.rs"]
mod harness;
mod installation;
mod node;
mod nodes;
mod parts;
#[path = "../scenarios/all.rs"]
mod scenarios;
mod stage;
