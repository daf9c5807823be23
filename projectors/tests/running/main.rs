//! Relay, projectors and the handling of parked events on stores in memory that fail, forget, repeat and reorder, on a clock
//! that the tests turn.

mod bus;
mod chance;
mod counters;
mod parked;
mod projectors;
mod read_model;
mod relay;
mod story;
mod world;
