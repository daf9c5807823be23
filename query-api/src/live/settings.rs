//! The section `[live]` of the configuration.

use serde::{Deserialize, Serialize};

/// Bounds of the live socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LiveSettings {
    /// Milliseconds between two heartbeats of a socket (30,000: proxies cut what is silent for a minute).
    pub heartbeat_ms: u64,
    /// Milliseconds in which a client says hello (10,000).
    pub hello_timeout_ms: u64,
    /// Seconds of events kept for those who were away for a moment (300).
    pub window_s: i64,
    /// Bytes of events kept at most (67,108,864).
    pub window_bytes: usize,
    /// Newest events of each slice that are fetched into the window after the start, if they are young enough (4,000).
    pub refill_events: usize,
    /// Batches of frames that may wait for one socket before it is cut (256).
    pub outbox_items: usize,
    /// Milliseconds that one write to a socket may take (10,000).
    pub write_timeout_ms: u64,
    /// Milliseconds over which a socket's read marks are gathered, the highest of a room kept (500).
    pub read_marks_ms: u64,
    /// Sockets of one process at most (100,000).
    pub max_sockets: usize,
    /// Sockets that have not said hello yet, at most (2,000).
    pub max_handshakes: usize,
    /// Those of one client network among them, at most (1,500: three quarters). A trusted proxy has a share like anybody: what counts
    /// as its own is what contradicts itself.
    pub max_handshakes_per_network: usize,
}

impl Default for LiveSettings {
    fn default() -> Self {
        Self {
            heartbeat_ms: 30_000,
            hello_timeout_ms: 10_000,
            window_s: 300,
            window_bytes: 64 * 1024 * 1024,
            refill_events: 4_000,
            outbox_items: 256,
            write_timeout_ms: 10_000,
            read_marks_ms: 500,
            max_sockets: 100_000,
            max_handshakes: 2_000,
            max_handshakes_per_network: 1_500,
        }
    }
}
