//! Golden files: every event that was ever written has one, so there are some. Which ones is for the domain's tests.

use super::{Finding, Tree};

/// Where they are.
const FOLDER: &str = "domain/tests/golden";

/// Checks that there are golden files.
pub(super) fn check(tree: &Tree) -> Option<Finding> {
    let missing = !tree.holds(FOLDER);
    missing.then(|| Finding::new(FOLDER, 1, "keep a golden file for every event that was ever written"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_must_not_be_empty() {
        assert_eq!(
            check(&Tree::of(&[("domain/tests/golden/room.opened.v1.json", "{}")])),
            None
        );
        assert_eq!(
            check(&Tree::of(&[("domain/tests/golden.rs", "")])).map(|finding| finding.line),
            Some(1)
        );
    }
}
