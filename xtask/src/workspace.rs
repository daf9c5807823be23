//! Where things are: the root of the workspace, its files and its build output.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

use crate::process;

/// The folder of the root `Cargo.toml`. Tasks run there, wherever they were started.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask is a folder of the workspace")
}

/// A `cargo` that runs in the root, with the toolchain that `rust-toolchain.toml` pins.
pub(crate) fn cargo() -> Command {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(root());
    cargo
}

/// What cargo knows of the workspace.
fn metadata() -> anyhow::Result<serde_json::Value> {
    let metadata = process::capture(cargo().args(["metadata", "--no-deps", "--format-version", "1"]))?;
    serde_json::from_str(&metadata).context("cargo metadata is not JSON")
}

/// The names of the test targets of all packages, sorted.
pub(crate) fn test_targets() -> anyhow::Result<Vec<String>> {
    let metadata = metadata()?;
    let packages = metadata["packages"]
        .as_array()
        .context("cargo metadata has no packages")?;
    let targets = packages
        .iter()
        .filter_map(|package| package["targets"].as_array())
        .flatten();
    let tests = targets.filter(|target| target["kind"][0] == "test");
    let mut names: Vec<String> = tests
        .filter_map(|test| Some(test["name"].as_str()?.to_owned()))
        .collect();
    names.sort_unstable();
    names.dedup();
    ensure!(!names.is_empty(), "cargo metadata has no test target");
    Ok(names)
}

/// Where cargo puts what it builds; `target`, unless the developer's settings say otherwise.
pub(crate) fn target_dir() -> anyhow::Result<PathBuf> {
    let metadata = metadata()?;
    let target = metadata["target_directory"]
        .as_str()
        .context("cargo metadata names no target directory")?;
    Ok(PathBuf::from(target))
}

/// Every file that is in git or would be with the next `git add`, relative to the root, sorted.
pub(crate) fn files() -> anyhow::Result<Vec<String>> {
    let mut git = Command::new("git");
    git.current_dir(root()).args([
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
        "--deduplicate",
    ]);
    let listed = process::capture(&mut git).context("tidy needs git and a checkout to know which files are ours")?;
    let mut files: Vec<String> = listed.split_terminator('\0').map(str::to_owned).collect();
    // A file deleted in the work tree is listed until the deletion is staged.
    files.retain(|file| root().join(file).exists());
    files.sort_unstable();
    ensure!(!files.is_empty(), "git lists no files");
    Ok(files)
}
