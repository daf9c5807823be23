//! The machine a table was measured on: without it the absolute figures mean nothing.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde::Serialize;

/// What the table says about where it was measured.
#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    /// Cores this process may use; the driver and the server share them.
    cores: usize,
    /// CPU model.
    cpu: String,
    /// Memory in MiB.
    memory_mib: u64,
    /// Kernel release.
    kernel: String,
    /// File system under the data folders.
    file_system: String,
    /// Appends of 4 KiB made durable one at a time, a second: the ceiling of commits without grouping.
    fsync_per_s: f64,
    /// The same after the last figure: far from the first, something else used the disk.
    fsync_per_s_after: Option<f64>,
    /// Runnable tasks in the minute before the first figure: far from zero, something else used the cores.
    load_before: String,
}

impl Machine {
    /// Looks at the machine and measures its disk for about a second under `data_root`.
    pub(crate) fn survey(data_root: &Path) -> Result<Self> {
        Ok(Self {
            cores: std::thread::available_parallelism()
                .context("cannot count the cores")?
                .get(),
            cpu: cpu_model(&read("/proc/cpuinfo")),
            memory_mib: memory_mib(&read("/proc/meminfo")),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            file_system: file_system(
                &read("/proc/self/mountinfo"),
                &fs::canonicalize(data_root).context("no data root")?,
            ),
            fsync_per_s: fsync_per_s(data_root)?,
            fsync_per_s_after: None,
            load_before: read("/proc/loadavg").split(' ').next().unwrap_or_default().to_owned(),
        })
    }

    /// Measures the disk once more.
    pub(crate) fn look_again(&mut self, data_root: &Path) -> Result<()> {
        self.fsync_per_s_after = Some(fsync_per_s(data_root)?);
        Ok(())
    }

    /// The lines that open the table.
    pub(crate) fn lines(&self) -> Vec<String> {
        let after = self
            .fsync_per_s_after
            .map(|after| format!(" before and {after:.0} after"))
            .unwrap_or_default();
        vec![
            format!(
                "machine: {} cores, {}, {} MiB, Linux {}, load {} before",
                self.cores, self.cpu, self.memory_mib, self.kernel, self.load_before
            ),
            format!("disk: {}, {:.0} fsync/s{after}", self.file_system, self.fsync_per_s),
            "The driver runs on the same cores as what it measures.".to_owned(),
        ]
    }
}

/// The file, or nothing: on a system without /proc the table shows "unknown" instead of failing.
fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn cpu_model(cpuinfo: &str) -> String {
    cpuinfo
        .lines()
        .find(|line| line.starts_with("model name"))
        .and_then(|line| line.split_once(':'))
        .map_or_else(|| "unknown CPU".to_owned(), |(_, name)| name.trim().to_owned())
}

fn memory_mib(meminfo: &str) -> u64 {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
    kib.unwrap_or(0) / 1024
}

/// The type of the file system mounted deepest on the way to `path`.
fn file_system(mountinfo: &str, path: &Path) -> String {
    let mounts = mountinfo.lines().filter_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        let mount_point = before.split(' ').nth(4)?;
        let kind = after.split(' ').next()?;
        path.starts_with(mount_point).then_some((mount_point.len(), kind))
    });
    // Of two mounts on one point the later hides the earlier; max_by_key takes the last of equals.
    mounts
        .max_by_key(|(length, _)| *length)
        .map_or_else(|| "unknown file system".to_owned(), |(_, kind)| kind.to_owned())
}

fn fsync_per_s(data_root: &Path) -> Result<f64> {
    let folder = tempfile::tempdir_in(data_root).context("cannot make a folder under the data root")?;
    let mut file =
        File::create(folder.path().join("fsync")).context("cannot create the file that fsync is measured on")?;
    let page = [0x5A; 4096];
    let start = Instant::now();
    let mut count = 0_u32;
    while start.elapsed() < Duration::from_secs(1) {
        file.write_all(&page)
            .and_then(|()| file.sync_data())
            .context("cannot append and sync")?;
        count += 1;
    }
    Ok(f64::from(count) / start.elapsed().as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deepest_mount_wins() {
        let mounts = "1 0 8:1 / / rw - ext4 /dev/a rw\n2 1 0:5 / /scratch rw shared:1 - tmpfs tmpfs rw\n";
        assert_eq!(file_system(mounts, Path::new("/scratch/x")), "tmpfs");
        assert_eq!(file_system(mounts, Path::new("/scratchpad")), "ext4");
        assert_eq!(file_system("", Path::new("/")), "unknown file system");
    }

    #[test]
    fn forms_of_proc() {
        assert_eq!(cpu_model("processor\t: 0\nmodel name\t: Some CPU\n"), "Some CPU");
        assert_eq!(memory_mib("MemTotal:       24683520 kB\nMemFree: 1 kB\n"), 24_105);
    }
}
