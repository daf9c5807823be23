//! What was committed before the hub opened, as far as the window reaches back.

use std::sync::Arc;

use cocotalk_application::port::event_log::RecordedEvent;
use cocotalk_domain::stream::Slice;
use futures_util::{StreamExt, stream};
use tokio_util::sync::CancellationToken;

use super::Hub;
use super::follow::until_done;

/// Slices whose newest events are fetched at once: fewer than a small store has readers.
const SLICES_AT_ONCE: usize = 2;

impl Hub {
    /// Fetches the newest events of every slice into the window, beside what comes in meanwhile. `None` when stopped: while
    /// the log is away it is waited for.
    pub(super) async fn fill(&self, stop: &CancellationToken) -> Option<()> {
        let heads = self.tables().window.cursor();
        let full = Slice::all().filter(|slice| heads.0[slice.index()] > 0);
        let tails = full.map(|slice| self.tail(slice, heads.0[slice.index()], stop));
        let mut tails = stream::iter(tails).buffer_unordered(SLICES_AT_ONCE);
        while let Some(tail) = tails.next().await {
            self.tables().window.prepend(tail?);
        }
        self.tables().window.put_in_order();
        Some(())
    }

    /// The newest events of a slice up to a position, as far as they are young enough for the window.
    async fn tail(&self, slice: Slice, head: u64, stop: &CancellationToken) -> Option<Vec<Arc<RecordedEvent>>> {
        let since_us = (self.ports.clock.now().millis() - self.settings.window_s * 1_000) * 1_000;
        let mut tail = Vec::new();
        let mut after = head.saturating_sub(self.settings.refill_events as u64);
        while after < head {
            let page = until_done(stop, || self.ports.log.read_slice(slice, after)).await?;
            let Some(last) = page.last() else { break };
            after = last.slice_pos;
            let young = |event: &RecordedEvent| event.slice_pos <= head && event.ts_us >= since_us;
            tail.extend(page.into_iter().filter(young).map(Arc::new));
        }
        Some(tail)
    }
}
