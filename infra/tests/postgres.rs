//! PostgreSQL keeps every promise of the event log, the outbox, the parking and the key vault, and those that are its own.
#![cfg(feature = "postgres")]

#[path = "postgres/batches.rs"]
mod batches;
#[path = "postgres/faults.rs"]
mod faults;
#[path = "postgres/leaders.rs"]
mod leaders;
#[path = "postgres/named.rs"]
mod named;
#[path = "postgres/opened.rs"]
mod opened;
#[path = "postgres/proxy.rs"]
mod proxy;
#[path = "postgres/repository.rs"]
mod repository;
#[path = "postgres/roles.rs"]
mod roles;
#[path = "postgres/schema.rs"]
mod schema;
#[path = "postgres/upstream_faults.rs"]
mod upstream_faults;
#[path = "postgres/vault.rs"]
mod vault;

use std::sync::Arc;

use cocotalk_application::contract::Store;
use cocotalk_application::contract::outbox::Relayed;
use cocotalk_application::port::key_vault::KeyVault;
use cocotalk_application::port::parking::Parking;
use cocotalk_application::projection::Projection;
use cocotalk_infra::memory::MemoryStore;
use cocotalk_infra::postgres::{Database, PostgresOutbox, PostgresParking};
use opened::Opened;

/// A log of its own. What a read model and a feed promise is shown elsewhere: those of a cluster are not this server's.
async fn fresh(_: Vec<Arc<dyn Projection>>) -> Store {
    let opened = Opened::fresh().await;
    let other = Arc::new(MemoryStore::new(Vec::new()));
    Store {
        log: Arc::new(opened.log.clone()),
        feed: Arc::<MemoryStore>::clone(&other),
        reads: other,
        keep: Box::new(opened),
    }
}

async fn fresh_vault() -> (Arc<dyn KeyVault>, Opened) {
    let opened = Opened::fresh().await;
    (opened.vault().await, opened)
}

async fn fresh_outbox() -> Relayed {
    let opened = Opened::fresh().await;
    let other = Database::open(&opened.settings).await.expect("it is opened");
    Relayed {
        log: Arc::new(opened.log.clone()),
        outbox: Arc::new(PostgresOutbox::new(opened.database())),
        neighbour: Arc::new(PostgresOutbox::new(other)),
        keep: Box::new(opened),
    }
}

async fn fresh_parking() -> (Arc<dyn Parking>, Opened) {
    let opened = Opened::fresh().await;
    (Arc::new(PostgresParking::new(opened.database())), opened)
}

cocotalk_application::event_log_contract!(fresh);
cocotalk_application::key_vault_contract!(fresh_vault);
cocotalk_application::outbox_contract!(fresh_outbox);
cocotalk_application::parking_contract!(fresh_parking);
