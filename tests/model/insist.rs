//! Nobody gives up: a call is made again until it is answered, with the key that it had.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::harness::client::{Call, Reply};
use crate::model::room::Who;

/// How long somebody tries: longer than any process takes to come back.
const RECOVERY: Duration = Duration::from_mins(2);

/// What became of calls while processes came and went.
pub(crate) struct Tally {
    /// What pauses follow from.
    seed: u64,
    /// Answers that did not come.
    lost: AtomicUsize,
    /// Commands that were asked to come again.
    put_off: AtomicUsize,
    /// Commands that had been carried out although their answer was lost.
    replayed: AtomicUsize,
}

impl Tally {
    /// Nothing was called yet.
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            seed,
            lost: AtomicUsize::new(0),
            put_off: AtomicUsize::new(0),
            replayed: AtomicUsize::new(0),
        }
    }

    pub(crate) fn lost(&self) -> usize {
        self.lost.load(Ordering::SeqCst)
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |number: &AtomicUsize| number.load(Ordering::SeqCst);
        let [lost, put_off, replayed] = [&self.lost, &self.put_off, &self.replayed].map(count);
        write!(out, "{lost} answers lost, {put_off} put off, {replayed} replayed")
    }
}

/// A moment before the next try: not the same for everybody.
pub(crate) async fn pause(pauses: &mut StdRng) {
    tokio::time::sleep(Duration::from_millis(pauses.random_range(5..50))).await;
}

/// Makes a call of somebody until it is answered by more than a promise.
pub(crate) async fn insist(by: Who, call: &Call, tally: &Tally) -> Reply {
    let mut pauses = StdRng::seed_from_u64(tally.seed.wrapping_add(by as u64));
    let (deadline, mut tries) = (Instant::now() + RECOVERY, 0);
    loop {
        let count = match call.attempt().await {
            Ok(reply) if reply.status != 503 => {
                tally
                    .replayed
                    .fetch_add(usize::from(tries > 0 && reply.is_replayed()), Ordering::SeqCst);
                return reply;
            }
            Ok(reply) => {
                assert!(Instant::now() < deadline, "waited in vain: {reply}");
                &tally.put_off
            }
            Err(error) => {
                assert!(Instant::now() < deadline, "waited in vain: {error:#}");
                &tally.lost
            }
        };
        count.fetch_add(1, Ordering::SeqCst);
        tries += 1;
        pause(&mut pauses).await;
    }
}
