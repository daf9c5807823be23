//! The processes under measurement: the server and the baseline, started fresh and ended by pid.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use rustix::process::{Pid, Signal};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, ChildStdout, Command};
use tokio::task::JoinSet;

/// How long a child may take until it says that it is ready.
const READY_DEADLINE: Duration = Duration::from_mins(2);
/// How long a child may take to end after SIGTERM before it is killed and the run counts as failed.
const STOP_DEADLINE: Duration = Duration::from_mins(1);
/// How much of a child's log an error repeats.
const LOG_TAIL_BYTES: usize = 4_000;

/// Limits of rate off, as the contract says load runs raise them: by configuration.
pub(crate) const SERVER_CONFIG: &str =
    "[limits.rate]\ncommands_per_minute = 0\nqueries_per_minute = 0\nframes_per_minute = 0\n";

/// A data folder with the configuration beside it; gone when dropped.
#[derive(Debug)]
pub(crate) struct Site {
    folder: tempfile::TempDir,
}

impl Site {
    /// A fresh one under `data_root`.
    pub(crate) fn new(data_root: &Path) -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("cocotalk-bench-")
            .tempdir_in(data_root)
            .context("cannot make a folder under the data root")?;
        let site = Self { folder };
        fs::create_dir(site.data()).context("cannot make the data folder")?;
        fs::write(site.config(), SERVER_CONFIG).context("cannot write the configuration")?;
        Ok(site)
    }

    /// Bytes of the files in its data folder.
    pub(crate) fn data_bytes(&self) -> Result<u64> {
        let mut bytes = 0;
        for file in fs::read_dir(self.data()).context("cannot read the data folder")? {
            let file = file.context("cannot read the data folder")?;
            bytes += file
                .metadata()
                .context("cannot look at a file of the data folder")?
                .len();
        }
        Ok(bytes)
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("cocotalk.toml")
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("child.log")
    }
}

/// A running server or baseline; killed when dropped.
#[derive(Debug)]
pub(crate) struct Running {
    /// Where it answers; where no client connects, the same as `admin`.
    pub(crate) http: SocketAddr,
    /// Where it shows its metrics; the baseline has none.
    pub(crate) admin: Option<SocketAddr>,
    /// From the start of the process to its ready line.
    pub(crate) ready_after: Duration,
    /// Its process id.
    pub(crate) pid: u32,
    child: Child,
    log: PathBuf,
    // Keeps reading stdout, so that the child never waits for a full pipe; ends with this value.
    _drain: JoinSet<()>,
}

impl Running {
    /// Starts the real server on the data folder of `site`.
    pub(crate) async fn server(binary: &Path, site: &Site) -> Result<Self> {
        let mut command = Command::new(binary);
        command
            .args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--data"])
            .arg(site.data());
        command.arg("--config").arg(site.config());
        Self::start(command, site.log()).await
    }

