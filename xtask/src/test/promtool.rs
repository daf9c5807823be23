//! What operators load, read by their own tool: the configuration of Prometheus, the alert rules with tests of their own, and
//! the queries of the dashboards.

use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};
use cocotalk_servers::Need;
use serde_json::{Value, json};

use crate::{process, workspace};

/// What it runs, as one would type it.
pub(crate) const ABOUT: &str = "promtool check config, check rules and test rules on deploy/prometheus, and check rules on the queries of \
                                deploy/grafana";

const CONFIG: &str = "deploy/prometheus/prometheus.yaml";
const RULES: &str = "deploy/prometheus/alerts.yaml";
const TESTS: &str = "deploy/prometheus/alerts_test.yaml";
const DASHBOARDS: &str = "deploy/grafana/";

/// Variables of dashboards, and a value that each may have.
const VARIABLES: [(&str, &str); 3] = [("$__rate_interval", "5m"), ("$__interval", "1m"), ("$__range", "1h")];

/// Checks all of it.
pub(crate) fn check() -> anyhow::Result<()> {
    cocotalk_servers::ensure(&[Need::Promtool])?;
    promtool(&["check", "config", CONFIG])?;
    promtool(&["check", "rules", RULES])?;
    promtool(&["test", "rules", TESTS])?;
    let mut seen = 0;
    for path in workspace::files()? {
        if path.starts_with(DASHBOARDS)
            && Path::new(&path)
                .extension()
                .is_some_and(|extension| extension == "json")
        {
            check_dashboard(&path).with_context(|| format!("{path} is no good dashboard"))?;
            seen += 1;
        }
    }
    ensure!(seen > 0, "there is no dashboard in {DASHBOARDS}");
    Ok(())
}

fn promtool(arguments: &[&str]) -> anyhow::Result<()> {
    let mut command = Command::new("promtool");
    command.current_dir(workspace::root()).args(arguments);
    process::run(&mut command)
}

/// Prometheus has no word for checking a query, but it has one for rules, and a rule may have any query.
fn check_dashboard(path: &str) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(workspace::root().join(path))?;
    let dashboard: Value = serde_json::from_str(&text)?;
    for field in ["uid", "title"] {
        ensure!(
            dashboard[field].as_str().is_some_and(|text| !text.is_empty()),
            "it has no {field}"
        );
    }
    let queries = queries(&dashboard);
    ensure!(!queries.is_empty(), "it asks for nothing");
    // JSON is YAML.
    let mut file = tempfile::Builder::new().suffix(".yaml").tempfile()?;
    file.write_all(rules(&queries).to_string().as_bytes())?;
    let file = file.path().display().to_string();
    promtool(&["check", "rules", &file]).with_context(|| queries.join("\n"))
}

/// Every query of a dashboard.
fn queries(part: &Value) -> Vec<String> {
    match part {
        Value::Object(fields) => {
            let own = fields.get("expr").and_then(Value::as_str).map(filled);
            own.into_iter().chain(fields.values().flat_map(queries)).collect()
        }
        Value::Array(items) => items.iter().flat_map(queries).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    }
}

fn filled(query: &str) -> String {
    let fill = |query: String, (name, value): (&str, &str)| query.replace(name, value);
    VARIABLES.into_iter().fold(query.to_owned(), fill)
}

fn rules(queries: &[String]) -> Value {
    let rule = |(index, query)| json!({"record": format!("panel:{index}"), "expr": query});
    let rules: Vec<Value> = queries.iter().enumerate().map(rule).collect();
    json!({"groups": [{"name": "dashboard", "rules": rules}]})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_found_at_any_depth_with_their_variables_filled_in() {
        let dashboard = json!({"panels": [
            {"targets": [{"expr": "rate(a[$__rate_interval])"}, {"expr": "b"}]},
            {"title": "expr", "panels": [{"targets": [{"expr": "c"}]}]},
        ]});
        assert_eq!(queries(&dashboard), ["rate(a[5m])", "b", "c"]);
    }

    #[test]
    fn each_query_is_a_rule() {
        let rules = rules(&["a".to_owned(), "b".to_owned()]);
        assert_eq!(
            rules["groups"][0]["rules"][1],
            json!({"record": "panel:1", "expr": "b"})
        );
    }
}
