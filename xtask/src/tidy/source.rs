//! Rust files: a doc header, no escapes from the lints, and a size that one can read.

use super::{File, Finding};

/// Beyond this a file is two files.
const MAX_LINES: usize = 800;

/// What must not stand in code, and what to do instead. Written in two halves, so that this file passes its own check.
const FORBIDDEN: [(&str, &str); 5] = [
    (
        concat!("#[", "allow("),
        "use `#[expect(.., reason = \"..\")]`, which tells when it is no longer needed",
    ),
    (
        concat!("#![", "allow("),
        "use `#![expect(.., reason = \"..\")]`, which tells when it is no longer needed",
    ),
    (concat!("#[", "ignore"), "make the test run, or delete it"),
    (concat!("todo", "!("), "write it, or leave it out"),
    (concat!("unimplemented", "!("), "write it, or leave it out"),
];

/// Checks one Rust file.
pub(super) fn check(file: &File) -> Vec<Finding> {
    let path = &file.path;
    let mut findings = Vec::new();
    if !file.text.starts_with("//!") {
        findings.push(Finding::new(path, 1, "open the file with `//!` and say what it is for"));
    }
    if path == "mod.rs" || path.ends_with("/mod.rs") {
        findings.push(Finding::new(
            path,
            1,
            "move this file to `<folder>.rs` beside its folder",
        ));
    }
    let lines = file.text.lines().count();
    if lines > MAX_LINES {
        findings.push(Finding::new(
            path,
            MAX_LINES,
            format!("split the file: {lines} lines, {MAX_LINES} at most"),
        ));
    }
    // Comments may name what code may not do.
    for (index, line) in file
        .text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
    {
        for (forbidden, advice) in FORBIDDEN.iter().filter(|(forbidden, _)| line.contains(forbidden)) {
            findings.push(Finding::new(path, index + 1, format!("no `{forbidden}`: {advice}")));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIDY: [usize; 0] = [];

    #[test]
    fn a_file_with_a_header_is_tidy() {
        assert_eq!(found("domain/src/room.rs", "//! Rooms.\n\nfn open() {}\n"), TIDY);
    }

    #[test]
    fn a_file_without_a_header_is_found() {
        assert_eq!(found("domain/src/room.rs", "use std::fmt;\n//! Rooms.\n"), [1]);
        assert_eq!(found("domain/src/room.rs", ""), [1]);
    }

    #[test]
    fn mod_files_are_found() {
        assert_eq!(found("domain/src/room/mod.rs", "//! Rooms.\n"), [1]);
    }

    #[test]
    fn each_forbidden_word_is_found_on_its_line() {
        for (forbidden, _) in FORBIDDEN {
            assert_eq!(
                found("a.rs", &format!("//! A.\n\n    {forbidden}\n")),
                [3],
                "{forbidden}"
            );
        }
    }

    #[test]
    fn a_comment_may_name_what_is_forbidden() {
        for (forbidden, _) in FORBIDDEN {
            assert_eq!(
                found("a.rs", &format!("//! Never {forbidden}.\n    // Not {forbidden}.\n")),
                TIDY
            );
        }
    }

    #[test]
    fn only_a_file_over_the_limit_is_found() {
        assert_eq!(found("a.rs", &"//! A.\n".repeat(MAX_LINES)), TIDY);
        assert_eq!(found("a.rs", &"//! A.\n".repeat(MAX_LINES + 1)), [MAX_LINES]);
    }

    /// The lines of the findings.
    fn found(path: &str, text: &str) -> Vec<usize> {
        let file = File {
            path: path.to_owned(),
            text: text.to_owned(),
        };
        check(&file).into_iter().map(|finding| finding.line).collect()
    }
}
