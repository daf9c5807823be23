//! Opening rooms, looking at them, and naming them.

use std::collections::BTreeSet;

use futures_util::future::{join, join_all};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::client::{Api, Call, list, new_key, number, pointers, text};
use crate::harness::person::Person;

fn opening_direct(person: &Person, other: &Person) -> Call {
    person.post("/v1/rooms", &json!({"kind": "direct", "user_id": other.id}))
}

fn opening_group(person: &Person, ids: &[&str]) -> Call {
    person.post("/v1/rooms", &json!({"kind": "group", "user_ids": ids}))
}

#[tokio::test]
async fn a_pair_has_one_direct_room_for_ever() {
    let [anna, boram, _] = Api::shared().three().await;
    let first = opening_direct(&anna, &boram).await.is(201);
    let again = opening_direct(&anna, &boram).await.is(200);
    let from_the_other_side = opening_direct(&boram, &anna).await.is(200);
    assert_eq!(first["room_id"], again["room_id"]);
    assert_eq!(first["room_id"], from_the_other_side["room_id"]);
    assert!(number(&first["version"]) > 0);
}

#[tokio::test]
async fn both_sides_may_open_their_room_at_the_same_moment() {
    let api = Api::shared();
    for _ in 0..10 {
        let (anna, boram) = join(api.person("anna"), api.person("boram")).await;
        let (mine, theirs) = join(
            opening_direct(&anna, &boram).send(),
            opening_direct(&boram, &anna).send(),
        )
        .await;
        assert_eq!(mine.accepted()["room_id"], theirs.accepted()["room_id"]);
        let mut statuses = [mine.status, theirs.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 201]);
    }
}

#[tokio::test]
async fn a_direct_room_has_an_id_of_version_5() {
    let [anna, boram, chulsoo] = Api::shared().three().await;
    let pairs = [(&anna, &boram), (&boram, &chulsoo), (&anna, &chulsoo), (&anna, &anna)];
    let ids = join_all(pairs.map(|(one, other)| one.direct(other))).await;
    for id in &ids {
        assert_eq!(id.parse::<Uuid>().unwrap().get_version_num(), 5);
    }
    let different: BTreeSet<_> = ids.iter().collect();
    assert_eq!(different.len(), ids.len());
}

#[tokio::test]
async fn one_may_have_a_direct_room_with_oneself() {
    let anna = Api::shared().person("anna").await;
    let room = anna.direct(&anna).await;
    assert_eq!(anna.say_seq(&room, "장보기: 우유").await, 1);
    let listed = anna.listed(&room).await.unwrap();
    assert_eq!(listed["member_count"], 1);
    assert_eq!(listed["unread_count"], 0);
    assert_eq!(anna.history(&room).await[0]["unread_member_count"], 0);
    opening_direct(&anna, &anna).await.is(200);
}

#[tokio::test]
async fn a_direct_room_is_listed_when_it_has_an_item() {
    let [anna, boram, _] = Api::shared().three().await;
    let room = anna.direct(&boram).await;
    assert_eq!(anna.listed(&room).await, None);
    anna.room(&room).await;
    boram.say(&room, "안녕").await;
    let listed = anna.listed(&room).await.unwrap();
    assert_eq!(listed["kind"], "direct");
    assert_eq!(listed["peer_id"], boram.id.as_str());
    assert_eq!(listed["unread_count"], 1);
    assert_eq!(listed["last_item"]["preview"], "안녕");
    assert_eq!(listed["last_item"]["author_id"], boram.id.as_str());
}

#[tokio::test]
async fn a_group_starts_with_the_invited_line_and_its_creator_as_owner() {
    let [anna, boram, chulsoo] = Api::shared().three().await;
    let body = json!({"kind": "group", "user_ids": [boram.id, chulsoo.id], "name": "주말 등산"});
    let opened = anna.post("/v1/rooms", &body).await.is(201);
    let id = text(&opened["room_id"]);
    let room = anna.room(&id).await;
    assert_eq!(room["version"], opened["version"]);
    assert_eq!(room["kind"], "group");
    assert_eq!(room["name"], "주말 등산");
    assert_eq!(room["member_count"], 3);
    assert_eq!(room["last_seq"], 1);
    assert_eq!(room["my_role"], "owner");
    assert_eq!(room["joined_seq"], 1);
    assert_eq!(room["settings"], json!({"rename_by": "all", "invite_by": "all"}));
    assert_eq!(boram.room(&id).await["my_role"], "member");

    let items = chulsoo.history(&id).await;
    assert_eq!(items.len(), 1);
    assert_eq!((&items[0]["seq"], &items[0]["kind"]), (&json!(1), &json!("invited")));
    assert_eq!(items[0]["author_id"], anna.id.as_str());
    assert_eq!(items[0]["unread_member_count"], 0);
    let listed = chulsoo.listed(&id).await.unwrap();
    assert_eq!(listed["unread_count"], 0);
    assert_eq!(listed["last_item"]["kind"], "invited");
}

