//! The steps of `cargo xtask test`: what each is called, and what it runs.

use std::process::Command;

use anyhow::{Context as _, ensure};
use clap::ValueEnum;

use super::{Outcome, promtool, runner, schemathesis};
use crate::servers::Servers;
use crate::workspace::{self, cargo};
use crate::{process, tidy, tools};

/// One thing that must hold. Cheap steps come first, so that a slip shows early.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Step {
    /// Formatting.
    Fmt,
    /// What no compiler checks.
    Tidy,
    /// Alert rules, their tests, and the queries of dashboards.
    Alerts,
    /// Bans, licenses and sources of dependencies.
    Deny,
    /// Lints of everything.
    Clippy,
    /// Lints of the adapters with one technology at a time, and with none.
    ClippyEach,
    /// What the one process is built of when nothing is asked for.
    Embedded,
    /// Documentation.
    Doc,
    /// Unit, contract, property, documentation and end-to-end tests that need no server.
    Test,
    /// Every call of the described API, asked for in many ways, good and bad.
    Schemathesis,
    /// Starting, breaking and stopping the real servers.
    Servers,
    /// The adapters, each on its server.
    Adapters,
    /// End to end on the real servers.
    Cluster,
}

/// Everything is checked and tested with all of its features at once: another set of them is another build of the world.
const FEATURES: [&str; 3] = [
    "--workspace",
    "--features",
    "cocotalk-server/cluster,cocotalk-bench/cluster",
];
/// What each adapter is built with alone.
const EACH: [&str; 6] = ["", "embedded", "postgres", "kafka", "scylla", "otlp"];
/// What a build for one process must do without: they take minutes, and tools that nobody needs for it.
const CLUSTER_ONLY: [&str; 5] = ["opentelemetry", "postgres-es", "rdkafka", "scylla", "sqlx-postgres"];

impl Step {
    /// Every step, in the order they run.
    pub(crate) const ALL: [Self; 13] = [
        Self::Fmt,
        Self::Tidy,
        Self::Alerts,
        Self::Deny,
        Self::Clippy,
        Self::ClippyEach,
        Self::Embedded,
        Self::Doc,
        Self::Test,
        Self::Schemathesis,
        Self::Servers,
        Self::Adapters,
        Self::Cluster,
    ];

    /// The test targets of steps that are about the real servers. All the others are of `test`.
    const fn targets(self) -> &'static [&'static str] {
        match self {
            Self::Servers => &["servers"],
            Self::Adapters => &["command_bus", "kafka", "postgres", "scylla"],
            Self::Cluster => &["cluster", "faults"],
            Self::Fmt
            | Self::Tidy
            | Self::Alerts
            | Self::Deny
            | Self::Clippy
            | Self::ClippyEach
            | Self::Embedded
            | Self::Doc
            | Self::Test
            | Self::Schemathesis => &[],
        }
    }

    /// What the step is called on the command line and in the table.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Fmt => "fmt",
            Self::Tidy => "tidy",
            Self::Alerts => "alerts",
            Self::Deny => "deny",
            Self::Clippy => "clippy",
            Self::ClippyEach => "clippy-each",
            Self::Embedded => "embedded",
            Self::Doc => "doc",
            Self::Test => "test",
            Self::Schemathesis => "schemathesis",
            Self::Servers => "servers",
            Self::Adapters => "adapters",
            Self::Cluster => "cluster",
        }
    }

    /// What the step runs, as one would type it.
    pub(crate) fn about(self) -> String {
        match self {
            Self::Fmt => process::shown(&fmt()),
            Self::Tidy => "cargo xtask tidy".to_owned(),
            Self::Alerts => promtool::ABOUT.to_owned(),
            Self::Deny => "cargo deny check bans licenses sources".to_owned(),
            Self::Clippy => process::shown(&clippy()),
            Self::ClippyEach => format!("{}, and with each feature alone", process::shown(&clippy_with(""))),
            Self::Embedded => format!("{}, without {}", process::shown(&embedded()), CLUSTER_ONLY.join(", ")),
            Self::Doc => format!("RUSTDOCFLAGS=\"-D warnings\" {}", process::shown(&doc())),
            Self::Test => format!(
                "{}, but for the test targets of the steps below",
                process::shown(&test(&[]))
            ),
            Self::Schemathesis => schemathesis::ABOUT.to_owned(),
            Self::Servers | Self::Adapters | Self::Cluster => process::shown(&test(&on(self.targets()))),
        }
    }

    /// Runs the step with its output on our terminal.
    pub(crate) fn run(self, servers: &mut Servers) -> Outcome {
        match self {
            Self::Fmt => Outcome::of_check(run_with_component("fmt", "rustfmt", fmt())),
            Self::Tidy => Outcome::of_check(tidy::check()),
            Self::Alerts => Outcome::of_check(promtool::check()),
            Self::Deny => Outcome::of_check(run_deny()),
            Self::Clippy => Outcome::of_check(run_with_component("clippy", "clippy", clippy())),
            Self::ClippyEach => Outcome::of_check(run_clippy_each()),
            Self::Embedded => Outcome::of_check(run_embedded()),
            Self::Doc => Outcome::of_check(process::run(&mut doc())),
            Self::Test => run_tests(),
            Self::Schemathesis => Outcome::of_check(schemathesis::check(&FEATURES)),
            // They start servers of their own.
            Self::Servers => runner::run([test(&on(self.targets()))]),
            Self::Adapters | Self::Cluster => match servers.environment() {
                Err(error) => Outcome::of_check(Err(error)),
                Ok(environment) => {
                    let mut command = test(&on(self.targets()));
                    command.envs(environment);
                    runner::run([command])
                }
            },
        }
    }
}

