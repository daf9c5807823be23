//! `cargo xtask bench`: the load driver against a release build of the server, or with `--cluster` against the real servers.

use std::ffi::OsString;
use std::process::{Command, ExitCode};

use cocotalk_servers::Start;

use crate::process;
use crate::servers::{self, Lifetime};
use crate::workspace;

/// The flag that is ours; all others are the driver's.
const CLUSTER: &str = "--cluster";

/// Builds what is measured and the driver, then runs the driver with `args` and returns what it returned.
pub(crate) fn run(args: &[OsString]) -> anyhow::Result<ExitCode> {
    if args.iter().any(|arg| arg == CLUSTER) {
        let rest: Vec<&OsString> = args.iter().filter(|arg| *arg != CLUSTER).collect();
        return run_cluster(&rest);
    }
    // Two builds and not one: cargo joins the features of what it builds together, and the server that is measured must be
    // the one that `cargo build --release` makes.
    process::run(workspace::cargo().args([
        "build",
        "--release",
        "--package",
        "cocotalk-server",
        "--bin",
        "cocotalk",
    ]))?;
    process::run(workspace::cargo().args(["build", "--release", "--package", "cocotalk-bench"]))?;
    drive(driver()?.args(args))
}

/// On servers that are started for it and stopped after, the driver measures in its own process, and starts ours.
fn run_cluster(args: &[&OsString]) -> anyhow::Result<ExitCode> {
    let server = ["build", "--release", "--package", "cocotalk-server", "--bins"];
    process::run(workspace::cargo().args(server).args(["--features", "cluster"]))?;
    process::run(workspace::cargo().args([
        "build",
        "--release",
        "--package",
        "cocotalk-bench",
        "--features",
        "cluster",
    ]))?;
    let set = servers::start(Lifetime::Task, Start::Thorough)?;
    let driven = drive(driver()?.arg("cluster").args(args).envs(set.environment()));
    set.stop().and(driven)
}

fn driver() -> anyhow::Result<Command> {
    let driver = workspace::target_dir()?.join("release").join("cocotalk-bench");
    let mut command = Command::new(driver);
    command.current_dir(workspace::root());
    Ok(command)
}

fn drive(command: &mut Command) -> anyhow::Result<ExitCode> {
    let status = process::status(command)?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}
