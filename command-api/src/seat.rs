//! Commands to one's own seat in a room.

pub(crate) mod mark_read;
pub(crate) mod set_preferences;
