//! The tasks of this repository, as `cargo xtask <task>`: `test` is what the README promises and CI runs, `tidy` checks what
//! no compiler does, `bench` runs the load driver, `up` starts the real servers and our processes on them.
//!
//! Tasks are Rust and not shell so that they run wherever the toolchain does and are tested like everything else.
//!
//! How to add a step to `test`: a variant of [`test::step::Step`], then let the compiler lead you through its matches.
//! How to add a check to `tidy`: a module beside the others with one `check` that returns findings, called in `tidy.rs`.

#![expect(clippy::print_stdout, reason = "a task's output is what it is for")]

mod bench;
mod process;
mod servers;
mod test;
mod tidy;
mod tools;
mod up;
mod workspace;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use self::servers::Lifetime;
use self::up::Extent;

/// The tasks of this repository.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Runs everything that must hold before a commit, and closes with `N passed, N failed`.
    Test {
        /// Runs these steps alone, in their usual order: the inner loop.
        #[arg(long, value_delimiter = ',', value_name = "STEP,...")]
        only: Vec<test::step::Step>,
        /// Lists the steps and what each runs.
        #[arg(long, conflicts_with = "only")]
        list: bool,
        /// Uses the servers that are kept, and keeps them for the next run.
        #[arg(long, conflicts_with = "list")]
        keep: bool,
    },
    /// Starts PostgreSQL, Kafka and Cassandra and our processes on them, until Ctrl-C.
    Up {
        /// Starts the servers alone, for tests that are run by hand.
        #[arg(long)]
        servers_only: bool,
        /// Leaves the servers running at the end, with what they hold; the next run with this flag uses them.
        #[arg(long)]
        keep: bool,
    },
    /// Stops the servers that are kept.
    Down,
    /// Checks doc headers, problem pages, links, golden files and file sizes.
    Tidy,
    /// Builds the server and the load driver in release mode and runs the driver with the given arguments.
    #[command(disable_help_flag = true)]
    Bench {
        /// Handed to the load driver as they are; `--help` tells what it takes.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
}

fn main() -> anyhow::Result<ExitCode> {
    match Cli::parse().task {
        Task::Test { list: true, .. } => {
            test::list();
            Ok(ExitCode::SUCCESS)
        }
        Task::Test {
            only,
            list: false,
            keep,
        } => Ok(test::run(&only, Lifetime::of_flag(keep))),
        Task::Up { servers_only, keep } => {
            let extent = if servers_only {
                Extent::Servers
            } else {
                Extent::Everything
            };
            up::run(extent, Lifetime::of_flag(keep))
        }
        Task::Down => servers::stop_kept().map(|()| ExitCode::SUCCESS),
        Task::Tidy => tidy::run(),
        Task::Bench { args } => bench::run(&args),
    }
}
