//! A server: what the three have in common once it is known how each is started.

use std::ffi::OsString;
use std::fmt;
use std::fs::{self, OpenOptions};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use rustix::process::Signal;

use crate::folder::Folder;
use crate::life::{Life, Orphan};
use crate::wait;

/// How much of its log is shown when a server does not start.
const LAST_LINES: usize = 12;

/// How a server is started, asked and stopped.
pub(crate) struct Launch {
    /// As people call it.
    pub(crate) name: &'static str,
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<OsString>,
    /// User and group, if not ours.
    pub(crate) user: Option<(u32, u32)>,
    pub(crate) address: SocketAddr,
    /// Succeeds when it does what servers of its kind are for.
    pub(crate) greet: fn(SocketAddr) -> anyhow::Result<()>,
    /// Asks it to end in order.
    pub(crate) stop: Signal,
    pub(crate) start_deadline: Duration,
    pub(crate) stop_deadline: Duration,
}

/// A server of ours. Dropping it kills it, unless its folder is kept: then it runs on.
pub struct Server {
    launch: Launch,
    url: String,
    proxied: Option<SocketAddr>,
    life: Option<Life>,
    is_paused: bool,
    // Dropped last: what runs in it is dead by then.
    folder: Folder,
}

impl Server {
    /// Starts it, or takes over the one that runs in a kept folder, and waits until it answers.
    pub(crate) fn start(
        launch: Launch,
        url: String,
        proxied: Option<SocketAddr>,
        folder: Folder,
    ) -> anyhow::Result<Self> {
        let mut server = Self {
            launch,
            url,
            proxied,
            life: None,
            is_paused: false,
            folder,
        };
        server.life = Life::find(&server.folder.pid_file(), &server.folder.mark());
        let answers = server.life.is_some() && (server.launch.greet)(server.launch.address).is_ok();
        if !answers {
            server.kill()?;
            server.begin()?;
        }
        server.folder.settled();
        Ok(server)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.launch.address
    }

    /// How clients are told of it: an address of a database, or `host:port`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where a proxy connects to, of a server that was told to send its clients through one.
    pub fn proxied_address(&self) -> Option<SocketAddr> {
        self.proxied
    }

    /// Stops it in order, whatever state it is in. It can be started again.
    pub fn stop(&mut self) -> anyhow::Result<()> {
        self.resume();
        let Some(mut life) = self.life.take() else {
            return Ok(());
        };
        life.signal(self.launch.stop);
        let ended = life.ended(self.launch.stop_deadline);
        // A server that does not stop is killed, and that it did not is the error.
        life.kill()?;
        ended.with_context(|| format!("{self} does not stop"))
    }

    /// `kill -9`. It can be started again.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.is_paused = false;
        self.life.take().map_or(Ok(()), Life::kill)
    }

    /// SIGSTOP: it is there, holds what it holds, and answers nothing.
    pub fn pause(&mut self) {
        if let Some(life) = &self.life {
            // The first one twice: so it starts no other while the rest is stopped.
            life.signal(Signal::STOP);
            life.signal_all(Signal::STOP);
            self.is_paused = true;
        }
    }

    /// SIGCONT: it goes on where it was and knows of no time between.
    pub fn resume(&mut self) {
        if let Some(life) = self.life.as_ref().filter(|_| self.is_paused) {
            life.signal_all(Signal::CONT);
        }
        self.is_paused = false;
    }

    /// Starts it where it was: the same data, the same ports. One that runs is stopped first.
    pub fn restart(&mut self) -> anyhow::Result<()> {
        self.stop()?;
        self.begin()
    }

    /// Whether its process has not ended.
    pub fn is_running(&mut self) -> bool {
        self.life.as_mut().is_some_and(Life::is_running)
    }

    /// The end of what it said.
    pub fn last_words(&self) -> String {
        let log = fs::read(self.folder.log_file()).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(LAST_LINES)..].join("\n")
    }

    fn begin(&mut self) -> anyhow::Result<()> {
        let launch = &self.launch;
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.folder.log_file())?;
        let mut command = Command::new(&launch.program);
        command.args(&launch.arguments).current_dir(self.folder.path());
        command.stdout(log.try_clone()?).stderr(log);
        if let Some((user, group)) = launch.user {
            command.uid(user).gid(group);
        }
        let orphan = if self.folder.is_kept() {
            Orphan::RunsOn
        } else {
            Orphan::DiesWith(self.folder.path())
        };
        self.life = Some(Life::start(command, &self.folder.pid_file(), orphan)?);
        self.answers()
            .with_context(|| format!("{self} does not start; it said last:\n{}", self.last_words()))
    }

    /// Waits until it answers.
    fn answers(&mut self) -> anyhow::Result<()> {
        let (greet, address) = (self.launch.greet, self.launch.address);
        let end = Instant::now() + self.launch.start_deadline;
        loop {
            let Err(why) = greet(address) else {
                return Ok(());
            };
            ensure!(self.is_running(), "its process ended");
            if Instant::now() >= end {
                return Err(why.context(format!("no answer within {} s", self.launch.start_deadline.as_secs())));
            }
            wait::pause(Duration::from_millis(50));
        }
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}", self.launch.name, self.launch.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if !self.folder.is_kept() {
            // Whoever wants to know calls `stop` or `kill`.
            let _ = self.kill();
        }
    }
}
