//! The CQL store keeps every promise of the read model and of writing rows, and those that are its own.
#![cfg(feature = "scylla")]

#[path = "scylla/faults.rs"]
mod faults;
#[path = "same_rows/history.rs"]
mod history;
#[path = "scylla/large.rs"]
mod large;
#[path = "scylla/opened.rs"]
mod opened;
#[path = "scylla/order.rs"]
mod order;
#[path = "scylla/relay.rs"]
mod relay;
#[path = "scylla/schema.rs"]
mod schema;

use std::sync::Arc;

use cocotalk_application::contract::{RowTables, Store};
use cocotalk_application::port::row_store::Tables;
use cocotalk_application::projection::Projection;
use opened::Opened;

/// A log in memory whose events are projected into the CQL store before an append is answered.
async fn fresh(projections: Vec<Arc<dyn Projection>>) -> Store {
    Opened::keyspace().await.store(projections).await
}

async fn tables() -> RowTables {
    let (opened, all) = (Opened::keyspace().await, cocotalk_projectors::all());
    let (rows, reads) = opened.tables(&all).await;
    let tables = |index: usize| Tables::of(&*all[index]);
    RowTables {
        rows,
        reads,
        tables: [tables(0), tables(1), tables(2)],
        keep: Box::new(opened),
    }
}

cocotalk_application::read_model_contract!(fresh);
cocotalk_application::row_store_contract!(tables);
