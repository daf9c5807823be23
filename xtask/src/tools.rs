//! The tools that do not come with the toolchain, at fixed versions in `target/tools`, and the components that do.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Context;

use crate::process;
use crate::workspace;

/// A program from crates.io.
pub(crate) struct Tool {
    /// Its package, which is also the name of its program.
    name: &'static str,
    /// The one version that every machine runs, so that a new release cannot turn a green commit red.
    version: &'static str,
}

/// Checks the dependency graph against `deny.toml`.
pub(crate) const CARGO_DENY: Tool = Tool {
    name: "cargo-deny",
    version: "0.20.2",
};

impl Tool {
    /// The path of the program, which is installed first if it is missing or of another version.
    pub(crate) fn ensure(&self) -> anyhow::Result<PathBuf> {
        let folder = workspace::root().join("target/tools");
        let program = folder.join("bin").join(self.name);
        if self.is_installed(&program) {
            return Ok(program);
        }
        println!("installing {} {} into target/tools (once)", self.name, self.version);
        let mut install = workspace::cargo();
        install.args(["install", "--locked", "--force", "--root"]).arg(&folder);
        install.args(["--version", self.version, self.name]);
        process::run(&mut install).with_context(|| {
            format!(
                "{} {} is missing and could not be installed from crates.io",
                self.name, self.version
            )
        })?;
        Ok(program)
    }

    fn is_installed(&self, program: &PathBuf) -> bool {
        let version = process::capture(Command::new(program).arg("--version"));
        version.is_ok_and(|version| version.trim() == format!("{} {}", self.name, self.version))
    }
}

/// Fails with the command that helps if a component of the toolchain (`fmt`, `clippy`) is missing.
pub(crate) fn ensure_component(subcommand: &str, component: &str) -> anyhow::Result<()> {
    process::capture(workspace::cargo().args([subcommand, "--version"]))
        .map(drop)
        .with_context(|| format!("{component} is missing; get it with `rustup component add {component}`"))
}
