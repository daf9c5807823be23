//! Programs that the servers are made of: found, installed where that is possible, else asked for.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;

use anyhow::{Context as _, bail};

/// Where Debian's packages put what there can be several versions of.
const DEBIAN_POSTGRES: &str = "/usr/lib/postgresql";
const JVMS: &str = "/usr/lib/jvm";
const APT_GET: &str = "/usr/bin/apt-get";

/// A program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// The server, 15 or newer.
    Postgres,
    /// The one version that both Kafka 4 and Cassandra 5 run on.
    Java17,
    /// Fetches what is written in Java.
    Maven,
    /// Builds the client of Kafka, together with a C compiler.
    Make,
    /// Reads and tries the rules and queries of operators.
    Promtool,
    /// Runs what comes from `PyPI`, in an environment of its own.
    Python,
}

impl Need {
    /// Everything that tests need.
    pub const ALL: [Self; 6] = [
        Self::Postgres,
        Self::Java17,
        Self::Maven,
        Self::Make,
        Self::Promtool,
        Self::Python,
    ];

    /// What Debian calls it.
    const fn package(self) -> &'static str {
        match self {
            Self::Postgres => "postgresql",
            Self::Java17 => "openjdk-17-jre-headless",
            Self::Maven => "maven",
            Self::Make => "make",
            Self::Promtool => "prometheus",
            Self::Python => "python3-venv",
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Postgres => "PostgreSQL 15 or newer",
            Self::Java17 => "Java 17",
            Self::Maven => "Maven 3",
            Self::Make => "make",
            Self::Promtool => "promtool of Prometheus 2",
            Self::Python => "Python 3 with venv",
        }
    }

    fn is_there(self) -> bool {
        match self {
            Self::Postgres => postgres_bin().is_some(),
            Self::Java17 => java_home().is_some(),
            Self::Maven => runs("mvn", &["--version"]),
            Self::Make => runs("make", &["--version"]),
            Self::Promtool => runs("promtool", &["--version"]),
            // Debian splits what makes environments from the language.
            Self::Python => runs("python3", &["-c", "import ensurepip, venv"]),
        }
    }
}

/// Makes sure that all of these are there. They are installed if we are root on Debian; else the error says what to install.
pub fn ensure(needs: &[Need]) -> anyhow::Result<()> {
    // One at a time: the package tools hold a lock, and a second caller finds what the first installed.
    static INSTALLING: Mutex<()> = Mutex::new(());
    let _installing = INSTALLING.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let missing = missing(needs);
    if missing.is_empty() {
        return Ok(());
    }
    if !(rustix::process::geteuid().is_root() && Path::new(APT_GET).exists()) {
        bail!("{}", plea(&missing));
    }
    let packages: Vec<_> = missing.iter().map(|need| need.package()).collect();
    let update = apt_get(&["update"]);
    apt_get(&[&["install", "--no-install-recommends"], packages.as_slice()].concat())
        // Without the lists the installation fails too; what went wrong with them says more.
        .and(update)
        .with_context(|| plea(&missing))?;
    let missing = self::missing(needs);
    if !missing.is_empty() {
        bail!("{}, although they were installed", plea(&missing));
    }
    Ok(())
}

fn missing(needs: &[Need]) -> Vec<Need> {
    needs.iter().copied().filter(|need| !need.is_there()).collect()
}

/// What is missing, and what gets it on Debian.
fn plea(missing: &[Need]) -> String {
    let names: Vec<_> = missing.iter().map(|need| need.name()).collect();
    let packages: Vec<_> = missing.iter().map(|need| need.package()).collect();
    format!(
        "missing: {}; on Debian as root: apt-get install {}",
        names.join(", "),
        packages.join(" ")
    )
}

fn apt_get(arguments: &[&str]) -> anyhow::Result<()> {
    let mut command = Command::new("timeout");
    // The tool waits for others that install; both that and the network have an end here.
    command.args(["600", APT_GET, "-q", "-y", "-o", "DPkg::Lock::Timeout=300"]);
    command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let status = command.status().context("cannot start `timeout`")?;
    if !status.success() {
        bail!("`apt-get {}` ended with {status}", arguments.join(" "));
    }
    Ok(())
}

/// The folder of the programs of PostgreSQL, the newest of several.
pub(crate) fn postgres_bin() -> Option<PathBuf> {
    let of_debian = entries(DEBIAN_POSTGRES)
        .into_iter()
        .filter_map(|folder| Some((folder.file_name()?.to_str()?.parse::<u32>().ok()?, folder.join("bin"))))
        .filter(|(version, bin)| *version >= 15 && bin.join("initdb").is_file() && bin.join("postgres").is_file())
        .max();
    of_debian.map(|(_, bin)| bin).or_else(|| {
        let bin = PathBuf::from(said("pg_config", &["--bindir"])?);
        (bin.join("initdb").is_file() && bin.join("postgres").is_file()).then_some(bin)
    })
}

/// The folder of Java 17: that of the environment if it is 17, else where systems put it.
pub(crate) fn java_home() -> Option<PathBuf> {
    let named = java_home_of_the_environment().into_iter();
    let installed = entries(JVMS).into_iter().filter(|path| {
        path.file_name()
            .is_some_and(|name| name.to_string_lossy().contains("17"))
    });
    named.chain(installed).find(|home| is_java_17(home))
}

#[expect(
    clippy::disallowed_methods,
    reason = "where Java is belongs to the machine and not to a configuration of ours"
)]
fn java_home_of_the_environment() -> Option<PathBuf> {
    std::env::var_os("JAVA_HOME").map(PathBuf::from)
}

fn is_java_17(home: &Path) -> bool {
    let release = fs::read_to_string(home.join("release")).unwrap_or_default();
    home.join("bin/java").is_file() && release.lines().any(|line| line.starts_with("JAVA_VERSION=\"17"))
}

/// The paths in a folder, in order; none if there is no such folder.
fn entries(folder: &str) -> Vec<PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect();
    paths.sort();
    paths
}

fn runs(program: &str, arguments: &[&str]) -> bool {
    said(program, arguments).is_some()
}

/// What a program said, if it is there and did not fail.
pub(crate) fn said(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plea_names_the_programs_and_the_packages() {
        assert_eq!(
            plea(&[Need::Postgres, Need::Java17]),
            "missing: PostgreSQL 15 or newer, Java 17; on Debian as root: apt-get install postgresql openjdk-17-jre-headless"
        );
    }

    #[test]
    fn another_version_of_java_is_not_taken() {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join("bin")).unwrap();
        fs::write(home.path().join("bin/java"), "").unwrap();
        for (version, good) in [("17.0.9", true), ("21.0.1", false), ("1.8.0_17", false)] {
            let release = format!("IMPLEMENTOR=\"x\"\nJAVA_VERSION=\"{version}\"\n");
            fs::write(home.path().join("release"), release).unwrap();
            assert_eq!(is_java_17(home.path()), good, "{version}");
        }
    }
}
