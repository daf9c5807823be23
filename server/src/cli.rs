//! The command lines: of `cocotalk`, and of the binaries that do one part.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

/// `CocoTalk`: the whole chat platform in one process.
#[derive(Debug, Parser)]
#[command(
    name = "cocotalk",
    version,
    about = "CocoTalk: the whole chat platform in one process"
)]
pub struct Cli {
    /// What is common to all commands.
    #[command(flatten)]
    pub common: Common,
    /// Where it listens.
    #[command(flatten)]
    pub listening: Listening,
    /// Fill an empty store with people, rooms and messages to look at.
    #[arg(long)]
    pub demo: bool,
    /// Another thing to do than to serve.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// One part of the platform, as a process among others.
#[derive(Debug, Parser)]
#[command(version, about = "One part of CocoTalk, as a process among others")]
pub struct PartCli {
    /// What is common to all commands.
    #[command(flatten)]
    pub common: Common,
    /// Where it listens. Parts that no client connects to have an admin address only.
    #[command(flatten)]
    pub listening: Listening,
    /// Another thing to do than to run.
    #[command(subcommand)]
    pub command: Option<PartCommand>,
}

/// Options that every command takes, anywhere on the line.
#[derive(Clone, Debug, Args)]
pub struct Common {
    /// The folder with everything that is stored.
    #[arg(long, global = true, value_name = "FOLDER")]
    pub data: Option<PathBuf>,
    /// A configuration file (TOML).
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Answer in JSON.
    #[arg(long, global = true)]
    pub json: bool,
}

/// Addresses of a process.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct Listening {
    /// Where clients connect; port 0 picks a free one.
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,
    /// Where operators connect; never public. Port 0 picks a free one.
    #[arg(long, value_name = "ADDRESS")]
    pub admin_listen: Option<SocketAddr>,
}

/// What can be done beside serving.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Look at the configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Bring every schema to this release: of several at the same time one does it, the others wait.
    Migrate,
    /// Look at every dependency: reachable, version, schema, lag, and what to do.
    Doctor,
    /// Look after the projections.
    #[command(subcommand)]
    Projections(ProjectionsCommand),
    /// Print a completion script for a shell.
    Completions {
        /// Which shell.
        shell: Shell,
    },
}

/// What a part can do beside running.
#[derive(Clone, Copy, Debug, Subcommand)]
pub enum PartCommand {
    /// Look at the configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print a completion script for a shell.
    Completions {
        /// Which shell.
        shell: Shell,
    },
}

/// What can be done with the configuration.
#[derive(Clone, Copy, Debug, Subcommand)]
pub enum ConfigCommand {
    /// Say whether it is right, and what is wrong.
    Check,
    /// Print what is in force, without secrets.
    Dump,
}

/// What can be done with projections.
#[derive(Clone, Debug, Subcommand)]
pub enum ProjectionsCommand {
    /// Look after events that a projection could not take.
    #[command(subcommand)]
    Parked(ParkedCommand),
}

/// What can be done with parked events.
#[derive(Clone, Debug, Subcommand)]
pub enum ParkedCommand {
    /// List what waits, oldest first.
    List {
        /// Of this projection only.
        #[arg(long)]
        projection: Option<String>,
    },
    /// Show one event that waits, and its payload.
    Show(ParkedEventArgs),
    /// Apply again what waits, in order: one event's aggregate, or everything.
    Retry {
        /// Of this projection only.
        #[arg(long)]
        projection: Option<String>,
        /// What waits with this stream (`room/<id>`, `seat/<room>/<user>`, `account/<id>`); everything if absent.
        stream: Option<String>,
    },
    /// Give one event up, and apply what waited behind it.
    Skip(ParkedEventArgs),
}

/// Which parked event.
#[derive(Clone, Debug, Args)]
pub struct ParkedEventArgs {
    /// The projection that could not take it.
    pub projection: String,
    /// Its stream: `room/<id>`, `seat/<room>/<user>`, `account/<id>` or `claim/<id>`.
    pub stream: String,
    /// Its number in the stream.
    pub sequence: u64,
}
