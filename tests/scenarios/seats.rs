//! One person's private side of a room: read position, unread numbers, mute, pin and alias.

use serde_json::{Value, json};

use crate::harness::client::{Api, list, number, text};
use crate::harness::person::Person;

async fn group_of_three() -> ([Person; 3], String) {
    let [anna, boram, chulsoo] = Api::shared().three().await;
    let room = anna.group(&[&boram, &chulsoo]).await;
    ([anna, boram, chulsoo], room)
}

/// `read_seq` and `unread_count`, which room and list must agree on.
async fn reading(person: &Person, room: &str) -> (u64, u64) {
    let seen = person.room(room).await;
    let listed = person.listed(room).await.unwrap();
    assert_eq!(
        (&seen["read_seq"], &seen["unread_count"]),
        (&listed["read_seq"], &listed["unread_count"])
    );
    (number(&seen["read_seq"]), number(&seen["unread_count"]))
}

/// The unread member numbers of the newest items, oldest first.
async fn unread_members(person: &Person, room: &str) -> Vec<u64> {
    person
        .history(room)
        .await
        .iter()
        .map(|item| number(&item["unread_member_count"]))
        .collect()
}

#[tokio::test]
async fn a_read_marker_only_moves_forward() {
    let ([anna, boram, _], room) = group_of_three().await;
    for word in ["하나", "둘", "셋", "넷"] {
        anna.say(&room, word).await;
    }
    assert_eq!(reading(&boram, &room).await, (1, 4));
    boram.read(&room, 3).await;
    assert_eq!(reading(&boram, &room).await, (3, 2));
    boram.read(&room, 2).await;
    boram.read(&room, 3).await;
    assert_eq!(reading(&boram, &room).await, (3, 2));
    boram.read(&room, 5).await;
    assert_eq!(reading(&boram, &room).await, (5, 0));
}

#[tokio::test]
async fn a_read_marker_beyond_the_last_item_is_clamped_to_it() {
    let ([anna, boram, _], room) = group_of_three().await;
    let seq = anna.say_seq(&room, "끝").await;
    boram.read(&room, 9_000_000).await;
    assert_eq!(reading(&boram, &room).await, (seq, 0));
    anna.say(&room, "하나 더").await;
    assert_eq!(
        reading(&boram, &room).await,
        (seq, 1),
        "what was written later is unread"
    );
}

#[tokio::test]
async fn my_own_message_marks_everything_before_it_read() {
    let ([anna, boram, chulsoo], room) = group_of_three().await;
    anna.say(&room, "하나").await;
    chulsoo.say(&room, "둘").await;
    let own = boram.say_seq(&room, "셋").await;
    assert_eq!(reading(&boram, &room).await, (own, 0));
    boram.read(&room, 2).await;
    assert_eq!(reading(&boram, &room).await, (own, 0));
}

#[tokio::test]
async fn a_read_marker_that_is_no_seq_is_refused() {
    let ([anna, _, _], room) = group_of_three().await;
    let path = format!("/v1/rooms/{room}/read-marker");
    for body in [
        json!({"seq": -1}),
        json!({"seq": "2"}),
        json!({"seq": 1.5}),
        json!({}),
        json!({"seq": 1, "at": 2}),
    ] {
        anna.put(&path, &body).await.problem(422);
    }
}

#[tokio::test]
async fn membership_lines_and_my_own_messages_are_never_unread() {
    let ([anna, boram, chulsoo], room) = group_of_three().await;
    let dahee = anna.api.person("dahee").await;
    anna.inviting(&room, &[&dahee]).await.is(200);
    anna.patch(format!("/v1/rooms/{room}"), &json!({"name": "바뀐 이름"}))
        .await
        .accepted();
    dahee.leaving(&room).await.accepted();
    assert_eq!(reading(&boram, &room).await, (1, 0));
    anna.say(&room, "드디어 글").await;
    assert_eq!(reading(&boram, &room).await, (1, 1));
    assert_eq!(reading(&anna, &room).await.1, 0);
    chulsoo.say(&room, "답글").await;
    assert_eq!(reading(&boram, &room).await, (1, 2));
    assert_eq!(reading(&anna, &room).await.1, 1);
}

#[tokio::test]
async fn total_unread_is_the_sum_over_all_my_rooms() {
    let [anna, boram, chulsoo] = Api::shared().three().await;
    let (group, direct) = (anna.group(&[&boram, &chulsoo]).await, anna.direct(&boram).await);
    for word in ["하나", "둘"] {
        anna.say(&group, word).await;
    }
    anna.say(&direct, "셋").await;
    assert_eq!(boram.rooms().await["total_unread"], 3);
    boram.read(&group, 2).await;
    assert_eq!(boram.rooms().await["total_unread"], 2);
    boram.leaving(&group).await.accepted();
    assert_eq!(boram.rooms().await["total_unread"], 1);
}

