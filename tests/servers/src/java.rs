//! The Java virtual machine.

use std::path::PathBuf;

use anyhow::Context as _;

use crate::need;

/// What a virtual machine is good at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// It starts soon and never becomes fast: for tests.
    #[default]
    Quick,
    /// It becomes as fast as it can: for benchmarks.
    Thorough,
}

/// The program.
pub(crate) fn program() -> anyhow::Result<PathBuf> {
    let home = need::java_home().context("Java 17 was there a moment ago")?;
    Ok(home.join("bin/java"))
}

/// The arguments that every server has.
pub(crate) fn arguments(heap_mib: u32, start: Start) -> Vec<String> {
    let heap = [format!("-Xms{heap_mib}m"), format!("-Xmx{heap_mib}m")];
    let kind = match start {
        Start::Quick => ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"],
        // As Kafka's own scripts have it: a broker that stands still to collect garbage is seen in every latency.
        Start::Thorough => ["-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20"],
    };
    heap.into_iter().chain(kind.map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_quick_start_leaves_the_better_compiler_out() {
        let quick = arguments(512, Start::Quick);
        let thorough = arguments(512, Start::Thorough);
        assert_eq!(
            quick,
            ["-Xms512m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
        );
        assert_eq!(
            thorough,
            ["-Xms512m", "-Xmx512m", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20"]
        );
    }
}
