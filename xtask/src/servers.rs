//! The real servers of a task: those that the environment names, and ours for the rest.

use std::time::Instant;

use anyhow::anyhow;
use cocotalk_servers::{Given, Set, Start};

/// Whether servers outlive the task that started them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lifetime {
    /// They are new, and end with the task.
    Task,
    /// They are those that an earlier task kept, if there are any, and are kept for the next one, with what they hold.
    Kept,
}

impl Lifetime {
    /// What the flag `--keep` asks for.
    pub(crate) fn of_flag(keep: bool) -> Self {
        if keep { Self::Kept } else { Self::Task }
    }
}

/// Gets and starts them, and says how long it took.
pub(crate) fn start(lifetime: Lifetime, how: Start) -> anyhow::Result<Set> {
    println!("starting PostgreSQL, Kafka and Cassandra (the first time they are fetched: a few minutes)");
    let started = Instant::now();
    let kept = (lifetime == Lifetime::Kept).then(Set::kept_folder);
    let set = Set::start(Given::from(&environment), kept.as_deref(), how)?;
    println!("they answer, after {:.1} s", started.elapsed().as_secs_f64());
    Ok(set)
}

/// `cargo xtask down`.
pub(crate) fn stop_kept() -> anyhow::Result<()> {
    let stopped = Set::stop_kept(&Set::kept_folder())?;
    if stopped.is_empty() {
        println!("no servers are kept");
    } else {
        println!("stopped {}", stopped.join(", "));
    }
    Ok(())
}

#[expect(
    clippy::disallowed_methods,
    reason = "where the servers of tests are is said to the task, which is no server and has no configuration"
)]
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The servers of a run of steps, started when the first step needs them.
pub(crate) struct Servers {
    lifetime: Lifetime,
    /// Absent until they are needed. That they do not start is said to every step that needs them.
    started: Option<Result<Set, String>>,
}

impl Servers {
    /// None yet.
    pub(crate) fn new(lifetime: Lifetime) -> Self {
        Self {
            lifetime,
            started: None,
        }
    }

    /// What the programs that use them find in their environment.
    pub(crate) fn environment(&mut self) -> anyhow::Result<[(&'static str, String); 3]> {
        let lifetime = self.lifetime;
        let start = || start(lifetime, Start::Quick).map_err(|error| format!("{error:#}"));
        match self.started.get_or_insert_with(start) {
            Ok(set) => Ok(set.environment()),
            Err(why) => Err(anyhow!("the servers are not there: {why}")),
        }
    }

    /// Stops those that are not kept.
    pub(crate) fn stop(self) -> anyhow::Result<()> {
        match (self.lifetime, self.started) {
            (Lifetime::Task, Some(Ok(set))) => set.stop(),
            (Lifetime::Kept, _) | (Lifetime::Task, Some(Err(_)) | None) => Ok(()),
        }
    }
}
