//! Waiting for a state, with a deadline.

use std::fmt::Display;
use std::time::{Duration, Instant};

use anyhow::bail;

/// How long to wait before the state is looked at again.
const STEP: Duration = Duration::from_millis(20);

/// Waits until `look` sees what is waited for, and fails at the deadline with what is missing.
pub(crate) fn until<T>(
    what: impl Display,
    deadline: Duration,
    mut look: impl FnMut() -> Option<T>,
) -> anyhow::Result<T> {
    let end = Instant::now() + deadline;
    loop {
        if let Some(seen) = look() {
            return Ok(seen);
        }
        if Instant::now() >= end {
            bail!("{what}: not within {} s", deadline.as_secs());
        }
        pause(STEP);
    }
}

/// Lets some time pass before something is looked at or tried again.
#[expect(
    clippy::disallowed_methods,
    reason = "other programs do not tell when their state changes: between two looks there is nothing else to wait for"
)]
pub(crate) fn pause(time: Duration) {
    std::thread::sleep(time);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_seen_late_is_returned() {
        let mut looks = 0;
        let seen = until("the third look", Duration::from_secs(10), || {
            looks += 1;
            (looks == 3).then_some(looks)
        });
        assert_eq!(seen.unwrap(), 3);
    }

    #[test]
    fn a_deadline_says_what_was_waited_for() {
        let error = until::<()>("rain", Duration::ZERO, || None).unwrap_err();
        assert_eq!(error.to_string(), "rain: not within 0 s");
    }
}
