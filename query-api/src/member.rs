//! The members of a room.

pub mod list;
