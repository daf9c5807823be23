//! Kafka: the bus of a cluster, between the event log, the projectors and the live sockets.
//!
//! - `publisher`: what the relay publishes to, and how far each partition has come (`tail`).
//! - `assignments`: the slices that this process is to project, as a member of a group; `lanes` is a queue for each of them.
//! - `feed`: everything that is published from now on, on every node, for live sockets.
//! - `ephemeral`: who is typing, from node to node.
//! - `kept`: everything that is on the bus, to be compared with the log.
//! - `topics`: makes and checks the two topics.
//! - `record`: how an event lies in a record.
//! - `reader`, `client`, `health`, `offsets` and `worker` are what the others share; `watch` gets over a fault of the driver.
//!
//! # One slice, one partition
//! Both topics have a partition for each slice, and a record of a slice is written to its partition by number, never by a
//! hash of its key. Inside a partition order is the order of publishing; a record may be there twice, and one that comes
//! later may have been published before (`tail` says how far that goes). Readers drop and heal by position.
//!
//! # Threads
//! Every consumer is a `BaseConsumer` polled by a thread of its own. The asynchronous consumer of the driver and its queues
//! for single partitions have lost wake-ups, after which a partition is silent for hours.

mod assignments;
mod client;
mod ephemeral;
mod feed;
mod health;
mod kept;
mod lanes;
pub mod metrics;
mod offsets;
mod publisher;
mod reader;
pub mod record;
mod settings;
mod tail;
pub mod topics;
mod watch;
mod worker;

use cocotalk_application::error::StoreError;
use rdkafka::error::KafkaError;

pub use assignments::KafkaAssignments;
pub use ephemeral::KafkaEphemeral;
pub use feed::KafkaFeed;
pub use kept::kept;
pub use publisher::KafkaPublisher;
pub use settings::{InvalidSetting, Settings};

/// The bus as operators know it.
const BUS: &str = "Kafka";

/// An error of the driver as the ports know it.
fn unavailable(error: KafkaError) -> StoreError {
    StoreError::unavailable(BUS, error)
}

/// The bus did not answer in time.
fn late(what: &str) -> StoreError {
    StoreError::unavailable(BUS, format!("{what} took too long"))
}
