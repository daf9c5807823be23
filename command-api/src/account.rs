//! Commands to accounts.

pub(crate) mod create_dev;
