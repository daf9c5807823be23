//! One process of ours: started, listened to, stopped.

use std::io::{BufRead as _, BufReader, Read};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel, sync_channel};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, bail};
use cocotalk_servers::Guard;
use rustix::process::{Pid, Signal, kill_process};

use super::Event;

/// A cold start of a debug build on a busy machine.
const START_DEADLINE: Duration = Duration::from_mins(2);
/// Longer than the drain that a process grants itself.
const STOP_DEADLINE: Duration = Duration::from_secs(30);

/// A process of ours. Dropping it kills it.
pub(crate) struct Part {
    role: &'static str,
    child: Child,
    /// The line that says that it is ready.
    ready: Receiver<String>,
    /// Closed by its end.
    output: Receiver<()>,
    _guard: Guard,
}

impl Part {
    /// Starts it at free ports. What it says goes to our output, under its name.
    pub(crate) fn start(
        role: &'static str,
        program: &Path,
        config: &Path,
        events: &Sender<Event>,
    ) -> anyhow::Result<Self> {
        let mut command = Command::new(program);
        command
            .arg("--config")
            .arg(config)
            .args(["--admin-listen", "127.0.0.1:0"]);
        // Parts that no client connects to take this flag as well and have no use for it.
        command.args(["--listen", "127.0.0.1:0"]);
        // A group of its own: Ctrl-C in the terminal is for us, who stop everything in order.
        command.process_group(0).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let guard = Guard::of(&child)?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let (sender, ready) = sync_channel(1);
        let (open, output) = channel();
        let ended = events.clone();
        let out = stdout.expect("it is piped");
        thread::spawn(move || {
            pass_on(role, out, |line| {
                if line.starts_with(&format!("{role} is ready:")) {
                    // There is one such line, and room for it.
                    let _ = sender.try_send(line.to_owned());
                }
            });
            drop(open);
            // Nobody listens any more when everything is being stopped.
            let _ = ended.send(Event::Ended(role));
        });
        let errors = stderr.expect("it is piped");
        thread::spawn(move || pass_on(role, errors, |_| ()));
        Ok(Self {
            role,
            child,
            ready,
            output,
            _guard: guard,
        })
    }

    /// Waits until it is ready, and returns what it said then.
    pub(crate) fn ready(&self) -> anyhow::Result<String> {
        match self.ready.recv_timeout(START_DEADLINE) {
            Ok(line) => Ok(line),
            Err(RecvTimeoutError::Disconnected) => bail!("{} has ended before it was ready", self.role),
            Err(RecvTimeoutError::Timeout) => {
                bail!("{} is not ready after {} s", self.role, START_DEADLINE.as_secs())
            }
        }
    }

    /// Stops it in order.
    pub(crate) fn stop(mut self) -> anyhow::Result<()> {
        // It may have ended already.
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let in_time = self.output.recv_timeout(STOP_DEADLINE) == Err(RecvTimeoutError::Disconnected);
        if !in_time {
            bail!("{} does not stop and was killed", self.role);
        }
        self.child
            .wait()
            .with_context(|| format!("cannot wait for {}", self.role))?;
        println!("{} has stopped", self.role);
        Ok(())
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // Already gone is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn pass_on(role: &str, stream: impl Read, each: impl Fn(&str)) {
    for line in BufReader::new(stream).lines().map_while(Result::ok) {
        println!("{role:<11} | {line}");
        each(&line);
    }
}
