//! Going on after a lost connection: everything missed comes first, or the whole connection starts anew.

use serde_json::{Value, json};

use crate::harness::client::{Api, number};
use crate::harness::person::Person;
use crate::harness::socket::{Socket, is_version};
use crate::stage::{MAY_LAG, Stage};

fn texts(frames: &[Value]) -> Vec<&str> {
    frames
        .iter()
        .filter_map(|frame| frame["data"]["text"].as_str())
        .collect()
}

/// A room whose version the reader knows, and the cursor of a socket of theirs that is closed.
async fn gone_offline(api: &Api) -> ([Person; 3], String, String) {
    let [anna, boram, chulsoo] = api.three().await;
    let room = anna.group(&[&boram, &chulsoo]).await;
    let mut first = Socket::open(&boram).await;
    anna.say(&room, "아직 연결됨").await;
    first.event("message.sent", &room).await;
    // What one socket was told of is behind the cursor of the next one there.
    let cursor = first.open_beside(&boram).await.cursor();
    ([anna, boram, chulsoo], room, cursor)
}

#[tokio::test]
async fn what_was_missed_is_replayed_in_order_and_first() {
    let ([anna, boram, chulsoo], room, cursor) = gone_offline(&Api::shared()).await;
    let dahee = anna.api.person("dahee").await;
    let start = number(&anna.room(&room).await["version"]);
    for word in ["하나", "둘", "셋"] {
        chulsoo.say(&room, word).await;
    }
    anna.inviting(&room, &[&dahee]).await.is(200);
    let end = number(&dahee.say(&room, "넷").await["version"]);

    let mut socket = Socket::resume(&boram, &cursor).await;
    assert_eq!(socket.ready["resumed"], "replayed");
    let frames = socket.up_to(&room, end).await;
    let versions: Vec<_> = frames.iter().filter_map(|frame| frame["version"].as_u64()).collect();
    assert_eq!(versions, (start + 1..=end).collect::<Vec<_>>());
    assert_eq!(texts(&frames), ["하나", "둘", "셋", "넷"]);

    let live = anna.say(&room, "다시 연결됨").await;
    assert_eq!(
        socket.event("message.sent", &room).await["version"],
        live["version"],
        "then it is live again"
    );
}

#[tokio::test]
async fn a_replayed_frame_is_the_frame_that_was_live() {
    let ([anna, boram, chulsoo], room, cursor) = gone_offline(&Api::shared()).await;
    let mut live = Socket::open(&chulsoo).await;
    let end = number(&anna.say(&room, "똑같이").await["version"]);
    let frame = |frame: &Value| is_version(frame, &room, end);
    let seen = live.wait_for("the live frame", frame).await;
    let mut resumed = Socket::resume(&boram, &cursor).await;
    assert_eq!(resumed.wait_for("the replayed frame", frame).await, seen);
}

#[tokio::test]
async fn rooms_joined_and_left_meanwhile_are_replayed_as_far_as_they_concern_me() {
    let ([anna, boram, chulsoo], room, cursor) = gone_offline(&Api::shared()).await;
    let new = anna.group(&[&boram, &chulsoo]).await;
    let hello = number(&anna.say(&new, "새 방입니다").await["version"]);
    boram.leaving(&room).await.accepted();
    anna.say(&room, "보람이 간 뒤").await;
    let direct = anna.direct(&boram).await;
    let end = number(&anna.say(&direct, "마지막").await["version"]);

    let mut socket = Socket::resume(&boram, &cursor).await;
    let created = socket.event("room.created", &new).await;
    assert_eq!(created["version"], 1);
    socket
        .wait_for("its first message", |frame| is_version(frame, &new, hello))
        .await;
    socket.event("member.left", &room).await;
    let frames = socket.up_to(&direct, end).await;
    assert!(!texts(&frames).contains(&"보람이 간 뒤"), "it was sent after the leave");
}

