//! One process of the cluster, which can be killed, stopped in its tracks, and started again where it was.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard};

use rustix::process::Signal;

use crate::harness::process::{Finished, Guard, Process, free_address};

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    CommandApi,
    QueryApi,
    Relay,
    Projectors,
}

impl Role {
    pub(crate) const ALL: [Self; 4] = [Self::CommandApi, Self::QueryApi, Self::Relay, Self::Projectors];

    /// Its binary, and the first word of its ready line.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::CommandApi => "command-api",
            Self::QueryApi => "query-api",
            Self::Relay => "relay",
            Self::Projectors => "projectors",
        }
    }

    /// The path of the binary that cargo built for this test.
    pub(crate) const fn program(self) -> &'static str {
        match self {
            Self::CommandApi => env!("CARGO_BIN_EXE_command-api"),
            Self::QueryApi => env!("CARGO_BIN_EXE_query-api"),
            Self::Relay => env!("CARGO_BIN_EXE_relay"),
            Self::Projectors => env!("CARGO_BIN_EXE_projectors"),
        }
    }

    /// Whether clients connect to it.
    pub(crate) const fn serves_clients(self) -> bool {
        match self {
            Self::CommandApi | Self::QueryApi => true,
            Self::Relay | Self::Projectors => false,
        }
    }
}

/// One process, at addresses that are its own whether it runs or not.
pub(crate) struct Node {
    pub(crate) role: Role,
    /// Which of its role.
    pub(crate) index: usize,
    config: PathBuf,
    public: Option<SocketAddr>,
    admin: SocketAddr,
    life: Mutex<Life>,
}

/// The process, if there is one, and what those before it said.
#[derive(Default)]
struct Life {
    running: Option<Running>,
    said: String,
}

struct Running {
    process: Process,
    _guard: Guard,
}

impl Running {
    fn said(&self) -> String {
        format!("{}{}", self.process.stdout(), self.process.stderr())
    }
}

impl Node {
    /// Starts it with this configuration. `ready` waits for it.
    pub(crate) fn begin(role: Role, index: usize, config: &Path) -> Self {
        Self::begin_listening(role, index, config, Ipv4Addr::LOCALHOST)
    }

    /// As `begin`, with clients connecting to this network.
    pub(crate) fn begin_listening(role: Role, index: usize, config: &Path, network: Ipv4Addr) -> Self {
        let node = Self {
            role,
            index,
            config: config.to_owned(),
            public: role.serves_clients().then(|| free_address(network)),
            admin: free_address(Ipv4Addr::LOCALHOST),
            life: Mutex::default(),
        };
        node.begin_again();
        node
    }

    /// Starts it again, at the same addresses with the same configuration, and waits until it is ready.
    pub(crate) fn restart(&self) {
        self.begin_again();
        self.ready();
    }

    /// As `restart`, without the waiting.
    pub(crate) fn begin_again(&self) {
        assert!(!self.is_running(), "{self} runs already");
        let mut command = Command::new(self.role.program());
        command.arg("--config").arg(&self.config);
        command.args(["--admin-listen", &self.admin.to_string()]);
        if let Some(public) = self.public {
            command.args(["--listen", &public.to_string()]);
        }
        command
            .current_dir(self.config.parent().unwrap())
            .env_remove("RUST_LOG");
        let process = Process::spawn(command);
        let pid = process.pid().as_raw_nonzero().to_string();
        let running = Running {
            process,
            _guard: Guard::running("kill -9 \"$0\"", &[&pid]),
        };
        self.bury();
        self.life().running = Some(running);
    }

    /// Waits until it is ready.
    pub(crate) fn ready(&self) {
        let ready = self.with(|process| process.ready(self.role.name()));
        let ready = ready.unwrap_or_else(|said| panic!("{self} did not become ready; it said: {said}"));
        assert_eq!((ready.public, ready.admin), (self.public, self.admin), "{self}");
    }

    /// Where clients connect.
    pub(crate) fn public(&self) -> SocketAddr {
        self.public.expect("clients connect to it")
    }

    /// Where operators connect.
    pub(crate) fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// `kill -9`, and waits until it is gone.
    pub(crate) fn kill(&self) {
        self.with(Process::kill);
        self.bury();
    }

    /// SIGTERM; `ended` waits for what follows.
    pub(crate) fn terminate(&self) {
        self.with(|process| process.signal(Signal::TERM));
    }

    /// SIGSTOP: it is there, holds what it holds, and does nothing.
    pub(crate) fn pause(&self) {
        self.with(|process| process.signal(Signal::STOP));
    }

    /// SIGCONT: it goes on where it was and knows of no time between.
    pub(crate) fn resume(&self) {
        self.with(|process| process.signal(Signal::CONT));
    }

    /// How it ended after it was terminated.
    pub(crate) fn ended(&self) -> Finished {
        let finished = self.with(Process::ended);
        self.bury();
        finished
    }

    /// Whether there is a process and it has not ended.
    pub(crate) fn is_running(&self) -> bool {
        let life = self.life();
        life.running
            .as_ref()
            .is_some_and(|running| running.process.is_running())
    }

    /// How much memory it holds.
    pub(crate) fn memory_bytes(&self) -> u64 {
        self.with(Process::memory_bytes)
    }

    /// Everything it said, in this life and those before.
    pub(crate) fn log(&self) -> String {
        let life = self.life();
        let now = life.running.as_ref().map_or(String::new(), Running::said);
        format!("{}{now}", life.said)
    }

    fn with<T>(&self, what: impl FnOnce(&Process) -> T) -> T {
        let life = self.life();
        let running = life.running.as_ref().unwrap_or_else(|| panic!("{self} does not run"));
        what(&running.process)
    }

    fn bury(&self) {
        let mut life = self.life();
        if let Some(running) = life.running.take() {
            life.said.push_str(&running.said());
        }
    }

    fn life(&self) -> MutexGuard<'_, Life> {
        // A test that fails while it looks at a node leaves nothing half done.
        self.life.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl std::fmt::Display for Node {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{} {}", self.role.name(), self.index)
    }
}
