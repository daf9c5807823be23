//! The processes of a server: started, signalled, waited for, and gone when whoever started them is.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};

use crate::wait;

/// How long the kernel may take to clear away what was killed.
const KILL_DEADLINE: Duration = Duration::from_secs(20);
/// How long whoever adopted a process may take to bury it. Not everybody does.
const BURIAL: Duration = Duration::from_secs(2);

/// A process and those that it started.
pub(crate) struct Life {
    pid: Pid,
    /// Absent if it may outlive us.
    child: Option<Child>,
    _guard: Option<Guard>,
}

/// What happens to a process when the one that started it is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Orphan<'a> {
    /// It is killed and this folder removed.
    DiesWith(&'a Path),
    /// It runs on.
    RunsOn,
}

impl Life {
    /// Starts it, with its number in a file.
    pub(crate) fn start(mut command: Command, pid_file: &Path, orphan: Orphan<'_>) -> anyhow::Result<Self> {
        // A group of its own: Ctrl-C in the terminal is for us, who stop it in order.
        command.process_group(0).stdin(Stdio::null());
        let child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
        let pid = Pid::from_child(&child);
        fs::write(pid_file, pid.as_raw_nonzero().to_string()).context("cannot write the number of a process")?;
        let (child, guard) = match orphan {
            Orphan::DiesWith(folder) => (Some(child), Some(Guard::over(pid, Some(folder))?)),
            Orphan::RunsOn => {
                bury(child);
                (None, None)
            }
        };
        Ok(Self {
            pid,
            child,
            _guard: guard,
        })
    }

    /// The process whose number this file holds, if it runs and is what we think it is: `mark` is in its command line.
    pub(crate) fn find(pid_file: &Path, mark: &str) -> Option<Self> {
        let number: u32 = fs::read_to_string(pid_file).ok()?.trim().parse().ok()?;
        let pid = Pid::from_raw(number.try_into().ok()?)?;
        let found = Self {
            pid,
            child: None,
            _guard: None,
        };
        (is_alive(pid) && command_line(pid)?.contains(mark)).then_some(found)
    }

    /// Whether it has not ended.
    pub(crate) fn is_running(&mut self) -> bool {
        match &mut self.child {
            Some(child) => matches!(child.try_wait(), Ok(None)),
            None => is_alive(self.pid),
        }
    }

    /// Signals the first of its processes.
    pub(crate) fn signal(&self, signal: Signal) {
        // Somebody who is gone needs no signal.
        let _ = kill_process(self.pid, signal);
    }

    /// Signals all of its processes.
    pub(crate) fn signal_all(&self, signal: Signal) {
        for pid in family(self.pid) {
            let _ = kill_process(pid, signal);
        }
    }

    /// `kill -9` for all of its processes, and waits until they are gone.
    pub(crate) fn kill(mut self) -> anyhow::Result<()> {
        // Stopped first, so that it starts no other while we look for those it has.
        self.signal(Signal::STOP);
        let family = family(self.pid);
        for pid in &family {
            let _ = kill_process(*pid, Signal::KILL);
        }
        wait::until("killed processes are gone", KILL_DEADLINE, || {
            let gone = !self.is_running() && !family[1..].iter().any(|pid| is_alive(*pid));
            gone.then_some(())
        })?;
        // Some programs take one that is dead and not buried for one that runs.
        let _ = wait::until("it is buried", BURIAL, || status(self.pid).is_none().then_some(()));
        Ok(())
    }

    /// Waits until all of its processes have ended by themselves.
    pub(crate) fn ended(&mut self, deadline: Duration) -> anyhow::Result<()> {
        wait::until("its process ends", deadline, || (!self.is_running()).then_some(()))
    }
}

/// Waits for the end of a process that may outlive us, so that it leaves the table of processes when it ends before us.
fn bury(mut child: Child) {
    std::thread::spawn(move || {
        // How it ends is for whoever ends it.
        let _ = child.wait();
    });
}

/// A process and everything that stems from it, itself first.
fn family(first: Pid) -> Vec<Pid> {
    let parents: Vec<(Pid, i32)> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?))
        .filter_map(|pid| Some((pid, status(pid)?.parent)))
        .collect();
    let mut family = vec![first];
    let mut next = 0;
    while let Some(parent) = family.get(next).map(|pid| pid.as_raw_nonzero().get()) {
        family.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(pid, _)| *pid));
        next += 1;
    }
    family
}

/// What the system says of a process.
#[derive(Debug, PartialEq, Eq)]
struct Status {
    state: char,
    parent: i32,
}

/// What the system says of a process, if it knows it.
fn status(pid: Pid) -> Option<Status> {
    parse_status(&fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?)
}

