//! The table of steps and the closing line.

use std::fmt;
use std::time::Duration;

use super::Outcome;
use super::tally::Tally;

/// How the steps went so far, in the order they ran.
#[derive(Default)]
pub(crate) struct Report {
    rows: Vec<Row>,
}

struct Row {
    step: &'static str,
    time: Duration,
    outcome: Outcome,
}

impl Report {
    /// Adds a step that ended.
    pub(crate) fn add(&mut self, step: &'static str, time: Duration, outcome: Outcome) {
        self.rows.push(Row { step, time, outcome });
    }

    /// Whether all of it held, and there was something to hold.
    pub(crate) fn is_good(&self) -> bool {
        let sum = self.sum();
        sum.failed == 0 && sum.passed > 0
    }

    fn sum(&self) -> Tally {
        let mut sum = Tally::default();
        for row in &self.rows {
            sum.add(row.outcome.tally);
        }
        sum
    }
}

impl fmt::Display for Report {
    /// The table, an empty line, and the one line that tools and people look for last: `N passed, N failed`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<12} {:<7} {:>8}", "step", "result", "time")?;
        for Row { step, time, outcome } in &self.rows {
            let result = if outcome.is_good() { "passed" } else { "FAILED" };
            let row = format!("{step:<12} {result:<7} {:>6.1} s  {}", time.as_secs_f64(), outcome.note);
            writeln!(f, "{}", row.trim_end())?;
        }
        let Tally {
            passed,
            failed,
            ignored: _,
        } = self.sum();
        writeln!(f, "\n{passed} passed, {failed} failed")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_sums_up_runners_and_steps() {
        let mut report = Report::default();
        report.add("fmt", Duration::from_millis(1234), Outcome::of_check(Ok(())));
        report.add(
            "tidy",
            Duration::ZERO,
            Outcome::of_check(Err(anyhow::anyhow!("2 findings"))),
        );
        let tally = Tally {
            passed: 40,
            failed: 2,
            ignored: 1,
        };
        report.add(
            "test",
            Duration::from_secs(70),
            Outcome {
                tally,
                note: tally.to_string(),
            },
        );
        let expected = "\
step         result      time
fmt          passed     1.2 s
tidy         FAILED     0.0 s  2 findings
test         FAILED    70.0 s  40 passed, 2 failed, 1 ignored

41 passed, 3 failed
";
        assert_eq!(report.to_string(), expected);
        assert!(!report.is_good());
    }

    #[test]
    fn a_run_of_nothing_is_not_good() {
        assert!(!Report::default().is_good());
    }
}
