//! The command line.

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
    /// Where clients connect; port 0 picks a free one.
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,
    /// Where operators connect; never public. Port 0 picks a free one.
    #[arg(long, value_name = "ADDRESS")]
    pub admin_listen: Option<SocketAddr>,
    /// Fill an empty store with people, rooms and messages to look at.
    #[arg(long)]
    pub demo: bool,
    /// Another thing to do than to serve.
    #[command(subcommand)]
    pub command: Option<Command>,
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

/// What can be done beside serving.
#[derive(Debug, Subcommand)]
pub enum Command {
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