    /// Starts the baseline: this program in another role.
    pub(crate) async fn baseline(site: &Site) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe().context("cannot find this program")?);
        command.args(["baseline", "--data"]).arg(site.data());
        Self::start(command, site.log()).await
    }

    /// Starts a process that says when it is ready; what it says beside that goes to `log`.
    pub(crate) async fn start(mut command: Command, log: PathBuf) -> Result<Self> {
        let log_file = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .context("cannot open the child's log")?;
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log_file)
            .kill_on_drop(true);
        let started = Instant::now();
        let mut child = command
            .spawn()
            .with_context(|| format!("cannot start {}", command_name(&command)))?;
        let pid = child.id().context("a child without a pid")?;
        let stdout = child.stdout.take().context("a child without stdout")?;
        let mut lines = BufReader::new(stdout);
        let ready = tokio::time::timeout(READY_DEADLINE, ready_line(&mut lines)).await;
        let ready_after = started.elapsed();
        let (http, admin) = match ready {
            Ok(Ok(addresses)) => addresses,
            Ok(Err(error)) => return Err(error.context(log_tail(&log))),
            Err(_) => bail!("not ready within {READY_DEADLINE:?}; {}", log_tail(&log)),
        };
        let mut drain = JoinSet::new();
        drain.spawn(async move {
            // Whatever the child prints later is of no interest; the end of the pipe ends this task.
            let _ = tokio::io::copy(&mut lines, &mut tokio::io::sink()).await;
        });
        Ok(Self {
            http,
            admin,
            ready_after,
            pid,
            child,
            log,
            _drain: drain,
        })
    }

    /// Asks it to end and waits until it did.
    pub(crate) async fn stop(self) -> Result<()> {
        self.end(Signal::TERM).await
    }

    /// Kills it as a crash would.
    pub(crate) async fn kill(self) -> Result<()> {
        self.end(Signal::KILL).await
    }

    async fn end(mut self, signal: Signal) -> Result<()> {
        let pid = i32::try_from(self.pid)
            .ok()
            .and_then(Pid::from_raw)
            .context("a pid out of range")?;
        rustix::process::kill_process(pid, signal)
            .with_context(|| format!("the process had already ended; {}", log_tail(&self.log)))?;
        let Ok(status) = tokio::time::timeout(STOP_DEADLINE, self.child.wait()).await else {
            self.child.kill().await.context("cannot kill the child")?;
            bail!(
                "did not end within {STOP_DEADLINE:?} of SIGTERM; {}",
                log_tail(&self.log)
            );
        };
        status.map(|_| ()).context("cannot wait for the child")
    }

    /// The address of the metrics.
    pub(crate) fn admin(&self) -> Result<SocketAddr> {
        self.admin.context("the ready line named no admin address")
    }
}

fn command_name(command: &Command) -> String {
    command.as_std().get_program().to_string_lossy().into_owned()
}

async fn ready_line(lines: &mut BufReader<ChildStdout>) -> Result<(SocketAddr, Option<SocketAddr>)> {
    let mut line = String::new();
    loop {
        line.clear();
        if lines
            .read_line(&mut line)
            .await
            .context("cannot read the child's stdout")?
            == 0
        {
            bail!("the child ended before it was ready");
        }
        if line.contains(" is ready: ") {
            return addresses(&line).ok_or_else(|| anyhow!("a ready line without an address: {line}"));
        }
    }
}

/// The addresses in `NAME is ready: http://ADDR (admin http://ADDR)`, either of them optional.
fn addresses(line: &str) -> Option<(SocketAddr, Option<SocketAddr>)> {
    let admin = line.split_once("(admin ").and_then(|(_, rest)| address(rest));
    let http = line.split_once(" is ready: ").and_then(|(_, rest)| address(rest));
    Some((http.or(admin)?, admin))
}

/// The address that the text begins with.
fn address(text: &str) -> Option<SocketAddr> {
    let rest = text.strip_prefix("http://")?;
    let end = rest.find(|c: char| c == ')' || c.is_whitespace()).unwrap_or(rest.len());
    rest[..end].parse().ok()
}

fn log_tail(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let tail = &text[text.len().saturating_sub(LOG_TAIL_BYTES)..];
    format!("its log ends: {}", String::from_utf8_lossy(tail).trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_lines() {
        let both = addresses("cocotalk is ready: http://127.0.0.1:8080 (admin http://127.0.0.1:9090)\n").unwrap();
        assert_eq!(
            both,
            (
                "127.0.0.1:8080".parse().unwrap(),
                Some("127.0.0.1:9090".parse().unwrap())
            )
        );
        let one = addresses("baseline is ready: http://127.0.0.1:4\n").unwrap();
        assert_eq!(one, ("127.0.0.1:4".parse().unwrap(), None));
        let admin = "127.0.0.1:5".parse().unwrap();
        assert_eq!(
            addresses("relay is ready: (admin http://127.0.0.1:5)\n"),
            Some((admin, Some(admin)))
        );
        assert_eq!(addresses("x is ready: nowhere"), None);
    }
}
