//! A thread that serves a client of the bus until it is told to stop.

use std::ops::Deref;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use cocotalk_application::error::StoreError;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::BUS;
use super::client::NAP;

/// How long the end of a thread is waited for. A client whose brokers are gone may hang in its destructor for longer; its
/// thread is then left to the end of the process.
const ENDING: Duration = Duration::from_secs(10);

/// A thread with an end.
pub(super) struct Worker {
    name: &'static str,
    stop: CancellationToken,
    ended: CancellationToken,
}

impl Worker {
    /// Starts a thread that runs until `stop`, or until the worker is dropped; `run` has to look at the token it is given.
    /// Among `tasks` is one that lasts until the thread has ended, or for a bounded time after the stop.
    pub(super) fn start(
        name: &'static str,
        tasks: &TaskTracker,
        stop: &CancellationToken,
        run: impl FnOnce(&CancellationToken) + Send + 'static,
    ) -> Result<Self, StoreError> {
        let worker = Self {
            name,
            stop: stop.child_token(),
            ended: CancellationToken::new(),
        };
        let (told, at_end) = (worker.stop.clone(), worker.ended.clone().drop_guard());
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            // Told when the thread ends, also when it panics.
            let _at_end = at_end;
            run(&told);
        });
        let thread = thread.map_err(|error| StoreError::unavailable(BUS, error))?;
        tasks.spawn(attend(name, worker.stop.clone(), worker.ended.clone(), thread));
        Ok(worker)
    }

    /// Returns once the thread has ended.
    pub(super) async fn end(&self) {
        self.ended.cancelled().await;
    }

    /// What is wrong if the thread is gone though nobody stopped it.
    pub(super) fn fault(&self) -> Option<String> {
        let is_gone = self.ended.is_cancelled() && !self.stop.is_cancelled();
        is_gone.then(|| format!("kafka: thread {} has ended, restart the process", self.name))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Lets the thread that calls sleep, until the time is over or the stop: false after the stop.
pub(super) fn wait(time: Duration, stop: &CancellationToken) -> bool {
    let until = Instant::now() + time;
    while !stop.is_cancelled() && Instant::now() < until {
        std::thread::park_timeout(NAP.min(until - Instant::now()));
    }
    !stop.is_cancelled()
}

/// Waits for the end of a thread.
async fn attend(name: &'static str, stop: CancellationToken, ended: CancellationToken, thread: JoinHandle<()>) {
    let late = async {
        stop.cancelled().await;
        tokio::time::sleep(ENDING).await;
    };
    tokio::select! {
        biased;
        () = ended.cancelled() => {}
        () = late => {
            tracing::warn!("thread {name} does not end and is left alone");
            return;
        }
    }
    // It has said that it ends, so this is but a moment.
    if thread.join().is_err() {
        tracing::error!("thread {name} has panicked");
    }
}

/// A client of the driver, whose destructor waits for the client's own threads: it runs on a thread of its own, not on that of
/// whoever drops it.
pub(super) struct Retired<T: Send + 'static>(Option<T>);

impl<T: Send + 'static> Retired<T> {
    pub(super) const fn new(client: T) -> Self {
        Self(Some(client))
    }
}

impl<T: Send + 'static> Retired<T> {
    /// The client, to be dropped by whoever has the time.
    pub(super) fn into_inner(mut self) -> T {
        self.0.take().expect("it is there until it is dropped")
    }
}

impl<T: Send + 'static> Deref for Retired<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_ref().expect("it is there until it is dropped")
    }
}

impl<T: Send + 'static> Drop for Retired<T> {
    fn drop(&mut self) {
        let Some(client) = self.0.take() else { return };
        let retire = std::thread::Builder::new().name("kafka-retire".to_owned());
        // Where there can be no thread, what was moved into it is dropped here.
        drop(retire.spawn(move || drop(client)));
    }
}