#[tokio::test]
async fn a_quiet_cursor_replays_nothing() {
    let ([anna, boram, _], room, cursor) = gone_offline(&Api::shared()).await;
    let mut socket = Socket::resume(&boram, &cursor).await;
    assert_eq!(socket.ready["resumed"], "replayed");
    let version = number(&anna.say(&room, "처음 듣는 말").await["version"]);
    let frames = socket.up_to(&room, version).await;
    assert_eq!(texts(&frames), ["처음 듣는 말"]);
}

#[tokio::test]
async fn a_cursor_that_is_none_resets_the_connection() {
    let ([anna, boram, _], room, cursor) = gone_offline(&Api::shared()).await;
    for junk in ["", "junk", "AAAA", "0:0", &format!("{cursor}x"), &"x".repeat(1_024)] {
        let mut socket = Socket::resume(&boram, junk).await;
        assert_eq!(socket.ready["resumed"], "reset", "{junk:?}");
        socket.look_anew(&boram).await;
        let sent = anna.say(&room, "다시 처음부터").await;
        assert_eq!(socket.event("message.sent", &room).await["version"], sent["version"]);
    }
}

#[tokio::test]
async fn a_cursor_outlives_kills_and_restarts_of_the_server() {
    let mut stage = Stage::new();
    let ([anna, boram, _], room, mut cursor) = gone_offline(&stage.api()).await;
    let start = number(&anna.room(&room).await["version"]);
    anna.say(&room, "죽기 전").await;
    stage.kill();

    for round in 0..2 {
        stage.start();
        let api = anna.api.moved_to(stage.doors());
        let (anna, boram) = (anna.at(&api), boram.at(&api));
        let end = number(&anna.say(&room, "되살아난 뒤").await["version"]);
        let mut socket = Socket::resume(&boram, &cursor).await;
        assert_eq!(socket.ready["resumed"], "replayed", "round {round}");
        let frames = socket.up_to(&room, end).await;
        let versions: Vec<_> = frames.iter().filter_map(|frame| frame["version"].as_u64()).collect();
        let first = versions[0];
        assert_eq!(versions, (first..=end).collect::<Vec<_>>(), "round {round}");
        // The first cursor was given before anything was missed; what the second one skips is the server's choice.
        assert!(
            first == start + 1 || (round > 0 && first <= end),
            "round {round}: {versions:?}"
        );
        cursor = socket.cursor();
        stage.terminate();
        assert!(stage.ended().iter().all(|ended| ended.status.success()));
    }
}

#[tokio::test]
async fn what_a_query_shows_is_never_older_than_ready() {
    let [anna, boram, _] = Api::shared().three().await;
    let room = anna.direct(&boram).await;
    if MAY_LAG {
        boram.room(&room).await;
    }
    for round in 1..20_u64 {
        let sent = anna.say(&room, &round.to_string()).await;
        let mut socket = Socket::open_at_once(&boram).await;
        let seen = boram.get(format!("/v1/rooms/{room}")).await.is(200);
        if MAY_LAG && seen["version"] != sent["version"] {
            // It is after the cursor then, so the socket tells of it.
            let version = number(&sent["version"]);
            socket
                .wait_for("what the query did not show", |frame| is_version(frame, &room, version))
                .await;
        } else {
            assert_eq!(seen["version"], sent["version"], "everything before the cursor is seen");
        }
    }
}

#[tokio::test]
async fn a_person_without_rooms_may_resume() {
    let anna = Api::shared().person("anna").await;
    let cursor = Socket::open(&anna).await.cursor();
    let boram = anna.api.person("boram").await;
    let room = boram.direct(&anna).await;
    boram.say(&room, "첫 방").await;
    let mut socket = Socket::resume(&anna, &cursor).await;
    assert_eq!(socket.ready["resumed"], "replayed");
    assert_eq!(
        socket.event("message.sent", &room).await["data"]["text"],
        json!("첫 방")
    );
}
