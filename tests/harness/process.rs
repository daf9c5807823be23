//! Child processes: started, waited for, stopped, killed, and gone when the test is.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// A cold start of a debug build on a busy machine; a store of a few thousand events is opened within it.
pub(crate) const START_DEADLINE: Duration = Duration::from_mins(1);
/// Longer than the drain that the server grants itself.
pub(crate) const STOP_DEADLINE: Duration = Duration::from_secs(30);

/// How a run of a binary ended and what it said.
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

/// Where a process that is ready is reached.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ready {
    /// By clients, if it serves any.
    pub(crate) public: Option<SocketAddr>,
    /// By operators.
    pub(crate) admin: SocketAddr,
}

impl Ready {
    /// `<name> is ready: http://<public> (admin http://<admin>)`, the first address only where there is one.
    fn parse(line: &str, name: &str) -> Option<Self> {
        let addresses = line.strip_prefix(name)?.strip_prefix(" is ready:")?;
        let (public, admin) = addresses.trim_end_matches(')').split_once("(admin http://").unwrap();
        let public = public.trim().strip_prefix("http://");
        Some(Self {
            public: public.map(|address| address.parse().unwrap()),
            admin: admin.parse().unwrap(),
        })
    }
}

/// An address that nobody has, below those that the system gives to outgoing connections: it is still free when the process
/// there is started again.
pub(crate) fn free_address(network: Ipv4Addr) -> SocketAddr {
    let is_free = |address: &SocketAddr| TcpListener::bind(address).is_ok();
    let mut tries = (0..1_000).map(|_| SocketAddr::from((network, rand::random_range(16_384..32_000))));
    tries.find(is_free).expect("there is a free port")
}

/// A child process whose output is collected and whose end is known, whoever asks for it. Dropping it kills it.
pub(crate) struct Process {
    pid: Pid,
    exit: Mutex<(Receiver<ExitStatus>, Option<ExitStatus>)>,
    lines: Mutex<Receiver<String>>,
    stdout: Output,
    stderr: Output,
}

impl Process {
    /// Starts it.
    pub(crate) fn spawn(mut command: Command) -> Self {
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

    /// Runs it to its end, which must come by itself.
    pub(crate) fn finish(command: Command) -> Finished {
        let process = Self::spawn(command);
        let status = process.wait(START_DEADLINE);
        let status = status.unwrap_or_else(|| panic!("did not end by itself; it said: {}", process.said()));
        process.finished(status)
    }

    /// Where it is, once it says so. An error is what it said instead, when it ends or takes too long.
    pub(crate) fn ready(&self, name: &str) -> Result<Ready, String> {
        let lines = self.lines.lock().unwrap();
        while let Ok(line) = lines.recv_timeout(START_DEADLINE) {
            if let Some(ready) = Ready::parse(&line, name) {
                return Ok(ready);
            }
        }
        Err(self.last_words())
    }

    /// Its number.
    pub(crate) fn pid(&self) -> Pid {
        self.pid
    }

    /// How much memory it holds, bytes.
    pub(crate) fn memory_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid.as_raw_nonzero())).unwrap();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        let kib: u64 = resident.trim().trim_end_matches(" kB").parse().unwrap();
        kib * 1_024
    }

    /// How it ended, if it ends in time.
    pub(crate) fn wait(&self, deadline: Duration) -> Option<ExitStatus> {
        let mut exit = self.exit.lock().unwrap();
        if exit.1.is_none() {
            exit.1 = exit.0.recv_timeout(deadline).ok();
        }
        exit.1
    }

    /// Waits for its end, which was asked for.
    pub(crate) fn ended(&self) -> Finished {
        let status = self.wait(STOP_DEADLINE);
        self.finished(status.unwrap_or_else(|| panic!("still running; it said: {}", self.said())))
    }

    /// Whether it has not ended.
    pub(crate) fn is_running(&self) -> bool {
        self.wait(Duration::ZERO).is_none()
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        if self.is_running() {
            // The process may end between the two lines; then there is nobody left to signal.
            let _ = kill_process(self.pid, signal);
        }
    }

    /// `kill -9`, and waits until it is gone.
    pub(crate) fn kill(&self) {
        self.signal(Signal::KILL);
        self.wait(STOP_DEADLINE).unwrap();
    }

    /// Everything on stdout so far.
    pub(crate) fn stdout(&self) -> String {
        self.stdout.text()
    }

    /// Everything on stderr so far, which of a process that has ended is all there will be.
    pub(crate) fn stderr(&self) -> String {
        if self.is_running() {
            self.stderr.text()
        } else {
            self.stderr.whole_text()
        }
    }

    fn finished(&self, status: ExitStatus) -> Finished {
        Finished {
            status,
            stdout: self.stdout.whole_text(),
            stderr: self.stderr.whole_text(),
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

/// Cleans up when the test process dies without dropping anything: what tests share lives in a static, and an interrupted
/// run drops nothing at all. It waits on a pipe that only this process holds open. Dropping it calls it off.
pub(crate) struct Guard(Child);

impl Guard {
    /// Runs this script of `sh`, whose `$0`, `$1` and so on are these arguments, at the end of the test process.
    pub(crate) fn running(script: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("read -r _; {script}")]).args(arguments);
        // In a group of its own: what ends the group of the test, as Ctrl-C does, must not end the guard as well.
        command
            .process_group(0)
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
