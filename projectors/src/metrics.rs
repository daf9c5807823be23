//! The names of this crate's metrics; labels come from closed sets, never from ids.

use metrics::Unit;

/// Events of the log that are not on the bus yet, all slices that this process leads together.
pub const RELAY_LAG: &str = "cocotalk_relay_lag_events";
/// How old the oldest event is that is not on the bus yet, seconds.
pub const RELAY_LAG_SECONDS: &str = "cocotalk_relay_lag_seconds";
/// Events published.
pub const RELAY_PUBLISHED: &str = "cocotalk_relay_published_events_total";
/// Groups of slices that this process leads.
pub const RELAY_LED: &str = "cocotalk_relay_led_groups";
/// How often this process became the leader of a group.
pub const RELAY_TAKEOVERS: &str = "cocotalk_relay_takeovers_total";
/// Rounds of the relay that failed, by `at`: `log`, `bus`, `lease`.
pub const RELAY_ERRORS: &str = "cocotalk_relay_errors_total";

/// Events of the log that a projection has not applied yet, all slices that this process follows together, by `projection`.
pub const LAG: &str = "cocotalk_projection_lag_events";
/// How old the newest event was when a projection had applied it, seconds, by `projection`.
pub const LAG_SECONDS: &str = "cocotalk_projection_lag_seconds";
/// Events applied, by `projection`.
pub const APPLIED: &str = "cocotalk_projection_applied_events_total";
/// Deliveries that had been applied before.
pub const DROPPED: &str = "cocotalk_projection_dropped_events_total";
/// Events fetched from the log because the bus did not bring them.
pub const HEALED: &str = "cocotalk_projection_healed_events_total";
/// How often a slice went back to what was settled, because the read model was lost and found again.
pub const REWINDS: &str = "cocotalk_projection_rewinds_total";
/// Events parked, by `projection`. Alert on it.
pub const PARKED: &str = "cocotalk_projection_parked_events_total";
/// Tries that failed and were made again, by `at`: `rows`, `log`, `parking`.
pub const RETRIES: &str = "cocotalk_projection_retries_total";
/// Seconds that a flush took, until its checkpoint was written.
pub const FLUSH_SECONDS: &str = "cocotalk_projection_flush_seconds";
/// Events of a flush.
pub const FLUSH_EVENTS: &str = "cocotalk_projection_flush_events";
/// Slices that this process follows.
pub const SLICES: &str = "cocotalk_projection_slices";

/// Tells the recorder what the numbers mean.
pub fn describe() {
    metrics::describe_gauge!(RELAY_LAG, Unit::Count, "Events not on the bus yet");
    metrics::describe_gauge!(
        RELAY_LAG_SECONDS,
        Unit::Seconds,
        "Age of the oldest event not on the bus yet"
    );
    metrics::describe_counter!(RELAY_PUBLISHED, Unit::Count, "Events published");
    metrics::describe_gauge!(RELAY_LED, Unit::Count, "Groups of slices led");
    metrics::describe_counter!(RELAY_TAKEOVERS, Unit::Count, "Times this process became a leader");
    metrics::describe_counter!(RELAY_ERRORS, Unit::Count, "Rounds that failed");
    metrics::describe_gauge!(LAG, Unit::Count, "Events of the log not applied yet");
    metrics::describe_gauge!(
        LAG_SECONDS,
        Unit::Seconds,
        "Age of the newest event applied, when it was"
    );
    metrics::describe_counter!(APPLIED, Unit::Count, "Events applied");
    metrics::describe_counter!(DROPPED, Unit::Count, "Deliveries that had been applied before");
    metrics::describe_counter!(HEALED, Unit::Count, "Events fetched from the log");
    metrics::describe_counter!(REWINDS, Unit::Count, "Times a slice went back to what was settled");
    metrics::describe_counter!(PARKED, Unit::Count, "Events parked");
    metrics::describe_counter!(RETRIES, Unit::Count, "Tries that failed and were made again");
    metrics::describe_histogram!(
        FLUSH_SECONDS,
        Unit::Seconds,
        "One flush, until its checkpoint was written"
    );
    metrics::describe_histogram!(FLUSH_EVENTS, Unit::Count, "Events of a flush");
    metrics::describe_gauge!(SLICES, Unit::Count, "Slices followed");
}
