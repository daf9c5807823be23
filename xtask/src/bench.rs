//! `cargo xtask bench`: the load driver against a release build of the server.

use std::ffi::OsString;
use std::process::{Command, ExitCode};

use crate::process;
use crate::workspace;

/// Builds both, then runs the driver with `args` and returns what it returned.
pub(crate) fn run(args: &[OsString]) -> anyhow::Result<ExitCode> {
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
    let driver = workspace::target_dir()?.join("release").join("cocotalk-bench");
    let status = process::status(Command::new(driver).current_dir(workspace::root()).args(args))?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}
