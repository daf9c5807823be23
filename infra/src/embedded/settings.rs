//! The settings of the embedded store.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::error::OpenError;

/// Settings of the embedded store. Every one has a default that a laptop can live with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The data folder, made if it is not there (`data`, in the working directory).
    pub folder: PathBuf,
    /// Connections that read (4: SQLite reads on the thread of its connection, and with a few more than there are cores
    /// nobody waits for one while it hands its answer over).
    pub readers: usize,
    /// Size of a page of a new store, bytes (2,048: a message touches a few rows in many places, so small pages make small
    /// commits, while still smaller ones make deep trees; measured in `docs/PERFORMANCE.md`). An existing store keeps its own.
    pub page_bytes: u32,
    /// Page cache of the writer, KiB (8,192: the tails of all indexes; a larger one makes every commit slower, since the engine
    /// walks its table of pages, and what is not in it is in the memory of the operating system).
    pub writer_cache_kib: u32,
    /// Page cache of one reader, KiB (4,096: every commit empties it, so a large one is wasted).
    pub reader_cache_kib: u32,
    /// Requests that may wait for the writer (1,024: 64 lanes with one batch each, and room for everything else).
    pub queue_requests: usize,
    /// Events after which the writer stops gathering and commits (128: more win nothing and everybody waits longer).
    pub batch_events: usize,
    /// How long a lock may be held, milliseconds (5,000: nobody else can write meanwhile). Then it is lost.
    pub lock_ms: u64,
    /// Bytes of write-ahead log that are written before the first use (16 MiB: overwriting is several times faster to make
    /// durable than growing a file). 0 leaves it out.
    pub log_prepared_bytes: u64,
    /// Size of the write-ahead log from which its pages are copied into the database, aside, bytes (16 MiB).
    pub log_copy_bytes: u64,
    /// Size of the write-ahead log at which the writer stands still for the rest of the copying so that it can begin anew,
    /// bytes (64 MiB: bounds the time of the next start and the room on disk).
    pub log_limit_bytes: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            folder: PathBuf::from("data"),
            readers: 4,
            page_bytes: 2_048,
            writer_cache_kib: 8_192,
            reader_cache_kib: 4_096,
            queue_requests: 1_024,
            batch_events: 128,
            lock_ms: 5_000,
            log_prepared_bytes: 16 << 20,
            log_copy_bytes: 16 << 20,
            log_limit_bytes: 64 << 20,
        }
    }
}

impl Settings {
    /// Whether a store can be opened with them.
    pub fn validate(&self) -> Result<(), OpenError> {
        let wrong = |setting, why: &str| {
            Err(OpenError::Setting {
                setting,
                why: why.to_owned(),
            })
        };
        if !(1..=64).contains(&self.readers) {
            return wrong("readers", "must be 1 to 64");
        }
        if !(512..=65_536).contains(&self.page_bytes) || !self.page_bytes.is_power_of_two() {
            return wrong("page_bytes", "must be a power of two from 512 to 65,536");
        }
        if self.queue_requests == 0 {
            return wrong("queue_requests", "must be at least 1");
        }
        if self.batch_events == 0 {
            return wrong("batch_events", "must be at least 1");
        }
        if self.lock_ms == 0 {
            return wrong("lock_ms", "must be at least 1");
        }
        if self.log_limit_bytes < self.log_copy_bytes {
            return wrong("log_limit_bytes", "must be at least log_copy_bytes");
        }
        Ok(())
    }

    pub(super) const fn lock(&self) -> Duration {
        Duration::from_millis(self.lock_ms)
    }
}
