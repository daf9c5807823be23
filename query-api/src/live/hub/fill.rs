//! What was committed before the hub opened, as far as the window reaches back.

use std::sync::Arc;

use cocotalk_application::error::StoreError;
use cocotalk_application::port::event_log::RecordedEvent;
use cocotalk_domain::stream::Slice;
use futures_util::{StreamExt, TryStreamExt, stream};

use super::Hub;

/// Slices whose newest events are fetched at once: fewer than a small store has readers.
const SLICES_AT_ONCE: usize = 2;

impl Hub {
    /// Fetches the newest events of every slice into the window, beside what comes in meanwhile.
    pub(super) async fn fill(&self) -> Result<(), StoreError> {
        let heads = self.tables().window.cursor();
        let full = Slice::all().filter(|slice| heads.0[slice.index()] > 0);
        let tails = full.map(|slice| self.tail(slice, heads.0[slice.index()]));
        let mut tails = stream::iter(tails).buffer_unordered(SLICES_AT_ONCE);
        while let Some(tail) = tails.try_next().await? {
            self.tables().window.prepend(tail);
        }
        self.tables().window.put_in_order();
        Ok(())
    }

    /// The newest events of a slice up to a position, as far as they are young enough for the window.
    async fn tail(&self, slice: Slice, head: u64) -> Result<Vec<Arc<RecordedEvent>>, StoreError> {
        let since_us = (self.ports.clock.now().millis() - self.settings.window_s * 1_000) * 1_000;
        let mut tail = Vec::new();
        let mut after = head.saturating_sub(self.settings.refill_events as u64);
        while after < head {
            let page = self.ports.log.read_slice(slice, after).await?;
            let Some(last) = page.last() else { break };
            after = last.slice_pos;
            let young = |event: &RecordedEvent| event.slice_pos <= head && event.ts_us >= since_us;
            tail.extend(page.into_iter().filter(young).map(Arc::new));
        }
        Ok(tail)
    }
}
