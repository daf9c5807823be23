//! The tools that do not come with the toolchain, at fixed versions in `target/tools`, and the components that do.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;
use cocotalk_servers::Need;

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

/// A program from `PyPI`, in an environment of its own.
pub(crate) struct PythonTool {
    /// Its package, which is also the name of its program.
    name: &'static str,
    /// Its version and that of everything under it, each with its hashes, as pip reads them: a path in the repository.
    requirements: &'static str,
}

/// Makes requests from the description of the API and checks the answers against it.
pub(crate) const SCHEMATHESIS: PythonTool = PythonTool {
    name: "schemathesis",
    requirements: "tests/schemathesis/requirements.txt",
};

impl PythonTool {
    /// The path of the program, which is installed first if it is missing or of another version.
    pub(crate) fn ensure(&self) -> anyhow::Result<PathBuf> {
        let folder = workspace::root().join("target/tools").join(self.name);
        let (program, complete) = (folder.join("bin").join(self.name), folder.join("complete"));
        let wanted = fs::read_to_string(workspace::root().join(self.requirements))
            .with_context(|| format!("cannot read {}", self.requirements))?;
        // Written last, with what was asked for: an installation that broke off is made anew.
        if program.is_file() && fs::read_to_string(&complete).is_ok_and(|installed| installed == wanted) {
            return Ok(program);
        }
        cocotalk_servers::ensure(&[Need::Python])?;
        println!("installing {} into target/tools (once)", self.name);
        self.install(&folder).with_context(|| {
            format!(
                "what {} lists is missing and could not be installed from PyPI",
                self.requirements
            )
        })?;
        fs::write(&complete, wanted)?;
        Ok(program)
    }

    fn install(&self, folder: &Path) -> anyhow::Result<()> {
        let mut environment = Command::new("python3");
        process::run(environment.args(["-m", "venv", "--clear"]).arg(folder))?;
        let mut pip = Command::new(folder.join("bin/pip"));
        pip.current_dir(workspace::root());
        pip.args([
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--no-input",
            "--no-deps",
        ]);
        process::run(pip.args(["--require-hashes", "--requirement", self.requirements]))
    }
}

/// Fails with the command that helps if a component of the toolchain (`fmt`, `clippy`) is missing.
pub(crate) fn ensure_component(subcommand: &str, component: &str) -> anyhow::Result<()> {
    process::capture(workspace::cargo().args([subcommand, "--version"]))
        .map(drop)
        .with_context(|| format!("{component} is missing; get it with `rustup component add {component}`"))
}
