//! What was done last, and how to do it again: printed when something was not as it must be.

use std::collections::VecDeque;
use std::sync::Mutex;

/// So many lines are kept.
const LINES: usize = 60;

/// The last things that were done. It speaks up when the test fails.
pub(crate) struct Diary {
    seed: u64,
    lines: Mutex<VecDeque<String>>,
}

impl Diary {
    pub(crate) fn new(seed: u64) -> Self {
        eprintln!("COCOTALK_MODEL_SEED={seed}");
        Self {
            seed,
            lines: Mutex::default(),
        }
    }

    pub(crate) fn note(&self, line: String) {
        let mut lines = self.lines.lock().unwrap();
        lines.push_back(line);
        if lines.len() > LINES {
            lines.pop_front();
        }
    }
}

impl Drop for Diary {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let lines = self
                .lines
                .lock()
                .map(|lines| Vec::from_iter(lines.iter().cloned()))
                .unwrap_or_default();
            eprintln!(
                "the last of it, with COCOTALK_MODEL_SEED={}:\n{}",
                self.seed,
                lines.join("\n")
            );
        }
    }
}
