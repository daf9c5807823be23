//! The domain's `clippy.toml` repeats the root's, since clippy reads the nearest file only. A ban that is added to one and
//! not to the other would be lost in silence.

use super::{Finding, Tree};

/// What holds everywhere.
const ROOT: &str = "clippy.toml";
/// What holds in the domain: all of the above, and more.
const DOMAIN: &str = "domain/clippy.toml";

/// Checks that every setting of the root is one of the domain.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let text = |path| tree.file(path).map_or("", |file| file.text.as_str());
    let domain: Vec<&str> = text(DOMAIN).lines().map(str::trim).collect();
    let root = text(ROOT).lines().map(str::trim).enumerate();
    root.filter(|(_, line)| !line.is_empty() && !line.starts_with('#') && !domain.contains(line))
        .map(|(index, line)| Finding::new(ROOT, index + 1, format!("repeat this line in {DOMAIN}: {line}")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_the_domain_lacks_is_found() {
        let root = "# Why.\nbanned = [\n    { path = \"a\" },\n    { path = \"b\" },\n]\n";
        let domain = "banned = [\n    { path = \"a\" },\n    { path = \"c\" },\n]\n";
        let findings = check(&Tree::of(&[(ROOT, root), (DOMAIN, domain)]));
        let expected = Finding::new(ROOT, 4, "repeat this line in domain/clippy.toml: { path = \"b\" },");
        assert_eq!(findings, [expected]);
    }
}
