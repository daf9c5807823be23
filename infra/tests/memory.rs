//! The store in memory keeps every promise of the ports but durability.

use std::sync::Arc;

use cocotalk_application::contract::Store;
use cocotalk_application::port::key_vault::KeyVault;
use cocotalk_application::projection::Projection;
use cocotalk_infra::memory::{MemoryKeyVault, MemoryStore};

#[expect(clippy::unused_async, reason = "the contract asks an async factory")]
async fn fresh(projections: Vec<Arc<dyn Projection>>) -> Store {
    let store = Arc::new(MemoryStore::new(projections));
    Store {
        log: Arc::<MemoryStore>::clone(&store),
        feed: Arc::<MemoryStore>::clone(&store),
        reads: store,
        keep: Box::new(()),
    }
}

#[expect(clippy::unused_async, reason = "the contract asks an async factory")]
async fn fresh_vault() -> (Arc<dyn KeyVault>, ()) {
    (Arc::new(MemoryKeyVault::default()), ())
}

cocotalk_application::event_log_contract!(fresh);
cocotalk_application::read_model_contract!(fresh);
cocotalk_application::arrival_order_contract!(fresh);
cocotalk_application::event_feed_contract!(fresh);
cocotalk_application::key_vault_contract!(fresh_vault);