fn fmt() -> Command {
    cargo_with(&["fmt", "--all", "--", "--check"])
}

fn clippy() -> Command {
    let mut command = cargo_with(&["clippy", "--locked", "--all-targets"]);
    command.args(FEATURES).args(["--", "-D", "warnings"]);
    command
}

/// The adapters are the crate with features: with any one of them it must build, with nothing left dangling.
fn clippy_with(feature: &str) -> Command {
    let mut command = cargo_with(&[
        "clippy",
        "--locked",
        "--package",
        "cocotalk-infra",
        "--no-default-features",
    ]);
    if !feature.is_empty() {
        command.args(["--features", feature]);
    }
    command.args(["--", "-D", "warnings"]);
    command
}

/// The build of somebody who asks for nothing.
fn embedded() -> Command {
    cargo_with(&[
        "clippy",
        "--locked",
        "--package",
        "cocotalk-server",
        "--",
        "-D",
        "warnings",
    ])
}

fn doc() -> Command {
    let mut command = cargo_with(&["doc", "--locked", "--no-deps"]);
    command.args(FEATURES).env("RUSTDOCFLAGS", "-D warnings");
    command
}

/// The tests of these targets.
fn test(targets: &[&str]) -> Command {
    let mut command = cargo_with(&["test", "--locked", "--no-fail-fast"]);
    command.args(FEATURES).args(targets);
    command
}

/// How test targets are named on the command line.
fn on<'a>(targets: &[&'a str]) -> Vec<&'a str> {
    targets.iter().flat_map(|target| ["--test", target]).collect()
}

fn cargo_with(args: &[&str]) -> Command {
    let mut command = cargo();
    command.args(args);
    command
}

fn run_with_component(subcommand: &str, component: &str, mut command: Command) -> anyhow::Result<()> {
    tools::ensure_component(subcommand, component)?;
    process::run(&mut command)
}

/// All of them, whatever becomes of each; the first that failed is the reason.
fn run_clippy_each() -> anyhow::Result<()> {
    let run = |feature| run_with_component("clippy", "clippy", clippy_with(feature));
    EACH.into_iter().map(run).fold(Ok(()), anyhow::Result::and)
}

fn run_deny() -> anyhow::Result<()> {
    let program = tools::CARGO_DENY.ensure()?;
    let mut deny = Command::new(program);
    deny.current_dir(crate::workspace::root())
        .args(["--locked", "check", "bans", "licenses", "sources"]);
    process::run(&mut deny)
}

fn run_embedded() -> anyhow::Result<()> {
    run_with_component("clippy", "clippy", embedded())?;
    let mut tree = cargo_with(&["tree", "--locked", "--package", "cocotalk-server"]);
    let tree = process::capture(tree.args(["--edges", "normal,build", "--prefix", "none", "--format", "{p}"]))?;
    let found = packages_among(&tree, &CLUSTER_ONLY);
    ensure!(
        found.is_empty(),
        "a build for one process has {} in it",
        found.join(", ")
    );
    Ok(())
}

/// Which of these packages are in a listing of one package a line, its name first.
fn packages_among<'a>(tree: &str, packages: &[&'a str]) -> Vec<&'a str> {
    let is_listed = |package: &&str| tree.lines().any(|line| line.split(' ').next() == Some(*package));
    packages.iter().copied().filter(is_listed).collect()
}

/// Every test of the workspace that is of no other step. Test targets are listed, so that a new one is run without being
/// entered anywhere.
fn run_tests() -> Outcome {
    match workspace::test_targets().context("the test targets are not known") {
        Err(error) => Outcome::of_check(Err(error)),
        Ok(targets) => {
            let elsewhere = |target: &&str| Step::ALL.iter().any(|step| step.targets().contains(target));
            let here: Vec<&str> = targets
                .iter()
                .map(String::as_str)
                .filter(|name| !elsewhere(name))
                .collect();
            let kinds = ["--lib", "--bins", "--examples"];
            runner::run([test(&[&kinds, &on(&here)[..]].concat()), test(&["--doc"])])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_called_the_same_on_the_command_line_and_in_the_table() {
        for step in Step::ALL {
            let value = step.to_possible_value().expect("no step is hidden");
            assert_eq!(value.get_name(), step.name());
        }
        assert_eq!(Step::value_variants(), Step::ALL);
    }

    #[test]
    fn the_test_targets_of_steps_exist() {
        let targets = workspace::test_targets().unwrap();
        for target in Step::ALL.iter().flat_map(|step| step.targets()) {
            assert!(
                targets.iter().any(|other| other == target),
                "{target} is no test target"
            );
        }
    }

    #[test]
    fn a_package_is_found_by_its_whole_name() {
        let tree = "cocotalk-server v0.1.0 (/somewhere)\nscylla-macros v1.0.0\nrdkafka v0.39.0\nrdkafka v0.39.0 (*)\n";
        assert_eq!(packages_among(tree, &CLUSTER_ONLY), ["rdkafka"]);
    }
}
