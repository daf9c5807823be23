//! Sending: what may be said, in which order it is, and what a reply or a mention may point at.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::harness::client::{Api, Call, list, new_key, number, text};
use crate::harness::person::Person;

async fn group_of_three() -> ([Person; 3], String) {
    let [anna, boram, chulsoo] = Api::shared().three().await;
    let room = anna.group(&[&boram, &chulsoo]).await;
    ([anna, boram, chulsoo], room)
}

fn posting(person: &Person, room: &str, body: &Value) -> Call {
    person.post(format!("/v1/rooms/{room}/messages"), body)
}

#[tokio::test]
async fn a_message_is_answered_with_its_place_and_shown_with_its_text() {
    let ([anna, boram, _], room) = group_of_three().await;
    let words = "안녕하세요! 👋🏽 Hello\n둘째 줄 \"따옴표\" <b>&amp;</b> \u{200d}";
    let sent = anna.say(&room, words).await;
    assert_eq!((&sent["room_id"], &sent["seq"]), (&json!(room), &json!(2)));
    let item = boram.history(&room).await.pop().unwrap();
    for field in ["seq", "message_id", "sent_at"] {
        assert_eq!(item[field], sent[field], "{field}");
    }
    assert_eq!((&item["kind"], &item["text"]), (&json!("text"), &json!(words)));
    assert_eq!(item["author_id"], anna.id.as_str());
    assert_eq!((&item["deleted"], &item["reactions"]), (&json!(false), &json!([])));
    let time = text(&sent["sent_at"]);
    assert!(time.len() == 24 && time.ends_with('Z'), "milliseconds and UTC: {time}");
}

#[tokio::test]
async fn the_seq_has_no_holes_under_64_parallel_senders_and_time_never_falls() {
    const EACH: usize = 4;
    let people = Api::shared().people(64).await;
    let room = people[0].group(&people[1..].iter().collect::<Vec<_>>()).await;
    let sends = people.iter().map(|person| async {
        let mut acks = Vec::new();
        for number in 0..EACH {
            let words = format!("{} {number}", person.name);
            acks.push((words.clone(), person.say(&room, &words).await));
        }
        acks
    });
    let acks: Vec<(String, Value)> = join_all(sends).await.into_iter().flatten().collect();
    let by_seq: BTreeMap<u64, _> = acks
        .iter()
        .map(|(words, ack)| (number(&ack["seq"]), (words, ack)))
        .collect();
    let expected: Vec<u64> = (2..2 + (people.len() * EACH) as u64).collect();
    assert_eq!(by_seq.keys().copied().collect::<Vec<_>>(), expected);

    let items = people[7].whole_history(&room).await;
    assert_eq!(items.len(), expected.len() + 1);
    for item in &items[1..] {
        let (words, ack) = by_seq[&number(&item["seq"])];
        assert_eq!(
            (&item["text"], &item["message_id"]),
            (&json!(words), &ack["message_id"])
        );
    }
    let times: Vec<_> = items.iter().map(|item| text(&item["sent_at"])).collect();
    assert!(times.is_sorted());
    for person in &people {
        let own: Vec<_> = items[1..]
            .iter()
            .filter(|item| item["author_id"] == person.id.as_str())
            .collect();
        let numbers: Vec<_> = own
            .iter()
            .map(|item| text(&item["text"]).chars().last().unwrap())
            .collect();
        assert_eq!(numbers, ['0', '1', '2', '3'], "one sender's messages keep their order");
    }
}

#[tokio::test]
async fn a_text_has_1_to_10000_characters_whatever_they_weigh() {
    let ([anna, boram, _], room) = group_of_three().await;
    for words in [String::new(), "가".repeat(10_001), "🐿".repeat(10_001)] {
        anna.sending(&room, &words).await.points_at("/text");
    }
    for words in [
        "가".to_owned(),
        "한".repeat(10_000),
        "🐿".repeat(10_000),
        "\n".repeat(10_000),
    ] {
        let seq = anna.say_seq(&room, &words).await;
        let page = boram
            .see(format!("/v1/rooms/{room}/messages?around={seq}&limit=1"))
            .await;
        assert_eq!(list(&page["items"])[0]["text"], words.as_str());
    }
}

#[tokio::test]
async fn a_long_text_is_shown_short_in_the_list() {
    let ([anna, boram, _], room) = group_of_three().await;
    anna.say(&room, &"한글".repeat(1_000)).await;
    let listed = boram.listed(&room).await.unwrap();
    let preview = text(&listed["last_item"]["preview"]);
    assert!(preview.starts_with("한글한글"));
    assert!(preview.chars().count() <= 101, "{} characters", preview.chars().count());
}

#[tokio::test]
async fn a_message_that_cannot_be_is_refused_and_writes_nothing() {
    let ([anna, _, _], room) = group_of_three().await;
    let before = anna.room(&room).await;
    let send = |body: Value| posting(&anna, &room, &body);
    send(json!({"kind": "text", "text": "nul\u{0}"}))
        .await
        .points_at("/text");
    send(json!({"kind": "text", "text": 7})).await.points_at("/text");
    send(json!({"kind": "text"})).await.problem(422);
    send(json!({"text": "no kind"})).await.problem(422);
    send(json!({"kind": "poem", "text": "roses"})).await.problem(422);
    send(json!({"kind": "text", "text": "hi", "colour": "red"}))
        .await
        .problem(422);
    send(json!({"kind": "text", "text": "hi", "seq": 7})).await.problem(422);
    send(json!({"kind": "text", "text": "hi", "reply_to": "that one"}))
        .await
        .problem(422);
    send(json!([])).await.problem(422);
    assert_eq!(anna.room(&room).await, before);
}

