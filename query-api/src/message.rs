//! The timeline of a room.

pub mod list;
