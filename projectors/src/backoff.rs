//! Pauses between tries: growing, capped, and a little random, so that many who wait do not come back together.

use std::time::Duration;

/// The first pause.
const FIRST: Duration = Duration::from_millis(50);
/// The longest.
const LONGEST: Duration = Duration::from_secs(2);

/// The pauses of one thing that is tried until it works.
#[derive(Debug)]
pub(crate) struct Backoff(Duration);

impl Backoff {
    /// Before the first failure.
    pub(crate) const fn new() -> Self {
        Self(FIRST)
    }

    /// It worked.
    pub(crate) const fn reset(&mut self) {
        self.0 = FIRST;
    }

    /// Waits after a failure.
    pub(crate) async fn wait(&mut self) {
        let pause = self.0;
        self.0 = (pause * 2).min(LONGEST);
        tokio::time::sleep(pause.mul_f64(rand::random_range(0.5..1.0))).await;
    }
}
