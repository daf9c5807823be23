//! One key is one command: whatever is repeated, lost or raced, and over whichever door it came.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::harness::client::{Api, Call, Reply, new_key, number, text};
use crate::harness::person::Person;
use crate::harness::socket::Socket;
use crate::stage::Stage;

async fn group_of_three() -> ([Person; 3], String) {
    let [anna, boram, chulsoo] = Api::shared().three().await;
    let room = anna.group(&[&boram, &chulsoo]).await;
    ([anna, boram, chulsoo], room)
}

/// Makes the call twice with one key: the second answer is the first one, said again.
async fn twice(call: Call) -> Value {
    let call = call.key(&new_key());
    let (first, second) = (call.clone().await, call.await);
    assert!(!first.is_replayed(), "{first}");
    assert_same(&first, &second);
    first.value()
}

fn assert_same(first: &Reply, second: &Reply) {
    first.accepted();
    assert_eq!((first.status, first.value()), (second.status, second.value()));
    assert!(second.is_replayed(), "{second}");
    second.position();
}

#[tokio::test]
async fn a_repeated_command_is_answered_as_before_and_done_once() {
    let ([anna, boram, chulsoo], room) = group_of_three().await;
    let dahee = anna.api.person("dahee").await;
    let sent = twice(anna.sending(&room, "한 번만")).await;
    twice(anna.inviting(&room, &[&dahee])).await;
    twice(anna.patch(format!("/v1/rooms/{room}"), &json!({"name": "한 번만"}))).await;
    twice(boram.put(format!("/v1/rooms/{room}/read-marker"), &json!({"seq": sent["seq"]}))).await;
    twice(boram.put(format!("/v1/rooms/{room}/preferences"), &json!({"pinned": true}))).await;
    twice(anna.giving(&room, &boram, "admin")).await;
    twice(boram.kicking(&room, &dahee)).await;
    let kinds: Vec<_> = anna
        .history(&room)
        .await
        .iter()
        .map(|item| text(&item["kind"]))
        .collect();
    assert_eq!(
        kinds,
        ["invited", "text", "invited", "renamed", "role_changed", "kicked"]
    );

    let group = json!({"kind": "group", "user_ids": [boram.id, chulsoo.id]});
    twice(anna.post("/v1/rooms", &group)).await;
    twice(chulsoo.post("/v1/rooms", &json!({"kind": "direct", "user_id": anna.id}))).await;
    twice(chulsoo.inviting(&chulsoo.direct(&anna).await, &[&boram])).await;
    let rooms = chulsoo.rooms().await;
    assert_eq!(
        rooms["items"].as_array().unwrap().len(),
        3,
        "two groups were made and one was there: {rooms}"
    );
}

#[tokio::test]
async fn a_direct_room_opened_by_a_repeated_key_is_still_201_and_by_a_new_one_200() {
    let [anna, boram, _] = Api::shared().three().await;
    let opening = anna.post("/v1/rooms", &json!({"kind": "direct", "user_id": boram.id}));
    let key = new_key();
    let first = opening.clone().key(&key).await;
    first.is(201);
    opening.clone().key(&new_key()).await.is(200);
    assert_same(&first, &opening.key(&key).await);
}

#[tokio::test]
async fn a_leave_is_answered_as_before_although_the_room_is_gone_for_me() {
    let ([anna, _, _], room) = group_of_three().await;
    twice(anna.leaving(&room)).await;
    anna.leaving(&room).key(&new_key()).await.problem(404);
}

#[tokio::test]
async fn a_kick_and_a_handing_over_are_answered_as_before_although_they_would_be_refused_now() {
    let ([anna, boram, chulsoo], room) = group_of_three().await;
    twice(anna.kicking(&room, &chulsoo)).await;
    let again = anna.kicking(&room, &chulsoo).key(&new_key()).await;
    again.refused(404, "member_not_found");
    twice(anna.giving(&room, &boram, "owner")).await;
    let again = anna.giving(&room, &boram, "owner").key(&new_key()).await;
    again.refused(403, "not_allowed");
}

#[tokio::test]
async fn a_key_belongs_to_one_request() {
    let ([anna, boram, chulsoo], room) = group_of_three().await;
    let (key, other) = (new_key(), anna.group(&[&boram, &chulsoo]).await);
    anna.sending(&room, "처음").key(&key).await.is(201);
    for another in [
        anna.sending(&room, "다른 말").key(&key),
        anna.sending(&other, "처음").key(&key),
        anna.put(format!("/v1/rooms/{room}/read-marker"), &json!({"seq": 2}))
            .key(&key),
        anna.leaving(&room).key(&key),
    ] {
        another.await.refused(422, "idempotency_key_reused");
    }
    assert_eq!(anna.room(&room).await["last_seq"], 2);
}

#[tokio::test]
async fn a_request_is_the_same_however_its_json_is_written() {
    let ([anna, _, _], room) = group_of_three().await;
    let key = new_key();
    let path = format!("/v1/rooms/{room}/messages");
    let first = anna
        .post(&path, &json!({"kind": "text", "text": "같은 말"}))
        .key(&key)
        .await;
    let spaced = "{ \"text\" : \"\\uac19\\uc740 말\",\n  \"kind\": \"text\" }";
    let call = anna
        .call("POST", &path)
        .raw(spaced)
        .header("content-type", "application/json");
    assert_same(&first, &call.key(&key).await);
}

#[tokio::test]
async fn a_key_is_mine_alone() {
    let ([anna, boram, _], room) = group_of_three().await;
    let key = new_key();
    let mine = anna.sending(&room, "내 말").key(&key).await.is(201);
    let theirs = boram.sending(&room, "내 말").key(&key).await;
    assert_eq!(theirs.is(201)["seq"], 3);
    assert!(!theirs.is_replayed());
    assert_ne!(mine["message_id"], theirs.value()["message_id"]);
}

