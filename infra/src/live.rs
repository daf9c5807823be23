//! What one process tells its own listeners: commits and what is never stored.

use cocotalk_application::port::live::{Committed, Ephemeral, Typing};
use tokio::sync::broadcast;

/// Commits that a listener may be behind before it is told that it missed some (1,024: a second at full speed).
const COMMITS: usize = 1_024;
/// Signals that a listener may be behind before it misses some.
const SIGNALS: usize = 1_024;

/// A channel of commits.
pub(crate) fn commits() -> broadcast::Sender<Committed> {
    broadcast::Sender::new(COMMITS)
}

/// Signals to the listeners of this process: all there are, with one process.
pub struct LocalEphemeral(broadcast::Sender<Typing>);

impl Default for LocalEphemeral {
    fn default() -> Self {
        Self(broadcast::Sender::new(SIGNALS))
    }
}

impl Ephemeral for LocalEphemeral {
    fn typing(&self, typing: Typing) {
        // An error means that nobody listens, which is how a signal may end.
        let _nobody = self.0.send(typing);
    }

    fn subscribe(&self) -> broadcast::Receiver<Typing> {
        self.0.subscribe()
    }
}
