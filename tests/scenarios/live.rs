//! The protocol of the live socket: greeting, heartbeat, closing, and frames that mean nothing.

use std::time::Duration;

use futures_util::future::join;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::harness::NO_RATES;
use crate::harness::client::{Api, PATIENCE, assert_problem, new_key, number, text};
use crate::harness::socket::{Socket, hello_frame};
use crate::stage::Stage;

async fn silent() -> Socket {
    Socket::silent(Api::shared().query_address()).await
}

/// What a first frame leads to.
async fn close_code_after(first: String) -> Option<u16> {
    let mut socket = silent().await;
    socket.say(first).await;
    socket.close_code(PATIENCE).await
}

#[tokio::test]
async fn a_hello_is_answered_with_ready() {
    let anna = Api::shared().person("anna").await;
    let ready = Socket::open(&anna).await.ready;
    assert!(!text(&ready["session_id"]).is_empty());
    assert!(number(&ready["heartbeat_ms"]) > 0);
    assert!(text(&ready["cursor"]).len() <= 1_024);
    assert_eq!(ready["resumed"], "new");
}

#[tokio::test]
async fn without_a_hello_the_socket_is_closed_after_ten_seconds() {
    let mut socket = silent().await;
    let opened = Instant::now();
    assert_eq!(socket.close_code(Duration::from_secs(20)).await, Some(4001));
    assert!(opened.elapsed() >= Duration::from_secs(8), "{:?}", opened.elapsed());
}

#[tokio::test]
async fn a_token_that_is_not_valid_is_4003() {
    assert_eq!(
        close_code_after(hello_frame("not a token", None).to_string()).await,
        Some(4003)
    );
    assert_eq!(close_code_after(hello_frame("", None).to_string()).await, Some(4003));
    let anna = Api::shared().person("anna").await;
    let forged = format!("{}x", anna.token);
    assert_eq!(
        close_code_after(hello_frame(&forged, None).to_string()).await,
        Some(4003)
    );
}

#[tokio::test]
async fn a_hello_that_is_not_understood_is_4002() {
    for first in [
        "hello",
        "[]",
        "{}",
        "{\"op\":\"ping\"}",
        "{\"op\":\"hello\",\"token\":7}",
    ] {
        assert_eq!(close_code_after(first.to_owned()).await, Some(4002), "{first}");
    }
}

#[tokio::test]
async fn a_hello_without_a_token_is_4003_or_4002() {
    let code = close_code_after("{\"op\":\"hello\"}".to_owned()).await;
    assert!([Some(4002), Some(4003)].contains(&code), "{code:?}");
}

#[tokio::test]
async fn a_frame_of_more_than_64_kib_is_1009() {
    let anna = Api::shared().person("anna").await;
    let mut socket = Socket::open(&anna).await;
    // The server may close while the frame is still on its way.
    let _ = socket
        .try_say(json!({"op": "typing", "room_id": "x".repeat(70_000)}).to_string())
        .await;
    let code = socket.close_code(PATIENCE).await;
    assert_eq!(code, Some(1009));
}

#[tokio::test]
async fn the_longest_text_fits_into_a_frame() {
    let [anna, boram, _] = Api::shared().three().await;
    let room = anna.direct(&boram).await;
    let mut socket = Socket::open(&anna).await;
    let ack = socket
        .post(&room, &new_key(), &json!({"kind": "text", "text": "🐿".repeat(10_000)}))
        .await;
    assert_eq!(ack["op"], "ack", "{ack}");
}

#[tokio::test]
async fn heartbeats_come_in_time_and_their_cursor_can_be_resumed() {
    let [anna, boram, _] = Api::shared().three().await;
    let room = anna.direct(&boram).await;
    let mut socket = Socket::open(&anna).await;
    boram.say(&room, "심장 박동 전").await;
    socket.event("message.sent", &room).await;
    let deadline = Instant::now() + Duration::from_millis(number(&socket.ready["heartbeat_ms"])) + PATIENCE;
    let beat = socket
        .wait_until("a heartbeat", deadline, |frame| frame["op"] == "heartbeat")
        .await;
    drop(socket);
    let sent = boram.say(&room, "심장 박동 후").await;
    let mut socket = Socket::resume(&anna, &text(&beat["cursor"])).await;
    assert_eq!(socket.ready["resumed"], "replayed");
    let frames = socket.up_to(&room, number(&sent["version"])).await;
    assert!(
        !frames.iter().any(|frame| frame["data"]["text"] == "심장 박동 전"),
        "it was before the cursor: {frames:?}"
    );
}

#[tokio::test]
async fn a_ping_is_answered_with_a_pong() {
    let anna = Api::shared().person("anna").await;
    let mut socket = Socket::open(&anna).await;
    for _ in 0..5 {
        socket.ping().await;
    }
}