#[tokio::test]
async fn members_of_a_new_group_are_deduplicated_and_include_the_creator() {
    let [anna, boram, chulsoo] = Api::shared().three().await;
    let ids = [&boram.id, &chulsoo.id, &boram.id, &anna.id].map(String::as_str);
    let room = text(&opening_group(&anna, &ids).await.is(201)["room_id"]);
    assert_eq!(anna.room(&room).await["member_count"], 3);
    let members = anna.see(format!("/v1/rooms/{room}/members")).await;
    assert_eq!(list(&members["items"]).len(), 3);
}

#[tokio::test]
async fn a_group_of_fewer_than_three_is_refused() {
    let [anna, boram, _] = Api::shared().three().await;
    for ids in [
        vec![],
        vec![&*boram.id],
        vec![&*boram.id, &*boram.id],
        vec![&*boram.id, &*anna.id],
    ] {
        opening_group(&anna, &ids).await.points_at("/user_ids");
    }
}

#[tokio::test]
async fn a_group_of_more_than_1500_is_refused_before_anybody_is_looked_up() {
    let anna = Api::shared().person("anna").await;
    let crowd: Vec<_> = (0..1_500).map(|_| new_key()).collect();
    let ids: Vec<_> = crowd.iter().map(String::as_str).collect();
    let refusal = opening_group(&anna, &ids).await;
    assert!([409, 422].contains(&refusal.status), "{refusal}");
    assert_ne!(refusal.problem(refusal.status)["code"], "cannot_be_invited");
    opening_group(&anna, &ids[..1_499])
        .await
        .refused(409, "cannot_be_invited");
}

#[tokio::test]
async fn people_who_do_not_exist_cannot_be_invited_and_are_pointed_at() {
    let [anna, boram, chulsoo] = Api::shared().three().await;
    let (ghost, phantom) = (new_key(), new_key());
    let reply = opening_group(&anna, &[&boram.id, &ghost, &chulsoo.id, &phantom]).await;
    let problem = reply.refused(409, "cannot_be_invited");
    assert_eq!(pointers(&problem), ["/user_ids/1", "/user_ids/3"]);
    assert_eq!(anna.rooms().await["items"], json!([]));
}

#[tokio::test]
async fn bodies_that_open_no_room_are_refused_with_a_reason() {
    let [anna, boram, chulsoo] = Api::shared().three().await;
    let group = |more: Value| {
        let mut body = json!({"kind": "group", "user_ids": [boram.id, chulsoo.id]});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        anna.post("/v1/rooms", &body)
    };
    group(json!({"name": ""})).await.points_at("/name");
    group(json!({"name": "가".repeat(51)})).await.points_at("/name");
    group(json!({"photo": new_key()}))
        .await
        .refused(422, "media_not_available");
    group(json!({"surprise": 1})).await.problem(422);
    opening_group(&anna, &[&boram.id, "nobody"])
        .await
        .points_at("/user_ids/1");
    anna.post("/v1/rooms", &json!({"kind": "circle"})).await.problem(422);
    anna.post("/v1/rooms", &json!({"kind": "direct"})).await.problem(422);
    anna.post("/v1/rooms", &json!({})).await.problem(422);
    assert_eq!(anna.rooms().await["items"], json!([]));
    group(json!({"name": "가".repeat(50)})).await.is(201);
}

