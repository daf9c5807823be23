//! Copies the write-ahead log into the database, beside the writer.
//!
//! The engine would do that inside a commit, which then takes long. Here it is done on another connection while commits go
//! on. Only for the last bit, once the log has grown to its limit, the writer stands still: then nothing is left in the log,
//! and the next commit begins it anew at its front.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::settings::Settings;
use super::writer::Request;
use crate::metrics::{CHECKPOINT_PAUSE_SECONDS, STATEMENTS};

/// How often the log is looked at.
const EVERY: Duration = Duration::from_millis(100);
/// How long to wait after it could not be done.
const AFTER_A_FAULT: Duration = Duration::from_secs(2);
/// Rounds of copying before the writer is asked to stand still: each leaves only what came during the one before.
const ROUNDS: usize = 3;
/// So few pages left are copied in a moment.
const FEW_PAGES: u64 = 1_000;
/// Bytes of the index that say how long the log is and how much of it is copied.
const INDEX_HEAD: usize = 100;

/// The log as its index tells: see "WAL-mode File Format" of the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Log {
    page_bytes: u64,
    /// Pages in it.
    pages: u64,
    /// Those that are in the database already.
    copied: u64,
}

impl Log {
    /// The log as the head of its index describes it; nothing while there is none.
    fn parse(index: &[u8; INDEX_HEAD]) -> Self {
        let number = |at: usize| {
            let bytes: [u8; 4] = index[at..at + 4].try_into().expect("the range is four bytes long");
            u64::from(u32::from_ne_bytes(bytes))
        };
        let page_bytes = match u16::from_ne_bytes([index[14], index[15]]) {
            1 => 65_536,
            size => u64::from(size),
        };
        Self {
            page_bytes,
            pages: number(16),
            copied: number(96),
        }
    }

    fn read(index: &File) -> io::Result<Self> {
        let mut head = [0; INDEX_HEAD];
        index.read_exact_at(&mut head, 0)?;
        Ok(Self::parse(&head))
    }

    const fn bytes(self) -> u64 {
        self.pages * self.page_bytes
    }

    const fn missing(self) -> u64 {
        self.pages.saturating_sub(self.copied)
    }
}

/// The copier's own state.
pub(super) struct Copier {
    options: SqliteConnectOptions,
    index: PathBuf,
    requests: mpsc::WeakSender<Request>,
    copy_bytes: u64,
    limit_bytes: u64,
}

impl Copier {
    pub(super) fn new(
        options: SqliteConnectOptions,
        database: &Path,
        settings: &Settings,
        requests: &mpsc::Sender<Request>,
    ) -> Self {
        let mut index = database.as_os_str().to_owned();
        index.push("-shm");
        Self {
            options,
            index: index.into(),
            requests: requests.downgrade(),
            copy_bytes: settings.log_copy_bytes,
            limit_bytes: settings.log_limit_bytes,
        }
    }

    /// Works until `stop`. What it returns is to be kept until every connection is closed: the system lets go all locks of a
    /// process on a file when any of its descriptors is closed, so the index is opened once and outlives them.
    pub(super) async fn run(self, stop: CancellationToken) -> Option<File> {
        let (mut connection, mut index, mut failed) = (None, None, false);
        loop {
            let pause = if failed { AFTER_A_FAULT } else { EVERY };
            if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                break;
            }
            let looked = self.look(&mut connection, &mut index).await;
            match &looked {
                Err(error) if !failed => tracing::warn!("the write-ahead log cannot be copied, it grows: {error}"),
                Ok(()) if failed => tracing::info!("the write-ahead log is copied again"),
                Ok(()) | Err(_) => {}
            }
            failed = looked.is_err();
            if failed {
                connection = None;
            }
        }
        if let Some(connection) = connection {
            let closed = SqliteConnection::close(connection).await;
            if let Err(error) = closed {
                tracing::debug!("the copier did not close: {error}");
            }
        }
        index
    }

    async fn look(
        &self,
        connection: &mut Option<SqliteConnection>,
        index: &mut Option<File>,
    ) -> Result<(), sqlx::Error> {
        let index = match index {
            Some(index) => index,
            None => index.insert(File::open(&self.index)?),
        };
        let mut log = Log::read(index)?;
        let full = log.bytes() >= self.limit_bytes;
        if !full && log.missing() * log.page_bytes < self.copy_bytes {
            return Ok(());
        }
        let connection = match connection {
            Some(connection) => connection,
            None => connection.insert(self.options.connect().await?),
        };
        copy(connection).await?;
        if !full {
            return Ok(());
        }
        for _ in 1..ROUNDS {
            log = Log::read(index)?;
            if log.missing() <= FEW_PAGES {
                break;
            }
            copy(connection).await?;
        }
        self.copy_rest(connection).await
    }

    /// Copies what is left while the writer stands still.
    async fn copy_rest(&self, connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        let Some(requests) = self.requests.upgrade() else {
            return Ok(());
        };
        let (reply, standing) = oneshot::channel();
        if requests.send(Request::Pause(reply)).await.is_err() {
            return Ok(());
        }
        drop(requests);
        let Ok(resume) = standing.await else { return Ok(()) };
        let started = Instant::now();
        let copied = copy(connection).await;
        drop(resume);
        metrics::histogram!(CHECKPOINT_PAUSE_SECONDS).record(started.elapsed().as_secs_f64());
        copied
    }
}

/// One round. Who reads an old page or writes meanwhile is left alone.
async fn copy(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    metrics::counter!(STATEMENTS, "role" => "writer").increment(1);
    sqlx::query("PRAGMA wal_checkpoint(PASSIVE)")
        .execute(connection)
        .await
        .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_of_an_index_is_read() {
        let mut head = [0; INDEX_HEAD];
        head[14..16].copy_from_slice(&1_024_u16.to_ne_bytes());
        head[16..20].copy_from_slice(&300_u32.to_ne_bytes());
        head[96..100].copy_from_slice(&100_u32.to_ne_bytes());
        let log = Log::parse(&head);
        assert_eq!(
            log,
            Log {
                page_bytes: 1_024,
                pages: 300,
                copied: 100
            }
        );
        assert_eq!((log.bytes(), log.missing()), (307_200, 200));
    }
}
