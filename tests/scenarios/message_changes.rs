//! What happens to a message after it was sent: edits, deletions, what people hide, reactions, and what a reply shows of it.

use serde_json::{Value, json};

use crate::harness::client::{Api, Call, list, new_key, number, text};
use crate::harness::person::Person;
use crate::harness::socket::{Socket, is_version};

/// How emoji are written in a path.
const LIKE: &str = "%F0%9F%91%8D";
const HEART: &str = "%E2%9D%A4%EF%B8%8F";

async fn group_of_three() -> ([Person; 3], String) {
    let [anna, boram, chulsoo] = Api::shared().three().await;
    let room = anna.group(&[&boram, &chulsoo]).await;
    ([anna, boram, chulsoo], room)
}

fn place(room: &str, sent: &Value) -> String {
    format!("/v1/rooms/{room}/messages/{}", text(&sent["message_id"]))
}

fn editing(person: &Person, room: &str, sent: &Value, words: &str) -> Call {
    person.patch(place(room, sent), &json!({"text": words}))
}

fn deleting(person: &Person, room: &str, sent: &Value) -> Call {
    person.delete(place(room, sent))
}

fn hiding(person: &Person, room: &str, sent: &Value) -> Call {
    person.delete(format!("{}?for=me", place(room, sent)))
}

fn reacting(person: &Person, room: &str, sent: &Value, emoji: &str) -> Call {
    person.call("PUT", format!("{}/reactions/{emoji}", place(room, sent)))
}

fn taking_back(person: &Person, room: &str, sent: &Value, emoji: &str) -> Call {
    person.delete(format!("{}/reactions/{emoji}", place(room, sent)))
}

async fn replying(person: &Person, room: &str, sent: &Value, words: &str) -> Value {
    let body = json!({"kind": "text", "text": words, "reply_to": sent["message_id"]});
    person.post(format!("/v1/rooms/{room}/messages"), &body).await.is(201)
}

/// One item as a person sees it.
async fn item(person: &Person, room: &str, sent: &Value) -> Value {
    let seq = number(&sent["seq"]);
    let page = person
        .see(format!("/v1/rooms/{room}/messages?around={seq}&limit=1"))
        .await;
    list(&page["items"])[0].clone()
}

/// An item as a frame carries it, which is the same for everyone.
fn for_everyone(mut item: Value) -> Value {
    if let Some(reactions) = item["reactions"].as_array_mut() {
        for reaction in reactions {
            reaction.as_object_mut().unwrap().remove("mine");
        }
    }
    item
}

#[tokio::test]
async fn an_edit_is_shown_to_everybody_and_told_as_the_item_after_it() {
    let ([anna, boram, chulsoo], room) = group_of_three().await;
    let asked = boram.say(&room, "점심 뭐 먹지?").await;
    let body = json!({
        "kind": "text", "text": "냉면", "reply_to": asked["message_id"], "mentions": [chulsoo.id],
    });
    let sent = anna.post(format!("/v1/rooms/{room}/messages"), &body).await.is(201);
    reacting(&chulsoo, &room, &sent, LIKE).await.is(204);
    let mut socket = Socket::open(&chulsoo).await;
    let edited = editing(&anna, &room, &sent, "비빔냉면! 🍜").await;
    let answer = edited.is(200);
    assert_eq!((&answer["room_id"], &answer["seq"]), (&json!(room), &sent["seq"]));
    assert_eq!(answer["message_id"], sent["message_id"]);
    assert_eq!(answer["version"], number(&sent["version"]) + 2);

    let frame = socket.event("message.edited", &room).await;
    assert_eq!(
        (&frame["version"], &frame["position"]),
        (&answer["version"], &json!(edited.position()))
    );
    let shown = item(&boram, &room, &sent).await;
    assert_eq!(frame["data"], for_everyone(shown.clone()));
    assert_eq!(
        (&shown["text"], &shown["deleted"]),
        (&json!("비빔냉면! 🍜"), &json!(false))
    );
    assert_eq!(shown["edited_at"], frame["at"]);
    assert_eq!(
        (&shown["sent_at"], &shown["mentions"]),
        (&sent["sent_at"], &json!([chulsoo.id]))
    );
    assert_eq!(shown["reply_to"]["preview"], "점심 뭐 먹지?");
    assert_eq!(shown["reactions"], json!([{"emoji": "👍", "count": 1, "mine": false}]));
    let listed = boram.listed(&room).await.unwrap();
    assert_eq!(listed["last_item"]["preview"], "비빔냉면! 🍜");
    assert_eq!(listed["unread_count"], 1, "an edit is no message");

    boram.say(&room, "나도").await;
    editing(&anna, &room, &sent, "아니다").await.is(200);
    let listed = chulsoo.listed(&room).await.unwrap();
    assert_eq!(listed["last_item"]["preview"], "나도", "the newest is another one");
}

