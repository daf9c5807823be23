//! Running it as one process: one server per folder, what it listens to, configuration, the demo, exit codes.

use std::net::SocketAddr;

use serde_json::json;

use crate::harness::NO_RATES;
use crate::harness::client::{Api, eventually};
use crate::server::Folder;

#[tokio::test]
async fn a_second_server_on_a_folder_is_refused_with_a_clear_message() {
    let folder = Folder::new();
    let server = folder.start();
    let second = folder.run_server(&[]);
    assert_ne!(second.code(), 0);
    let said = format!("{}{}", second.stdout, second.stderr);
    assert!(!said.contains("is ready") && !said.contains("panicked"), "{said}");
    assert!(
        said.contains(&folder.data().display().to_string()),
        "it names the folder: {said}"
    );

    let anna = Api::at(server.public).person("anna").await;
    let room = anna.direct(&anna).await;
    anna.say(&room, "the first one is not disturbed").await;
    server.kill();
    let third = folder.start();
    anna.at(&anna.api.moved_to(third.public))
        .say(&room, "the lock dies with its holder")
        .await;
}

#[tokio::test]
async fn the_development_door_is_shut_on_a_listener_that_is_not_loopback() {
    let folder = Folder::new();
    let starting = folder.begin(&folder.arguments_at(([0, 0, 0, 0], 0).into()));
    let Ok(server) = starting.ready() else {
        return;
    };
    let port = server.public.port();
    let api = Api::at(SocketAddr::from(([127, 0, 0, 1], port)));
    let body = json!({"handle": "outsider", "display_name": "Outsider"});
    api.call("POST", "/v1/dev/accounts").json(&body).await.problem(404);
}

#[test]
fn a_configuration_is_checked() {
    let good = Folder::with_config(NO_RATES);
    let config = good.config().display().to_string();
    assert_eq!(good.run(&["config", "check", "--config", &config]).code(), 0);
    for broken in [
        "[limits.rate]\nno_such_setting = 1\n",
        "[limits\n",
        "[limits.rate]\ncommands_per_minute = \"many\"\n",
    ] {
        let folder = Folder::with_config(broken);
        let config = folder.config().display().to_string();
        let check = folder.run(&["config", "check", "--config", &config]);
        assert_eq!(check.code(), 1, "{broken}: {}", check.stderr);
        assert!(!format!("{}{}", check.stdout, check.stderr).trim().is_empty());
        let refused = folder.run_server(&[]);
        assert_ne!(refused.code(), 0, "a server does not start on a broken configuration");
    }
}

#[test]
fn the_effective_configuration_is_shown_without_secrets() {
    let folder = Folder::with_config("[limits.rate]\ncommands_per_minute = 12345\n");
    let config = folder.config().display().to_string();
    let dump = folder.run(&["config", "dump", "--config", &config]);
    assert_eq!(dump.code(), 0, "{}", dump.stderr);
    assert!(dump.stdout.contains("12345"), "{}", dump.stdout);
    for line in dump.stdout.lines() {
        let Some((key, value)) = line.split_once(['=', ':']) else {
            continue;
        };
        let secret = ["secret", "password", "pepper", "private"]
            .iter()
            .any(|word| key.contains(word));
        let hidden = value.contains("***") || value.trim().trim_matches(['"', ',']).is_empty();
        assert!(!secret || hidden, "{line}");
    }
}

#[test]
fn help_is_0_and_wrong_usage_2() {
    let folder = Folder::new();
    let help = folder.run(&["--help"]);
    assert_eq!(help.code(), 0);
    for word in ["--listen", "--admin-listen", "--data", "--config", "--demo"] {
        assert!(help.stdout.contains(word), "{word} is not in: {}", help.stdout);
    }
    for usage in [
        vec!["--no-such-flag"],
        vec!["no-such-command"],
        vec!["--listen", "nowhere"],
    ] {
        assert_eq!(folder.run(&usage).code(), 2, "{usage:?}");
    }
}

#[test]
fn every_shell_can_complete_the_command_line() {
    let folder = Folder::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = folder.run(&["completions", shell]);
        assert_eq!(script.code(), 0, "{shell}: {}", script.stderr);
        for word in [
            "cocotalk",
            "admin-listen",
            "doctor",
            "projections",
            "parked",
            "completions",
        ] {
            assert!(script.stdout.contains(word), "{shell} knows nothing of {word}");
        }
    }
    assert_eq!(folder.run(&["completions", "abacus"]).code(), 2);
}

/// Bash is everywhere; that it takes the script and completes by it stands for the others.
#[test]
fn bash_completes_by_its_script() {
    let script = Folder::new().run(&["completions", "bash"]).stdout;
    let ask =
        "eval \"$0\"; COMP_WORDS=(cocotalk do); COMP_CWORD=1; _cocotalk cocotalk do cocotalk; echo \"${COMPREPLY[@]}\"";
    let mut bash = std::process::Command::new("bash");
    bash.args(["--norc", "-c", ask, &script]);
    let completed = crate::harness::process::Process::finish(bash);
    assert_eq!(
        (completed.code(), completed.stdout.trim()),
        (0, "doctor"),
        "{}",
        completed.stderr
    );
}

#[tokio::test]
async fn the_demo_has_rooms_in_korean_and_english_and_people_who_can_be_signed_in() {
    let folder = Folder::new();
    let server = folder.start_with(&["--demo"]);
    let names = || async { (server.stdout().lines().count() > 1).then_some(()) };
    eventually("it says who can be signed in", names).await;
    let console = Api::at(server.public).get("/").await;
    assert_eq!(console.status, 200, "{console}");
}
