//! Kafka keeps every promise of the bus, and those that are its own.
#![cfg(feature = "kafka")]

#[path = "kafka/assignments.rs"]
mod assignments;
#[path = "kafka/ephemeral.rs"]
mod ephemeral;
#[path = "kafka/faults.rs"]
mod faults;
#[path = "kafka/feed.rs"]
mod feed;
#[path = "kafka/opened.rs"]
mod opened;
#[path = "kafka/publisher.rs"]
mod publisher;
#[path = "kafka/topics.rs"]
mod topics;

use std::sync::Arc;

use cocotalk_application::contract::{Bus, Process};
use cocotalk_infra::kafka::KafkaAssignments;
use opened::Opened;
use tokio_util::sync::CancellationToken;

async fn fresh() -> Bus {
    let opened = Opened::fresh().await;
    let (settings, tasks) = (opened.settings.clone(), opened.tasks.clone());
    let join = move || {
        let stop = CancellationToken::new();
        let assignments = KafkaAssignments::open(&settings, &tasks, stop.clone());
        Process {
            assignments: Arc::new(assignments.expect("the settings are taken")),
            stop,
        }
    };
    Bus {
        publisher: Arc::new(opened.publisher()),
        join: Box::new(join),
        keep: Box::new(opened),
    }
}

cocotalk_application::bus_contract!(fresh);