#[tokio::test]
async fn only_the_author_edits_and_only_words_that_could_be_sent() {
    let ([anna, boram, _], room) = group_of_three().await;
    let sent = boram.say(&room, "내 글").await;
    let dahee = anna.api.person("dahee").await;
    let before = anna.room(&room).await;
    editing(&anna, &room, &sent, "남의 글")
        .await
        .refused(403, "not_allowed");
    editing(&dahee, &room, &sent, "낯선 글")
        .await
        .refused(404, "room_not_found");
    let nothing = json!({"message_id": new_key()});
    editing(&boram, &room, &nothing, "없는 글")
        .await
        .refused(404, "message_not_found");
    let elsewhere = boram.direct(&anna).await;
    editing(&boram, &elsewhere, &sent, "다른 방")
        .await
        .refused(404, "message_not_found");
    for words in [String::new(), "가".repeat(10_001), "nul\u{0}".to_owned()] {
        editing(&boram, &room, &sent, &words).await.points_at("/text");
    }
    for body in [json!({}), json!({"text": 7}), json!({"text": "a", "seq": 1}), json!([])] {
        boram.patch(place(&room, &sent), &body).await.problem(422);
    }
    boram
        .patch(format!("/v1/rooms/{room}/messages/here"), &json!({"text": "a"}))
        .await
        .refused(400, "malformed_request");
    assert_eq!(anna.room(&room).await, before);
    editing(&boram, &room, &sent, &"한".repeat(10_000)).await.is(200);
}

#[tokio::test]
async fn a_deleted_message_keeps_its_place_and_nothing_else() {
    let ([anna, boram, chulsoo], room) = group_of_three().await;
    let sent = boram.say(&room, "지울 글").await;
    reacting(&chulsoo, &room, &sent, LIKE).await.is(204);
    let reply = replying(&chulsoo, &room, &sent, "뭐라고?").await;
    boram.read(&room, number(&reply["seq"])).await;
    let last = boram.say(&room, "이것도 지울 글").await;
    let unread = anna.listed(&room).await.unwrap()["unread_count"].clone();
    let mut socket = Socket::open(&anna).await;
    let start = number(&anna.room(&room).await["version"]);

    deleting(&chulsoo, &room, &sent).await.refused(403, "not_allowed");
    deleting(&boram, &room, &sent).await.is(204);
    let frame = socket.event("message.deleted", &room).await;
    let shown = item(&chulsoo, &room, &sent).await;
    assert_eq!(frame["version"], start + 1);
    assert_eq!(frame["data"]["seq"], sent["seq"]);
    assert_eq!((&shown["deleted"], &shown["kind"]), (&json!(true), &json!("text")));
    assert_eq!(
        (&shown["author_id"], &shown["sent_at"]),
        (&json!(boram.id), &sent["sent_at"])
    );
    assert_eq!(shown["reactions"], json!([]));
    for field in ["text", "mentions", "reply_to", "edited_at"] {
        assert_eq!((shown.get(field), frame["data"].get(field)), (None, None), "{field}");
    }
    let answered = &item(&anna, &room, &reply).await["reply_to"];
    assert_eq!(
        *answered,
        json!({
            "seq": sent["seq"], "message_id": sent["message_id"], "author_id": boram.id, "kind": "text", "deleted": true,
        })
    );
    let listed = anna.listed(&room).await.unwrap();
    assert_eq!(listed["unread_count"], unread, "a deleted message still counts");

    // The owner deletes what others wrote, and nobody deletes twice.
    deleting(&anna, &room, &last).await.is(204);
    deleting(&anna, &room, &last).await.is(204);
    let last_item = anna.listed(&room).await.unwrap()["last_item"].clone();
    assert_eq!((&last_item["seq"], &last_item["deleted"]), (&last["seq"], &json!(true)));
    assert_eq!(last_item["preview"], Value::Null);
    editing(&boram, &room, &last, "다시")
        .await
        .refused(409, "message_deleted");
    reacting(&boram, &room, &last, LIKE)
        .await
        .refused(409, "message_deleted");
    taking_back(&boram, &room, &last, LIKE).await.is(204);
    assert_eq!(anna.room(&room).await["version"], start + 2);

    let late = replying(&chulsoo, &room, &sent, "왜 지웠어?").await;
    let frame = socket
        .wait_for("the reply", |frame| is_version(frame, &room, start + 3))
        .await;
    let reply_to = &frame["data"]["reply_to"];
    assert_eq!((&reply_to["deleted"], reply_to.get("preview")), (&json!(true), None));
    assert_eq!(item(&anna, &room, &late).await["reply_to"], *reply_to);
}

