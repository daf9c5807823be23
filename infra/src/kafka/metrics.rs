//! The names of the bus's metrics; labels come from closed sets, never from ids.

use metrics::Unit;

/// Records of events that the bus has acknowledged.
pub const PUBLISHED: &str = "cocotalk_kafka_published_records_total";
/// Records that the bus did not take, by `topic`: `events`, `ephemeral`. Events are published again.
pub const DELIVERY_ERRORS: &str = "cocotalk_kafka_delivery_errors_total";
/// Seconds from a call to publish until all its records were acknowledged.
pub const PUBLISH_SECONDS: &str = "cocotalk_kafka_publish_seconds";
/// Records of assigned partitions that a consumer has not taken yet, by `client`: `assignments`, `feed`, `ephemeral`.
pub const CONSUMER_LAG: &str = "cocotalk_kafka_consumer_lag_records";
/// Slices that are assigned to this process.
pub const ASSIGNED: &str = "cocotalk_kafka_assigned_slices";
/// How often a slice was paused because whoever follows it was too slow.
pub const PAUSES: &str = "cocotalk_kafka_pauses_total";
/// How often a reader began anew because a partition was silent though it had records, by `client`. Each one is a fault of the
/// driver that was got over.
pub const RENEWALS: &str = "cocotalk_kafka_renewals_total";
/// Signals that were dropped, by `reason`: `full`, `old`.
pub const DROPPED_SIGNALS: &str = "cocotalk_kafka_dropped_signals_total";
/// Records that are none of ours, by `client`: `assignments`, `feed`, `ephemeral`. Alert on it.
pub const SKIPPED: &str = "cocotalk_kafka_skipped_records_total";

/// Tells the recorder what the numbers mean.
pub fn describe() {
    metrics::describe_counter!(PUBLISHED, Unit::Count, "Records that the bus has acknowledged");
    metrics::describe_counter!(DELIVERY_ERRORS, Unit::Count, "Records that the bus did not take");
    metrics::describe_histogram!(
        PUBLISH_SECONDS,
        Unit::Seconds,
        "One call to publish, until acknowledged"
    );
    metrics::describe_gauge!(CONSUMER_LAG, Unit::Count, "Records that a consumer has not taken yet");
    metrics::describe_gauge!(ASSIGNED, Unit::Count, "Slices that are assigned to this process");
    metrics::describe_counter!(PAUSES, Unit::Count, "A slice was paused, whoever follows it being slow");
    metrics::describe_counter!(RENEWALS, Unit::Count, "Readers that began anew, having gone deaf");
    metrics::describe_counter!(DROPPED_SIGNALS, Unit::Count, "Signals that were dropped");
    metrics::describe_counter!(SKIPPED, Unit::Count, "Records that are none of ours");
}
