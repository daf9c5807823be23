//! `cargo xtask bench --cluster`: what the real servers allow, and what of it our paths use.
//!
//! The append figures run our command path in this process, without HTTP, on the PostgreSQL of the environment, and the
//! unmodified framework on the same server by turns: the same commands, the same payload, a pool of ten on both sides,
//! successes only, a conflict tried again until it succeeds. The other figures start the platform's own processes.

mod appends;
mod backlog;
mod framework;
mod platform;
mod senders;
mod spine;
mod stores;
mod writes;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::{Args, ValueEnum};

use crate::machine::Machine;
use crate::report::{self, Row};

/// How much to do.
#[derive(Debug, Args)]
pub(crate) struct ClusterArguments {
    /// The server: a user that may make databases.
    #[arg(long, env = "COCOTALK_TEST_POSTGRES", value_name = "URL")]
    pub(crate) postgres: String,
    /// The brokers: `host:port`, several joined by commas. Some figures need them.
    #[arg(long, env = "COCOTALK_TEST_KAFKA", value_name = "BROKERS")]
    pub(crate) kafka: Option<String>,
    /// The CQL store: `host:port`, several joined by commas. Some figures need it.
    #[arg(long, env = "COCOTALK_TEST_CQL", value_name = "NODES")]
    pub(crate) cql: Option<String>,
    /// Figures to measure, comma-separated; all of them if absent.
    #[arg(long = "only", value_delimiter = ',', value_name = "FIGURE")]
    only: Vec<ClusterFigure>,
    /// Length of one timed run, seconds.
    #[arg(long = "seconds", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub(crate) seconds: u64,
    /// Runs of each figure; the table shows their median.
    #[arg(long = "runs", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=50))]
    pub(crate) runs: u64,
}

impl ClusterArguments {
    /// Length of one timed run.
    pub(crate) const fn length(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}

/// One figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ClusterFigure {
    /// Appends/s of 256 senders over 1,000 rooms, against the framework.
    AppendMany,
    /// Appends/s of 64 senders in one room, against the framework.
    AppendOne,
    /// One sender alone, against the framework.
    AppendLone,
    /// What of the statement's own ceiling the command path reaches.
    Ceiling,
    /// Two nodes in one room.
    HotRoom,
    /// What a long room costs a command.
    LongRoom,
    /// What a large room costs the CQL store.
    CqlWrites,
    /// Everything at once over HTTP, and how long an answered message takes to be elsewhere.
    Spine,
    /// A projector that has to catch up.
    Backlog,
}

/// Measures; the exit code says whether every bar was reached.
pub(crate) async fn run(arguments: &ClusterArguments, servers: &stores::Servers) -> Result<ExitCode> {
    let folder = std::env::current_dir()?;
    let mut machine = Machine::survey(&folder)?;
    let mut rows = Vec::new();
    for figure in ClusterFigure::value_variants() {
        if !arguments.only.is_empty() && !arguments.only.contains(figure) {
            continue;
        }
        eprintln!("{figure:?}");
        let measured = Box::pin(async {
            match figure {
                ClusterFigure::AppendMany => appends::many(arguments, servers).await,
                ClusterFigure::AppendOne => appends::one(arguments, servers).await,
                ClusterFigure::AppendLone => appends::lone(arguments, servers).await,
                ClusterFigure::Ceiling => appends::ceiling(arguments, servers).await,
                ClusterFigure::HotRoom => appends::hot_room(arguments, servers).await,
                ClusterFigure::LongRoom => appends::long_room(arguments, servers).await,
                ClusterFigure::CqlWrites => writes::measure(arguments, servers).await,
                ClusterFigure::Spine => spine::measure(arguments, servers).await,
                ClusterFigure::Backlog => backlog::measure(arguments, servers).await,
            }
        });
        match measured.await {
            Ok(measured) => rows.extend(measured),
            Err(error) => {
                eprintln!("{figure:?}: {error:#}");
                rows.push(Row::failed("cluster", &error));
            }
        }
    }
    machine.look_again(&folder)?;
    let mut head = machine.lines();
    head.push(format!(
        "runs: {} of {} s each, medians",
        arguments.runs, arguments.seconds
    ));
    print(&report::render(&head, &rows))?;
    Ok(if rows.iter().any(Row::is_bad) {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

fn print(text: &str) -> Result<()> {
    use std::io::Write as _;
    Ok(std::io::stdout().lock().write_all(text.as_bytes())?)
}

pub(crate) use stores::Servers;
