//! Projections: pure functions from events to rows of the read model, one a file.
//!
//! A room's `version` must mean the same in all of its tables, so everything that queries read together with it is one
//! projection, `rooms`. Read positions only rise and are written far more often: `reads`. Who people are: `people`.
//!
//! # How to add a projection
//! Write it as a [`Projection`] in a file of its own, name its tables in `migrations/`, and add it to [`all`]. On the next
//! start it is caught up from the beginning of the log and then follows.

mod backoff;
pub mod gate;
pub mod metrics;
pub mod parked;
pub mod people;
pub mod reads;
pub mod relay;
pub mod rooms;
pub mod runner;
pub mod slice_reader;

use std::sync::Arc;

use cocotalk_application::projection::Projection;

/// Every projection, in the order in which they are applied.
pub fn all() -> Vec<Arc<dyn Projection>> {
    vec![Arc::new(rooms::Rooms), Arc::new(reads::Reads), Arc::new(people::People)]
}
