//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::figure::Figure;

/// Measures the server and compares it with its bars; docs/PERFORMANCE.md explains every figure.
#[derive(Debug, Parser)]
#[command(name = "cocotalk-bench", version)]
pub(crate) struct Arguments {
    /// Figures to measure, comma-separated; all of them if absent.
    #[arg(long, value_delimiter = ',', value_name = "FIGURE")]
    pub(crate) only: Vec<Figure>,
    /// Name the figures and stop.
    #[arg(long)]
    pub(crate) list: bool,
    /// Length of one timed run.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub(crate) seconds: u64,
    /// Runs of each figure; the table shows their median.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=50))]
    pub(crate) runs: u64,
    /// The server binary; `cocotalk` beside this program if absent.
    #[arg(long, value_name = "FILE")]
    pub(crate) server: Option<PathBuf>,
    /// Where the fresh data folders go; beside this program if absent, because /tmp is often not a disk.
    #[arg(long, value_name = "DIR")]
    pub(crate) data_root: Option<PathBuf>,
    /// Also write the table to this file as JSON.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Events in the store that `start-time` opens.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1_000..=20_000_000))]
    pub(crate) events: u64,
    /// Sockets that `socket-memory` opens.
    #[arg(long, default_value_t = 5_000, value_parser = clap::value_parser!(u64).range(10..=15_000))]
    pub(crate) sockets: u64,
    /// Messages in the big room of `room-size`.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(200..=5_000_000))]
    pub(crate) room_messages: u64,
    /// Messages in the room of `full-room`.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(200..=5_000_000))]
    pub(crate) full_messages: u64,
    /// Minutes that the load of `memory-flat` takes.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=120))]
    pub(crate) memory_minutes: u64,
    /// Members of the big room of `write-amplification` and of `full-room`.
    #[arg(long, default_value_t = 3_000, value_parser = clap::value_parser!(u64).range(10..=3_000))]
    pub(crate) members: u64,
    /// What to be instead of the load driver.
    #[command(subcommand)]
    pub(crate) child: Option<Child>,
}

/// Roles this program plays for itself in a child process.
#[derive(Debug, Subcommand)]
pub(crate) enum Child {
    /// Serves the baseline: the unmodified framework behind a minimal handler.
    #[command(hide = true)]
    Baseline {
        /// Folder of its one database file.
        #[arg(long)]
        data: PathBuf,
    },
    /// Measures the append path on a real PostgreSQL.
    #[cfg(feature = "cluster")]
    Cluster(crate::cluster::ClusterArguments),
}

impl Arguments {
    /// What makes this run smaller than the one the bars are stated for; empty for a full run.
    pub(crate) fn reductions(&self) -> Vec<String> {
        let full = [
            ("seconds", self.seconds, 20),
            ("runs", self.runs, 5),
            ("events", self.events, 1_000_000),
            ("sockets", self.sockets, 5_000),
            ("room-messages", self.room_messages, 100_000),
            ("full-messages", self.full_messages, 1_000_000),
            ("memory-minutes", self.memory_minutes, 10),
            ("members", self.members, 3_000),
        ];
        full.iter()
            .filter(|(_, given, wanted)| given < wanted)
            .map(|(name, given, wanted)| format!("--{name} {given} instead of {wanted}"))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_a_full_run() {
        let arguments = Arguments::try_parse_from(["cocotalk-bench"]).unwrap();
        assert!(arguments.reductions().is_empty());
        assert!(arguments.only.is_empty());
    }

    #[test]
    fn a_smaller_run_says_what_is_smaller() {
        let arguments =
            Arguments::try_parse_from(["cocotalk-bench", "--seconds", "2", "--only", "lone,sends-one"]).unwrap();
        assert_eq!(arguments.reductions(), ["--seconds 2 instead of 20"]);
        assert_eq!(arguments.only, [Figure::Lone, Figure::SendsOne]);
    }
}
