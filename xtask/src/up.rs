//! `cargo xtask up`: the real servers and our processes on them, for a person to play with, until Ctrl-C.

mod interrupt;
pub(crate) mod part;
mod settings;

use std::process::ExitCode;
use std::sync::mpsc::{Receiver, Sender, channel};

use anyhow::Context as _;
use cocotalk_servers::{Set, Start};

use self::part::Part;
use crate::servers::{self, Lifetime};
use crate::{process, workspace};

/// Our processes, in the order they are started. Clients connect to the first two.
const ROLES: [&str; 4] = ["command-api", "query-api", "relay", "projectors"];

/// What happens while everything runs.
pub(crate) enum Event {
    /// Somebody wants it to end.
    Interrupted,
    /// A process of ours has ended by itself.
    Ended(&'static str),
}

/// How much is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// The servers alone.
    Servers,
    /// Our processes too.
    Everything,
}

/// Starts it all, waits, and stops it in reverse order.
pub(crate) fn run(extent: Extent, lifetime: Lifetime) -> anyhow::Result<ExitCode> {
    let set = servers::start(lifetime, Start::Quick)?;
    for (name, value) in set.environment() {
        println!("export {name}={value}");
    }
    let (sender, events) = channel();
    let parts = match extent {
        Extent::Servers => Ok(Vec::new()),
        Extent::Everything => start_parts(&set, lifetime, &sender),
    };
    let outcome = parts.and_then(|parts| wait(parts, sender, &events));
    match lifetime {
        Lifetime::Task => set.stop().and(outcome),
        Lifetime::Kept => {
            println!("the servers run on; `cargo xtask down` stops them");
            outcome
        }
    }
}

fn wait(parts: Vec<Part>, sender: Sender<Event>, events: &Receiver<Event>) -> anyhow::Result<ExitCode> {
    interrupt::listen(sender)?;
    println!("running until Ctrl-C");
    let code = match events.recv().context("nobody listens for Ctrl-C")? {
        Event::Interrupted => ExitCode::SUCCESS,
        Event::Ended(role) => {
            println!("{role} has ended by itself; stopping the rest");
            ExitCode::FAILURE
        }
    };
    for part in parts.into_iter().rev() {
        part.stop()?;
    }
    Ok(code)
}

/// Builds them, brings the schemas to this release, starts all and waits until each is ready.
fn start_parts(set: &Set, lifetime: Lifetime, events: &Sender<Event>) -> anyhow::Result<Vec<Part>> {
    process::run(
        workspace::cargo()
            .args(["build", "--locked", "--package", "cocotalk-server", "--bins"])
            .args(FEATURES),
    )?;
    let target = workspace::target_dir()?;
    let programs = target.join("debug");
    let config = settings::write(&target.join("servers/up"), set, lifetime)?;
    let mut migrate = std::process::Command::new(programs.join("cocotalk"));
    process::run(migrate.arg("migrate").arg("--config").arg(&config))?;
    let mut parts = Vec::new();
    for role in ROLES {
        parts.push(Part::start(role, &programs.join(role), &config, events)?);
    }
    let ready: Vec<String> = parts.iter().map(Part::ready).collect::<anyhow::Result<_>>()?;
    println!();
    for line in ready {
        println!("{line}");
    }
    println!("configuration: {}", config.display());
    Ok(parts)
}

/// What makes the processes that share the real servers.
const FEATURES: [&str; 2] = ["--features", "cluster"];
