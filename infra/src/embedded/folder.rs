//! The data folder: made, tried, and held by one server at a time.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::error::OpenError;

/// The store's file.
pub(super) const DATABASE: &str = "cocotalk.db";
/// The keys' file.
pub(super) const KEYS: &str = "keys.db";
/// The master key.
pub(super) const MASTER_KEY: &str = "master.key";
/// Held as long as a server runs on the folder; what stands in it means nothing.
const LOCK: &str = "cocotalk.lock";
/// Written and removed to see whether the folder takes anything.
const PROBE: &str = "cocotalk.probe";
/// The signal that a file grew past the process's limit. Unhandled it ends the process; handled, the write fails instead.
const SIGXFSZ: i32 = 25;

/// A data folder that is ours until this is dropped.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    _lock: File,
}

impl Folder {
    /// Takes the folder, making it if it is not there.
    pub(super) fn take(path: &Path) -> Result<Self, OpenError> {
        let unavailable = |error: io::Error| OpenError::unavailable(path, error);
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(unavailable)?;
        let path = path.canonicalize().map_err(unavailable)?;
        let name = path.join(LOCK);
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(&name);
        let lock = lock.map_err(|error| OpenError::unavailable(&name, error))?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(OpenError::Locked { folder: path }),
            Err(error) => return Err(OpenError::unavailable(&name, error)),
        }
        try_writing(&path.join(PROBE))?;
        Ok(Self { path, _lock: lock })
    }

    /// A file in it.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

fn try_writing(path: &Path) -> Result<(), OpenError> {
    let written = File::create(path).and_then(|mut file| {
        file.write_all(&[0; 4_096])?;
        file.sync_all()
    });
    let removed = if path.exists() {
        std::fs::remove_file(path)
    } else {
        Ok(())
    };
    written
        .and(removed)
        .map_err(|error| OpenError::unavailable(path, error))
}

/// Lets a write past the process's file size limit fail instead of ending the process.
pub(super) fn survive_file_size_limit() {
    let kind = tokio::signal::unix::SignalKind::from_raw(SIGXFSZ);
    if let Err(error) = tokio::signal::unix::signal(kind) {
        tracing::debug!("the signal of the file size limit keeps its meaning: {error}");
    }
}

/// Writes the first bytes of the write-ahead log, so that later commits overwrite a file instead of growing it. What the
/// engine finds there is not a frame of its own, which ends the log for it. Only while nobody else has the store open.
pub(super) fn prepare_log(database: &Path, bytes: u64) -> io::Result<()> {
    const CHUNK: usize = 1 << 20;
    let mut name = database.as_os_str().to_owned();
    name.push("-wal");
    let mut log = OpenOptions::new().create(true).append(true).open(Path::new(&name))?;
    let before = log.metadata()?.len();
    let zeros = vec![0; CHUNK];
    let mut missing = bytes.saturating_sub(before);
    let written = loop {
        if missing == 0 {
            break log.sync_all();
        }
        let part = missing.min(CHUNK as u64);
        if let Err(error) = log.write_all(&zeros[..part as usize]) {
            break Err(error);
        }
        missing -= part;
    };
    if written.is_err() {
        log.set_len(before)?;
    }
    written
}
