//! The ports: what the use cases and views need of the world. One trait a file; its doc is its contract.

pub mod assignment;
pub mod clock;
pub mod event_log;
pub mod key_vault;
pub mod live;
pub mod outbox;
pub mod parking;
pub mod publisher;
pub mod read_model;
pub mod row_store;
