//! Commands to a room.

pub(crate) mod change;
pub(crate) mod give_role;
pub(crate) mod invite;
pub(crate) mod kick;
pub(crate) mod leave;
pub(crate) mod open;
pub(crate) mod send;
