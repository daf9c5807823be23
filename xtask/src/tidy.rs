//! `cargo xtask tidy`: what must hold of this repository and no compiler checks.
//!
//! Each check is a pure function over the files it is about; each finding says where and what to do.

mod alerts;
mod golden;
mod links;
mod lint_config;
mod metrics;
mod problems;
mod source;

use std::fmt;
use std::process::ExitCode;

use anyhow::{Context, ensure};

use crate::workspace;

/// The task on its own: prints the findings, or that there are none.
pub(crate) fn run() -> anyhow::Result<ExitCode> {
    let findings = findings()?;
    print_all(&findings);
    if findings.is_empty() {
        println!("tidy");
        return Ok(ExitCode::SUCCESS);
    }
    Ok(ExitCode::FAILURE)
}

/// The step of `cargo xtask test`: prints the findings and fails if there are any.
pub(crate) fn check() -> anyhow::Result<()> {
    let findings = findings()?;
    print_all(&findings);
    ensure!(findings.is_empty(), "{} findings", findings.len());
    Ok(())
}

fn print_all(findings: &[Finding]) {
    for finding in findings {
        println!("{finding}");
    }
}

fn findings() -> anyhow::Result<Vec<Finding>> {
    let tree = Tree::read()?;
    let mut findings = Vec::new();
    for file in tree.files.iter().filter(|file| file.extension() == "rs") {
        findings.extend(source::check(file));
    }
    for file in tree.files.iter().filter(|file| file.extension() == "md") {
        findings.extend(links::check(file, &tree));
    }
    findings.extend(problems::check(&tree));
    findings.extend(alerts::check(&tree));
    findings.extend(golden::check(&tree));
    findings.extend(metrics::check(&tree));
    findings.extend(lint_config::check(&tree));
    findings.sort();
    Ok(findings)
}

/// One thing to put right. Printed as `path:line: what to do`, which editors and terminals turn into a link.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    path: String,
    line: usize,
    advice: String,
}

impl Finding {
    fn new(path: &str, line: usize, advice: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            line,
            advice: advice.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.advice)
    }
}

/// A file of the repository.
#[derive(Debug)]
struct File {
    /// Relative to the root, with `/` between its parts.
    path: String,
    /// What it holds; empty for a file that no check reads.
    text: String,
}

impl File {
    fn extension(&self) -> &str {
        self.path.rsplit_once('.').map_or("", |(_, extension)| extension)
    }
}

/// The files of the repository: every path, and the text of those that checks read.
#[derive(Debug, Default)]
struct Tree {
    files: Vec<File>,
}

impl Tree {
    /// Only these are read: the rest may be large, or no text at all.
    const READ: [&str; 5] = ["rs", "md", "toml", "yaml", "json"];

    fn read() -> anyhow::Result<Self> {
        let mut files = Vec::new();
        for path in workspace::files()? {
            let mut file = File {
                path,
                text: String::new(),
            };
            if Self::READ.contains(&file.extension()) {
                let bytes = std::fs::read(workspace::root().join(&file.path))
                    .with_context(|| format!("cannot read {}", file.path))?;
                // What is no UTF-8 shows up as replacement characters, which harm no check.
                file.text = String::from_utf8_lossy(&bytes).into_owned();
            }
            files.push(file);
        }
        Ok(Self { files })
    }

    fn file(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }

    /// Whether this is a file, a folder with a file in it, or (as the empty path) the root.
    fn holds(&self, path: &str) -> bool {
        let is_within = |file: &File| file.path.strip_prefix(path).is_some_and(|rest| rest.starts_with('/'));
        path.is_empty() || self.files.iter().any(|file| file.path == path || is_within(file))
    }
}

#[cfg(test)]
impl Tree {
    /// A tree of these paths and texts.
    fn of(files: &[(&str, &str)]) -> Self {
        let file = |&(path, text): &(&str, &str)| File {
            path: path.to_owned(),
            text: text.to_owned(),
        };
        Self {
            files: files.iter().map(file).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_a_place_and_what_to_do() {
        let finding = Finding::new("edge/src/lib.rs", 7, "say why");
        assert_eq!(finding.to_string(), "edge/src/lib.rs:7: say why");
    }

    #[test]
    fn a_tree_holds_files_and_the_folders_they_are_in() {
        let tree = Tree::of(&[("docs/adr/0001-log.md", "")]);
        for path in ["docs/adr/0001-log.md", "docs/adr", "docs", ""] {
            assert!(tree.holds(path), "{path}");
        }
        for path in ["docs/adr/0001", "doc", "adr"] {
            assert!(!tree.holds(path), "{path}");
        }
    }
}
