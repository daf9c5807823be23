//! `cargo xtask test`: every step in turn, a table of how they went, and one closing line.
//!
//! A failed step does not stop the ones after it: one run tells everything that is wrong. A step that cannot run has failed;
//! nothing is skipped in silence.

mod promtool;
mod report;
mod runner;
mod schemathesis;
pub(crate) mod step;
mod tally;

use std::process::ExitCode;
use std::time::Instant;

use self::report::Report;
use self::step::Step;
use self::tally::Tally;
use crate::servers::{Lifetime, Servers};

/// Prints the steps in the order they run.
pub(crate) fn list() {
    for step in Step::ALL {
        println!("{:<12}{}", step.name(), step.about());
    }
}

/// Runs the steps named in `only`, or all of them, and reports.
pub(crate) fn run(only: &[Step], lifetime: Lifetime) -> ExitCode {
    let mut report = Report::default();
    for step in Step::ALL {
        if !only.is_empty() && !only.contains(&step) {
            continue;
        }
        println!("\n=== {}: {}", step.name(), step.about());
        let started = Instant::now();
        // Servers of its own: topics and tables of one step are a burden to the next.
        let mut servers = Servers::new(lifetime);
        let outcome = step.run(&mut servers);
        if !outcome.is_good() {
            println!("=== {} failed: {}", step.name(), outcome.note);
        }
        report.add(step.name(), started.elapsed(), outcome);
        let stopping = Instant::now();
        if let Err(error) = servers.stop() {
            report.add("stop", stopping.elapsed(), Outcome::of_check(Err(error)));
        }
    }
    print!("\n{report}");
    if report.is_good() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// How a step went.
pub(crate) struct Outcome {
    /// What the step adds to the closing line.
    tally: Tally,
    /// A few words for the table: counts, or the reason of a failure.
    note: String,
}

impl Outcome {
    /// A step other than the test runner: it counts as one.
    fn of_check(result: anyhow::Result<()>) -> Self {
        match result {
            Ok(()) => Self {
                tally: Tally::PASS,
                note: String::new(),
            },
            Err(error) => Self {
                tally: Tally::FAIL,
                note: on_one_line(&error),
            },
        }
    }

    fn is_good(&self) -> bool {
        self.tally.failed == 0
    }
}

/// The whole chain, for a row of a table: the reason first, then what it stands on.
fn on_one_line(error: &anyhow::Error) -> String {
    format!("{error:#}")
        .lines()
        .map(str::trim)
        .collect::<Vec<_>>()
        .join(" ")
}
