//! What a request may hold, and how often one may ask.

pub mod get;
