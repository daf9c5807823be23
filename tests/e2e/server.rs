//! The server under test: the real binary on a data folder of its own, started, stopped, killed and started again.

use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;
use tempfile::TempDir;

use crate::harness::NO_RATES;
use crate::harness::process::{Finished, Guard, Process};

/// The path of the binary that cargo built for this test.
pub(crate) fn binary() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_cocotalk"))
}

/// A data folder and a configuration file that outlive the servers started on them.
pub(crate) struct Folder {
    root: TempDir,
    /// Who runs the server, when it is not the user of the test.
    user: Option<u32>,
    /// The binary, copied where that user can reach it.
    program: PathBuf,
}

impl Folder {
    /// An empty store with the rates switched off.
    pub(crate) fn new() -> Self {
        Self::with_config(NO_RATES)
    }

    /// An empty store with a configuration of the test's choice.
    pub(crate) fn with_config(config: &str) -> Self {
        let root = tempfile::Builder::new().prefix("cocotalk-e2e-").tempdir().unwrap();
        std::fs::create_dir(root.path().join("data")).unwrap();
        std::fs::write(root.path().join("cocotalk.toml"), config).unwrap();
        Self {
            root,
            user: None,
            program: binary().to_owned(),
        }
    }

    /// The folder belongs to an unprivileged user and the server runs as that user, when the test runs as root: root may
    /// write anywhere, so a read-only folder would mean nothing to it.
    pub(crate) fn unprivileged() -> Self {
        use std::os::unix::fs::{PermissionsExt as _, chown};
        const NOBODY: u32 = 65_534;
        let mut folder = Self::new();
        if !rustix::process::geteuid().is_root() {
            return folder;
        }
        folder.program = folder.root.path().join("cocotalk");
        // Copied by another process: a file that this one holds open for writing, even for a moment, may be inherited by
        // a child that another test starts just then, and cannot be executed until that child is gone.
        let copied = Command::new("cp").arg(binary()).arg(&folder.program).status().unwrap();
        assert!(copied.success());
        std::fs::set_permissions(folder.root.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        chown(folder.data(), Some(NOBODY), Some(NOBODY)).unwrap();
        folder.user = Some(NOBODY);
        folder
    }

    /// Where the store is.
    pub(crate) fn data(&self) -> PathBuf {
        self.root.path().join("data")
    }

    /// The configuration file.
    pub(crate) fn config(&self) -> PathBuf {
        self.root.path().join("cocotalk.toml")
    }

    /// The arguments every run on this folder has.
    fn arguments(&self) -> Vec<String> {
        self.arguments_at(([127, 0, 0, 1], 0).into())
    }

    /// As for every run, listening at this address.
    pub(crate) fn arguments_at(&self, address: SocketAddr) -> Vec<String> {
        let listen = ["--listen", &address.to_string(), "--admin-listen", "127.0.0.1:0"].map(str::to_owned);
        let (data, config) = (self.data().display().to_string(), self.config().display().to_string());
        listen
            .into_iter()
            .chain(["--data".to_owned(), data, "--config".to_owned(), config])
            .collect()
    }

    /// Starts a server and waits until it says that it is ready.
    pub(crate) fn start(&self) -> Server {
        self.start_with(&[])
    }

    /// As `start`, with more arguments.
    pub(crate) fn start_with(&self, extra: &[&str]) -> Server {
        let mut command = Command::new(&self.program);
        command.args(self.arguments()).args(extra);
        self.launch(command).must_become_ready()
    }

    /// Starts a server with nothing but these arguments and does not wait for it.
    pub(crate) fn begin(&self, arguments: &[String]) -> Starting {
        let mut command = Command::new(&self.program);
        command.args(arguments);
        self.launch(command)
    }

    /// Starts a server that may not write any file beyond `blocks` of 512 bytes: what a full disk looks like.
    pub(crate) fn start_with_file_limit(&self, blocks: u32) -> Server {
        let mut command = Command::new("sh");
        command.args(["-c", "ulimit -f \"$0\"; exec \"$@\"", &blocks.to_string()]);
        command.arg(&self.program).args(self.arguments());
        self.launch(command).must_become_ready()
    }

    /// Runs the binary to its end, as a second server or a subcommand would be run.
    pub(crate) fn run(&self, arguments: &[&str]) -> Finished {
        let mut command = Command::new(&self.program);
        command.args(arguments);
        self.finish(command)
    }

    /// Starts a server that is expected to refuse.
    pub(crate) fn run_server(&self, extra: &[&str]) -> Finished {
        let mut command = Command::new(&self.program);
        command.args(self.arguments()).args(extra);
        self.finish(command)
    }

    fn finish(&self, mut command: Command) -> Finished {
        self.as_its_user(&mut command);
        Process::finish(command)
    }

    fn launch(&self, mut command: Command) -> Starting {
        self.as_its_user(&mut command);
        let process = Process::spawn(command);
        let (pid, folder) = (
            process.pid().as_raw_nonzero().to_string(),
            self.root.path().display().to_string(),
        );
        let guard = Guard::running("kill -9 \"$0\"; rm -rf \"$1\"", &[&pid, &folder]);
        Starting { process, guard }
    }

    fn as_its_user(&self, command: &mut Command) {
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
        command.current_dir(self.root.path()).env_remove("RUST_LOG");
    }
}

/// A server that has not said yet that it is ready.
pub(crate) struct Starting {
    process: Process,
    guard: Guard,
}

impl Starting {
    /// Waits until it is ready. An error is what it said instead.
    pub(crate) fn ready(self) -> Result<Server, String> {
        let Self { process, guard } = self;
        let ready = process.ready("cocotalk")?;
        Ok(Server {
            public: ready.public.expect("it serves clients"),
            admin: ready.admin,
            process,
            _guard: guard,
        })
    }

    /// Whether the process is still there.
    pub(crate) fn is_running(&self) -> bool {
        self.process.is_running()
    }

    fn must_become_ready(self) -> Server {
        self.ready()
            .unwrap_or_else(|said| panic!("the server did not become ready; it said: {said}"))
    }
}

/// A running server. Dropping it kills it.
pub(crate) struct Server {
    /// Where clients talk to it.
    pub(crate) public: SocketAddr,
    /// Where operators talk to it.
    pub(crate) admin: SocketAddr,
    process: Process,
    _guard: Guard,
}

impl Server {
    /// `kill -9`, and waits until the process is gone. Everything that it said on stderr.
    pub(crate) fn kill(self) -> String {
        self.process.kill();
        self.process.stderr()
    }

    /// SIGTERM; `ended` waits for what follows.
    pub(crate) fn terminate(&self) {
        self.process.signal(Signal::TERM);
    }

    /// Waits for the end of the process.
    pub(crate) fn ended(&self) -> Finished {
        self.process.ended()
    }

    /// Whether the process has not ended by itself.
    pub(crate) fn is_running(&self) -> bool {
        self.process.is_running()
    }

    /// How much memory it holds.
    pub(crate) fn memory_bytes(&self) -> u64 {
        self.process.memory_bytes()
    }

    /// Everything on stdout so far.
    pub(crate) fn stdout(&self) -> String {
        self.process.stdout()
    }

    /// Everything on stderr so far.
    pub(crate) fn stderr(&self) -> String {
        self.process.stderr()
    }
}
