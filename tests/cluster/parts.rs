//! The command line of the processes, and what operators do to an installation.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::harness::NO_RATES;
use crate::harness::client::Api;
use crate::harness::process::{Finished, Process};
use crate::node::{Node, Role};
use crate::stage::Stage;

/// Runs a binary to its end.
fn run(program: &str, arguments: &[&str], config: Option<&Path>) -> Finished {
    let mut command = Command::new(program);
    command.args(arguments).env_remove("RUST_LOG");
    if let Some(config) = config {
        command.arg("--config").arg(config);
    }
    Process::finish(command)
}

#[test]
fn help_is_0_and_wrong_usage_2() {
    for role in Role::ALL {
        let help = run(role.program(), &["--help"], None);
        assert_eq!(help.code(), 0);
        for word in ["--admin-listen", "--config", role.name()] {
            assert!(help.stdout.contains(word), "{word} is not in: {}", help.stdout);
        }
        for usage in [["--no-such-flag"], ["no-such-command"], ["--admin-listen=nowhere"]] {
            assert_eq!(run(role.program(), &usage, None).code(), 2, "{usage:?}");
        }
    }
}

#[test]
fn every_part_completes_under_its_own_name() {
    for role in Role::ALL {
        let script = run(role.program(), &["completions", "bash"], None);
        assert_eq!(script.code(), 0, "{}", script.stderr);
        for word in [role.name(), "--admin-listen", "config"] {
            assert!(script.stdout.contains(word), "{word} is not in: {}", script.stdout);
        }
        assert!(!script.stdout.contains("cocotalk"), "{}", role.name());
    }
}

#[test]
fn a_part_needs_a_backend_that_several_processes_can_share() {
    for role in Role::ALL {
        let refused = run(role.program(), &["config", "check"], None);
        assert_eq!(refused.code(), 1, "{}{}", refused.stdout, refused.stderr);
        assert!(
            !refused.stderr.contains("panicked") && !refused.stderr.is_empty(),
            "{}",
            refused.stderr
        );
    }
}

#[test]
fn a_configuration_is_checked_and_shown_without_secrets() {
    let installation = Stage::installation();
    let good = installation.config("good", NO_RATES);
    let secret =
        "[backend]\nkind = \"cluster\"\n[backend.cluster.postgres]\nurl = \"postgres://cocotalk:horse-staple@h/d\"\n";
    let secret = installation.config_of("secret", secret);
    let broken = installation.config("broken", "[limits.rate]\nno_such_setting = 1\n");
    for role in Role::ALL {
        let check = run(role.program(), &["config", "check"], Some(&good));
        assert_eq!(check.code(), 0, "{}", check.stderr);
        let check = run(role.program(), &["config", "check"], Some(&broken));
        assert_eq!(check.code(), 1, "{}", check.stderr);
        let dump = run(role.program(), &["config", "dump"], Some(&secret));
        assert_eq!(dump.code(), 0, "{}", dump.stderr);
        assert!(
            dump.stdout.contains("***") && !dump.stdout.contains("horse-staple"),
            "{}",
            dump.stdout
        );
    }
}

#[test]
fn migrations_may_be_repeated_and_run_side_by_side() {
    let installation = Stage::installation();
    Stage::shared();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| installation.migrate());
        }
    });
}

#[test]
fn the_doctor_finds_nothing_wrong() {
    Stage::shared();
    let config = Stage::installation().config("doctor", NO_RATES);
    let found = run(env!("CARGO_BIN_EXE_cocotalk"), &["doctor"], Some(&config));
    assert_eq!(found.code(), 0, "{}{}", found.stdout, found.stderr);
}

#[tokio::test]
async fn the_development_door_is_shut_on_a_listener_that_is_not_loopback() {
    let config = Stage::installation().config("everywhere", NO_RATES);
    let node = Node::begin_listening(Role::CommandApi, 0, &config, Ipv4Addr::UNSPECIFIED);
    node.ready();
    let api = Api::at(SocketAddr::from((Ipv4Addr::LOCALHOST, node.public().port())));
    let body = json!({"handle": "outsider", "display_name": "Outsider"});
    api.call("POST", "/v1/dev/accounts").json(&body).await.problem(404);
}