#[tokio::test]
async fn the_list_shows_the_newest_activity_first_with_all_that_a_list_needs() {
    let [anna, boram, chulsoo] = Api::shared().three().await;
    let (first, second) = (anna.group(&[&boram, &chulsoo]).await, anna.direct(&boram).await);
    boram.say(&second, "두 번째 방").await;
    let sent = chulsoo.say(&first, "첫 번째 방이 다시 위로").await;

    let rooms = anna.rooms().await;
    let items = list(&rooms["items"]);
    assert!(is_newest_first(items), "{rooms}");
    assert_eq!(rooms["total_unread"], 2);
    assert_eq!(rooms["next_cursor"], Value::Null);

    let place = |room: &str| items.iter().position(|item| item["room_id"] == room).unwrap();
    let top = &items[place(&first)];
    let below = &items[place(&second)];
    // Within one millisecond there is no newer and older.
    let is_tie = top["last_item"]["sent_at"] == below["last_item"]["sent_at"];
    assert!(is_tie || place(&first) < place(&second), "{rooms}");
    for (field, value) in [
        ("unread_count", 1),
        ("last_seq", 2),
        ("read_seq", 1),
        ("member_count", 3),
    ] {
        assert_eq!(top[field], value, "{field} in {top}");
    }
    assert_eq!(top["pinned"], false);
    assert_eq!(top["version"], sent["version"]);
    let sample = list(&top["members_sample"]);
    assert_eq!(sample.len(), 3);
    assert!(
        sample
            .iter()
            .any(|member| member["user_id"] == anna.id.as_str() && member["display_name"] == "anna")
    );
    let last = &top["last_item"];
    assert_eq!(
        (&last["seq"], &last["kind"], &last["deleted"]),
        (&json!(2), &json!("text"), &json!(false))
    );
    assert_eq!(
        (&last["sent_at"], &last["author_id"]),
        (&sent["sent_at"], &json!(chulsoo.id))
    );
}

fn is_newest_first(items: &[Value]) -> bool {
    let times = items.iter().map(|item| text(&item["last_item"]["sent_at"]));
    times.rev().is_sorted()
}

#[tokio::test]
async fn at_most_four_members_are_shown_in_the_list() {
    let people = Api::shared().people(6).await;
    let room = people[0].group(&people[1..].iter().collect::<Vec<_>>()).await;
    let listed = people[5].listed(&room).await.unwrap();
    assert_eq!(list(&listed["members_sample"]).len(), 4);
    assert_eq!(listed["member_count"], 6);
}

#[tokio::test]
async fn the_list_is_paged_by_cursor_without_gaps_or_repetition() {
    let people = Api::shared().people(8).await;
    let anna = &people[0];
    let mut expected = BTreeSet::new();
    for other in &people[1..] {
        let room = anna.direct(other).await;
        other.say(&room, "하나").await;
        expected.insert(room);
    }
    let (mut found, mut path) = (Vec::new(), "/v1/rooms?limit=3".to_owned());
    loop {
        let page = anna.see(&path).await;
        assert_eq!(page["total_unread"], 7, "over all rooms, whatever the page");
        assert!(list(&page["items"]).len() <= 3);
        found.extend(list(&page["items"]).iter().cloned());
        let Some(cursor) = page["next_cursor"].as_str() else {
            break;
        };
        path = format!("/v1/rooms?limit=3&cursor={cursor}");
    }
    assert_eq!(found.len(), expected.len());
    assert!(is_newest_first(&found), "{found:?}");
    assert_eq!(
        found.iter().map(|item| text(&item["room_id"])).collect::<BTreeSet<_>>(),
        expected
    );
}

#[tokio::test]
async fn a_list_refuses_what_it_does_not_understand() {
    let anna = Api::shared().person("anna").await;
    for query in [
        "limit=0",
        "limit=101",
        "limit=-1",
        "limit=many",
        "cursor=%00junk",
        "cursor=junk",
        "order=name",
    ] {
        anna.get(format!("/v1/rooms?{query}")).await.problem(422);
    }
    for limit in [1, 100] {
        anna.get(format!("/v1/rooms?limit={limit}")).await.is(200);
    }
}

#[tokio::test]
async fn members_are_shown_with_role_join_time_and_read_position() {
    let [anna, boram, chulsoo] = Api::shared().three().await;
    let room = anna.group(&[&boram, &chulsoo]).await;
    let seq = boram.say_seq(&room, "읽었니").await;
    let members = anna.see(format!("/v1/rooms/{room}/members")).await;
    let of = |person: &Person| {
        let found = list(&members["items"])
            .iter()
            .find(|member| member["user_id"] == person.id.as_str());
        found
            .unwrap_or_else(|| panic!("{} is missing: {members}", person.name))
            .clone()
    };
    assert_eq!(
        (&of(&anna)["role"], &of(&boram)["role"]),
        (&json!("owner"), &json!("member"))
    );
    assert_eq!(
        (&of(&chulsoo)["read_seq"], &of(&boram)["read_seq"]),
        (&json!(1), &json!(seq))
    );
    assert_eq!(of(&chulsoo)["display_name"], "chulsoo");
    assert!(chrono::DateTime::parse_from_rfc3339(&text(&of(&anna)["joined_at"])).is_ok());
}

