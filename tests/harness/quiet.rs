//! While a test lasts, the processes that tests share have nothing to say that somebody would have to act on.

use std::collections::HashSet;

use crate::stage::{EXPECTED, Stage};

/// Held by everything that a test does on the shared stage; the end of the test looks at what was said since its start.
///
/// Tests run side by side, so the one that fails may be a neighbour of the one that is the cause; the line tells.
pub(crate) struct Quiet {
    /// What was said already: each line fails the tests that saw it come, and no later ones.
    before: HashSet<String>,
}

impl Quiet {
    /// From now on.
    pub(crate) fn from_now() -> Self {
        let before = Stage::shared().loud_lines().into_iter().collect();
        Self { before }
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let mut said = Stage::shared().loud_lines();
            said.retain(|line| !self.before.contains(line));
            assert!(said.is_empty(), "said while this test ran: {said:#?}");
        }
    }
}

/// The lines of a log that tell of trouble, but for what the stage expects.
pub(crate) fn loud(log: &str) -> impl Iterator<Item = &str> {
    const MARKS: [&str; 3] = [" WARN ", " ERROR ", "panicked"];
    let has_one_of = |line: &str, words: &[&str]| words.iter().any(|word| line.contains(word));
    log.lines()
        .filter(move |line| has_one_of(line, &MARKS) && !has_one_of(line, EXPECTED))
}
