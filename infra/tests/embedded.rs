//! The embedded store keeps every promise of the ports, and those that are its own.
#![cfg(feature = "embedded")]

#[path = "embedded/durability.rs"]
mod durability;
#[path = "embedded/faults.rs"]
mod faults;
#[path = "embedded/folder.rs"]
mod folder;
#[path = "embedded/following.rs"]
mod following;
#[path = "embedded/opened.rs"]
mod opened;

use std::sync::Arc;

use cocotalk_application::contract::Store;
use cocotalk_application::port::key_vault::KeyVault;
use cocotalk_application::projection::Projection;
use opened::Opened;

async fn fresh(projections: Vec<Arc<dyn Projection>>) -> Store {
    let opened = Opened::fresh(projections).await;
    let store = Arc::new(opened.store.clone());
    Store {
        log: Arc::<cocotalk_infra::embedded::EmbeddedStore>::clone(&store),
        feed: Arc::<cocotalk_infra::embedded::EmbeddedStore>::clone(&store),
        reads: store,
        keep: Box::new(opened),
    }
}

async fn fresh_vault() -> (Arc<dyn KeyVault>, Opened) {
    let opened = Opened::fresh(Vec::new()).await;
    (opened.store.key_vault(), opened)
}

cocotalk_application::event_log_contract!(fresh);
cocotalk_application::read_model_contract!(fresh);
cocotalk_application::arrival_order_contract!(fresh);
cocotalk_application::event_feed_contract!(fresh);
cocotalk_application::key_vault_contract!(fresh_vault);
