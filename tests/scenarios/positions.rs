//! Where a command landed, queries that wait for it, and the changes of a room since a version.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::harness::client::{Api, list, new_handle, new_key, number, positions, text};
use crate::harness::person::Person;
use crate::harness::socket::Socket;

async fn group_of_three() -> ([Person; 3], String) {
    let [anna, boram, chulsoo] = Api::shared().three().await;
    let room = anna.group(&[&boram, &chulsoo]).await;
    ([anna, boram, chulsoo], room)
}

#[tokio::test]
async fn every_accepted_command_says_where_it_landed() {
    let ([anna, boram, chulsoo], room) = group_of_three().await;
    let dahee = anna.api.person("dahee").await;
    let path = format!("/v1/rooms/{room}");
    let account = json!({"handle": new_handle("landed"), "display_name": "Landed"});
    let calls = [
        anna.api.call("POST", "/v1/dev/accounts").json(&account),
        anna.post("/v1/rooms", &json!({"kind": "direct", "user_id": boram.id})),
        anna.post("/v1/rooms", &json!({"kind": "direct", "user_id": boram.id})),
        anna.post(
            "/v1/rooms",
            &json!({"kind": "group", "user_ids": [boram.id, chulsoo.id]}),
        ),
        anna.sending(&room, "어디에?"),
        anna.inviting(&room, &[&dahee]),
        anna.inviting(&room, &[&dahee]),
        anna.patch(&path, &json!({"name": "여기"})),
        anna.put(format!("{path}/preferences"), &json!({"pinned": true})),
        boram.put(format!("{path}/read-marker"), &json!({"seq": 2})),
        boram.put(format!("{path}/read-marker"), &json!({"seq": 1})),
        chulsoo.put(format!("{path}/read-marker"), &json!({"seq": 1})),
        chulsoo.put(format!("{path}/preferences"), &json!({"pinned": false})),
        dahee.leaving(&room),
    ];
    for call in calls {
        let reply = call.await;
        reply.accepted();
        reply.position();
    }
    assert_eq!(
        anna.get(&path).await.header("x-position"),
        None,
        "a query lands nowhere"
    );
    assert_eq!(
        anna.sending(&room, "").await.header("x-position"),
        None,
        "nor does a refusal"
    );
}

#[tokio::test]
async fn positions_of_one_room_rise_in_one_slice() {
    let ([anna, _, _], room) = group_of_three().await;
    let mut last = None;
    for number in 0..5 {
        let reply = anna.sending(&room, &number.to_string()).await;
        let found = positions(&reply.position());
        assert_eq!(found.len(), 1, "a message is one event in one slice");
        if let Some((slice, pos)) = last {
            assert!(found[0].0 == slice && found[0].1 > pos, "{found:?} after {last:?}");
        }
        last = Some(found[0]);
    }
}

#[tokio::test]
async fn a_query_with_a_position_sees_the_command() {
    let ([anna, boram, _], room) = group_of_three().await;
    for round in 2..40_u64 {
        let sent = anna.sending(&room, &format!("{round}")).await;
        assert_eq!(number(&sent.is(201)["seq"]), round);
        let at = |path: String| boram.get(path).at_least(sent.position());
        let rooms = at("/v1/rooms".to_owned()).await.is(200);
        assert_eq!(list(&rooms["items"])[0]["last_seq"], round);
        let page = at(format!("/v1/rooms/{room}/messages?limit=1")).await.is(200);
        assert_eq!(list(&page["items"])[0]["seq"], round);
        let read = boram
            .put(format!("/v1/rooms/{room}/read-marker"), &json!({"seq": round}))
            .await;
        let seen = anna
            .get(format!("/v1/rooms/{room}/members"))
            .at_least(read.position())
            .await
            .is(200);
        let found = list(&seen["items"])
            .iter()
            .find(|member| member["user_id"] == boram.id.as_str())
            .unwrap()
            .clone();
        assert_eq!(found["read_seq"], round);
    }
}

#[tokio::test]
async fn several_positions_may_be_joined_or_repeated() {
    let ([anna, boram, chulsoo], room) = group_of_three().await;
    let other = anna.group(&[&boram, &chulsoo]).await;
    let one = anna.sending(&room, "하나").await.position();
    let two = anna.sending(&other, "둘").await.position();
    let joined = anna.get("/v1/rooms").at_least(format!("{one},{two}"));
    let repeated = anna.get("/v1/rooms").at_least(&one).at_least(&two);
    for call in [joined, repeated] {
        let rooms = call.await.is(200);
        assert!(
            list(&rooms["items"]).iter().all(|item| item["last_seq"] == 2),
            "{rooms}"
        );
    }
}

#[tokio::test]
async fn a_position_that_does_not_come_is_answered_with_try_later() {
    let ([anna, _, _], room) = group_of_three().await;
    let reached = anna.sending(&room, "여기까지").await.position();
    let (slice, pos) = positions(&reached)[0];
    let future = format!("{slice}:{}", pos + 1_000_000);
    let calls = [
        anna.get("/v1/rooms").header("x-min-position", &future),
        anna.get(format!("/v1/rooms/{room}/messages"))
            .header("x-min-position", format!("{reached},{future}")),
        anna.get(format!("/v1/rooms/{room}"))
            .header("x-min-position", &reached)
            .header("x-min-position", &future),
    ];
    for call in calls {
        let asked = Instant::now();
        let reply = call.await;
        reply.refused(503, "read_model_behind");
        assert!(
            reply
                .header("retry-after")
                .is_some_and(|after| after.parse::<u64>().is_ok()),
            "{reply}"
        );
        assert!(
            asked.elapsed() >= Duration::from_millis(400),
            "it waits up to 500 ms before it gives up"
        );
    }
}

