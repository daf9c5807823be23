//! One lifecycle for the whole process: what is started here is ended here.
//!
//! Stopping is a protocol in two steps. `soft` asks whoever serves: no new connections, sockets are told to come back later,
//! requests in flight are answered. When they are done, `engine_stop` lets what they stood on finish: what waits for the log
//! is written, the store is closed. `hard` insists, when the deadline has passed or a second signal comes.

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The signal of a file that grew past the process's limit. Handled, so that the write fails instead of the process.
const SIGXFSZ: i32 = 25;

/// How long the engine may take to end when the stop is forced.
const ENGINE_ENDS: Duration = Duration::from_secs(5);

/// Who runs and until when.
#[derive(Clone, Default)]
pub struct Lifecycle {
    /// Whoever serves: stop taking in, finish what runs.
    pub soft: CancellationToken,
    /// Whoever serves: stop now.
    pub hard: CancellationToken,
    /// Whoever serves.
    pub tasks: TaskTracker,
    /// What they stand on: finish what waits.
    pub engine_stop: CancellationToken,
    /// What they stand on: the bus and the store.
    pub engine: TaskTracker,
}

/// The signals that stop the process.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    /// Kept so that it stays handled.
    _file_too_large: Signal,
}

impl Signals {
    /// Starts to listen; from here on no signal ends the process by itself.
    pub fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            _file_too_large: signal(SignalKind::from_raw(SIGXFSZ))?,
        })
    }

    /// The next one that asks to stop.
    pub async fn stop(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

impl Lifecycle {
    /// Ends everything: softly, and after `deadline` or at a second signal hard. Whether it ended softly.
    pub async fn stop(&self, signals: &mut Signals, deadline: Duration) -> bool {
        let softly = async {
            self.soft.cancel();
            self.tasks.close();
            self.tasks.wait().await;
            self.engine_stop.cancel();
            self.engine.close();
            self.engine.wait().await;
        };
        let softly = tokio::select! {
            () = softly => true,
            () = tokio::time::sleep(deadline) => false,
            _ = signals.stop() => false,
        };
        self.hard.cancel();
        self.engine_stop.cancel();
        self.engine.close();
        // What waits for the log is written even then; whoever waits for longer than this has lost the disk.
        softly && tokio::time::timeout(ENGINE_ENDS, self.engine.wait()).await.is_ok()
    }
}
