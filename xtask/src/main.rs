//! The tasks of this repository, as `cargo xtask <task>`: `test` is what the README promises and CI runs, `tidy` checks what
//! no compiler does, `bench` runs the load driver.
//!
//! Tasks are Rust and not shell so that they run wherever the toolchain does and are tested like everything else.
//!
//! How to add a step to `test`: a variant of [`test::step::Step`], then let the compiler lead you through its matches.
//! How to add a check to `tidy`: a module beside the others with one `check` that returns findings, called in `tidy.rs`.

#![expect(clippy::print_stdout, reason = "a task's output is what it is for")]

mod bench;
mod process;
mod test;
mod tidy;
mod tools;
mod workspace;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

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
    },
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
        Task::Test { only, list: false } => Ok(test::run(&only)),
        Task::Tidy => tidy::run(),
        Task::Bench { args } => bench::run(&args),
    }
}
