//! The names of the process's own metrics, and what all the others mean.

use metrics::Unit;

/// Whether the process can do its work: 1 or 0, as `/readyz` says at the moment of the scrape, by `role`.
pub const READY: &str = "cocotalk_process_ready";

/// Tells the recorder what the numbers of every crate mean. The live socket and the bus tell theirs where they begin.
pub fn describe_all() {
    metrics::describe_gauge!(READY, Unit::Count, "Whether the process can do its work");
    cocotalk_application::metrics::describe();
    cocotalk_edge::metrics::describe();
    cocotalk_infra::metrics::describe();
    cocotalk_projectors::metrics::describe();
}
