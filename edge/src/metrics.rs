//! The names of this crate's metrics; labels come from closed sets, never from ids.

/// Seconds from a request's head to the head of its answer, by `route`, `method` and `status_class`.
pub const HTTP_REQUESTS_SECONDS: &str = "cocotalk_http_requests_seconds";
/// Requests that are being answered.
pub const HTTP_IN_FLIGHT: &str = "cocotalk_http_in_flight_requests";
/// Connections refused because their network holds as many as it may.
pub const CONNECTIONS_REFUSED: &str = "cocotalk_http_refused_connections_total";
/// Problems answered, by `code`; those told over a socket too.
pub const PROBLEMS: &str = "cocotalk_problems_total";

/// Tells the recorder what the numbers mean.
pub fn describe() {
    metrics::describe_histogram!(
        HTTP_REQUESTS_SECONDS,
        metrics::Unit::Seconds,
        "From a request's head to the head of its answer"
    );
    metrics::describe_gauge!(HTTP_IN_FLIGHT, metrics::Unit::Count, "Requests that are being answered");
    metrics::describe_counter!(
        CONNECTIONS_REFUSED,
        metrics::Unit::Count,
        "Connections refused because their network holds as many as it may"
    );
    metrics::describe_counter!(PROBLEMS, metrics::Unit::Count, "Problems answered");
}
