//! Metrics: what is measured is explained to operators, and what they are told of is measured.
//!
//! A metric is a string constant in a crate's `metrics.rs`. It is used elsewhere in that crate (or in another one, if the crate
//! is shared), it has a row of its own in the table of [`MANUAL`], and no document, rule or dashboard names another one.

use super::{File, Finding, Tree};

/// Where operators read what each one means.
const MANUAL: &str = "docs/OPERATIONS.md";
/// What every name begins with.
const PREFIX: &str = "cocotalk_";
/// What a histogram is called in queries.
const SUFFIXES: [&str; 3] = ["_bucket", "_count", "_sum"];

/// Checks them.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let declared: Vec<Metric<'_>> = tree.files.iter().flat_map(declared).collect();
    let mut findings = Vec::new();
    let manual = tree.file(MANUAL).map_or("", |file| &file.text);
    for metric in &declared {
        let is_told = manual
            .lines()
            .any(|line| line.starts_with(&format!("| `{}` |", metric.name)));
        if !is_told {
            findings.push(metric.finding(format!("explain `{}` in a row of {MANUAL}", metric.name)));
        }
        if !is_used(metric, tree) {
            findings.push(metric.finding(format!("measure `{}`, or delete it", metric.name)));
        }
    }
    let crates = crates(tree);
    for file in tree.files.iter().filter(|file| names_metrics(file)) {
        for (line, name) in names(&file.text) {
            let is_declared = declared.iter().any(|metric| metric.name == stem(name, &declared));
            if !is_declared && !crates.contains(&name.to_owned()) {
                findings.push(Finding::new(
                    &file.path,
                    line,
                    format!("name a metric that exists, not `{name}`"),
                ));
            }
        }
    }
    findings
}

struct Metric<'a> {
    path: &'a str,
    line: usize,
    constant: &'a str,
    name: &'a str,
}

impl Metric<'_> {
    fn finding(&self, advice: String) -> Finding {
        Finding::new(self.path, self.line, advice)
    }
}

/// The constants of a `metrics.rs`.
fn declared(file: &File) -> impl Iterator<Item = Metric<'_>> {
    let is_home = file.path.ends_with("/metrics.rs") && file.path.contains("/src/");
    let lines = file.text.lines().enumerate().filter(move |_| is_home);
    lines.filter_map(|(index, line)| {
        let (_, rest) = line.split_once("const ")?;
        let (constant, rest) = rest.split_once(": &str = \"")?;
        let (name, _) = rest.split_once('"')?;
        (name.starts_with(PREFIX) && name != PREFIX).then_some(Metric {
            path: &file.path,
            line: index + 1,
            constant,
            name,
        })
    })
}

/// Whether some other file than the one that declares it names its constant.
fn is_used(metric: &Metric<'_>, tree: &Tree) -> bool {
    let is_part = |char: char| char.is_ascii_alphanumeric() || char == '_';
    let sources = tree
        .files
        .iter()
        .filter(|file| file.extension() == "rs" && file.path.contains("/src/"));
    sources.filter(|file| file.path != metric.path).any(|file| {
        file.text
            .split(|char| !is_part(char))
            .any(|word| word == metric.constant)
    })
}

/// Whether what a file says of metrics is checked: what operators load, and what people read.
fn names_metrics(file: &File) -> bool {
    file.path.starts_with("deploy/") || file.extension() == "md"
}

/// What looks like the name of a metric: the prefix and at least two words behind it.
fn names(text: &str) -> Vec<(usize, &str)> {
    let is_part = |char: char| char.is_ascii_lowercase() || char.is_ascii_digit() || char == '_';
    let words = text.lines().enumerate().flat_map(move |(index, line)| {
        let words = line.split(move |char| !is_part(char));
        words.map(move |word| (index + 1, word))
    });
    words
        .filter(|(_, word)| {
            word.strip_prefix(PREFIX)
                .is_some_and(|rest| rest.trim_end_matches('_').contains('_'))
        })
        .collect()
}

/// The name without what queries append to that of a histogram.
fn stem<'a>(name: &'a str, declared: &[Metric<'_>]) -> &'a str {
    let stems = SUFFIXES.iter().filter_map(|suffix| name.strip_suffix(suffix));
    let mut known = stems.filter(|stem| declared.iter().any(|metric| metric.name == *stem));
    known.next().unwrap_or(name)
}

/// The names of our crates as the log and Rust write them.
fn crates(tree: &Tree) -> Vec<String> {
    let manifests = tree.files.iter().filter(|file| file.path.ends_with("Cargo.toml"));
    let names = manifests.flat_map(|file| file.text.lines());
    names
        .filter_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'))
        .map(|name| name.replace('-', "_"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DECLARED: &str = "//! Names.\npub const SOCKETS: &str = \"cocotalk_live_sockets\";\n\
                            pub(super) const WAIT: &str = \"cocotalk_live_wait_seconds\";\n";

    fn found(manual: &str, others: &[(&str, &str)]) -> Vec<String> {
        let mut files = vec![
            ("live/src/metrics.rs", DECLARED),
            ("live/src/hub.rs", "gauge!(SOCKETS).set(1); histogram!(metrics::WAIT)"),
            ("live/Cargo.toml", "name = \"cocotalk-live-door\"\n"),
            (MANUAL, manual),
        ];
        files.extend(others);
        check(&Tree::of(&files)).iter().map(ToString::to_string).collect()
    }

    const GOOD: &str = "| `cocotalk_live_sockets` | gauge |\n| `cocotalk_live_wait_seconds` | histogram |\n";

    #[test]
    fn what_is_measured_is_explained_and_named_rightly() {
        let others = [
            (
                "deploy/a.yaml",
                "rate(cocotalk_live_wait_seconds_bucket[5m]) > cocotalk_live_sockets",
            ),
            (
                "README.md",
                "`cocotalk_live_door=debug`, the role `cocotalk_app`, `cocotalk_<part>_<what>`",
            ),
        ];
        assert_eq!(found(GOOD, &others), Vec::<String>::new());
    }

    #[test]
    fn what_is_not_explained_is_found() {
        assert_eq!(
            found("| `cocotalk_live_sockets` | gauge |\n", &[]),
            ["live/src/metrics.rs:3: explain `cocotalk_live_wait_seconds` in a row of docs/OPERATIONS.md"]
        );
    }

    #[test]
    fn what_is_not_measured_is_found_wherever_it_is_named() {
        let others = [
            ("deploy/a.json", "\n{\"expr\": \"cocotalk_live_cats\"}"),
            ("docs/A.md", "`cocotalk_live_sockets_sum`"),
        ];
        assert_eq!(
            found(GOOD, &others),
            ["deploy/a.json:2: name a metric that exists, not `cocotalk_live_cats`",]
        );
    }

    #[test]
    fn a_constant_that_nobody_uses_is_found() {
        let tree = Tree::of(&[
            ("live/src/metrics.rs", DECLARED),
            (MANUAL, GOOD),
            ("live/src/hub.rs", "SOCKETS"),
        ]);
        let findings: Vec<String> = check(&tree).iter().map(ToString::to_string).collect();
        assert_eq!(
            findings,
            ["live/src/metrics.rs:3: measure `cocotalk_live_wait_seconds`, or delete it"]
        );
    }
}