/// `<number> (<name>) <state> <parent> ...`; the name may hold anything, brackets included.
fn parse_status(stat: &str) -> Option<Status> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace();
    Some(Status {
        state: fields.next()?.chars().next()?,
        parent: fields.next()?.parse().ok()?,
    })
}

/// Whether it runs or could; one that only waits for its parent to notice its end does not.
fn is_alive(pid: Pid) -> bool {
    status(pid).is_some_and(|status| !matches!(status.state, 'Z' | 'X'))
}

/// The command line of a process, its words joined by spaces.
fn command_line(pid: Pid) -> Option<String> {
    let words = fs::read(format!("/proc/{}/cmdline", pid.as_raw_nonzero())).ok()?;
    Some(String::from_utf8_lossy(&words).replace('\0', " "))
}

/// Ends a process when we end without stopping it: killed, or interrupted. It waits on a pipe that only we hold open.
pub struct Guard(Child);

impl Guard {
    /// `$0` is the server, `$1` the folder to remove, if any. The server is ours no more then, and whoever adopted it buries
    /// it; its folder is removed when it cannot write into it any longer.
    const SCRIPT: &str = r#"read -r _
kill -9 "$0" $(cat "/proc/$0/task/$0/children" 2>/dev/null)
for _ in 1 2 3 4 5 6 7 8 9 10; do kill -0 "$0" || break; sleep 0.2; done
[ -z "$1" ] || rm -rf "$1""#;

    /// Over a process of ours and its children.
    pub fn of(child: &Child) -> anyhow::Result<Self> {
        Self::over(Pid::from_child(child), None)
    }

    fn over(pid: Pid, folder: Option<&Path>) -> anyhow::Result<Self> {
        let mut command = Command::new("sh");
        command.args(["-c", Self::SCRIPT, &pid.as_raw_nonzero().to_string()]);
        command.arg(folder.unwrap_or(Path::new("")));
        command
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command.spawn().map(Self).context("cannot start `sh`")
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // Already gone is as good.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeper(script: &str, folder: &Path) -> Life {
        let mut command = Command::new("sh");
        command.args(["-c", script]).stdout(Stdio::null());
        Life::start(command, &folder.join("pid"), Orphan::DiesWith(folder)).unwrap()
    }

    #[test]
    fn a_name_with_brackets_does_not_hide_state_and_parent() {
        let status = parse_status("17 (a) b) (c) S 4 17 17 0 -1").unwrap();
        assert_eq!(status, Status { state: 'S', parent: 4 });
        assert_eq!(parse_status("17 (a"), None);
    }

    #[test]
    fn a_process_is_found_by_its_number_and_its_command_line() {
        let folder = tempfile::tempdir().unwrap();
        let life = sleeper("sleep 60; echo mark-of-this-test", folder.path());
        let pid_file = folder.path().join("pid");
        // A process that has just begun may not have its command line yet.
        let find = || Life::find(&pid_file, "mark-of-this-test");
        wait::until("it has begun", Duration::from_secs(10), find).unwrap();
        assert!(Life::find(&pid_file, "another mark").is_none());
        life.kill().unwrap();
        assert!(Life::find(&pid_file, "mark-of-this-test").is_none());
    }

    #[test]
    fn a_pid_file_with_anything_else_in_it_finds_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let pid_file = folder.path().join("pid");
        for text in ["", "0", "-1", "many"] {
            fs::write(&pid_file, text).unwrap();
            assert!(Life::find(&pid_file, "").is_none(), "{text}");
        }
    }

    #[test]
    fn children_are_killed_with_their_parent() {
        let folder = tempfile::tempdir().unwrap();
        let life = sleeper("sleep 60 & sleep 61 & wait", folder.path());
        let family = wait::until("three processes", Duration::from_secs(10), || {
            Some(family(life.pid)).filter(|family| family.len() == 3)
        });
        let family = family.unwrap();
        life.kill().unwrap();
        assert!(!family.into_iter().any(is_alive));
    }

    #[test]
    fn a_guard_kills_and_clears_when_its_pipe_closes() {
        let folder = tempfile::tempdir().unwrap();
        let doomed = folder.path().join("doomed");
        fs::create_dir(&doomed).unwrap();
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let mut guard = Guard::over(Pid::from_child(&child), Some(&doomed)).unwrap();
        drop(guard.0.stdin.take());
        wait::until("the guarded process ends", Duration::from_secs(10), || {
            child.try_wait().unwrap()
        })
        .unwrap();
        wait::until("the folder is removed", Duration::from_secs(10), || {
            (!doomed.exists()).then_some(())
        })
        .unwrap();
    }
}
