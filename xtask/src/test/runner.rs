//! Running tests and counting them.

use std::process::Command;
use std::sync::{Arc, Mutex};

use super::tally::Tally;
use super::{Outcome, on_one_line};
use crate::process;

/// Runs these one after another, whatever becomes of each, and counts what all of them report.
pub(crate) fn run(commands: impl IntoIterator<Item = Command>) -> Outcome {
    sum(commands.into_iter().map(|mut command| run_one(&mut command)))
}

fn sum(runs: impl Iterator<Item = Run>) -> Outcome {
    let mut tally = Tally::default();
    let mut notes = Vec::new();
    for run in runs {
        tally.add(run.tally);
        notes.extend(run.trouble);
    }
    notes.insert(0, tally.to_string());
    Outcome {
        tally,
        note: notes.join("; "),
    }
}

struct Run {
    tally: Tally,
    /// What went wrong outside of a test.
    trouble: Option<String>,
}

fn run_one(command: &mut Command) -> Run {
    let counted = Arc::new(Mutex::new(Tally::default()));
    let counting = Arc::clone(&counted);
    let heard = process::listen(command, move |line| {
        if let Some(tally) = Tally::parse(line) {
            counting.lock().expect("no holder of this lock panics").add(tally);
        }
    });
    let tally = *counted.lock().expect("no holder of this lock panics");
    judge(tally, heard)
}

/// The counts of the runners are the outcome, unless something outside of a test went wrong: that is one failure more.
fn judge(mut tally: Tally, heard: anyhow::Result<process::Heard>) -> Run {
    let trouble = match heard {
        Err(error) => Some(on_one_line(&error)),
        Ok(heard) if !heard.closed => Some("a test left a process behind that still runs".to_owned()),
        Ok(heard) if !heard.status.success() && tally.failed == 0 => {
            Some(format!("the build or a test program broke down ({})", heard.status))
        }
        Ok(_) if tally.passed + tally.failed == 0 => Some("no test ran".to_owned()),
        Ok(_) => None,
    };
    tally.failed += u64::from(trouble.is_some());
    Run { tally, trouble }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    use super::*;

    #[test]
    fn passed_tests_are_counted_as_they_are() {
        let run = judged(4, 0, 0, true);
        assert_eq!((run.tally.passed, run.tally.failed), (4, 0));
        assert_eq!(run.trouble, None);
    }

    #[test]
    fn failed_tests_are_not_counted_twice_for_the_exit_code_they_cause() {
        let run = judged(4, 2, 101, true);
        assert_eq!((run.tally.passed, run.tally.failed), (4, 2));
    }

    #[test]
    fn a_broken_build_is_one_failure() {
        let run = judged(0, 0, 101, true);
        assert_eq!(run.tally.failed, 1);
        let trouble = run.trouble.unwrap();
        assert!(
            trouble.starts_with("the build or a test program broke down"),
            "{trouble}"
        );
    }

    #[test]
    fn running_no_test_is_one_failure() {
        let run = judged(0, 0, 0, true);
        assert_eq!(run.tally.failed, 1);
        assert_eq!(run.trouble.unwrap(), "no test ran");
    }

    #[test]
    fn a_process_left_behind_is_one_failure() {
        let run = judged(4, 0, 0, false);
        assert_eq!((run.tally.passed, run.tally.failed), (4, 1));
    }

    #[test]
    fn several_runs_add_up_and_each_must_run_something() {
        let runs = [judged(3, 0, 0, true), judged(0, 0, 0, true), judged(3, 0, 0, true)];
        let outcome = sum(runs.into_iter());
        assert_eq!((outcome.tally.passed, outcome.tally.failed), (6, 1));
        assert_eq!(outcome.note, "6 passed, 1 failed; no test ran");
    }

    fn judged(passed: u64, failed: u64, code: i32, closed: bool) -> Run {
        let status = ExitStatus::from_raw(code << 8);
        judge(
            Tally {
                passed,
                failed,
                ignored: 0,
            },
            Ok(process::Heard { status, closed }),
        )
    }
}