#[tokio::test]
async fn whoever_catches_up_is_not_told_what_was_deleted_meanwhile() {
    let ([anna, boram, chulsoo], room) = group_of_three().await;
    let mut first = Socket::open(&boram).await;
    anna.say(&room, "아직 연결됨").await;
    first.event("message.sent", &room).await;
    let cursor = first.open_beside(&boram).await.cursor();
    let start = number(&anna.room(&room).await["version"]);
    let sent = anna.say(&room, "지울 비밀").await;
    editing(&anna, &room, &sent, "고친 비밀").await.is(200);
    replying(&chulsoo, &room, &sent, "비밀?").await;
    deleting(&anna, &room, &sent).await.is(204);
    let end = start + 4;

    let changes = boram
        .see(format!("/v1/rooms/{room}/changes?after_version={start}"))
        .await;
    let mut socket = Socket::resume(&boram, &cursor).await;
    assert_eq!(socket.ready["resumed"], "replayed");
    let replayed = socket.up_to(&room, end).await;
    for frames in [list(&changes["items"]), &replayed] {
        let types: Vec<&str> = frames
            .iter()
            .filter(|frame| frame["version"].is_u64())
            .map(|frame| frame["type"].as_str().unwrap())
            .collect();
        assert_eq!(
            types,
            ["message.sent", "message.edited", "message.sent", "message.deleted"]
        );
        let told = json!(frames).to_string();
        assert!(!told.contains("지울 비밀") && !told.contains("고친 비밀"), "{told}");
        for frame in frames.iter().filter(|frame| frame["data"]["seq"] == sent["seq"]) {
            assert_eq!(frame["data"]["deleted"], true, "{frame}");
        }
        let reply = frames.iter().find(|frame| frame["data"]["text"] == "비밀?").unwrap();
        assert_eq!(reply["data"]["reply_to"]["deleted"], true);
    }
}

#[tokio::test]
async fn what_i_hide_is_gone_for_me_alone() {
    let ([anna, boram, chulsoo], room) = group_of_three().await;
    let before = boram.say(&room, "남는 글").await;
    let sent = boram.say(&room, "숨길 글").await;
    let other = anna.on_another_device().await;
    let (mut mine, mut theirs) = (Socket::open(&other).await, Socket::open(&boram).await);
    let unread = number(&anna.listed(&room).await.unwrap()["unread_count"]);
    let version = anna.room(&room).await["version"].clone();

    let hidden = hiding(&anna, &room, &sent).await;
    hidden.is(204);
    hiding(&anna, &room, &sent).await.is(204);
    let frame = mine.event("seat.changed", &room).await;
    assert_eq!(
        (&frame["data"], frame.get("version")),
        (&json!({"hidden_seqs": [sent["seq"]]}), None)
    );
    assert_eq!(
        item(&anna, &room, &sent).await,
        json!({"seq": sent["seq"], "kind": "hidden"})
    );
    assert_eq!(item(&boram, &room, &sent).await["text"], "숨길 글");
    let listed = anna.listed(&room).await.unwrap();
    assert_eq!(
        number(&listed["unread_count"]),
        unread - 1,
        "what is withheld is not unread"
    );
    assert_eq!(
        listed["last_item"]["seq"], before["seq"],
        "nor is it what the room is listed with"
    );
    assert_eq!(listed["last_item"]["preview"], "남는 글");
    assert_eq!(boram.listed(&room).await.unwrap()["last_item"]["preview"], "숨길 글");
    assert_eq!(anna.room(&room).await["version"], version, "nobody else can see it");

    // What happens to it is not for me, but the room's version is.
    let start = number(&version);
    editing(&boram, &room, &sent, "고친 글").await.is(200);
    reacting(&chulsoo, &room, &sent, LIKE).await.is(204);
    let reply = replying(&chulsoo, &room, &sent, "답").await;
    let end = start + 3;
    let heard = mine.between(&room, start, end).await;
    let changes = anna
        .see(format!("/v1/rooms/{room}/changes?after_version={start}"))
        .await;
    for frames in [&heard, list(&changes["items"])] {
        let told: Vec<&Value> = frames.iter().filter(|frame| frame["version"].is_u64()).collect();
        for frame in &told[..2] {
            assert_eq!((&frame["type"], &frame["data"]), (&json!("room.changed"), &json!({})));
        }
        assert_eq!(told[2]["data"]["reply_to"], json!({"seq": sent["seq"]}));
    }
    assert_eq!(
        item(&anna, &room, &reply).await["reply_to"],
        json!({"seq": sent["seq"]})
    );
    let frames = theirs.between(&room, start, end).await;
    assert!(frames.iter().all(|frame| frame["type"] != "seat.changed"), "{frames:?}");
    for refused in [
        editing(&anna, &room, &sent, "숨은 글").await,
        reacting(&anna, &room, &sent, LIKE).await,
        deleting(&anna, &room, &sent).await,
    ] {
        refused.refused(404, "message_not_found");
    }
    assert_eq!(number(&anna.listed(&room).await.unwrap()["unread_count"]), unread);
    anna.read(&room, number(&reply["seq"])).await;
    assert_eq!(anna.listed(&room).await.unwrap()["unread_count"], 0);
}