#[tokio::test]
async fn simultaneous_calls_with_one_key_are_one_message_with_one_answer() {
    let ([anna, _, _], room) = group_of_three().await;
    for round in 0..10 {
        let call = anna.sending(&room, &format!("동시에 {round}")).key(&new_key());
        let replies = join_all((0..2 + round).map(|_| call.clone().send())).await;
        let bodies: BTreeSet<_> = replies.iter().map(|reply| reply.is(201).to_string()).collect();
        assert_eq!(bodies.len(), 1, "{bodies:?}");
        assert_eq!(replies.iter().filter(|reply| !reply.is_replayed()).count(), 1);
    }
    assert_eq!(anna.room(&room).await["last_seq"], 11);
}

#[tokio::test]
async fn a_refusal_leaves_the_key_free() {
    let ([anna, _, _], room) = group_of_three().await;
    let key = new_key();
    anna.sending(&room, "").key(&key).await.problem(422);
    anna.sending(&new_key(), "없는 방").key(&key).await.problem(404);
    let sent = anna.sending(&room, "이제 되네").key(&key).await;
    sent.is(201);
    assert!(!sent.is_replayed());
}

#[tokio::test]
async fn a_command_that_changed_nothing_leaves_the_key_free() {
    let ([anna, boram, _], room) = group_of_three().await;
    anna.say(&room, "읽어 봐").await;
    let (key, path) = (new_key(), format!("/v1/rooms/{room}/read-marker"));
    let nothing = boram.put(&path, &json!({"seq": 1})).key(&key).await;
    nothing.is(204);
    nothing.position();
    let moved = boram.put(&path, &json!({"seq": 2})).key(&key).await;
    moved.is(204);
    assert!(!moved.is_replayed());
    assert_eq!(boram.room(&room).await["unread_count"], 0);
}

#[tokio::test]
async fn socket_and_http_with_one_key_are_one_message() {
    let ([anna, _, _], room) = group_of_three().await;
    let mut socket = Socket::open(&anna).await;
    let message = json!({"kind": "text", "text": "두 문으로"});

    let key = new_key();
    let ack = socket.post(&room, &key, &message).await;
    assert_eq!((&ack["op"], &ack["replayed"]), (&json!("ack"), &json!(false)), "{ack}");
    let again = anna.sending(&room, "두 문으로").key(&key).await;
    assert!(again.is_replayed(), "{again}");
    assert_answers_alike(&ack, &again.is(201));
    anna.sending(&room, "다른 말")
        .key(&key)
        .await
        .refused(422, "idempotency_key_reused");

    let key = new_key();
    let first = anna.sending(&room, "두 문으로").key(&key).await.is(201);
    let ack = socket.post(&room, &key, &message).await;
    assert_eq!(ack["replayed"], true, "{ack}");
    assert_answers_alike(&ack, &first);
    let problem = socket
        .post(&room, &key, &json!({"kind": "text", "text": "다른 말"}))
        .await;
    assert_eq!(problem["problem"]["code"], "idempotency_key_reused", "{problem}");
    assert_eq!(anna.room(&room).await["last_seq"], 3);
}

fn assert_answers_alike(ack: &Value, body: &Value) {
    for field in ["room_id", "message_id", "seq", "version", "sent_at"] {
        assert_eq!(ack[field], body[field], "{field}: {ack} and {body}");
    }
}

#[tokio::test]
async fn a_malformed_key_is_refused_and_nothing_is_done() {
    let ([anna, _, _], room) = group_of_three().await;
    for key in ["", "not-a-uuid", "12345", "018f0000-0000-7000-8000-00000000000"] {
        let reply = anna.sending(&room, "형식이 틀린 열쇠").key(key).await;
        assert!([400, 422].contains(&reply.status), "{key:?}: {reply}");
        reply.problem(reply.status);
    }
    assert_eq!(anna.room(&room).await["last_seq"], 1);
}

#[tokio::test]
async fn answers_live_as_long_as_the_log_also_after_a_kill_and_a_restart() {
    let mut stage = Stage::new();
    let [anna, boram, chulsoo] = stage.api().three().await;
    let room = anna.group(&[&boram, &chulsoo]).await;
    let direct = json!({"kind": "direct", "user_id": boram.id});
    let calls = |anna: &Person, boram: &Person| {
        [
            anna.sending(&room, "오래 남을 말"),
            anna.post("/v1/rooms", &direct),
            anna.put(format!("/v1/rooms/{room}/preferences"), &json!({"pinned": true})),
            boram.put(format!("/v1/rooms/{room}/read-marker"), &json!({"seq": 2})),
            boram.leaving(&room),
        ]
    };
    let keys: Vec<_> = (0..5).map(|_| new_key()).collect();
    let mut first = Vec::new();
    for (call, key) in calls(&anna, &boram).into_iter().zip(&keys) {
        first.push(call.key(key).await);
    }
    stage.kill();
    stage.start();

    let api = anna.api.moved_to(stage.doors());
    let (anna, boram) = (anna.at(&api), boram.at(&api));
    for ((call, key), before) in calls(&anna, &boram).into_iter().zip(&keys).zip(&first) {
        assert_same(before, &call.key(key).await);
    }
    anna.sending(&room, "다른 말")
        .key(&keys[0])
        .await
        .refused(422, "idempotency_key_reused");
    assert_eq!(number(&anna.room(&room).await["last_seq"]), 3);
}
