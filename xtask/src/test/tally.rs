//! Counting what test runners report in their `test result:` lines.

use std::fmt;

/// How many tests, or steps, went which way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Those that held.
    pub(crate) passed: u64,
    /// Those that did not.
    pub(crate) failed: u64,
    /// Those that a runner did not run; shown, so that they are missed by nobody.
    pub(crate) ignored: u64,
}

impl Tally {
    /// One thing that held.
    pub(crate) const PASS: Self = Self {
        passed: 1,
        failed: 0,
        ignored: 0,
    };
    /// One thing that did not.
    pub(crate) const FAIL: Self = Self {
        passed: 0,
        failed: 1,
        ignored: 0,
    };

    /// Reads a line such as `test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s`;
    /// any other line is `None`. Something may stand before it: a test can leave a line of its own unfinished.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let line = without_colors(line);
        let (_before, result) = line.split_once("test result: ")?;
        let (_verdict, counts) = result.split_once(". ")?;
        let count = |word: &str| {
            let mut parts = counts.split(';').map(str::trim);
            parts.find_map(|part| part.strip_suffix(word)?.trim_end().parse::<u64>().ok())
        };
        Some(Self {
            passed: count("passed")?,
            failed: count("failed")?,
            ignored: count("ignored")?,
        })
    }

    /// Adds the counts of another runner.
    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.ignored += other.ignored;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)?;
        if self.ignored > 0 {
            write!(f, ", {} ignored", self.ignored)?;
        }
        Ok(())
    }
}

/// The line without the escape sequences (`ESC [ ... m`) that colour it.
fn without_colors(line: &str) -> String {
    let mut parts = line.split("\u{1b}[");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        plain.push_str(part.split_once('m').map_or("", |(_codes, text)| text));
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_good_result_is_counted() {
        let line = "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 3 filtered out; finished in 0.02s\n";
        assert_eq!(
            Tally::parse(line),
            Some(Tally {
                passed: 12,
                failed: 0,
                ignored: 1
            })
        );
    }

    #[test]
    fn a_bad_result_is_counted() {
        let line = "test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.50s";
        assert_eq!(
            Tally::parse(line),
            Some(Tally {
                passed: 3,
                failed: 2,
                ignored: 0
            })
        );
    }

    #[test]
    fn colors_do_not_hide_a_result() {
        let line = "test result: \u{1b}[32mok\u{1b}[m. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out";
        assert_eq!(
            Tally::parse(line),
            Some(Tally {
                passed: 1,
                failed: 0,
                ignored: 0
            })
        );
    }

    #[test]
    fn an_unfinished_line_does_not_hide_a_result() {
        let line = "listening on port 80test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out";
        assert_eq!(
            Tally::parse(line),
            Some(Tally {
                passed: 1,
                failed: 0,
                ignored: 0
            })
        );
    }

    #[test]
    fn other_lines_are_not_counted() {
        for line in [
            "",
            "running 3 tests",
            "test result: ok",
            "test room::opens ... ok",
            "3 passed; 0 failed; 0 ignored",
        ] {
            assert_eq!(Tally::parse(line), None, "{line}");
        }
    }

    #[test]
    fn tallies_add_up_and_name_what_did_not_run() {
        let mut sum = Tally::PASS;
        sum.add(Tally::FAIL);
        assert_eq!(sum.to_string(), "1 passed, 1 failed");
        sum.add(Tally {
            passed: 2,
            failed: 0,
            ignored: 1,
        });
        assert_eq!(sum.to_string(), "3 passed, 1 failed, 1 ignored");
    }
}
