//! The real servers for tests: PostgreSQL, Apache Kafka, and Apache Cassandra as the CQL store.
//!
//! Each module has `install`, which gets what a server needs, and `start`, which returns a [`Server`] that can be asked where
//! it is, stopped, killed, paused and started again where it was. [`Set`] is the three together, those that somebody else
//! runs ([`Given`]) included. A [`Proxy`] stands in front of any of them and spoils the network.
//!
//! Everything listens on 127.0.0.1 at free ports, keeps its data in a folder of its own, has a deadline, and ends when the
//! process that started it does, however that ends. No client crates: that a server is ready is asked in its own protocol,
//! by hand.
//!
//! How to add a server: a module like `kafka` that fills in a `Launch`, a greeting in `handshake`, a line in [`Set`].

pub mod cassandra;
pub mod kafka;
pub mod postgres;

mod artefacts;
mod folder;
mod given;
mod handshake;
mod java;
mod life;
mod need;
mod port;
mod proxy;
mod server;
mod set;
mod wait;

pub use self::folder::Place;
pub use self::given::{CQL, Given, KAFKA, POSTGRES};
pub use self::java::Start;
pub use self::life::Guard;
pub use self::need::{Need, ensure};
pub use self::proxy::{Counters, Delay, Proxy};
pub use self::server::Server;
pub use self::set::Set;
