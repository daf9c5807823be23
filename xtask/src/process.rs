//! Running other programs: for their exit status, for their text, or for both at once.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use anyhow::{Context, bail};

/// How long a program's output may stay open after it ended. Only a process that it left behind can hold it longer.
const OUTPUT_GRACE: Duration = Duration::from_secs(5);

/// Runs a program that shares our terminal and fails unless it succeeds.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<()> {
    let status = status(command)?;
    if !status.success() {
        bail!("`{}` ended with {status}", shown(command));
    }
    Ok(())
}

/// Runs a program that shares our terminal, for its status.
pub(crate) fn status(command: &mut Command) -> anyhow::Result<ExitStatus> {
    command
        .status()
        .with_context(|| format!("cannot start `{}`", shown(command)))
}

/// Runs a program and returns what it printed; fails with what it said on stderr unless it succeeds.
pub(crate) fn capture(command: &mut Command) -> anyhow::Result<String> {
    let output = command
        .output()
        .with_context(|| format!("cannot start `{}`", shown(command)))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("`{}` ended with {}: {}", shown(command), output.status, said.trim());
    }
    String::from_utf8(output.stdout).with_context(|| format!("`{}` printed no UTF-8", shown(command)))
}

/// How a program that was listened to came to its end.
pub(crate) struct Heard {
    /// What the program itself returned.
    pub(crate) status: ExitStatus,
    /// Whether its output closed with it. If not, a process that it started is still running.
    pub(crate) closed: bool,
}

/// Runs a program, passes its output on as it comes and shows each line to `listen`.
pub(crate) fn listen(command: &mut Command, mut listen: impl FnMut(&str) + Send + 'static) -> anyhow::Result<Heard> {
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start `{}`", shown(command)))?;
    let mut output = BufReader::new(child.stdout.take().expect("stdout is piped two lines up"));
    let (ended, end) = sync_channel::<()>(0);
    std::thread::spawn(move || {
        // Dropped when this thread ends, which is what the other side waits for.
        let _ended = ended;
        let mut line = Vec::new();
        while output.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
            let mut stdout = std::io::stdout().lock();
            // A closed terminal is no reason to stop counting.
            let _ = stdout.write_all(&line).and_then(|()| stdout.flush());
            listen(&String::from_utf8_lossy(&line));
            line.clear();
        }
    });
    let status = child
        .wait()
        .with_context(|| format!("cannot wait for `{}`", shown(command)))?;
    let closed = matches!(end.recv_timeout(OUTPUT_GRACE), Err(RecvTimeoutError::Disconnected));
    Ok(Heard { status, closed })
}

/// A command as one would type it.
pub(crate) fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[test]
    fn a_listener_hears_every_line_and_the_end() {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let hearing = Arc::clone(&heard);
        let mut command = Command::new("sh");
        command.args(["-c", "echo one; echo two; exit 3"]);
        let end = listen(&mut command, move |line| hearing.lock().unwrap().push(line.to_owned())).unwrap();
        assert_eq!(*heard.lock().unwrap(), ["one\n", "two\n"]);
        assert_eq!(end.status.code(), Some(3));
        assert!(end.closed);
    }

    #[test]
    fn a_failure_says_what_was_run_and_what_it_said() {
        let error = capture(Command::new("sh").args(["-c", "echo no luck >&2; exit 4"])).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`sh -c echo no luck >&2; exit 4` ended with exit status: 4: no luck"
        );
    }

    #[test]
    fn a_program_that_does_not_exist_is_named() {
        let error = run(&mut Command::new("no-such-program")).unwrap_err();
        assert_eq!(error.to_string(), "cannot start `no-such-program`");
    }
}
