//! Appends whose callers did not wait for the end.
//!
//! Whether such an append was carried out is found out under lock, by its key. That answer is final only if the append is not
//! still on its way, so whoever takes a lock waits for those that are.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio::sync::watch;

/// Somebody waits for it.
const AWAITED: u8 = 0;
/// Nobody does any more.
const ORPHANED: u8 = 1;
/// It is over.
const OVER: u8 = 2;

/// Counts what is still on its way although nobody waits for it.
#[derive(Clone)]
pub(super) struct Orphans(watch::Sender<usize>);

impl Default for Orphans {
    fn default() -> Self {
        Self(watch::Sender::new(0))
    }
}

impl Orphans {
    /// The two ends of an append: the caller drops its end when it stops waiting, the writer when the append is over.
    pub(super) fn pair(&self) -> (Awaited, UnderWay) {
        let state = Arc::new(AtomicU8::new(AWAITED));
        let under_way = UnderWay {
            state: Arc::clone(&state),
            orphans: self.clone(),
        };
        let orphans = self.clone();
        (Awaited { state, orphans }, under_way)
    }

    /// Waits until there are none.
    pub(super) async fn none(&self) {
        let mut orphans = self.0.subscribe();
        // The sender is in `self`, so there is always an answer.
        let _none = orphans.wait_for(|count| *count == 0).await;
    }
}

/// The caller's end.
pub(super) struct Awaited {
    state: Arc<AtomicU8>,
    orphans: Orphans,
}

impl Drop for Awaited {
    fn drop(&mut self) {
        if self.state.load(Ordering::Acquire) == OVER {
            return;
        }
        // Counted first, so that the other end never takes away what is not there yet.
        self.orphans.0.send_modify(|count| *count += 1);
        let orphaned = self
            .state
            .compare_exchange(AWAITED, ORPHANED, Ordering::AcqRel, Ordering::Acquire);
        if orphaned.is_err() {
            self.orphans.0.send_modify(|count| *count -= 1);
        }
    }
}

/// The writer's end.
pub(super) struct UnderWay {
    state: Arc<AtomicU8>,
    orphans: Orphans,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        if self.state.swap(OVER, Ordering::AcqRel) == ORPHANED {
            self.orphans.0.send_modify(|count| *count -= 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn only_what_nobody_waits_for_is_waited_for() {
        let orphans = Orphans::default();
        let (caller, writer) = orphans.pair();
        assert!(orphans.none().now_or_never().is_some(), "somebody waits for it");
        drop(caller);
        assert!(orphans.none().now_or_never().is_none(), "nobody waits for it");
        drop(writer);
        assert!(orphans.none().now_or_never().is_some(), "it is over");
        let (caller, writer) = orphans.pair();
        drop(writer);
        drop(caller);
        assert!(orphans.none().now_or_never().is_some(), "it was over before");
    }
}
