//! Which live frames follow which command, and for whom.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::harness::client::{Api, assert_problem, eventually, list, new_key, number, positions, text};
use crate::harness::person::Person;
use crate::harness::socket::{Socket, is_version};

async fn group_of_three() -> ([Person; 3], String) {
    let [anna, boram, chulsoo] = Api::shared().three().await;
    let room = anna.group(&[&boram, &chulsoo]).await;
    ([anna, boram, chulsoo], room)
}

fn members_named(frame: &Value) -> BTreeSet<String> {
    list(&frame["data"]["user_ids"]).iter().map(text).collect()
}

#[tokio::test]
async fn a_message_reaches_every_member_as_the_item_that_history_shows() {
    let ([anna, boram, chulsoo], room) = group_of_three().await;
    let mut sockets = Vec::new();
    for person in [&anna, &boram, &chulsoo] {
        sockets.push(Socket::open(person).await);
    }
    let sent = anna.sending(&room, "모두에게 🌊").await;
    let body = sent.is(201);
    let expected = boram.history(&room).await.pop().unwrap();
    for socket in &mut sockets {
        let frame = socket.event("message.sent", &room).await;
        assert_eq!(
            (&frame["version"], &frame["position"]),
            (&body["version"], &json!(sent.position()))
        );
        assert_eq!(frame["data"], expected);
        assert_eq!(frame["data"]["unread_member_count"], 2, "everybody but its author");
    }
}

#[tokio::test]
async fn the_trace_of_a_request_goes_as_far_as_its_frame() {
    const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let ([anna, boram, _], room) = group_of_three().await;
    let (mut speaker, mut socket) = (Socket::open(&anna).await, Socket::open(&boram).await);
    let over_http = anna.sending(&room, "따라와").header("traceparent", TRACE).await;
    over_http.is(201);
    assert_eq!(socket.event("message.sent", &room).await["traceparent"], TRACE);
    let message = json!({"kind": "text", "text": "소켓으로도"});
    let send = json!({
        "op": "send", "room_id": room, "idempotency_key": new_key(), "message": message, "traceparent": TRACE,
    });
    speaker.send(&send).await;
    assert_eq!(socket.event("message.sent", &room).await["traceparent"], TRACE);
    anna.say(&room, "혼자서").await;
    let untraced = socket.event("message.sent", &room).await;
    assert_eq!(untraced.get("traceparent"), None);
    let changes = boram.see(format!("/v1/rooms/{room}/changes?after_version=1")).await;
    let traces: Vec<&Value> = list(&changes["items"])
        .iter()
        .map(|frame| &frame["traceparent"])
        .collect();
    assert_eq!(traces, [&json!(TRACE), &json!(TRACE), &Value::Null]);
}

#[tokio::test]
async fn a_stranger_hears_nothing_of_a_room() {
    let ([anna, boram, chulsoo], room) = group_of_three().await;
    let dahee = anna.api.person("dahee").await;
    let mut socket = Socket::open(&dahee).await;
    anna.say(&room, "비밀").await;
    let shared = anna.group(&[&boram, &chulsoo, &dahee]).await;
    socket.event("room.created", &shared).await;
    let version = number(&anna.say(&shared, "이제 함께").await["version"]);
    let frames = socket.up_to(&shared, version).await;
    assert!(
        frames.iter().all(|frame| !frame.to_string().contains(&room)),
        "{frames:?}"
    );
}

