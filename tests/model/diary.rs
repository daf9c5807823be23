//! What was done last, and how to do it again: printed when something was not as it must be.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::model::act::Act;
use crate::model::decide::Verdict;
use crate::model::room::Who;

/// So many lines are kept.
const LINES: usize = 60;

/// The last things that were done, and how often each kind of thing was. It speaks up when the test fails.
pub(crate) struct Diary {
    seed: u64,
    step: AtomicUsize,
    lines: Mutex<VecDeque<String>>,
    deeds: Mutex<BTreeMap<&'static str, Deeds>>,
}

/// How often one kind of act happened, was nothing new, and was refused.
#[derive(Clone, Copy, Default)]
struct Deeds([usize; 3]);

impl Diary {
    pub(crate) fn new(seed: u64) -> Self {
        eprintln!("COCOTALK_MODEL_SEED={seed}");
        Self {
            seed,
            step: AtomicUsize::new(0),
            lines: Mutex::default(),
            deeds: Mutex::default(),
        }
    }

    /// Begins another step.
    pub(crate) fn next_step(&self) {
        self.step.fetch_add(1, Ordering::SeqCst);
    }

    /// How many there were.
    pub(crate) fn steps(&self) -> usize {
        self.step.load(Ordering::SeqCst)
    }

    pub(crate) fn note(&self, line: &str) {
        let mut lines = self.lines.lock().unwrap();
        lines.push_back(format!("step {}: {line}", self.steps()));
        if lines.len() > LINES {
            lines.pop_front();
        }
    }

    /// Notes an act and what must become of it.
    pub(crate) fn note_act(&self, by: Who, act: &Act, verdict: Verdict) {
        self.note(&format!("{by} {act:?}: {verdict:?}"));
        let outcome = match verdict {
            Verdict::Done(_) => 0,
            Verdict::Nothing(_) => 1,
            Verdict::Refused(..) => 2,
        };
        self.deeds.lock().unwrap().entry(act.name()).or_default().0[outcome] += 1;
    }

    /// How many kinds of acts happened so often.
    pub(crate) fn kinds_done(&self, often: usize) -> usize {
        let deeds = self.deeds.lock().unwrap();
        deeds.values().filter(|deeds| deeds.0[0] >= often).count()
    }

    /// How many acts were refused.
    pub(crate) fn refused(&self) -> usize {
        self.deeds.lock().unwrap().values().map(|deeds| deeds.0[2]).sum()
    }
}

impl fmt::Display for Diary {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let deeds = self.deeds.lock().unwrap();
        let mut all = deeds.iter();
        all.try_for_each(|(name, Deeds([done, nothing, refused]))| {
            writeln!(
                out,
                "{name:<12}{done:>6} done {nothing:>6} so already {refused:>6} refused"
            )
        })
    }
}

impl Drop for Diary {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let lines = self.lines.lock();
            let lines = lines.map(|lines| lines.iter().cloned().collect::<Vec<_>>());
            eprintln!(
                "the last of it, with COCOTALK_MODEL_SEED={}:\n{}",
                self.seed,
                lines.unwrap_or_default().join("\n")
            );
        }
    }
}
