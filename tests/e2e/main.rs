//! Black-box tests of the platform in one process: the real `cocotalk` binary, spoken to over HTTP and WebSocket only.
//!
//! The contract is the API description; nothing here knows a crate of the server. What clients can do and are promised is in
//! `tests/scenarios`, which `tests/cluster` runs against separate processes as well. What runs here alone, and why:
//!
//! | what | why |
//! | --- | --- |
//! | `chaos` | `kill -9` of the one process, store and all. Its load and its checks (`tests/crowd`) are anybody's. |
//! | `walk` | What serves the walk is restarted and killed, which is the one process here. The walk (`tests/model`) is anybody's: `tests/faults` does the same to any of the others. |
//! | `faults` | A full disk and a read-only folder happen to a store that is a file. The real servers have faults of their own. |
//! | `operations` | The command line of `cocotalk` as a server: the lock of the folder, `--demo`, the console, a listener that is not loopback, `config check` and `dump`. |
#![expect(
    clippy::unwrap_used,
    reason = "in a test, a panic with its line is the failure report"
)]

mod chaos;
#[path = "../crowd/all.rs"]
mod crowd;
mod faults;
#[path = "../harness/all.rs"]
mod harness;
#[path = "../model/all.rs"]
mod model;
mod operations;
#[path = "../scenarios/all.rs"]
mod scenarios;
mod server;
mod stage;
mod walk;