#[tokio::test]
async fn there_is_no_media_yet() {
    let ([anna, _, _], room) = group_of_three().await;
    for kind in ["photo", "video", "file", "album"] {
        let body = json!({"kind": kind, "media_ids": [new_key()]});
        posting(&anna, &room, &body).await.refused(422, "media_not_available");
    }
    assert_eq!(anna.room(&room).await["last_seq"], 1);
}

#[tokio::test]
async fn a_reply_shows_what_it_answers() {
    let ([anna, boram, chulsoo], room) = group_of_three().await;
    let asked = anna.say(&room, "점심 뭐 먹지?").await;
    let body = json!({"kind": "text", "text": "냉면", "reply_to": asked["message_id"]});
    posting(&boram, &room, &body).await.is(201);
    let item = chulsoo.history(&room).await.pop().unwrap();
    let reply_to = &item["reply_to"];
    assert_eq!(
        (&reply_to["seq"], &reply_to["message_id"]),
        (&asked["seq"], &asked["message_id"])
    );
    assert_eq!(
        (&reply_to["author_id"], &reply_to["kind"]),
        (&json!(anna.id), &json!("text"))
    );
    assert_eq!(reply_to["preview"], "점심 뭐 먹지?");
}

#[tokio::test]
async fn who_joined_later_is_told_only_the_seq_of_what_a_reply_answers() {
    let ([anna, boram, _], room) = group_of_three().await;
    let asked = anna.say(&room, "우리끼리 얘기").await;
    let dahee = anna.api.person("dahee").await;
    anna.inviting(&room, &[&dahee]).await.is(200);
    let body = json!({"kind": "text", "text": "응", "reply_to": asked["message_id"]});
    posting(&boram, &room, &body).await.is(201);
    let shown = |items: Vec<Value>| items.last().unwrap()["reply_to"].clone();
    assert_eq!(shown(dahee.history(&room).await), json!({"seq": asked["seq"]}));
    assert_eq!(shown(anna.history(&room).await)["preview"], "우리끼리 얘기");
}

#[tokio::test]
async fn a_reply_must_answer_a_message_that_i_may_see() {
    let ([anna, boram, chulsoo], room) = group_of_three().await;
    let old = anna.say(&room, "옛 글").await;
    let elsewhere = anna.group(&[&boram, &chulsoo]).await;
    let other = anna.say(&elsewhere, "다른 방").await;
    let dahee = anna.api.person("dahee").await;
    anna.inviting(&room, &[&dahee]).await.is(200);
    let before = anna.room(&room).await;
    let reply =
        |person: &Person, id: &Value| posting(person, &room, &json!({"kind": "text", "text": "답", "reply_to": id}));
    let refusals = [
        reply(&anna, &json!(new_key())).await,
        reply(&anna, &other["message_id"]).await,
        reply(&dahee, &old["message_id"]).await,
    ];
    for refusal in &refusals {
        assert!([404, 409, 422].contains(&refusal.status), "{refusal}");
        assert_eq!(refusal.problem(refusal.status)["code"], refusals[0].value()["code"]);
    }
    assert_eq!(anna.room(&room).await, before);
}

#[tokio::test]
async fn mentions_are_members() {
    let ([anna, boram, chulsoo], room) = group_of_three().await;
    let stranger = anna.api.person("stranger").await;
    let mention = |ids: Vec<&str>| posting(&anna, &room, &json!({"kind": "text", "text": "@", "mentions": ids}));
    mention(vec![&boram.id, &chulsoo.id]).await.is(201);
    let item = boram.history(&room).await.pop().unwrap();
    let mentions = item["mentions"].to_string();
    assert!(mentions.contains(&boram.id) && mentions.contains(&chulsoo.id), "{item}");
    for ids in [vec![&*stranger.id], vec![&*boram.id, &*stranger.id]] {
        let refusal = mention(ids).await;
        assert!([409, 422].contains(&refusal.status), "{refusal}");
        refusal.problem(refusal.status);
    }
    mention(vec!["everybody"]).await.problem(422);
    let crowd: Vec<_> = (0..51).map(|_| new_key()).collect();
    mention(crowd.iter().map(String::as_str).collect())
        .await
        .points_at("/mentions");
    assert_eq!(anna.room(&room).await["last_seq"], 2);
}

#[tokio::test]
async fn everybody_in_a_room_is_given_the_same_order() {
    let ([anna, boram, chulsoo], room) = group_of_three().await;
    let say = |person: Person, room: String| async move {
        join_all((0..20).map(|number| person.sending(&room, &format!("{} {number}", person.name)).send())).await
    };
    let all = [anna.clone(), boram.clone(), chulsoo.clone()];
    for reply in join_all(all.map(|person| say(person, room.clone())))
        .await
        .iter()
        .flatten()
    {
        reply.is(201);
    }
    let strip = |items: Vec<Value>| {
        items
            .into_iter()
            .map(|item| (item["seq"].clone(), item["text"].clone()))
    };
    let seen: Vec<_> = strip(anna.history(&room).await).collect();
    assert_eq!(seen.len(), 61);
    assert_eq!(strip(boram.history(&room).await).collect::<Vec<_>>(), seen);
    assert_eq!(strip(chulsoo.history(&room).await).collect::<Vec<_>>(), seen);
}
