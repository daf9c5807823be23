//! The one place that reads the machine's clock and makes ids.

use std::time::{SystemTime, UNIX_EPOCH};

use cocotalk_application::port::clock::Clock;
use cocotalk_domain::time::Instant;
use uuid::Uuid;

/// The machine's clock, and version 7 UUIDs that rise within this process.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one home of the machine's clock")]
    fn now(&self) -> Instant {
        chrono::Utc::now().into()
    }

    #[expect(clippy::disallowed_methods, reason = "this is the one home of new ids")]
    fn new_id(&self) -> Uuid {
        Uuid::now_v7()
    }
}

/// Microseconds since the epoch, for what the log stamps its events with.
pub(crate) fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_micros() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_version_7_and_rise() {
        let ids: Vec<Uuid> = (0..100).map(|_| SystemClock.new_id()).collect();
        assert!(ids.iter().all(|id| id.get_version_num() == 7));
        assert!(ids.is_sorted());
    }
}
