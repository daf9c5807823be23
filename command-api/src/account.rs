//! Commands to accounts.

pub(crate) mod create_dev;
pub(crate) mod sign_in_dev;