#[tokio::test]
async fn a_message_counts_the_members_who_have_not_read_it() {
    let ([anna, boram, chulsoo], room) = group_of_three().await;
    let seq = anna.say_seq(&room, "다들 봤나요").await;
    for person in [&anna, &boram, &chulsoo] {
        assert_eq!(
            unread_members(person, &room).await,
            [0, 2],
            "everybody is shown the same number"
        );
    }
    boram.read(&room, seq).await;
    assert_eq!(unread_members(&anna, &room).await, [0, 1]);
    chulsoo.say(&room, "네").await;
    assert_eq!(unread_members(&anna, &room).await, [0, 0, 2]);
}

#[tokio::test]
async fn joiners_do_not_count_for_older_messages_and_leavers_not_at_all() {
    let ([anna, boram, chulsoo], room) = group_of_three().await;
    anna.say(&room, "하나").await;
    let dahee = anna.api.person("dahee").await;
    anna.inviting(&room, &[&dahee]).await.is(200);
    anna.say(&room, "둘").await;
    assert_eq!(unread_members(&anna, &room).await, [0, 2, 0, 3]);
    chulsoo.leaving(&room).await.accepted();
    assert_eq!(unread_members(&boram, &room).await, [0, 1, 0, 2, 0]);
}

#[tokio::test]
async fn read_positions_of_the_members_come_with_the_history() {
    let ([anna, boram, chulsoo], room) = group_of_three().await;
    let seq = anna.say_seq(&room, "하나").await;
    boram.read(&room, seq).await;
    let page = chulsoo.see(format!("/v1/rooms/{room}/messages")).await;
    let read = list(&page["members_read"]);
    assert_eq!(read.len(), 3);
    for (person, seq) in [(&anna, seq), (&boram, seq), (&chulsoo, 1)] {
        let expected = json!({"user_id": person.id, "read_seq": seq});
        assert!(read.contains(&expected), "{expected} is not in {page}");
    }
}

#[tokio::test]
async fn in_a_large_room_the_number_is_capped_and_positions_are_not_listed() {
    let people = Api::shared().people(102).await;
    let anna = &people[0];
    let room = anna.group(&people[1..].iter().collect::<Vec<_>>()).await;
    anna.say(&room, "모두에게").await;
    assert_eq!(unread_members(&people[50], &room).await, [0, 99]);
    for person in &people[1..4] {
        person.read(&room, 2).await;
    }
    assert_eq!(unread_members(anna, &room).await, [0, 98]);
    let page = anna.see(format!("/v1/rooms/{room}/messages")).await;
    assert!(
        page["members_read"].as_array().is_none_or(Vec::is_empty),
        "{}",
        page["members_read"]
    );
}

#[tokio::test]
async fn in_a_direct_room_the_number_is_about_the_other_one() {
    let [anna, boram, _] = Api::shared().three().await;
    let room = anna.direct(&boram).await;
    let seq = anna.say_seq(&room, "봤니").await;
    assert_eq!(unread_members(&anna, &room).await, [1]);
    boram.read(&room, seq).await;
    assert_eq!(unread_members(&anna, &room).await, [0]);
}

#[tokio::test]
async fn preferences_are_mine_alone_and_nobody_else_sees_a_trace() {
    let ([anna, boram, _], room) = group_of_three().await;
    let before = anna.room(&room).await;
    let wanted = json!({"muted_until": "2099-12-31T15:00:00.000Z", "pinned": true, "alias": "우리끼리"});
    boram
        .put(format!("/v1/rooms/{room}/preferences"), &wanted)
        .await
        .accepted();
    for seen in [boram.room(&room).await, boram.listed(&room).await.unwrap()] {
        assert_eq!((&seen["pinned"], &seen["alias"]), (&json!(true), &json!("우리끼리")));
        assert_eq!(instant(&seen["muted_until"]), instant(&wanted["muted_until"]));
        assert_eq!(seen["name"], before["name"], "an alias is not a name");
    }
    assert_eq!(anna.room(&room).await, before);
}

#[tokio::test]
async fn preferences_can_be_taken_back() {
    let ([anna, _, _], room) = group_of_three().await;
    let path = format!("/v1/rooms/{room}/preferences");
    let on = json!({"muted_until": "2099-12-31T15:00:00.000Z", "pinned": true, "alias": "우리끼리"});
    anna.put(&path, &on).await.accepted();
    anna.put(&path, &json!({"muted_until": null, "pinned": false, "alias": null}))
        .await
        .accepted();
    let seen = anna.room(&room).await;
    assert_eq!(
        (&seen["pinned"], &seen["muted_until"], &seen["alias"]),
        (&json!(false), &Value::Null, &Value::Null)
    );
}

#[tokio::test]
async fn preferences_that_mean_nothing_are_refused() {
    let ([anna, _, _], room) = group_of_three().await;
    let path = format!("/v1/rooms/{room}/preferences");
    for body in [
        json!({"muted_until": "tomorrow"}),
        json!({"pinned": "yes"}),
        json!({"alias": "가".repeat(51)}),
        json!({"alias": "nul\u{0}"}),
        json!({"theme": "dark"}),
    ] {
        anna.put(&path, &body).await.problem(422);
    }
}

fn instant(value: &Value) -> chrono::DateTime<chrono::FixedOffset> {
    chrono::DateTime::parse_from_rfc3339(&text(value)).unwrap()
}
