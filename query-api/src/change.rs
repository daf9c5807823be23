//! What happened in a room since a version.

pub mod list;