#[tokio::test]
async fn a_new_name_is_a_line_in_the_timeline() {
    let [anna, boram, chulsoo] = Api::shared().three().await;
    let room = anna.group(&[&boram, &chulsoo]).await;
    boram
        .patch(format!("/v1/rooms/{room}"), &json!({"name": "새 이름"}))
        .await
        .accepted();
    assert_eq!(chulsoo.room(&room).await["name"], "새 이름");
    let line = chulsoo.history(&room).await.pop().unwrap();
    assert_eq!(
        (&line["seq"], &line["kind"], &line["name"]),
        (&json!(2), &json!("renamed"), &json!("새 이름"))
    );
    assert_eq!(line["author_id"], boram.id.as_str());
    assert_eq!(chulsoo.listed(&room).await.unwrap()["unread_count"], 0);
}

#[tokio::test]
async fn who_may_rename_is_a_setting_of_owner_and_admins() {
    let [anna, boram, chulsoo] = Api::shared().three().await;
    let room = anna.group(&[&boram, &chulsoo]).await;
    let path = format!("/v1/rooms/{room}");
    let admins_only = json!({"settings": {"rename_by": "admins"}});
    boram.patch(&path, &admins_only).await.problem(403);
    anna.patch(&path, &admins_only).await.accepted();
    let settings = boram.room(&room).await["settings"].clone();
    assert_eq!(settings, json!({"rename_by": "admins", "invite_by": "all"}));
    boram.patch(&path, &json!({"name": "반란"})).await.problem(403);
    anna.patch(&path, &json!({"name": "질서"})).await.accepted();
    assert_eq!(boram.room(&room).await["name"], "질서");
    anna.patch(&path, &json!({"settings": {"rename_by": "all"}}))
        .await
        .accepted();
    boram.patch(&path, &json!({"name": "평화"})).await.accepted();
}

#[tokio::test]
async fn a_room_refuses_names_and_settings_it_does_not_know() {
    let [anna, boram, chulsoo] = Api::shared().three().await;
    let room = anna.group(&[&boram, &chulsoo]).await;
    let path = format!("/v1/rooms/{room}");
    for name in ["", &"n".repeat(51), "nul\u{0}"] {
        anna.patch(&path, &json!({"name": name})).await.points_at("/name");
    }
    anna.patch(&path, &json!({"photo": new_key()}))
        .await
        .refused(422, "media_not_available");
    anna.patch(&path, &json!({"settings": {"rename_by": "nobody"}}))
        .await
        .problem(422);
    anna.patch(&path, &json!({"colour": "red"})).await.problem(422);
    let room = anna.room(&room).await;
    assert_eq!((&room["last_seq"], &room["name"]), (&json!(1), &json!("이층 모임")));
}

#[tokio::test]
async fn a_direct_room_has_no_name_to_change() {
    let [anna, boram, _] = Api::shared().three().await;
    let room = anna.direct(&boram).await;
    let reply = anna.patch(format!("/v1/rooms/{room}"), &json!({"name": "우리"})).await;
    assert!([403, 409].contains(&reply.status), "{reply}");
}

#[tokio::test]
async fn a_stranger_finds_no_such_room_at_any_door() {
    let [anna, boram, chulsoo] = Api::shared().three().await;
    let stranger = anna.api.person("stranger").await;
    let real = anna.group(&[&boram, &chulsoo]).await;
    let direct = anna.direct(&boram).await;
    let message = text(&anna.say(&real, "비밀").await["message_id"]);
    let before = anna.room(&real).await;
    for room in [&real, &direct, &new_key()] {
        let path = format!("/v1/rooms/{room}");
        let calls = [
            stranger.get(&path),
            stranger.get(format!("{path}/members")),
            stranger.get(format!("{path}/messages")),
            stranger.get(format!("{path}/changes?after_version=0")),
            stranger.patch(&path, &json!({"name": "몰래"})),
            stranger.sending(room, "여기 있어?"),
            stranger.post(
                format!("{path}/messages"),
                &json!({"kind": "text", "text": "?", "reply_to": message}),
            ),
            stranger.inviting(room, &[&stranger]),
            stranger.leaving(room),
            stranger.put(format!("{path}/preferences"), &json!({"pinned": true})),
            stranger.put(format!("{path}/read-marker"), &json!({"seq": 1})),
        ];
        let codes = join_all(calls.map(|call| async move { text(&call.await.problem(404)["code"]) })).await;
        assert!(codes.iter().all(|code| *code == codes[0]), "{codes:?}");
    }
    assert_eq!(anna.room(&real).await, before);
}
