//! The names of this crate's metrics; labels come from closed sets, never from ids.

use metrics::Unit;

/// Rows written to the read model, by `table`.
pub const ROWS_WRITTEN: &str = "cocotalk_read_model_rows_written_total";
/// SQL statements executed by the embedded store, by `role`: `reader`, `writer`.
pub const STATEMENTS: &str = "cocotalk_embedded_statements_total";
/// Seconds that a transaction of the embedded store took, from its first statement until it was durable.
pub const COMMIT_SECONDS: &str = "cocotalk_embedded_commit_seconds";
/// Events committed together.
pub const COMMIT_EVENTS: &str = "cocotalk_embedded_commit_events";
/// Requests that wait for the writer of the embedded store.
pub const QUEUE_DEPTH: &str = "cocotalk_embedded_queue_depth";
/// Seconds for which the writer stood still so that a checkpoint could end.
pub const CHECKPOINT_PAUSE_SECONDS: &str = "cocotalk_embedded_checkpoint_pause_seconds";
/// Events of the log that a projection has not applied yet, by `projection`.
pub const PROJECTION_LAG: &str = "cocotalk_projection_lag_events";
/// Connections to PostgreSQL that were opened, by `purpose`: `append`, `lead`, `lock`, `read`.
pub const POSTGRES_CONNECTIONS_OPENED: &str = "cocotalk_postgres_connections_opened_total";
/// Seconds that one append to PostgreSQL took, from sending until it was durable.
pub const POSTGRES_APPEND_SECONDS: &str = "cocotalk_postgres_append_seconds";
/// Events that went to PostgreSQL together.
pub const POSTGRES_APPEND_EVENTS: &str = "cocotalk_postgres_append_events";
/// Units that were sent to PostgreSQL again, alone, because somebody was at the same rows at the same moment.
pub const POSTGRES_RESENT_UNITS: &str = "cocotalk_postgres_resent_units_total";
/// Seconds that one call of the read model in a CQL store took, until all of its rows were there.
pub const CQL_WRITE_SECONDS: &str = "cocotalk_cql_write_seconds";
/// Requests to the CQL store, as its driver counts them.
pub const CQL_REQUESTS: &str = "cocotalk_cql_requests_total";

/// Tells the recorder what the numbers mean.
pub fn describe() {
    metrics::describe_histogram!(
        CQL_WRITE_SECONDS,
        Unit::Seconds,
        "One call, until all of its rows were there"
    );
    metrics::describe_counter!(
        CQL_REQUESTS,
        Unit::Count,
        "Requests to the CQL store, as its driver counts them"
    );
    metrics::describe_counter!(ROWS_WRITTEN, Unit::Count, "Rows written to the read model");
    metrics::describe_counter!(STATEMENTS, Unit::Count, "SQL statements executed");
    metrics::describe_histogram!(COMMIT_SECONDS, Unit::Seconds, "One transaction, until it was durable");
    metrics::describe_histogram!(COMMIT_EVENTS, Unit::Count, "Events committed together");
    metrics::describe_gauge!(QUEUE_DEPTH, Unit::Count, "Requests that wait for the writer");
    metrics::describe_histogram!(
        CHECKPOINT_PAUSE_SECONDS,
        Unit::Seconds,
        "The writer stood still for a checkpoint"
    );
    metrics::describe_gauge!(
        PROJECTION_LAG,
        Unit::Count,
        "Events that a projection has not applied yet"
    );
    metrics::describe_counter!(POSTGRES_CONNECTIONS_OPENED, Unit::Count, "Connections that were opened");
    metrics::describe_histogram!(
        POSTGRES_APPEND_SECONDS,
        Unit::Seconds,
        "One append, until it was durable"
    );
    metrics::describe_histogram!(POSTGRES_APPEND_EVENTS, Unit::Count, "Events that went together");
    metrics::describe_counter!(POSTGRES_RESENT_UNITS, Unit::Count, "Units that were sent again, alone");
}