#[tokio::test]
async fn a_direct_room_of_hidden_messages_is_not_listed() {
    let [anna, boram, _] = Api::shared().three().await;
    let room = anna.direct(&boram).await;
    let sent = boram.say(&room, "하나뿐인 글").await;
    hiding(&anna, &room, &sent).await.is(204);
    assert_eq!(anna.listed(&room).await, None);
    assert_eq!(anna.rooms().await["total_unread"], 0);
    let shown = anna.room(&room).await;
    assert_eq!((shown.get("last_item"), &shown["last_seq"]), (None, &json!(1)));
    boram.say(&room, "또 하나").await;
    assert_eq!(anna.listed(&room).await.unwrap()["unread_count"], 1);
}

#[tokio::test]
async fn everybody_has_one_reaction_to_a_message() {
    let ([anna, boram, chulsoo], room) = group_of_three().await;
    let sent = anna.say(&room, "어때?").await;
    let mut socket = Socket::open(&anna).await;
    let start = number(&anna.room(&room).await["version"]);
    reacting(&boram, &room, &sent, LIKE).await.is(204);
    reacting(&chulsoo, &room, &sent, "%E2%9D%A4").await.is(204);
    reacting(&boram, &room, &sent, HEART).await.is(204);
    reacting(&boram, &room, &sent, HEART).await.is(204);
    taking_back(&boram, &room, &sent, LIKE).await.is(204);
    reacting(&anna, &room, &sent, LIKE).await.is(204);
    let end = start + 4;
    assert_eq!(
        anna.room(&room).await["version"],
        end,
        "what changes nothing is no event"
    );

    let frames = socket.between(&room, start, end).await;
    let told: Vec<&Value> = frames.iter().filter(|frame| frame["version"].is_u64()).collect();
    assert!(told.iter().all(|frame| frame["type"] == "reaction.changed"), "{told:?}");
    let expected = json!({
        "seq": sent["seq"], "message_id": sent["message_id"], "user_id": boram.id, "emoji": "❤\u{fe0f}",
        "reactions": [{"emoji": "❤\u{fe0f}", "count": 2}],
    });
    assert_eq!(told[2]["data"], expected);
    let reactions = |mine: &str| {
        json!([
            {"emoji": "❤\u{fe0f}", "count": 2, "mine": mine == "❤"},
            {"emoji": "👍", "count": 1, "mine": mine == "👍"},
        ])
    };
    assert_eq!(item(&anna, &room, &sent).await["reactions"], reactions("👍"));
    assert_eq!(item(&chulsoo, &room, &sent).await["reactions"], reactions("❤"));

    taking_back(&chulsoo, &room, &sent, HEART).await.is(204);
    taking_back(&boram, &room, &sent, HEART).await.is(204);
    let frame = socket
        .wait_for("the last", |frame| is_version(frame, &room, end + 2))
        .await;
    assert_eq!(frame["data"]["emoji"], Value::Null);
    let left = json!([{"emoji": "👍", "count": 1, "mine": false}]);
    assert_eq!(item(&boram, &room, &sent).await["reactions"], left);
}

