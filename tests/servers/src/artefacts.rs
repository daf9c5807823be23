//! The servers that are written in Java: their libraries, fetched once by Maven into `target/servers`.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};

use crate::need::{self, Need};
use crate::wait;

/// The one version of the plugin that every machine runs.
const COPY: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies";
/// How often a download is tried. The registry may be slow or busy for a moment.
const TRIES: u32 = 4;
/// How long one try may take, seconds.
const TRY_SECONDS: &str = "300";
/// Written when everything has arrived, with the description of what has.
const COMPLETE: &str = "complete";

/// Libraries of Java.
pub(crate) struct Artefacts {
    /// The name of their folder.
    pub(crate) name: &'static str,
    /// The description for Maven, with fixed versions.
    pub(crate) pom: &'static str,
}

impl Artefacts {
    /// The folder with all of them, which are fetched if they are not there yet.
    pub(crate) fn ensure(&self) -> anyhow::Result<PathBuf> {
        let folder = cache().join(self.name);
        let libraries = folder.join("libs");
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        // Two runs at the same time fetch once: the second finds what the first did.
        let lock = File::create(folder.join("lock"))?;
        lock.lock()?;
        if is_complete(&folder, self.pom) {
            return Ok(libraries);
        }
        need::ensure(&[Need::Java17, Need::Maven])?;
        let _ = fs::remove_file(folder.join(COMPLETE));
        fs::write(folder.join("pom.xml"), self.pom)?;
        self.fetch(&folder, &libraries)
            .with_context(|| format!("cannot get the libraries of {} with Maven", self.name))?;
        fs::write(folder.join(COMPLETE), self.pom)?;
        Ok(libraries)
    }

    fn fetch(&self, folder: &Path, libraries: &Path) -> anyhow::Result<()> {
        let mut waiting = Duration::from_secs(1);
        for attempt in 1.. {
            // What a killed or failed download left may be broken.
            let _ = fs::remove_dir_all(libraries);
            let Err(error) = maven(folder, libraries) else { break };
            if attempt == TRIES {
                return Err(error);
            }
            wait::pause(waiting);
            waiting *= 2;
        }
        let count = fs::read_dir(libraries)?.count();
        ensure!(count > 0, "Maven brought nothing for {}", self.name);
        Ok(())
    }
}

fn maven(folder: &Path, libraries: &Path) -> anyhow::Result<()> {
    let mut command = Command::new("timeout");
    command.args([TRY_SECONDS, "mvn", "-q", "-B", COPY, "-DincludeScope=runtime"]);
    command.arg(format!("-DoutputDirectory={}", libraries.display()));
    command.current_dir(folder).stdin(Stdio::null());
    if let Some(home) = need::java_home() {
        command.env("JAVA_HOME", home);
    }
    let output = command.output().context("cannot start `timeout`")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stdout);
        let first = said
            .lines()
            .find(|line| line.contains("ERROR"))
            .unwrap_or("it said nothing");
        bail!("`mvn` ended with {}: {first}", output.status);
    }
    Ok(())
}

/// Whether all that this describes has arrived.
fn is_complete(folder: &Path, pom: &str) -> bool {
    fs::read_to_string(folder.join(COMPLETE)).is_ok_and(|written| written == pom) && folder.join("libs").is_dir()
}

/// Where it is kept: `target/servers` of this checkout.
fn cache() -> PathBuf {
    let ours = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = ours
        .ancestors()
        .nth(2)
        .expect("this crate lies two folders below the root");
    root.join("target/servers")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_download_of_the_same_versions_is_complete() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!is_complete(folder.path(), "1"));
        fs::create_dir(folder.path().join("libs")).unwrap();
        assert!(!is_complete(folder.path(), "1"), "it was killed on the way");
        fs::write(folder.path().join(COMPLETE), "1").unwrap();
        assert!(is_complete(folder.path(), "1"));
        assert!(!is_complete(folder.path(), "2"), "another version is wanted");
    }
}
