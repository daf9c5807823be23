//! The steps of `cargo xtask test`: what each is called, and what it runs.

use std::process::Command;
use std::sync::{Arc, Mutex};

use clap::ValueEnum;

use super::tally::Tally;
use super::{Outcome, on_one_line};
use crate::workspace::cargo;
use crate::{process, tidy, tools};

/// One thing that must hold. Cheap steps come first, so that a slip shows early.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Step {
    /// Formatting.
    Fmt,
    /// What no compiler checks.
    Tidy,
    /// Bans, licenses and sources of dependencies.
    Deny,
    /// Lints with default features.
    Clippy,
    /// Lints of the adapters with every optional technology off.
    ClippyBare,
    /// Documentation.
    Doc,
    /// Unit, contract, property, documentation and end-to-end tests.
    Test,
}

impl Step {
    /// Every step, in the order they run.
    pub(crate) const ALL: [Self; 7] = [
        Self::Fmt,
        Self::Tidy,
        Self::Deny,
        Self::Clippy,
        Self::ClippyBare,
        Self::Doc,
        Self::Test,
    ];

    /// What the step is called on the command line and in the table.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Fmt => "fmt",
            Self::Tidy => "tidy",
            Self::Deny => "deny",
            Self::Clippy => "clippy",
            Self::ClippyBare => "clippy-bare",
            Self::Doc => "doc",
            Self::Test => "test",
        }
    }

    /// What the step runs, as one would type it.
    pub(crate) fn about(self) -> String {
        match self {
            Self::Fmt => process::shown(&fmt()),
            Self::Tidy => "cargo xtask tidy".to_owned(),
            Self::Deny => "cargo deny check bans licenses sources".to_owned(),
            Self::Clippy => process::shown(&clippy()),
            Self::ClippyBare => process::shown(&clippy_bare()),
            Self::Doc => format!("RUSTDOCFLAGS=\"-D warnings\" {}", process::shown(&doc())),
            Self::Test => process::shown(&test()),
        }
    }

    /// Runs the step with its output on our terminal.
    pub(crate) fn run(self) -> Outcome {
        match self {
            Self::Fmt => Outcome::of_check(run_with_component("fmt", "rustfmt", fmt())),
            Self::Tidy => Outcome::of_check(tidy::check()),
            Self::Deny => Outcome::of_check(run_deny()),
            Self::Clippy => Outcome::of_check(run_with_component("clippy", "clippy", clippy())),
            Self::ClippyBare => Outcome::of_check(run_with_component("clippy", "clippy", clippy_bare())),
            Self::Doc => Outcome::of_check(process::run(&mut doc())),
            Self::Test => run_tests(),
        }
    }
}

fn fmt() -> Command {
    cargo_with(&["fmt", "--all", "--", "--check"])
}

fn clippy() -> Command {
    cargo_with(&[
        "clippy",
        "--locked",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ])
}

/// The adapters are the crate with features: without them it must still build, with nothing left dangling.
fn clippy_bare() -> Command {
    let package = ["--package", "cocotalk-infra", "--no-default-features"];
    let mut command = cargo_with(&["clippy", "--locked", "--all-targets"]);
    command.args(package).args(["--", "-D", "warnings"]);
    command
}

fn doc() -> Command {
    let mut command = cargo_with(&["doc", "--locked", "--workspace", "--no-deps"]);
    command.env("RUSTDOCFLAGS", "-D warnings");
    command
}

fn test() -> Command {
    cargo_with(&["test", "--locked", "--workspace", "--no-fail-fast"])
}

fn cargo_with(args: &[&str]) -> Command {
    let mut command = cargo();
    command.args(args);
    command
}

fn run_with_component(subcommand: &str, component: &str, mut command: Command) -> anyhow::Result<()> {
    tools::ensure_component(subcommand, component)?;
    process::run(&mut command)
}

fn run_deny() -> anyhow::Result<()> {
    let program = tools::CARGO_DENY.ensure()?;
    let mut deny = Command::new(program);
    deny.current_dir(crate::workspace::root())
        .args(["--locked", "check", "bans", "licenses", "sources"]);
    process::run(&mut deny)
}

fn run_tests() -> Outcome {
    let counted = Arc::new(Mutex::new(Tally::default()));
    let counting = Arc::clone(&counted);
    let heard = process::listen(&mut test(), move |line| {
        if let Some(tally) = Tally::parse(line) {
            counting.lock().expect("no holder of this lock panics").add(tally);
        }
    });
    let tally = *counted.lock().expect("no holder of this lock panics");
    judge_tests(tally, heard)
}

/// The counts of the runners are the outcome, unless something outside of a test went wrong: that is one failure more.
fn judge_tests(mut tally: Tally, heard: anyhow::Result<process::Heard>) -> Outcome {
    let mut notes = vec![tally.to_string()];
    match heard {
        Err(error) => notes.push(on_one_line(&error)),
        Ok(heard) if !heard.closed => notes.push("a test left a process behind that still runs".to_owned()),
        Ok(heard) if !heard.status.success() && tally.failed == 0 => {
            notes.push(format!("the build or a test program broke down ({})", heard.status));
        }
        Ok(_) if tally.passed + tally.failed == 0 => notes.push("no test ran".to_owned()),
        Ok(_) => {}
    }
    tally.failed += u64::from(notes.len() > 1);
    Outcome {
        tally,
        note: notes.join("; "),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    use super::*;

    #[test]
    fn a_step_is_called_the_same_on_the_command_line_and_in_the_table() {
        for step in Step::ALL {
            let value = step.to_possible_value().expect("no step is hidden");
            assert_eq!(value.get_name(), step.name());
        }
        assert_eq!(Step::value_variants(), Step::ALL);
    }

    #[test]
    fn passed_tests_are_counted_as_they_are() {
        let outcome = judge(4, 0, 0, true);
        assert_eq!((outcome.tally.passed, outcome.tally.failed), (4, 0));
        assert_eq!(outcome.note, "4 passed, 0 failed");
    }

    #[test]
    fn failed_tests_are_not_counted_twice_for_the_exit_code_they_cause() {
        let outcome = judge(4, 2, 101, true);
        assert_eq!((outcome.tally.passed, outcome.tally.failed), (4, 2));
    }

    #[test]
    fn a_broken_build_is_one_failure() {
        let outcome = judge(0, 0, 101, true);
        assert_eq!(outcome.tally.failed, 1);
        assert!(
            outcome.note.contains("the build or a test program broke down"),
            "{}",
            outcome.note
        );
    }

    #[test]
    fn running_no_test_is_one_failure() {
        let outcome = judge(0, 0, 0, true);
        assert_eq!(outcome.tally.failed, 1);
        assert!(outcome.note.ends_with("no test ran"), "{}", outcome.note);
    }

    #[test]
    fn a_process_left_behind_is_one_failure() {
        let outcome = judge(4, 0, 0, false);
        assert_eq!((outcome.tally.passed, outcome.tally.failed), (4, 1));
    }

    fn judge(passed: u64, failed: u64, code: i32, closed: bool) -> Outcome {
        let status = ExitStatus::from_raw(code << 8);
        judge_tests(
            Tally {
                passed,
                failed,
                ignored: 0,
            },
            Ok(process::Heard { status, closed }),
        )
    }
}