#[tokio::test]
async fn versions_of_a_room_have_no_holes_and_arrive_in_order() {
    let ([anna, boram, chulsoo], room) = group_of_three().await;
    let mut socket = Socket::open(&chulsoo).await;
    let start = number(&anna.room(&room).await["version"]);
    let sends = |person: Person| {
        let room = room.clone();
        async move {
            for number in 0..50 {
                person.say(&room, &number.to_string()).await;
            }
        }
    };
    futures_util::future::join_all([anna.clone(), anna, boram.clone(), boram.clone()].map(sends)).await;
    let end = number(&boram.room(&room).await["version"]);
    let frames = socket.between(&room, start, end).await;
    let versions: Vec<_> = frames.iter().filter_map(|frame| frame["version"].as_u64()).collect();
    assert_eq!(versions, (start + 1..=end).collect::<Vec<_>>());
    let seqs: Vec<_> = frames
        .iter()
        .filter_map(|frame| frame["data"]["seq"].as_u64())
        .collect();
    assert_eq!(seqs, (2..=201).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_new_group_is_told_to_its_first_members() {
    let [anna, boram, chulsoo] = Api::shared().three().await;
    let mut sockets = [
        Socket::open(&anna).await,
        Socket::open(&boram).await,
        Socket::open(&chulsoo).await,
    ];
    let body = json!({"kind": "group", "user_ids": [boram.id, chulsoo.id], "name": "새 방"});
    let opened = anna.post("/v1/rooms", &body).await.is(201);
    let room = text(&opened["room_id"]);
    for socket in &mut sockets {
        let frame = socket.event("room.created", &room).await;
        assert_eq!(frame["version"], opened["version"]);
        let data = &frame["data"];
        assert_eq!(
            (&data["kind"], &data["name"], &data["owner_id"]),
            (&json!("group"), &json!("새 방"), &json!(anna.id))
        );
        assert_eq!(
            members_named(&frame),
            [anna.id.clone(), boram.id.clone(), chulsoo.id.clone()].into()
        );
        assert_eq!(
            (&data["item"]["seq"], &data["item"]["kind"]),
            (&json!(1), &json!("invited"))
        );
    }
    let sent = anna.say(&room, "첫 글").await;
    for socket in &mut sockets {
        assert_eq!(socket.event("message.sent", &room).await["version"], sent["version"]);
    }
}

#[tokio::test]
async fn a_new_direct_room_is_told_to_both() {
    let [anna, boram, _] = Api::shared().three().await;
    let mut sockets = [Socket::open(&anna).await, Socket::open(&boram).await];
    let room = anna.direct(&boram).await;
    anna.say(&room, "처음 뵙겠습니다").await;
    for socket in &mut sockets {
        let frame = socket.event("room.created", &room).await;
        assert_eq!(frame["data"]["kind"], "direct");
        assert_eq!(members_named(&frame), [anna.id.clone(), boram.id.clone()].into());
        assert_eq!(
            socket.event("message.sent", &room).await["data"]["unread_member_count"],
            1
        );
    }
}

#[tokio::test]
async fn an_invitation_is_told_to_the_members_and_is_the_first_an_invitee_hears() {
    let ([anna, boram, _], room) = group_of_three().await;
    let dahee = anna.api.person("dahee").await;
    let (mut member, mut invitee) = (Socket::open(&boram).await, Socket::open(&dahee).await);
    anna.say(&room, "다희 오기 전").await;
    anna.inviting(&room, &[&dahee]).await.is(200);
    let version = number(&anna.say(&room, "다희야 안녕").await["version"]);

    let heard = invitee.up_to(&room, version).await;
    let heard: Vec<_> = heard.iter().filter(|frame| frame["room_id"] == room.as_str()).collect();
    assert_eq!(
        (&heard[0]["type"], &heard[0]["version"]),
        (&json!("member.joined"), &json!(version - 1))
    );
    assert_eq!(members_named(heard[0]), [dahee.id.clone()].into());
    assert_eq!(
        (&heard[0]["data"]["item"]["kind"], &heard[0]["data"]["item"]["seq"]),
        (&json!("invited"), &json!(3))
    );
    assert!(heard.iter().any(|frame| frame["data"]["text"] == "다희야 안녕"));

    let frame = member
        .wait_for("the joining", |frame| is_version(frame, &room, version - 1))
        .await;
    assert_eq!((&frame["type"], &frame["data"]), (&heard[0]["type"], &heard[0]["data"]));
}

#[tokio::test]
async fn a_leave_is_told_to_the_rest_and_to_who_left_and_nothing_after_it_to_them() {
    let ([anna, boram, _], room) = group_of_three().await;
    let (mut member, mut leaver) = (Socket::open(&anna).await, Socket::open(&boram).await);
    boram.leaving(&room).await.accepted();
    for socket in [&mut member, &mut leaver] {
        let frame = socket.event("member.left", &room).await;
        assert_eq!(members_named(&frame), [boram.id.clone()].into());
        assert_eq!(
            (&frame["data"]["item"]["kind"], &frame["data"]["item"]["seq"]),
            (&json!("left"), &json!(2))
        );
    }
    anna.say(&room, "보람이 간 뒤").await;
    let direct = anna.direct(&boram).await;
    let version = number(&anna.say(&direct, "잘 가").await["version"]);
    let after = leaver.up_to(&direct, version).await;
    assert!(after.iter().all(|frame| frame["room_id"] != room.as_str()), "{after:?}");
    anna.inviting(&room, &[&boram]).await.is(200);
    let back = anna.room(&room).await["version"].clone();
    let frame = leaver.event("member.joined", &room).await;
    assert_eq!(frame["version"], back);
}

#[tokio::test]
async fn a_new_name_is_one_frame_that_carries_its_line() {
    let ([anna, boram, _], room) = group_of_three().await;
    let mut socket = Socket::open(&boram).await;
    anna.patch(format!("/v1/rooms/{room}"), &json!({"name": "강릉 여행"}))
        .await
        .accepted();
    let frame = socket.event("room.changed", &room).await;
    assert_eq!(frame["data"]["name"], "강릉 여행");
    assert_eq!(
        (&frame["data"]["item"]["kind"], &frame["data"]["item"]["seq"]),
        (&json!("renamed"), &json!(2))
    );
    assert_eq!(frame["version"], boram.room(&room).await["version"]);
}

#[tokio::test]
async fn a_read_position_is_told_to_the_others_and_the_unread_number_to_my_other_sessions() {
    let ([anna, boram, _], room) = group_of_three().await;
    let seq = anna.say_seq(&room, "읽었어?").await;
    let phone = boram.on_another_device().await;
    let (mut author, mut own) = (Socket::open(&anna).await, Socket::open(&phone).await);
    boram.read(&room, seq).await;
    let frame = author.event("read.advanced", &room).await;
    assert!(frame["data"].to_string().contains(&boram.id), "{frame}");
    assert!(
        frame["data"].to_string().contains(&format!("\"read_seq\":{seq}")),
        "{frame}"
    );
    let frame = own.event("unread.changed", &room).await;
    assert_eq!(frame["data"], json!({"read_seq": seq, "unread_count": 0}));
    assert_eq!(frame["version"], Value::Null, "it is no event of the room");
}

#[tokio::test]
async fn a_read_frame_moves_the_position_as_the_call_does() {
    let ([anna, boram, _], room) = group_of_three().await;
    for word in ["하나", "둘", "셋"] {
        anna.say(&room, word).await;
    }
    let phone = boram.on_another_device().await;
    let (mut author, mut own, mut other) = (
        Socket::open(&anna).await,
        Socket::open(&boram).await,
        Socket::open(&phone).await,
    );
    for seq in [2, 4, 3] {
        own.send(&json!({"op": "read", "room_id": room, "seq": seq})).await;
    }
    let told = |frame: &Value| frame["type"] == "read.advanced" && frame["data"].to_string().contains("\"read_seq\":4");
    author.wait_for("the highest position", told).await;
    let unread = |frame: &Value| frame["type"] == "unread.changed" && frame["data"]["read_seq"] == 4;
    assert_eq!(other.wait_for("my own", unread).await["data"]["unread_count"], 0);
    let read = || async { (boram.room(&room).await["read_seq"] == 4).then_some(()) };
    eventually("the position is durable", read).await;
}

#[tokio::test]
async fn preferences_are_told_to_my_other_sessions_only() {
    let ([anna, boram, _], room) = group_of_three().await;
    let phone = anna.on_another_device().await;
    let (mut mine, mut theirs) = (Socket::open(&phone).await, Socket::open(&boram).await);
    anna.put(format!("/v1/rooms/{room}/preferences"), &json!({"pinned": true}))
        .await
        .accepted();
    let frame = mine.event("seat.changed", &room).await;
    assert_eq!(
        (&frame["data"]["preferences"]["pinned"], &frame["version"]),
        (&json!(true), &Value::Null)
    );
    let version = number(&anna.say(&room, "아무 일 없음").await["version"]);
    let frames = theirs.up_to(&room, version).await;
    assert!(frames.iter().all(|frame| frame["type"] != "seat.changed"), "{frames:?}");
}

#[tokio::test]
async fn typing_is_told_to_the_others_without_a_version() {
    let ([anna, boram, _], room) = group_of_three().await;
    let stranger = anna.api.person("stranger").await;
    let (mut typist, mut watcher) = (Socket::open(&anna).await, Socket::open(&boram).await);
    let mut outsider = Socket::open(&stranger).await;
    let typing = json!({"op": "typing", "room_id": room});
    outsider.send(&typing).await;
    outsider.ping().await;
    typist.send(&typing).await;
    let frame = watcher.event("typing", &room).await;
    assert!(
        frame.to_string().contains(&anna.id) && !frame.to_string().contains(&stranger.id),
        "{frame}"
    );
    assert_eq!(frame["version"], Value::Null);
}

#[tokio::test]
async fn a_send_over_the_socket_is_acknowledged_with_what_the_call_answers() {
    let ([anna, boram, _], room) = group_of_three().await;
    let (mut author, mut reader) = (Socket::open(&anna).await, Socket::open(&boram).await);
    let ack = author
        .post(&room, &new_key(), &json!({"kind": "text", "text": "소켓으로"}))
        .await;
    assert_eq!(
        (&ack["op"], &ack["seq"], &ack["replayed"]),
        (&json!("ack"), &json!(2), &json!(false)),
        "{ack}"
    );
    assert!(!positions(&text(&ack["position"])).is_empty());
    let item = boram
        .get(format!("/v1/rooms/{room}/messages"))
        .at_least(text(&ack["position"]))
        .await;
    let item = list(&item.is(200)["items"]).last().unwrap().clone();
    assert_eq!(
        (&item["message_id"], &item["sent_at"]),
        (&ack["message_id"], &ack["sent_at"])
    );
    let frame = reader.event("message.sent", &room).await;
    assert_eq!(
        (&frame["version"], &frame["data"]["text"]),
        (&ack["version"], &json!("소켓으로"))
    );
    author.event("message.sent", &room).await;
}

#[tokio::test]
async fn a_send_over_the_socket_is_refused_as_the_call_is() {
    let ([anna, boram, _], room) = group_of_three().await;
    let stranger = anna.api.person("stranger").await;
    let (mut member, mut outsider) = (Socket::open(&anna).await, Socket::open(&stranger).await);
    let hello = json!({"kind": "text", "text": "안녕"});
    for (room, message, status) in [
        (room.as_str(), json!({"kind": "text", "text": ""}), 422),
        (&room, json!({"kind": "text", "text": "가".repeat(10_001)}), 422),
        (&room, json!({"kind": "photo", "media_ids": [new_key()]}), 422),
        (&new_key(), hello.clone(), 404),
    ] {
        refused(&member.post(room, &new_key(), &message).await, status);
    }
    refused(&outsider.post(&room, &new_key(), &hello).await, 404);
    member.ping().await;
    assert_eq!(boram.room(&room).await["last_seq"], 1);
}

#[track_caller]
fn refused(answer: &Value, status: u16) {
    assert_eq!(answer["op"], "problem", "{answer}");
    assert_problem(&answer["problem"], status);
}
