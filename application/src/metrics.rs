//! The names of this crate's metrics; labels come from closed sets, never from ids.

/// Seconds from a command's arrival at the bus to its answer, by `use_case` and `outcome`.
pub const COMMAND_SECONDS: &str = "cocotalk_command_duration_seconds";
/// Commands decided together in one batch of a lane.
pub const BATCH_COMMANDS: &str = "cocotalk_command_batch_commands";
/// Seconds that the event log took to append a batch.
pub const APPEND_SECONDS: &str = "cocotalk_event_log_append_seconds";
/// Commands that wait for their lane.
pub const QUEUE_DEPTH: &str = "cocotalk_command_queue_depth";
/// Units decided again under lock, by `cause`: `conflict`, `repeated`, `stale`.
pub const SECOND_TRIES: &str = "cocotalk_command_second_tries_total";
/// Aggregates loaded from the log because no lane had them.
pub const LOADS: &str = "cocotalk_aggregate_loads_total";
/// Aggregates that wait because a projection could not take one of their events, by `projection`; told by whoever projects.
/// Alert on it.
pub const PARKED_AGGREGATES: &str = "cocotalk_projection_parked_aggregates";
/// Messages whose events were read from the log because what a lane knew of them was not the newest.
pub const FACT_READS: &str = "cocotalk_message_fact_reads_total";

/// Tells the recorder what the numbers mean.
pub fn describe() {
    metrics::describe_histogram!(
        COMMAND_SECONDS,
        metrics::Unit::Seconds,
        "From a command's arrival to its answer"
    );
    metrics::describe_histogram!(BATCH_COMMANDS, metrics::Unit::Count, "Commands decided together");
    metrics::describe_histogram!(
        APPEND_SECONDS,
        metrics::Unit::Seconds,
        "Appending one batch to the event log"
    );
    metrics::describe_gauge!(QUEUE_DEPTH, metrics::Unit::Count, "Commands that wait for their lane");
    metrics::describe_counter!(SECOND_TRIES, metrics::Unit::Count, "Units decided again under lock");
    metrics::describe_counter!(LOADS, metrics::Unit::Count, "Aggregates loaded from the log");
    metrics::describe_gauge!(
        PARKED_AGGREGATES,
        metrics::Unit::Count,
        "Aggregates that wait behind an event that a projection could not take"
    );
    metrics::describe_counter!(
        FACT_READS,
        metrics::Unit::Count,
        "Messages whose events were read from the log"
    );
}
