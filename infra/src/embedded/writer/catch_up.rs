//! A projection that is behind is led through the log, a chunk between two groups, until it is applied inline.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use cocotalk_application::error::{StoreError, chain};
use cocotalk_application::port::event_log::RecordedEvent;
use cocotalk_domain::stream::Slice;
use tokio::time::Instant;

use super::super::codec::decode;
use super::super::error::of_store;
use super::super::script::{Step, Value};
use super::super::sql::Sql;
use super::super::texts;
use super::Writer;
use super::commit::{checkpoint_steps, count};
use cocotalk_application::following::Aggregate;

/// Events of one chunk at most: commits wait no longer than it takes.
const CHUNK: i64 = 500;
/// How long until it is tried again after an error.
const PATIENCE: Duration = Duration::from_secs(1);

impl Writer {
    /// Leads the first projection that is behind one chunk further.
    pub(super) async fn catch_up(&mut self) {
        self.retry_catch_up_at = None;
        let Some((index, slice)) = self.behind() else { return };
        if let Err(error) = self.catch_up_in(index, slice).await {
            let name = self.followed[index].projection.name();
            tracing::warn!(projection = name, "{name} could not be led further: {}", chain(&error));
            self.connection.roll_back().await;
            self.retry_catch_up_at = Some(Instant::now() + PATIENCE);
        }
        self.tell_projections();
    }

    async fn catch_up_in(&mut self, index: usize, slice: Slice) -> Result<(), StoreError> {
        let events = self.chunk(slice, self.followed[index].positions[slice.index()]).await?;
        let Some(position) = events.last().map(|event| event.slice_pos) else {
            return Err(StoreError::corrupt(
                "the event log",
                format!("slice {slice} ends before its head"),
            ));
        };
        let newly = self.apply_chunk(index, slice, &events).await.map_err(of_store)?;
        self.followed[index].positions[slice.index()] = position;
        self.progress.raise_checkpoint(index, slice, position);
        self.keep_parked(index, newly);
        Ok(())
    }

    async fn chunk(&mut self, slice: Slice, after: u64) -> Result<Vec<Arc<RecordedEvent>>, StoreError> {
        let values = vec![
            Value::int(slice.index() as i64),
            Value::number(after),
            Value::int(CHUNK),
        ];
        let rows = self
            .connection
            .fetch(&texts::read_slice(), values)
            .await
            .map_err(of_store)?;
        rows.iter().map(|row| decode(row).map(Arc::new)).collect()
    }

    async fn apply_chunk(
        &mut self,
        index: usize,
        slice: Slice,
        events: &[Arc<RecordedEvent>],
    ) -> Result<HashSet<Aggregate>, sqlx::Error> {
        let mut written = Vec::new();
        self.connection.run(vec![Step::one(Sql::Begin, [])]).await?;
        let projected = self.apply(index, events, &mut written).await?;
        let position = events.last().map_or(0, |event| event.slice_pos);
        let mut steps = checkpoint_steps(1 << index, &[(slice.index(), position)]);
        steps.push(Step::one(Sql::Commit, []));
        self.connection.run(steps).await?;
        count(&written);
        Ok(projected.newly)
    }
}
