//! What is promised when the real servers, the network before them and the processes fail.
//!
//! The servers are those of this target, started once and kept from other tests: a server that somebody else runs cannot be
//! stopped. The tests have them one after the other; each begins with everything in order and ends with what must be true
//! after all that: nothing acknowledged is lost, doubled or reordered, in answers, queries, sockets and `changes`; the bus has
//! the log, and the rows are a recount of it. What the processes count shows that the fault was really met.
#![expect(
    clippy::unwrap_used,
    reason = "in a test, a panic with its line is the failure report"
)]

mod compare;
#[path = "../crowd/all.rs"]
mod crowd;
mod guests;
#[expect(dead_code, reason = "scenarios use what faults do not")]
#[path = "../harness/all.rs"]
mod harness;
#[expect(
    dead_code,
    reason = "the environment names no servers here: those of this target may be stopped"
)]
#[path = "../cluster/installation.rs"]
mod installation;
#[path = "../model/all.rs"]
mod model;
mod network;
#[expect(dead_code, reason = "other targets do to a process what faults do not")]
#[path = "../cluster/node.rs"]
mod node;
mod poison;
mod processes;
mod projectors;
mod servers;
mod stage;
mod turmoil;
mod walk;
