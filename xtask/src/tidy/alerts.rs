//! Alerts and what to do when they ring: each rule has its page in the manual, names it, and has a test; no page is of a rule
//! that is gone.
//!
//! The rules are read line by line: `- alert: <name>`, and `runbook_url: <page>` among what follows it.

use super::{Finding, Tree};

const RULES: &str = "deploy/prometheus/alerts.yaml";
const TESTS: &str = "deploy/prometheus/alerts_test.yaml";
const MANUAL: &str = "docs/OPERATIONS.md";
/// The chapter whose sections are about one alert each.
const CHAPTER: &str = "## Alerts";

/// Checks that rules, tests and manual match.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let text = |path| tree.file(path).map_or("", |file| file.text.as_str());
    let (rules, sections) = (rules(text(RULES)), sections(text(MANUAL)));
    if rules.is_empty() {
        return vec![Finding::new(RULES, 1, "write at least one `- alert: <name>`")];
    }
    let mut findings = Vec::new();
    for Rule { line, name, runbook } in &rules {
        let mut find = |advice| findings.push(Finding::new(RULES, *line, advice));
        let page = format!("{MANUAL}#{}", name.to_lowercase());
        if sections.iter().all(|(_, section)| section != name) {
            find(format!(
                "write `### {name}` in the chapter on alerts of {MANUAL}: what to do when it rings"
            ));
        }
        if *runbook != Some(page.as_str()) {
            find(format!("give {name} its `runbook_url: {page}`"));
        }
        let is_tested = text(TESTS)
            .lines()
            .any(|line| line.trim().trim_start_matches("- ") == format!("alertname: {name}"));
        if !is_tested {
            find(format!("test {name} in {TESTS}"));
        }
    }
    for (line, section) in sections {
        if rules.iter().all(|rule| rule.name != section) {
            findings.push(Finding::new(
                MANUAL,
                line,
                format!("delete this section: no rule of {RULES} is called {section}"),
            ));
        }
    }
    findings
}

struct Rule<'a> {
    line: usize,
    name: &'a str,
    runbook: Option<&'a str>,
}

fn rules(text: &str) -> Vec<Rule<'_>> {
    let mut rules: Vec<Rule<'_>> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if let Some(name) = line.strip_prefix("- alert: ") {
            rules.push(Rule {
                line: index + 1,
                name,
                runbook: None,
            });
        } else if let (Some(page), Some(rule)) = (line.strip_prefix("runbook_url: "), rules.last_mut()) {
            rule.runbook = Some(page);
        }
    }
    rules
}

/// The headings of the chapter's sections, with their lines.
fn sections(manual: &str) -> Vec<(usize, &str)> {
    let numbered = manual
        .lines()
        .enumerate()
        .skip_while(|(_, line)| *line != CHAPTER)
        .skip(1);
    let chapter = numbered.take_while(|(_, line)| !line.starts_with("## "));
    chapter
        .filter_map(|(index, line)| Some((index + 1, line.strip_prefix("### ")?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: &str =
        "groups:\n  - alert: RelayBehind\n    annotations:\n      runbook_url: docs/OPERATIONS.md#relaybehind\n";
    const TEST: &str = "  - eval_time: 1m\n    alertname: RelayBehind\n";
    const PAGE: &str = "### Elsewhere\n\n## Alerts\n\n### RelayBehind\n\n## Metrics\n\n### Others\n";

    fn found(rules: &str, tests: &str, manual: &str) -> Vec<String> {
        let tree = Tree::of(&[(RULES, rules), (TESTS, tests), (MANUAL, manual)]);
        check(&tree).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_rule_with_a_page_and_a_test_is_good() {
        assert_eq!(found(RULE, TEST, PAGE), Vec::<String>::new());
    }

    #[test]
    fn what_is_missing_is_said() {
        assert_eq!(
            found("- alert: RelayBehind\n", "", "## Alerts\n"),
            [
                "deploy/prometheus/alerts.yaml:1: write `### RelayBehind` in the chapter on alerts of docs/OPERATIONS.md: what to do when it rings",
                "deploy/prometheus/alerts.yaml:1: give RelayBehind its `runbook_url: docs/OPERATIONS.md#relaybehind`",
                "deploy/prometheus/alerts.yaml:1: test RelayBehind in deploy/prometheus/alerts_test.yaml",
            ]
        );
        assert_eq!(found("", TEST, PAGE).len(), 1);
    }

    #[test]
    fn a_page_of_no_rule_is_found() {
        let manual = PAGE.replace("## Metrics", "### RelayGone\n\n## Metrics");
        assert_eq!(
            found(RULE, TEST, &manual),
            ["docs/OPERATIONS.md:7: delete this section: no rule of deploy/prometheus/alerts.yaml is called RelayGone"]
        );
    }
}
