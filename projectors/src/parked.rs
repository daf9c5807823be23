//! What an operator does with events that wait: apply them again, or give them up.
//!
//! It works beside running projectors: what is parked is applied in the order of the slice and removed one by one. When the
//! last of an aggregate is gone, the projector that follows its slice finds so with the aggregate's next event.

use std::sync::Arc;

use cocotalk_application::error::StoreError;
use cocotalk_application::following::{Aggregate, Followed};
use cocotalk_application::port::event_log::{LogReader, RecordedEvent};
use cocotalk_application::port::parking::{ParkedEvent, Parking};
use cocotalk_application::port::row_store::{RowStore, Tables};
use cocotalk_application::projection::Projection;
use cocotalk_domain::stream::{SLICES, StreamId};

/// What it works with.
#[derive(Clone)]
pub struct ParkedPorts {
    /// Where events are.
    pub log: Arc<dyn LogReader>,
    /// Where rows go.
    pub rows: Arc<dyn RowStore>,
    /// Where events wait.
    pub parking: Arc<dyn Parking>,
}

/// What became of one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retried {
    /// Its stream.
    pub stream: StreamId,
    /// Its number.
    pub sequence: u64,
    /// Why it still waits; nothing where it was applied.
    pub error: Option<String>,
}

impl ParkedPorts {
    /// The event of a stream with this number.
    ///
    /// # Errors
    /// Those of the log.
    pub async fn event(&self, stream: &StreamId, sequence: u64) -> Result<Option<RecordedEvent>, StoreError> {
        let events = self.log.load(stream, sequence.saturating_sub(1)).await?;
        Ok(events.into_iter().find(|event| event.sequence == sequence))
    }

    /// Applies what waits of an aggregate, in order, until one fails again. What happened, in order.
    ///
    /// # Errors
    /// Those of the stores; what was done until then stays done.
    pub async fn retry(
        &self,
        projection: &Arc<dyn Projection>,
        aggregate: Aggregate,
    ) -> Result<Vec<Retried>, StoreError> {
        let tables = Tables::of(&**projection);
        let mut done = Vec::new();
        loop {
            let waiting = self.parking.of_aggregate(tables, aggregate).await?;
            if waiting.is_empty() {
                return Ok(done);
            }
            for parked in waiting {
                let retried = self.retry_one(projection, &parked).await?;
                let failed = retried.error.is_some();
                done.push(retried);
                if failed {
                    return Ok(done);
                }
            }
        }
    }

    /// Gives an event up and applies what waited behind it. Nothing where it does not wait.
    ///
    /// # Errors
    /// As for [`ParkedPorts::retry`].
    pub async fn skip(
        &self,
        projection: &Arc<dyn Projection>,
        stream: &StreamId,
        sequence: u64,
    ) -> Result<Option<Vec<Retried>>, StoreError> {
        if !self.parking.remove(Tables::of(&**projection), stream, sequence).await? {
            return Ok(None);
        }
        tracing::warn!(
            projection = projection.name(),
            event.stream = %stream,
            event.sequence = sequence,
            "an operator gave an event up"
        );
        self.retry(projection, Aggregate::from(*stream)).await.map(Some)
    }

    async fn retry_one(&self, projection: &Arc<dyn Projection>, parked: &ParkedEvent) -> Result<Retried, StoreError> {
        let tables = Tables::of(&**projection);
        let followed = Followed {
            projection: Arc::clone(projection),
            positions: [0; SLICES],
            parked: std::collections::HashSet::new(),
        };
        let rows = match self.event(&parked.stream, parked.sequence).await? {
            Some(event) => followed.rows_alone(&event),
            None => Err("the log has no such event".to_owned()),
        };
        let error = match rows {
            Ok(rows) => {
                self.rows.write(tables, &rows).await?;
                self.parking.remove(tables, &parked.stream, parked.sequence).await?;
                None
            }
            Err(error) => {
                self.parking
                    .tried(tables, &parked.stream, parked.sequence, &error)
                    .await?;
                Some(error)
            }
        };
        Ok(Retried {
            stream: parked.stream,
            sequence: parked.sequence,
            error,
        })
    }
}
