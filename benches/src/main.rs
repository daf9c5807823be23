//! The load driver behind `cargo xtask bench`: it starts the real server and the baseline as child processes, puts the
//! same load on both and prints one table with the machine it ran on. docs/PERFORMANCE.md says what each figure means.
//!
//! Everything stays on 127.0.0.1, and every load is bounded in count or in time. The driver shares the machine with what
//! it measures, so its clients do as little as they can: prebuilt headers, no parsing beyond the status, frames scanned
//! instead of decoded.

mod api;
mod arguments;
mod baseline;
mod bench;
mod child;
#[cfg(feature = "cluster")]
mod cluster;
mod figure;
mod http;
mod keys;
mod load;
mod machine;
mod paced;
mod process;
mod readers;
mod report;
mod scan;
mod socket;
mod stats;
mod turns;
mod watchers;
mod world;

use std::process::ExitCode;

use anyhow::Context as _;
use arguments::{Arguments, Child};
use clap::Parser as _;
use mimalloc::MiMalloc;

/// That of the server: part of it runs in this process, and so does the framework that it is compared with.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    if arguments.list {
        figure::print_list()?;
        return Ok(ExitCode::SUCCESS);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("cannot start the async runtime")?;
    match arguments.child {
        Some(Child::Baseline { data }) => {
            runtime.block_on(baseline::serve(&data))?;
            Ok(ExitCode::SUCCESS)
        }
        #[cfg(feature = "cluster")]
        Some(Child::Cluster(figures)) => runtime.block_on(async {
            let servers = cluster::Servers::at(&figures.postgres).await?;
            cluster::run(&figures, &servers).await
        }),
        None => runtime.block_on(bench::run(arguments)),
    }
}
