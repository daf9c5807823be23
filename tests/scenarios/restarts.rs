//! Operating it: ports for operators, stopping without losing anything, and starting again.

use futures_util::future::{join, join_all};

use crate::harness::client::{Api, PATIENCE, Side, new_key, number};
use crate::harness::quiet::loud;
use crate::harness::socket::Socket;
use crate::stage::Stage;

#[tokio::test]
async fn health_and_metrics_are_on_the_admin_port_only() {
    let public = Api::shared();
    let anna = public.person("anna").await;
    let room = anna.direct(&anna).await;
    let _socket = Socket::open(&anna).await;
    anna.say(&room, "zählen").await;
    let mut metrics = String::new();
    for admin in Stage::shared().admins() {
        let admin = Api::at(admin);
        for path in ["/livez", "/readyz", "/metrics"] {
            let reply = admin.get(path).await;
            assert_eq!(reply.status, 200, "{reply}");
        }
        let told = admin.get("/metrics").await;
        metrics.push_str(std::str::from_utf8(&told.body).unwrap());
    }
    for path in ["/livez", "/readyz", "/metrics"] {
        for side in [Side::Commands, Side::Queries] {
            public.get(path).of(side).await.problem(404);
        }
    }
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
    let mut stage = Stage::new();
    let [anna, boram, _] = stage.api().three().await;
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
    let (replies, ()) = join(join_all(in_flight), async { stage.terminate() }).await;
    let told = socket.wait_for("reconnect", |frame| frame["op"] == "reconnect").await;
    assert!(number(&told["after_ms"]) < 600_000, "{told}");
    assert_eq!(socket.close_code(PATIENCE).await, Some(4000));
    for ended in stage.ended() {
        assert_eq!(ended.code(), 0, "{}", ended.stderr);
        assert_eq!(loud(&ended.stderr).next(), None);
    }

    let acknowledged: Vec<_> = replies.iter().flatten().filter(|reply| reply.status == 201).collect();
    stage.start();
    let anna = anna.at(&anna.api.moved_to(stage.doors()));
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
async fn what_is_started_again_is_ready_at_once_and_has_everything() {
    let mut stage = Stage::new();
    let [anna, boram, _] = stage.api().three().await;
    let room = anna.direct(&boram).await;
    for number in 0..50 {
        anna.say(&room, &number.to_string()).await;
    }
    boram.read(&room, 20).await;
    let before = (boram.rooms().await, boram.history(&room).await);
    stage.terminate();
    assert!(stage.ended().iter().all(|ended| ended.status.success()));
    stage.start();
    let boram = boram.at(&boram.api.moved_to(stage.doors()));
    assert_eq!((boram.rooms().await, boram.history(&room).await), before);
    for admin in stage.admins() {
        let ready = Api::at(admin).get("/readyz").await;
        assert_eq!(ready.status, 200, "{ready}");
    }
}

#[tokio::test]
async fn a_second_sigterm_ends_it_too() {
    let mut stage = Stage::new();
    let anna = stage.api().person("anna").await;
    let _socket = Socket::open(&anna).await;
    stage.terminate();
    stage.terminate();
    stage.ended();
}
