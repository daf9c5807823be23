//! PostgreSQL keeps every promise of the event log and the key vault, and those that are its own.
#![cfg(feature = "postgres")]

#[path = "postgres/opened.rs"]
mod opened;

use std::sync::Arc;

use cocotalk_application::contract::Store;
use cocotalk_application::port::key_vault::KeyVault;
use cocotalk_application::projection::Projection;
use cocotalk_infra::memory::MemoryStore;
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

cocotalk_application::event_log_contract!(fresh);
cocotalk_application::key_vault_contract!(fresh_vault);
