//! A projection whose rows a test writes down beforehand, so that any row can be put through any store.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use cocotalk_domain::stream::StreamId;

use super::support::{append, unit};
use crate::port::event_log::{EventLog, RecordedEvent};
use crate::projection::{Poison, Projection};
use crate::row::RowWrite;

/// What an event makes.
type Rows = Result<Vec<RowWrite>, Poison>;

/// The rows of some events; of others there are none.
pub struct Script {
    name: &'static str,
    version: u32,
    lines: Mutex<HashMap<(StreamId, u64), Rows>>,
}

impl Script {
    /// An empty one.
    pub fn new(name: &'static str) -> Arc<Self> {
        Self::of_version(name, 1)
    }

    /// An empty one of a version.
    pub fn of_version(name: &'static str, version: u32) -> Arc<Self> {
        Arc::new(Self {
            name,
            version,
            lines: Mutex::default(),
        })
    }

    /// Says what an event makes.
    pub fn say(&self, stream: StreamId, sequence: u64, rows: Rows) {
        self.lines
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert((stream, sequence), rows);
    }

    /// Appends an event that makes these rows.
    pub async fn write(&self, log: &dyn EventLog, stream: StreamId, rows: Vec<RowWrite>) {
        self.put(log, stream, Ok(rows)).await;
    }

    /// Appends an event that cannot be taken.
    pub async fn poison(&self, log: &dyn EventLog, stream: StreamId) {
        self.put(log, stream, Err(Poison("as the test wants it".to_owned())))
            .await;
    }

    async fn put(&self, log: &dyn EventLog, stream: StreamId, rows: Rows) {
        let version = log
            .probe(None, &[stream], &[])
            .await
            .expect("the log can be read")
            .versions[0];
        self.say(stream, version + 1, rows);
        append(log, unit(stream, version, 1)).await;
    }
}

impl Projection for Script {
    fn name(&self) -> &'static str {
        self.name
    }

    fn version(&self) -> u32 {
        self.version
    }

    fn rows(&self, event: &RecordedEvent) -> Result<Vec<RowWrite>, Poison> {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines
            .get(&(event.stream, event.sequence))
            .cloned()
            .unwrap_or_else(|| Ok(Vec::new()))
    }
}
