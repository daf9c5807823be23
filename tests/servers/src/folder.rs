//! The folder of a server: data, logs, the number of its process, its ports.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use tempfile::TempDir;

use crate::life::Life;

/// How the folders of runs are called, in the folder for temporary files.
const PREFIX: &str = "cocotalk-servers-";
/// The file that whoever uses a folder has locked. The lock goes with the process, however that ends.
const LOCK: &str = "lock";

/// Where a server keeps what it has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Place {
    /// In a new folder that goes when the server does.
    #[default]
    Fresh,
    /// In this folder, which stays. A server that runs there already is used, and runs on when we end.
    Kept(PathBuf),
}

/// The folder of a server that is ours.
pub(crate) struct Folder {
    path: PathBuf,
    temporary: Option<TempDir>,
    /// Held as long as the folder is ours (fresh), or until the server in it is ready (kept).
    lock: Option<File>,
}

impl Folder {
    /// Makes or takes it, and clears away what a killed run may have left.
    pub(crate) fn open(place: &Place, name: &str) -> anyhow::Result<Self> {
        match place {
            Place::Fresh => Self::fresh(name),
            Place::Kept(path) => Self::kept(path),
        }
    }

    fn fresh(name: &str) -> anyhow::Result<Self> {
        sweep(&std::env::temp_dir());
        let temporary = tempfile::Builder::new()
            .prefix(&format!("{PREFIX}{name}-"))
            .tempdir()
            .context("cannot make a folder for temporary files")?;
        let path = temporary.path().to_owned();
        // The database runs as another user, who has to pass here.
        fs::set_permissions(&path, Permissions::from_mode(0o755))?;
        // Locked before it is there under its name: a lock that can be had means that its owner is gone.
        let (draft, lock) = (path.join("lock.new"), path.join(LOCK));
        let file = File::create(&draft)?;
        file.lock()?;
        fs::rename(draft, lock)?;
        Ok(Self {
            path,
            temporary: Some(temporary),
            lock: Some(file),
        })
    }

    fn kept(path: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(path).with_context(|| format!("cannot make {}", path.display()))?;
        ensure!(path.is_absolute(), "{} does not begin at the root", path.display());
        let lock = File::create(path.join(LOCK))?;
        // Whoever starts a server here has a deadline, so this ends.
        lock.lock()?;
        Ok(Self {
            path: path.to_owned(),
            temporary: None,
            lock: Some(lock),
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn is_kept(&self) -> bool {
        self.temporary.is_none()
    }

    /// The number of the server's process.
    pub(crate) fn pid_file(&self) -> PathBuf {
        self.path.join("pid")
    }

    /// What the server says.
    pub(crate) fn log_file(&self) -> PathBuf {
        self.path.join("log.txt")
    }

    /// What tells the command line of our server from any other's.
    pub(crate) fn mark(&self) -> String {
        self.path.display().to_string()
    }

    /// The ports of the server that was here before, or new ones, which it keeps.
    pub(crate) fn ports<const N: usize>(&self) -> anyhow::Result<[u16; N]> {
        let file = self.path.join("ports");
        let written = fs::read_to_string(&file).ok();
        let known = written.as_deref().and_then(parse_ports);
        if let Some(ports) = known {
            return Ok(ports);
        }
        let ports = crate::port::free::<N>()?;
        fs::write(file, ports.map(|port| port.to_string()).join(" "))?;
        Ok(ports)
    }

    /// The server is ready: another run may use it now, if it is one that stays.
    pub(crate) fn settled(&mut self) {
        if self.is_kept() {
            drop(self.lock.take());
        }
    }
}

fn parse_ports<const N: usize>(text: &str) -> Option<[u16; N]> {
    let ports: Result<Vec<u16>, _> = text.split_ascii_whitespace().map(str::parse).collect();
    ports.ok()?.try_into().ok()
}

/// Ends the servers and removes the folders of runs that are gone.
fn sweep(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let path = entry.path();
        let is_ours = entry.file_name().to_string_lossy().starts_with(PREFIX);
        let abandoned = || File::open(path.join(LOCK)).is_ok_and(|lock| lock.try_lock().is_ok());
        if is_ours && abandoned() {
            if let Some(life) = Life::find(&path.join("pid"), &path.display().to_string()) {
                // Somebody else's process cannot be ended by us; its owner's next run does it.
                let _ = life.kill();
            }
            let _ = fs::remove_dir_all(&path);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};
    use std::time::Duration;

    use super::*;
    use crate::wait;

    #[test]
    fn a_kept_folder_keeps_its_ports() {
        let parent = tempfile::tempdir().unwrap();
        let place = Place::Kept(parent.path().join("a"));
        let ports = Folder::open(&place, "x").unwrap().ports::<3>().unwrap();
        assert_eq!(Folder::open(&place, "x").unwrap().ports::<3>().unwrap(), ports);
    }

    #[test]
    fn a_fresh_folder_goes_with_its_owner() {
        let folder = Folder::open(&Place::Fresh, "x").unwrap();
        let path = folder.path().to_owned();
        sweep(path.parent().unwrap());
        assert!(path.exists(), "it is in use");
        drop(folder);
        assert!(!path.exists());
    }

    #[test]
    fn what_a_killed_run_left_is_cleared() {
        let parent = tempfile::tempdir().unwrap();
        let left = parent.path().join(format!("{PREFIX}x-1"));
        let other = parent.path().join("cocotalk-data");
        fs::create_dir(&left).unwrap();
        fs::create_dir(&other).unwrap();
        fs::write(left.join(LOCK), "").unwrap();
        fs::write(other.join(LOCK), "").unwrap();
        let script = format!("sleep 60; echo {}", left.display());
        let mut server = Command::new("sh")
            .args(["-c", &script])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        fs::write(left.join("pid"), server.id().to_string()).unwrap();
        // A process that has just begun may not have its command line yet.
        let find = || Life::find(&left.join("pid"), &left.display().to_string());
        wait::until("it has begun", Duration::from_secs(10), find).unwrap();
        sweep(parent.path());
        assert!(!left.exists());
        assert!(other.exists(), "it is not ours");
        assert!(!server.wait().unwrap().success());
    }
}
