//! `deploy/compose.yaml` cannot be run here; what it tells our processes is what they understand.

use std::process::Command;

const COMPOSE: &str = include_str!("../../deploy/compose.yaml");

/// The variables that every process gets, with the defaults of what Compose would put in.
fn variables() -> Vec<(String, String)> {
    let lines = COMPOSE.lines().filter_map(|line| line.trim().split_once(": "));
    let ours = lines.filter(|(name, _)| name.starts_with("COCOTALK__"));
    ours.map(|(name, value)| (name.to_owned(), filled(value.trim().trim_matches(['"', '\'']))))
        .collect()
}

/// A value with `${NAME:-default}` replaced by the default.
fn filled(value: &str) -> String {
    let mut filled = value.to_owned();
    while let (Some(start), Some(end)) = (filled.find("${"), filled.find('}')) {
        let default = filled[start..end]
            .split_once(":-")
            .map_or("", |(_, default)| default)
            .to_owned();
        filled.replace_range(start..=end, &default);
    }
    filled
}

#[test]
fn every_process_understands_what_compose_tells_it() {
    let variables = variables();
    assert!(variables.len() >= 8, "{variables:?}");
    for program in [
        env!("CARGO_BIN_EXE_cocotalk"),
        env!("CARGO_BIN_EXE_command-api"),
        env!("CARGO_BIN_EXE_query-api"),
        env!("CARGO_BIN_EXE_relay"),
        env!("CARGO_BIN_EXE_projectors"),
    ] {
        let mut check = Command::new(program);
        check.args(["config", "check"]).envs(variables.iter().cloned());
        let output = check.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{program}: {said}");
        let mut dump = Command::new(program);
        dump.args(["config", "dump", "--json"]).envs(variables.iter().cloned());
        let dumped: serde_json::Value = serde_json::from_slice(&dump.output().unwrap().stdout).unwrap();
        assert_eq!(dumped["backend"]["kind"], "cluster");
        assert_eq!(dumped["backend"]["cluster"]["cql"]["nodes"][0], "scylla:9042");
        assert_eq!(
            dumped["backend"]["cluster"]["postgres"]["url"], "***",
            "an address with a password is not shown"
        );
    }
}

#[test]
fn a_variable_that_is_not_understood_is_refused() {
    let mut check = Command::new(env!("CARGO_BIN_EXE_relay"));
    check
        .args(["config", "check"])
        .envs(variables())
        .env("COCOTALK__BACKEND__CLUSTER__KAFKA__BROKER", "kafka:9092");
    let output = check.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("broker"));
}