#[tokio::test]
async fn a_reaction_is_one_emoji_and_a_message_has_at_most_twenty_kinds() {
    /// 😀 and the faces after it.
    const FACES: usize = 21;
    let people = Api::shared().people(FACES).await;
    let room = people[0].group(&people[1..].iter().collect::<Vec<_>>()).await;
    let sent = people[0].say(&room, "골라 봐").await;
    let face = |number: usize| format!("%F0%9F%98%{:02X}", 0x80 + number);
    for (number, person) in people.iter().enumerate().take(20) {
        reacting(person, &room, &sent, &face(number)).await.is(204);
    }
    let late = &people[20];
    reacting(late, &room, &sent, &face(20))
        .await
        .refused(409, "too_many_reactions");
    reacting(late, &room, &sent, &face(3)).await.is(204);
    // Who changes the only one of its kind makes room.
    reacting(&people[0], &room, &sent, &face(20)).await.is(204);
    let shown = item(late, &room, &sent).await;
    assert_eq!(list(&shown["reactions"]).len(), 20);
    assert_eq!(
        list(&shown["reactions"])[0],
        json!({"emoji": "😃", "count": 2, "mine": true})
    );
    for junk in [
        "a",
        "1",
        ":heart:",
        "%20",
        "%F0%9F%91%8D%F0%9F%91%8D",
        "%00",
        &"x".repeat(2_000),
    ] {
        reacting(late, &room, &sent, junk).await.refused(422, "invalid_emoji");
        taking_back(late, &room, &sent, junk)
            .await
            .refused(422, "invalid_emoji");
    }
    assert_eq!(reacting(late, &room, &sent, "%FF").await.status, 400);
    assert_eq!(item(late, &room, &sent).await, shown);
}

#[tokio::test]
async fn who_joined_later_is_told_nothing_of_older_messages() {
    let ([anna, boram, _], room) = group_of_three().await;
    let sent = anna.say(&room, "옛 비밀").await;
    let dahee = anna.api.person("dahee").await;
    anna.inviting(&room, &[&dahee]).await.is(200);
    let mut socket = Socket::open(&dahee).await;
    let start = number(&dahee.room(&room).await["version"]);
    editing(&anna, &room, &sent, "고친 비밀").await.is(200);
    reacting(&boram, &room, &sent, LIKE).await.is(204);
    deleting(&anna, &room, &sent).await.is(204);
    let frames = socket.between(&room, start, start + 3).await;
    let changes = dahee
        .see(format!("/v1/rooms/{room}/changes?after_version={start}"))
        .await;
    for frames in [&frames, list(&changes["items"])] {
        let told: Vec<&Value> = frames.iter().filter(|frame| frame["version"].is_u64()).collect();
        assert_eq!(told.len(), 3);
        for frame in told {
            assert_eq!((&frame["type"], &frame["data"]), (&json!("room.changed"), &json!({})));
        }
    }
    for refused in [
        editing(&dahee, &room, &sent, "새 글").await,
        deleting(&dahee, &room, &sent).await,
        hiding(&dahee, &room, &sent).await,
        reacting(&dahee, &room, &sent, LIKE).await,
    ] {
        refused.refused(404, "message_not_found");
    }
}

#[tokio::test]
async fn what_is_repeated_with_its_key_happens_once() {
    let ([anna, boram, _], room) = group_of_three().await;
    let (sent, other) = (anna.say(&room, "글").await, anna.say(&room, "다른 글").await);
    let calls = [
        editing(&anna, &room, &sent, "고친 글"),
        reacting(&boram, &room, &sent, LIKE),
        taking_back(&boram, &room, &sent, LIKE),
        hiding(&boram, &room, &other),
        deleting(&anna, &room, &sent),
    ];
    let mut first = Vec::new();
    let keys: Vec<String> = calls.iter().map(|_| new_key()).collect();
    for (call, key) in calls.iter().zip(&keys) {
        first.push(call.clone().key(key).await);
    }
    let version = anna.room(&room).await["version"].clone();
    for ((call, key), first) in calls.iter().zip(&keys).zip(&first) {
        let again = call.clone().key(key).await;
        assert_eq!((again.status, &again.body), (first.status, &first.body));
        assert_eq!(again.header("idempotent-replayed"), Some("true"));
    }
    assert_eq!(anna.room(&room).await["version"], version);
    deleting(&anna, &room, &sent)
        .key(&keys[0])
        .await
        .refused(422, "idempotency_key_reused");
    hiding(&anna, &room, &sent)
        .key(&keys[4])
        .await
        .refused(422, "idempotency_key_reused");
    hiding(&boram, &room, &other).key(&new_key()).await.is(204);
}