#[tokio::test]
async fn a_position_that_is_none_is_refused() {
    let anna = Api::shared().person("anna").await;
    for position in ["soon", "1", "1:", ":1", "1:x", "99:1", "-1:1", "1:1;2:2"] {
        let reply = anna.get("/v1/rooms").header("x-min-position", position).await;
        assert!([400, 422].contains(&reply.status), "{position}: {reply}");
        reply.problem(reply.status);
    }
}

/// What must be equal between a live frame and a change.
fn essence(frame: &Value) -> Value {
    json!([
        frame["version"],
        frame["type"],
        frame["room_id"],
        frame["data"],
        frame["at"],
        frame["position"]
    ])
}

#[tokio::test]
async fn changes_are_the_frames_that_were_live() {
    let ([anna, boram, chulsoo], room) = group_of_three().await;
    let mut socket = Socket::open(&boram).await;
    let dahee = anna.api.person("dahee").await;
    let start = number(&anna.room(&room).await["version"]);
    let asked = anna.say(&room, "하나").await;
    let reply = json!({"kind": "text", "text": "둘", "reply_to": asked["message_id"], "mentions": [boram.id]});
    chulsoo.post(format!("/v1/rooms/{room}/messages"), &reply).await.is(201);
    anna.inviting(&room, &[&dahee]).await.is(200);
    anna.patch(format!("/v1/rooms/{room}"), &json!({"name": "셋"}))
        .await
        .accepted();
    dahee.leaving(&room).await.accepted();
    let end = number(&chulsoo.say(&room, "끝").await["version"]);

    let live: Vec<_> = socket.between(&room, start, end).await.iter().map(essence).collect();
    let path = |after: u64| format!("/v1/rooms/{room}/changes?after_version={after}");
    let changes = boram.see(path(start)).await;
    assert_eq!(changes["version"], end);
    assert_eq!(list(&changes["items"]).iter().map(essence).collect::<Vec<_>>(), live);
    let versions: Vec<_> = list(&changes["items"])
        .iter()
        .map(|frame| number(&frame["version"]))
        .collect();
    assert_eq!(versions, (start + 1..=end).collect::<Vec<_>>());
    let tail = boram.see(path(end - 2)).await;
    assert_eq!(
        list(&tail["items"])[..],
        list(&changes["items"])[list(&changes["items"]).len() - 2..]
    );
    let none = boram.see(path(end)).await;
    assert_eq!((&none["items"], &none["version"]), (&json!([]), &json!(end)));
}

#[tokio::test]
async fn changes_about_what_i_may_not_see_say_only_that_something_changed() {
    let ([anna, boram, _], room) = group_of_three().await;
    anna.say(&room, "다희에게는 비밀").await;
    let dahee = anna.api.person("dahee").await;
    anna.inviting(&room, &[&dahee]).await.is(200);
    let end = number(&boram.say(&room, "이건 봐도 돼").await["version"]);
    let changes = dahee.see(format!("/v1/rooms/{room}/changes?after_version=0")).await;
    let items = list(&changes["items"]);
    assert_eq!(items.len() as u64, end);
    for frame in &items[..items.len() - 2] {
        assert_eq!(
            (&frame["type"], &frame["data"]),
            (&json!("room.changed"), &json!({})),
            "{frame}"
        );
    }
    assert_eq!(items[items.len() - 2]["type"], "member.joined");
    assert_eq!(items[items.len() - 1]["data"]["text"], "이건 봐도 돼");
}

#[tokio::test]
async fn more_than_a_thousand_changes_are_too_far_behind() {
    let ([anna, boram, _], room) = group_of_three().await;
    let start = number(&anna.room(&room).await["version"]);
    let sends = (0..50).map(|lane| {
        let (anna, room) = (&anna, &room);
        async move {
            for number in 0..20 {
                anna.say(room, &format!("{lane} {number}")).await;
            }
        }
    });
    join_all(sends).await;
    let path = |after: u64| format!("/v1/rooms/{room}/changes?after_version={after}");
    let changes = boram.see(path(start)).await;
    assert_eq!(list(&changes["items"]).len(), 1_000);
    assert_eq!(changes["version"], start + 1_000);
    anna.say(&room, "하나 더").await;
    boram.get(path(start)).fresh().await.refused(409, "too_far_behind");
    boram.see(path(start + 1)).await;
}

#[tokio::test]
async fn changes_of_a_room_that_is_not_there_are_not_found() {
    let anna = Api::shared().person("anna").await;
    let problem = anna
        .get(format!("/v1/rooms/{}/changes?after_version=0", new_key()))
        .await
        .problem(404);
    assert!(!text(&problem["code"]).is_empty());
}
