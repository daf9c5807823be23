//! Commands to a room.

pub(crate) mod change;
pub(crate) mod invite;
pub(crate) mod leave;
pub(crate) mod open;
pub(crate) mod send;
