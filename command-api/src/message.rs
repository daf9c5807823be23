//! Commands to a message that was sent.

pub(crate) mod delete;
pub(crate) mod edit;
pub(crate) mod reaction;
