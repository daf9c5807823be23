//! The names of the live socket's metrics.

/// Sockets that said hello and are told what happens.
pub(super) const SOCKETS: &str = "cocotalk_live_sockets";
/// Sockets that have not said hello yet.
pub(super) const HANDSHAKES: &str = "cocotalk_live_handshakes";
/// Sockets closed before their hello because their client network has its share of those.
pub(super) const REFUSED: &str = "cocotalk_live_refused_handshakes_total";
/// Hellos answered, by `resumed`: `new`, `replayed`, `reset`.
pub(super) const HELLOS: &str = "cocotalk_live_hellos_total";
/// Sockets let go because they could not keep up.
pub(super) const CUT: &str = "cocotalk_live_cut_total";
/// Events that were fetched from the log because the feed had lost them.
pub(super) const HEALED: &str = "cocotalk_live_healed_events_total";
/// Events that the feed brought again, and that were dropped.
pub(super) const DROPPED: &str = "cocotalk_live_dropped_events_total";
/// Sockets closed by the server, by `code`.
pub(super) const CLOSED: &str = "cocotalk_live_closed_total";

/// Tells the recorder what the numbers mean.
pub(super) fn describe() {
    metrics::describe_gauge!(SOCKETS, metrics::Unit::Count, "Sockets that are told what happens");
    metrics::describe_gauge!(HANDSHAKES, metrics::Unit::Count, "Sockets that have not said hello yet");
    metrics::describe_counter!(
        REFUSED,
        metrics::Unit::Count,
        "Sockets closed before their hello because their client network has its share of those"
    );
    metrics::describe_counter!(HELLOS, metrics::Unit::Count, "Hellos answered");
    metrics::describe_counter!(
        CUT,
        metrics::Unit::Count,
        "Sockets let go because they could not keep up"
    );
    metrics::describe_counter!(
        HEALED,
        metrics::Unit::Count,
        "Events fetched from the log to fill a gap of the feed"
    );
    metrics::describe_counter!(
        DROPPED,
        metrics::Unit::Count,
        "Events that the feed brought again, and that were dropped"
    );
    metrics::describe_counter!(CLOSED, metrics::Unit::Count, "Sockets closed by the server");
}
