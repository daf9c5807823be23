//! Relative links in Markdown: each points to a file or folder of this repository.
//!
//! Links to other sites are not followed: that needs the network, and their death is no fault of a commit. Headings behind
//! a `#` are not checked either.

use super::{File, Finding, Tree};

/// Checks one Markdown file.
pub(super) fn check(file: &File, tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (line, target) in targets(&file.text) {
        let Some(path) = relative_path(&target) else { continue };
        if !resolve(&file.path, path).is_some_and(|path| tree.holds(&path)) {
            findings.push(Finding::new(
                &file.path,
                line,
                format!("link to a file that exists, not `{target}`"),
            ));
        }
    }
    findings
}

/// The targets of all links outside of code, with their line numbers: `[text](target)` and `[label]: target`.
fn targets(markdown: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut fence = None;
    for (index, line) in markdown.lines().enumerate() {
        let line = line.trim();
        let marker = ["```", "~~~"].into_iter().find(|marker| line.starts_with(marker));
        if let Some(marker) = marker {
            match fence {
                None => fence = Some(marker),
                Some(open) if open == marker => fence = None,
                Some(_) => {}
            }
            continue;
        }
        if fence.is_some() {
            continue;
        }
        let text = without_code(line);
        found.extend(
            inline_targets(&text)
                .into_iter()
                .chain(label_target(&text))
                .map(|target| (index + 1, target)),
        );
    }
    found
}

/// The line without what stands between backticks. A backtick without a partner is text.
fn without_code(line: &str) -> String {
    let mut text = String::new();
    let mut rest = line;
    while let Some(start) = rest.find('`') {
        text.push_str(&rest[..start]);
        let ticks = rest[start..].chars().take_while(|char| *char == '`').count();
        let (fence, behind) = rest[start..].split_at(ticks);
        rest = behind.split_once(fence).map_or(behind, |(_code, after)| after);
    }
    text + rest
}

/// `[text](target "title")`, any number of times, images included.
fn inline_targets(line: &str) -> Vec<String> {
    let mut parts = line.split("](");
    parts.next();
    parts.filter_map(|part| cut_target(part, ')')).collect()
}

/// `[label]: target`, on a line of its own.
fn label_target(line: &str) -> Option<String> {
    let (label, target) = line.strip_prefix('[')?.split_once("]: ")?;
    // `[^1]: text` is a footnote.
    if label.starts_with('^') {
        None
    } else {
        cut_target(target, ' ')
    }
}

/// The target at the start of `text`: in angle brackets, or up to a space or `end`, parentheses in pairs included.
fn cut_target(text: &str, end: char) -> Option<String> {
    let text = text.trim_start();
    if let Some(bracketed) = text.strip_prefix('<') {
        return bracketed.split_once('>').map(|(target, _)| target.to_owned());
    }
    let mut depth = 0_usize;
    let length = text.find(|char: char| {
        let ends = char.is_whitespace() || (char == end && depth == 0);
        match char {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        ends
    });
    let target = &text[..length.unwrap_or(text.len())];
    (!target.is_empty()).then(|| target.to_owned())
}

/// The path of a link into this repository, or `None` for one to another site or to a heading of the same page.
fn relative_path(target: &str) -> Option<&str> {
    let path = target.split(['#', '?']).next().unwrap_or_default();
    let has_scheme = path.split_once(':').is_some_and(|(scheme, _)| !scheme.contains('/'));
    (!path.is_empty() && !has_scheme && !path.starts_with("//")).then_some(path)
}

/// The path from the root that a link in `from` means; `None` if it leaves the repository. A leading `/` is the root.
fn resolve(from: &str, link: &str) -> Option<String> {
    let (folder, link) = match link.strip_prefix('/') {
        Some(link) => ("", link),
        None => (from.rsplit_once('/').map_or("", |(folder, _)| folder), link),
    };
    let mut path: Vec<&str> = Vec::new();
    for part in folder.split('/').chain(link.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(path.pop()?),
            part => path.push(part),
        }
    }
    Some(path.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_found_outside_of_code() {
        let markdown = "\
See [the log](docs/log.md), ![a picture](<web/a b.png> \"title\") and [both](a.md)[twice](b(1).md).
[label]: ../other.md \"Other\"
[^1]: a footnote
`[code](no.md)` and ``[more ` code](no.md)``, but [text](yes.md) and a lone ` tick
```text
[fenced](no.md)
~~~
[still fenced](no.md)
```
[after](after.md)
";
        let expected = [
            (1, "docs/log.md"),
            (1, "web/a b.png"),
            (1, "a.md"),
            (1, "b(1).md"),
            (2, "../other.md"),
            (4, "yes.md"),
            (10, "after.md"),
        ];
        assert_eq!(
            targets(markdown),
            expected.map(|(line, target)| (line, target.to_owned()))
        );
    }

    #[test]
    fn only_links_into_the_repository_have_a_path() {
        assert_eq!(relative_path("adr/0001-log.md#decision"), Some("adr/0001-log.md"));
        assert_eq!(relative_path("/docs"), Some("/docs"));
        for target in [
            "https://example.com/a.md",
            "mailto:a@example.com",
            "#heading",
            "//example.com/a.md",
        ] {
            assert_eq!(relative_path(target), None, "{target}");
        }
    }

    #[test]
    fn links_resolve_from_the_folder_of_their_file() {
        assert_eq!(resolve("README.md", "docs/API.md"), Some("docs/API.md".to_owned()));
        assert_eq!(
            resolve("docs/adr/0001-log.md", "../API.md"),
            Some("docs/API.md".to_owned())
        );
        assert_eq!(resolve("docs/API.md", "./adr/"), Some("docs/adr".to_owned()));
        assert_eq!(resolve("docs/API.md", "/README.md"), Some("README.md".to_owned()));
        assert_eq!(resolve("docs/API.md", "../.."), None);
    }

    #[test]
    fn a_link_to_nothing_is_found_on_its_line() {
        let tree = Tree::of(&[
            ("README.md", "[a](docs)\n\n[b](docs/API.md)\n[c](docs/api.md)\n"),
            ("docs/API.md", ""),
        ]);
        let findings = check(&tree.files[0], &tree);
        assert_eq!(
            findings,
            [Finding::new(
                "README.md",
                4,
                "link to a file that exists, not `docs/api.md`"
            )]
        );
    }
}