#[tokio::test]
async fn focus_is_understood() {
    let [anna, boram, _] = Api::shared().three().await;
    let room = anna.direct(&boram).await;
    let mut socket = Socket::open(&anna).await;
    socket.send(&json!({"op": "focus", "room_id": room})).await;
    socket.send(&json!({"op": "focus", "room_id": null})).await;
    socket.ping().await;
    assert!(
        socket.unread().all(|frame| frame["op"] != "problem"),
        "{:?}",
        socket.unread().collect::<Vec<_>>()
    );
}

/// Frames that no server can understand, one after the other.
fn nonsense() -> impl Iterator<Item = String> {
    let frames = [
        "not json".to_owned(),
        "[]".to_owned(),
        "{}".to_owned(),
        json!({"op": "dance"}).to_string(),
        json!({"op": "typing"}).to_string(),
        json!({"op": "read", "room_id": new_key(), "seq": "last"}).to_string(),
        json!({"op": "send", "room_id": new_key(), "message": {}}).to_string(),
    ];
    frames.into_iter().cycle()
}

async fn problem_of(socket: &mut Socket, frame: String) -> Value {
    socket.say(frame).await;
    socket.wait_for("a problem", |frame| frame["op"] == "problem").await
}

#[tokio::test]
async fn frames_that_mean_nothing_get_a_problem_each_until_there_are_twenty() {
    let anna = Api::shared().person("anna").await;
    let mut socket = Socket::open(&anna).await;
    let mut frames = nonsense();
    for frame in frames.by_ref().take(19) {
        let answer = problem_of(&mut socket, frame).await;
        assert_problem(
            &answer["problem"],
            u16::try_from(number(&answer["problem"]["status"])).unwrap(),
        );
    }
    socket.ping().await;
    for frame in frames.take(2) {
        // The first of these is the twentieth; whether it or the next closes the socket, each got a problem before.
        let _ = socket.try_say(frame).await;
    }
    assert_eq!(socket.close_code(PATIENCE).await, Some(4010));
    assert!(
        socket.unread().any(|frame| frame["op"] == "problem"),
        "the twentieth was told what was wrong with it"
    );
}

#[tokio::test]
async fn frames_that_mean_nothing_do_not_disturb_the_others() {
    let [anna, boram, _] = Api::shared().three().await;
    let room = anna.direct(&boram).await;
    let mut socket = Socket::open(&anna).await;
    for frame in nonsense().take(8) {
        problem_of(&mut socket, frame).await;
        boram.say(&room, "계속").await;
        socket.event("message.sent", &room).await;
    }
}

#[tokio::test]
async fn who_cannot_keep_up_is_let_go_may_resume_and_slows_nobody() {
    const MESSAGES: u64 = 300;
    let stage = Stage::with_config(&format!("{NO_RATES}[live]\noutbox_items = 16\n"));
    let [anna, boram, chulsoo] = stage.api().three().await;
    let room = anna.group(&[&boram, &chulsoo]).await;
    let mut slow = Socket::open_narrow(&boram).await;
    let mut quick = Socket::open(&chulsoo).await;
    let cursor = Socket::open(&boram).await.cursor();

    // About 12 MB, more than the buffers on the way hold; `slow` reads nothing of it meanwhile.
    let words = "🐿".repeat(10_000);
    let sends = async {
        for _ in 0..MESSAGES {
            anna.say(&room, &words).await;
        }
        number(&anna.room(&room).await["version"])
    };
    let (end, ()) = join(sends, async { quick.until_seq(&room, MESSAGES + 1).await }).await;

    let code = slow.close_code(PATIENCE).await;
    // When nothing was read for very long, the connection is cut and no code can come through any more.
    assert!(code.is_none_or(|code| code == 4009), "{code:?}");
    assert!((slow.unread().count() as u64) < MESSAGES, "it was cut before the end");
    let mut resumed = Socket::resume(&boram, &cursor).await;
    if resumed.ready["resumed"] == "replayed" {
        let frames = resumed.up_to(&room, end).await;
        let versions: Vec<_> = frames.iter().filter_map(|frame| frame["version"].as_u64()).collect();
        assert_eq!(versions, (versions[0]..=end).collect::<Vec<_>>());
    } else {
        assert_eq!(resumed.ready["resumed"], "reset");
        let next = number(&anna.say(&room, "끝").await["version"]);
        resumed.up_to(&room, next).await;
    }
}

#[tokio::test]
async fn one_person_may_have_several_sockets() {
    let [anna, boram, _] = Api::shared().three().await;
    let room = anna.direct(&boram).await;
    let mut sockets = [
        Socket::open(&anna).await,
        Socket::open(&anna).await,
        Socket::open(&anna).await,
    ];
    let sent = sockets[0]
        .post(&room, &new_key(), &json!({"kind": "text", "text": "여러 기기로"}))
        .await;
    for socket in &mut sockets {
        assert_eq!(socket.event("message.sent", &room).await["version"], sent["version"]);
    }
}
