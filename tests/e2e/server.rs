//! The server under test: the real binary on a data folder of its own, started, stopped, killed and started again.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// A cold start of a debug build on a busy machine; a store of a few thousand events is opened within it.
const START_DEADLINE: Duration = Duration::from_mins(1);
/// Longer than the drain that the server grants itself.
const STOP_DEADLINE: Duration = Duration::from_secs(30);

/// Tests send as fast as they can, so the rates are switched off, by configuration as the contract says.
pub(crate) const NO_RATES: &str =
    "[limits.rate]\ncommands_per_minute = 0\nqueries_per_minute = 0\nframes_per_minute = 0\n";

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
        let process = Process::spawn(command);
        let status = process.wait(START_DEADLINE);
        let status = status.unwrap_or_else(|| panic!("did not end by itself; it said: {}", process.said()));
        let stdout = process.stdout.whole_text();
        Finished {
            status,
            stdout,
            stderr: process.stderr.whole_text(),
        }
    }

    fn launch(&self, mut command: Command) -> Starting {
        self.as_its_user(&mut command);
        let process = Process::spawn(command);
        let guard = Guard::of(process.pid, self.root.path());
        Starting { process, guard }
    }

    fn as_its_user(&self, command: &mut Command) {
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
        command.current_dir(self.root.path()).env_remove("RUST_LOG");
    }
}

/// How a run of the binary ended and what it said.
pub(crate) struct Finished {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Finished {
    /// The exit code; a death by signal is a failure of the test.
    pub(crate) fn code(&self) -> i32 {
        self.status
            .code()
            .unwrap_or_else(|| panic!("ended by a signal: {}", self.stderr))
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
        match process.ready_line() {
            Some((public, admin)) => Ok(Server {
                public,
                admin,
                process,
                _guard: guard,
            }),
            None => Err(process.last_words()),
        }
    }

    /// Whether the process is still there.
    pub(crate) fn is_running(&self) -> bool {
        self.process.wait(Duration::ZERO).is_none()
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
    /// The one server of all tests that do not restart theirs.
    pub(crate) fn shared() -> &'static Self {
        static SHARED: OnceLock<(Folder, Server)> = OnceLock::new();
        let (_, server) = SHARED.get_or_init(|| {
            let folder = Folder::new();
            let server = folder.start();
            (folder, server)
        });
        server
    }

    /// `kill -9`, and waits until the process is gone.
    pub(crate) fn kill(self) {
        self.process.signal(Signal::KILL);
        self.process.wait(STOP_DEADLINE).unwrap();
    }

    /// SIGTERM; `ended` waits for what follows.
    pub(crate) fn terminate(&self) {
        self.process.signal(Signal::TERM);
    }

    /// Waits for the end of the process.
    pub(crate) fn ended(&self) -> ExitStatus {
        let status = self.process.wait(STOP_DEADLINE);
        status.unwrap_or_else(|| panic!("still running; it said: {}", self.process.said()))
    }

    /// Whether the process has not ended by itself.
    pub(crate) fn is_running(&self) -> bool {
        self.process.wait(Duration::ZERO).is_none()
    }

    /// Everything on stdout so far.
    pub(crate) fn stdout(&self) -> String {
        self.process.stdout.text()
    }

    /// Everything on stderr so far.
    pub(crate) fn stderr(&self) -> String {
        if self.is_running() {
            self.process.stderr.text()
        } else {
            self.process.stderr.whole_text()
        }
    }
}

/// A child process whose output is collected and whose end is known, whoever asks for it.
struct Process {
    pid: Pid,
    exit: Mutex<(Receiver<ExitStatus>, Option<ExitStatus>)>,
    lines: Mutex<Receiver<String>>,
    stdout: Output,
    stderr: Output,
}

impl Process {
    fn spawn(mut command: Command) -> Self {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let pid = Pid::from_child(&child);
        let (sender, lines) = channel();
        let stdout = Output::collect(child.stdout.take().unwrap(), move |line| drop(sender.send(line)));
        let stderr = Output::collect(child.stderr.take().unwrap(), drop);
        let exit = Mutex::new((reap(child), None));
        Self {
            pid,
            exit,
            lines: Mutex::new(lines),
            stdout,
            stderr,
        }
    }

    /// The two addresses of the line that says so, or nothing when the process ends or takes too long.
    fn ready_line(&self) -> Option<(SocketAddr, SocketAddr)> {
        let lines = self.lines.lock().unwrap();
        while let Ok(line) = lines.recv_timeout(START_DEADLINE) {
            if let Some(rest) = line.strip_prefix("cocotalk is ready: http://") {
                let (public, admin) = rest.trim_end_matches(')').split_once(" (admin http://").unwrap();
                return Some((public.parse().unwrap(), admin.parse().unwrap()));
            }
        }
        None
    }

    fn wait(&self, deadline: Duration) -> Option<ExitStatus> {
        let mut exit = self.exit.lock().unwrap();
        if exit.1.is_none() {
            exit.1 = exit.0.recv_timeout(deadline).ok();
        }
        exit.1
    }

    fn signal(&self, signal: Signal) {
        if self.wait(Duration::ZERO).is_none() {
            // The process may end between the two lines; then there is nobody left to signal.
            let _ = kill_process(self.pid, signal);
        }
    }

    /// What it said until it ended, if it has.
    fn last_words(&self) -> String {
        match self.wait(STOP_DEADLINE) {
            Some(_) => format!("{}{}", self.stdout.whole_text(), self.stderr.whole_text()),
            None => self.said(),
        }
    }

    fn said(&self) -> String {
        format!("{}{}", self.stdout.text(), self.stderr.text())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
        self.wait(STOP_DEADLINE);
    }
}

fn reap(mut child: Child) -> Receiver<ExitStatus> {
    let (sender, exit) = channel();
    std::thread::spawn(move || {
        // Nobody may be waiting any more; the child is reaped all the same.
        let _ = sender.send(child.wait().unwrap());
    });
    exit
}

/// One stream of a process, collected by a thread of its own so that the pipe never fills.
struct Output {
    text: Arc<Mutex<String>>,
    end: Mutex<Receiver<()>>,
}

impl Output {
    fn collect(stream: impl Read + Send + 'static, each: impl Fn(String) + Send + 'static) -> Self {
        let text = Arc::new(Mutex::new(String::new()));
        let sink = Arc::clone(&text);
        let (ended, end) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                writeln!(sink.lock().unwrap(), "{line}").unwrap();
                each(line);
            }
            drop(ended);
        });
        let end = Mutex::new(end);
        Self { text, end }
    }

    fn text(&self) -> String {
        self.text.lock().unwrap().clone()
    }

    /// All there will ever be, of a process that has ended: the last lines may still be in the pipe.
    fn whole_text(&self) -> String {
        // Nothing is ever sent; the channel is closed by the end of the stream.
        let _ = self.end.lock().unwrap().recv_timeout(STOP_DEADLINE);
        self.text()
    }
}

/// Ends the server and removes its folder when the test process dies without dropping anything: the shared server lives
/// in a static, and an interrupted run drops nothing at all. It waits on a pipe that only this process holds open.
struct Guard(Child);

impl Guard {
    fn of(pid: Pid, folder: &Path) -> Self {
        let mut command = Command::new("sh");
        command.args([
            "-c",
            "read -r _; kill -9 \"$0\"; rm -rf \"$1\"",
            &pid.as_raw_nonzero().to_string(),
        ]);
        command
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Self(command.spawn().unwrap())
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // Already gone is as good.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
