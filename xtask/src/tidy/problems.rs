//! Problem codes and their pages: what the API answers with when it refuses is explained, and nothing else is.
//!
//! The codes are the string literals between `// codes:begin` and `// codes:end` in `edge/src/problem.rs` that consist of
//! lower-case letters, digits and underscores. Literals of other shapes, such as titles, may stand among them.

use super::{Finding, Tree};

/// Where the codes are declared.
const SOURCE: &str = "edge/src/problem.rs";
/// Where their pages are, each called `<code>.md`. A `README.md` among them is an index, not a page.
const PAGES: &str = "docs/problems/";
/// The line above the first code.
const BEGIN: &str = "// codes:begin";
/// The line below the last one.
const END: &str = "// codes:end";

/// Checks that codes and pages match, both ways.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let Some(source) = tree.file(SOURCE) else {
        return vec![Finding::new(
            SOURCE,
            1,
            "write this file: it declares the problem codes",
        )];
    };
    let codes = match codes(&source.text) {
        Ok(codes) => codes,
        Err((line, advice)) => return vec![Finding::new(SOURCE, line, advice)],
    };
    let mut findings = Vec::new();
    for (line, code) in &codes {
        let page = format!("{PAGES}{code}.md");
        if tree.file(&page).is_none() {
            findings.push(Finding::new(
                SOURCE,
                *line,
                format!("write {page}: it explains `{code}`"),
            ));
        }
    }
    for file in &tree.files {
        let page = file.path.strip_prefix(PAGES).and_then(|page| page.strip_suffix(".md"));
        let Some(page) = page.filter(|page| *page != "README") else {
            continue;
        };
        if codes.iter().all(|(_, code)| code != page) {
            findings.push(Finding::new(
                &file.path,
                1,
                format!("delete this page, or declare `{page}` in {SOURCE}"),
            ));
        }
    }
    findings
}

/// The codes between the markers with their line numbers, each once; or the line to mend and what to do there.
fn codes(source: &str) -> Result<Vec<(usize, String)>, (usize, String)> {
    let line_of = |marker: &str| source.lines().position(|line| line.trim() == marker);
    let begin = line_of(BEGIN).ok_or_else(|| (1, format!("put `{BEGIN}` above the problem codes")))?;
    let end = line_of(END).filter(|end| *end > begin);
    let end = end.ok_or_else(|| (begin + 1, format!("put `{END}` below the problem codes")))?;
    let mut found: Vec<(usize, String)> = Vec::new();
    for (index, line) in source.lines().enumerate().take(end).skip(begin + 1) {
        for code in literals(line).into_iter().filter(|literal| is_code(literal)) {
            if found.iter().all(|(_, known)| *known != code) {
                found.push((index + 1, code.to_owned()));
            }
        }
    }
    if found.is_empty() {
        Err((begin + 1, "declare at least one problem code".to_owned()))
    } else {
        Ok(found)
    }
}

/// The string literals that open and close on this line. What stands in a comment is none.
fn literals(line: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = line;
    while let Some((before, behind)) = rest.split_once('"') {
        if before.contains("//") {
            break;
        }
        let mut escaped = false;
        let close = behind.find(|char| {
            let closes = char == '"' && !escaped;
            escaped = char == '\\' && !escaped;
            closes
        });
        let Some(close) = close else { break };
        found.push(&behind[..close]);
        rest = &behind[close + 1..];
    }
    found
}

fn is_code(literal: &str) -> bool {
    let is_part = |char: char| char.is_ascii_lowercase() || char.is_ascii_digit() || char == '_';
    !literal.is_empty() && literal.chars().all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DECLARED: &str = r#"//! Problems.
const BEFORE: &str = "before";
// codes:begin
    Code::RoomClosed => "room_closed", // not the "comment"
    /// Answers "nothing" of note.
    Code::NotFound => ("not_found", "Not found: \"it\" is gone"),
    Code::Again => "room_closed",
// codes:end
const AFTER: &str = "after";
"#;

    #[test]
    fn codes_are_the_literals_between_the_markers() {
        let expected = [(4, "room_closed"), (6, "not_found")].map(|(line, code)| (line, code.to_owned()));
        assert_eq!(codes(DECLARED), Ok(expected.to_vec()));
    }

    #[test]
    fn missing_markers_are_said() {
        assert_eq!(
            codes("//! Problems.\n"),
            Err((1, "put `// codes:begin` above the problem codes".to_owned()))
        );
        let below = "put `// codes:end` below the problem codes".to_owned();
        assert_eq!(codes("//! Problems.\n// codes:begin\n"), Err((2, below.clone())));
        assert_eq!(codes("// codes:end\n// codes:begin\n"), Err((2, below)));
        assert_eq!(
            codes("// codes:begin\n// codes:end\n"),
            Err((1, "declare at least one problem code".to_owned()))
        );
    }

    #[test]
    fn codes_and_pages_are_matched_both_ways() {
        let tree = Tree::of(&[
            (SOURCE, DECLARED),
            ("docs/problems/README.md", ""),
            ("docs/problems/not_found.md", ""),
            ("docs/problems/teapot.md", ""),
        ]);
        let findings: Vec<String> = check(&tree).iter().map(ToString::to_string).collect();
        let expected = [
            "edge/src/problem.rs:4: write docs/problems/room_closed.md: it explains `room_closed`",
            "docs/problems/teapot.md:1: delete this page, or declare `teapot` in edge/src/problem.rs",
        ];
        assert_eq!(findings, expected);
    }

    #[test]
    fn a_missing_declaration_is_found() {
        assert_eq!(check(&Tree::default()).len(), 1);
    }
}
