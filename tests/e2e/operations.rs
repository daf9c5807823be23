//! Running it: ports for operators, graceful shutdown, one server per folder, configuration, exit codes.

use serde_json::json;

use crate::client::{Api, PATIENCE, eventually, new_key, number};
use crate::server::{Folder, NO_RATES, Server};
use crate::socket::Socket;

#[tokio::test]
async fn health_and_metrics_are_on_the_admin_port_only() {
    let admin = Api::at(Server::shared().admin);
    let public = Api::shared();
    let anna = public.person("anna").await;
    let room = anna.direct(&anna).await;
    let _socket = Socket::open(&anna).await;
    anna.say(&room, "zählen").await;
    for path in ["/livez", "/readyz", "/metrics"] {
        let reply = admin.get(path).await;
        assert_eq!(reply.status, 200, "{reply}");
        public.get(path).await.problem(404);
    }
    let metrics = admin.get("/metrics").await;
    let metrics = String::from_utf8(metrics.body.to_vec()).unwrap();
    assert!(
        metrics.lines().filter(|line| line.starts_with("cocotalk_")).count() > 5,
        "{metrics}"
    );
    for part in ["command", "lag", "socket", "queue"] {
        let told = metrics
            .lines()
            .any(|line| line.starts_with("cocotalk_") && line.contains(part));
        assert!(told, "nothing about {part}");
    }
    for secret in [&anna.id, &anna.token, &room, "zählen"] {
        assert!(!metrics.contains(secret), "{secret} is in the metrics");
    }
}

#[tokio::test]
async fn sigterm_tells_the_sockets_finishes_what_is_in_flight_and_exits_0() {
    let folder = Folder::new();
    let server = folder.start();
    let [anna, boram, _] = Api::at(server.public).three().await;
    let room = anna.direct(&boram).await;
    let mut socket = Socket::open(&boram).await;
    anna.say(&room, "bis gleich").await;
    socket.event("message.sent", &room).await;

    let in_flight = (0..16).map(|number| {
        let (anna, room) = (&anna, &room);
        async move {
            anna.sending(room, &format!("noch {number}"))
                .key(&new_key())
                .attempt()
                .await
        }
    });
    let in_flight = futures_util::future::join_all(in_flight);
    let (replies, ()) = futures_util::future::join(in_flight, async { server.terminate() }).await;
    let told = socket.wait_for("reconnect", |frame| frame["op"] == "reconnect").await;
    assert!(number(&told["after_ms"]) < 600_000, "{told}");
    assert_eq!(socket.close_code(PATIENCE).await, Some(4000));
    let status = server.ended();
    assert_eq!(status.code(), Some(0), "{}", server.stderr());
    for word in [" WARN ", " ERROR ", "panicked"] {
        assert!(!server.stderr().contains(word), "{}", server.stderr());
    }

    let acknowledged: Vec<_> = replies.iter().flatten().filter(|reply| reply.status == 201).collect();
    let server = folder.start();
    let anna = anna.at(&anna.api.moved_to(server.public));
    let items = anna.history(&room).await;
    for reply in acknowledged {
        let body = reply.value();
        assert!(
            items.iter().any(|item| item["message_id"] == body["message_id"]),
            "{body} is lost"
        );
    }
}

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
    let api = Api::at(([127, 0, 0, 1], port).into());
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

#[tokio::test]
async fn the_demo_has_rooms_in_korean_and_english_and_people_who_can_be_signed_in() {
    let folder = Folder::new();
    let server = folder.start_with(&["--demo"]);
    let names = || async { (server.stdout().lines().count() > 1).then_some(()) };
    eventually("it says who can be signed in", names).await;
    let console = Api::at(server.public).get("/").await;
    assert_eq!(console.status, 200, "{console}");
}

#[tokio::test]
async fn a_restarted_server_is_ready_at_once_and_has_everything() {
    let folder = Folder::new();
    let server = folder.start();
    let [anna, boram, _] = Api::at(server.public).three().await;
    let room = anna.direct(&boram).await;
    for number in 0..50 {
        anna.say(&room, &number.to_string()).await;
    }
    boram.read(&room, 20).await;
    let before = (boram.rooms().await, boram.history(&room).await);
    server.terminate();
    assert!(server.ended().success());
    let server = folder.start();
    let boram = boram.at(&boram.api.moved_to(server.public));
    assert_eq!((boram.rooms().await, boram.history(&room).await), before);
    assert!(server.is_running());
    let ready = Api::at(server.admin).get("/readyz").await;
    assert_eq!(ready.status, 200, "{ready}");
}

#[tokio::test]
async fn a_second_sigterm_ends_it_too() {
    let folder = Folder::new();
    let server = folder.start();
    let anna = Api::at(server.public).person("anna").await;
    let _socket = Socket::open(&anna).await;
    server.terminate();
    server.terminate();
    server.ended();
}
