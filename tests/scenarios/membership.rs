//! Inviting and leaving: who sees what from when, and what the others notice.

use futures_util::future::{join, join3};
use serde_json::{Value, json};

use crate::harness::client::{Api, list, new_key, number, pointers, text};
use crate::harness::person::Person;
use crate::harness::socket::{Socket, is_version};

async fn group_of_three() -> ([Person; 3], String) {
    let [anna, boram, chulsoo] = Api::shared().three().await;
    let room = anna.group(&[&boram, &chulsoo]).await;
    ([anna, boram, chulsoo], room)
}

fn seqs(items: &[Value]) -> Vec<u64> {
    items.iter().map(|item| number(&item["seq"])).collect()
}

#[tokio::test]
async fn an_invitee_sees_nothing_from_before_the_line_that_added_them() {
    let ([anna, boram, _], room) = group_of_three().await;
    anna.say(&room, "둘만의 비밀").await;
    let dahee = anna.api.person("dahee").await;
    boram.inviting(&room, &[&dahee]).await.is(200);
    let after = anna.say_seq(&room, "어서 와").await;

    let seen = dahee.room(&room).await;
    assert_eq!((&seen["joined_seq"], &seen["read_seq"]), (&json!(3), &json!(3)));
    assert_eq!((&seen["unread_count"], &seen["my_role"]), (&json!(1), &json!("member")));
    let items = dahee.history(&room).await;
    assert_eq!(seqs(&items), [3, after]);
    assert_eq!(items[0]["kind"], "invited");
    assert_eq!(items[0]["author_id"], boram.id.as_str());
    assert!(items[0]["members"].to_string().contains(&dahee.id));

    let path = format!("/v1/rooms/{room}/messages");
    for query in ["before=3", "before=2"] {
        assert_eq!(dahee.see(format!("{path}?{query}")).await["items"], json!([]));
    }
    for query in ["after=0", "around=1", "around=3", "before=100"] {
        let page = dahee.see(format!("{path}?{query}")).await;
        assert_eq!(seqs(list(&page["items"])), [3, after], "{query}");
        assert_eq!(page["has_before"], false);
    }
}

#[tokio::test]
async fn several_people_are_invited_by_one_line_and_those_inside_are_not_invited_again() {
    let ([anna, boram, chulsoo], room) = group_of_three().await;
    let (dahee, eunji) = join(anna.api.person("dahee"), anna.api.person("eunji")).await;
    chulsoo.inviting(&room, &[&dahee, &boram, &eunji, &dahee]).await.is(200);
    let seen = anna.room(&room).await;
    assert_eq!((&seen["member_count"], &seen["last_seq"]), (&json!(5), &json!(2)));
    let line = anna.history(&room).await.pop().unwrap();
    assert!(line["members"].to_string().contains(&eunji.id) && !line["members"].to_string().contains(&boram.id));
    anna.inviting(&room, &[&dahee]).await.is(200);
    assert_eq!(
        anna.room(&room).await["version"],
        seen["version"],
        "nobody was added, so nothing happened"
    );
}

#[tokio::test]
async fn whoever_cannot_be_invited_is_pointed_at_and_nobody_joins() {
    let ([anna, boram, _], room) = group_of_three().await;
    let dahee = anna.api.person("dahee").await;
    let (path, before) = (format!("/v1/rooms/{room}/members"), anna.room(&room).await);
    let problem = boram
        .post(&path, &json!({"user_ids": [dahee.id, new_key()]}))
        .await
        .refused(409, "cannot_be_invited");
    assert_eq!(pointers(&problem), ["/user_ids/1"]);
    boram.post(&path, &json!({"user_ids": []})).await.points_at("/user_ids");
    boram
        .post(&path, &json!({"user_ids": ["dahee"]}))
        .await
        .points_at("/user_ids/0");
    assert_eq!(anna.room(&room).await, before);
    dahee.get(format!("/v1/rooms/{room}")).fresh().await.problem(404);
}

#[tokio::test]
async fn who_may_invite_is_a_setting() {
    let ([anna, boram, _], room) = group_of_three().await;
    let dahee = anna.api.person("dahee").await;
    anna.patch(
        format!("/v1/rooms/{room}"),
        &json!({"settings": {"invite_by": "admins"}}),
    )
    .await
    .accepted();
    boram.inviting(&room, &[&dahee]).await.problem(403);
    anna.inviting(&room, &[&dahee]).await.is(200);
}

#[tokio::test]
async fn inviting_into_a_direct_room_opens_a_new_group_and_leaves_the_pair_alone() {
    let [anna, boram, chulsoo] = Api::shared().three().await;
    let pair = anna.direct(&boram).await;
    anna.say(&pair, "둘이서만").await;
    let before = boram.room(&pair).await;
    let group = text(&anna.inviting(&pair, &[&chulsoo]).await.is(201)["room_id"]);
    assert_ne!(group, pair);
    let seen = chulsoo.room(&group).await;
    assert_eq!(
        (&seen["kind"], &seen["member_count"], &seen["last_seq"]),
        (&json!("group"), &json!(3), &json!(1))
    );
    assert_eq!(anna.room(&group).await["my_role"], "owner");
    boram.room(&group).await;
    assert_eq!(boram.room(&pair).await, before);
    chulsoo.get(format!("/v1/rooms/{pair}")).fresh().await.problem(404);
    let second = text(&boram.inviting(&pair, &[&chulsoo]).await.is(201)["room_id"]);
    assert_ne!(second, group, "every invitation into a pair is a group of its own");
}

#[tokio::test]
async fn who_leaves_a_group_is_a_line_for_the_rest_and_finds_no_such_room_any_more() {
    let ([anna, boram, chulsoo], room) = group_of_three().await;
    boram.say(&room, "이만 갈게").await;
    boram.leaving(&room).await.accepted();

    assert_eq!(boram.listed(&room).await, None);
    let path = format!("/v1/rooms/{room}");
    boram.get(&path).fresh().await.problem(404);
    boram.get(format!("{path}/messages")).fresh().await.problem(404);
    boram
        .get(format!("{path}/changes?after_version=0"))
        .fresh()
        .await
        .problem(404);
    boram.sending(&room, "아직 있어?").await.problem(404);
    boram.leaving(&room).await.problem(404);

    let line = chulsoo.history(&room).await.pop().unwrap();
    assert_eq!((&line["seq"], &line["kind"]), (&json!(3), &json!("left")));
    assert!(line.to_string().contains(&boram.id));
    let seen = anna.room(&room).await;
    assert_eq!((&seen["member_count"], &seen["last_seq"]), (&json!(2), &json!(3)));
    assert_eq!(
        anna.listed(&room).await.unwrap()["unread_count"],
        1,
        "the line is not counted, the message is"
    );
}

#[tokio::test]
async fn who_comes_back_to_a_group_sees_only_what_follows() {
    let ([anna, boram, _], room) = group_of_three().await;
    boram.say(&room, "있을 때").await;
    boram.leaving(&room).await.accepted();
    anna.say(&room, "없을 때").await;
    anna.inviting(&room, &[&boram]).await.is(200);
    let after = anna.say_seq(&room, "다시 있을 때").await;
    assert_eq!(seqs(&boram.history(&room).await), [after - 1, after]);
    assert_eq!(boram.room(&room).await["unread_count"], 1);
}

#[tokio::test]
async fn the_earliest_joined_follows_an_owner_who_leaves() {
    let ([anna, boram, chulsoo], room) = group_of_three().await;
    let dahee = anna.api.person("dahee").await;
    anna.inviting(&room, &[&dahee]).await.is(200);
    anna.leaving(&room).await.accepted();
    let members = boram.see(format!("/v1/rooms/{room}/members")).await;
    let owners: Vec<_> = list(&members["items"])
        .iter()
        .filter(|member| member["role"] == "owner")
        .collect();
    assert_eq!(owners.len(), 1);
    let owner = text(&owners[0]["user_id"]);
    assert!(
        owner == boram.id || owner == chulsoo.id,
        "whoever was in the room from its start: {members}"
    );
}

#[tokio::test]
async fn the_last_one_to_leave_closes_the_group() {
    let ([anna, boram, chulsoo], room) = group_of_three().await;
    for person in [&anna, &boram, &chulsoo] {
        person.leaving(&room).await.accepted();
    }
    for person in [&anna, &boram, &chulsoo] {
        person.get(format!("/v1/rooms/{room}")).fresh().await.problem(404);
        person.sending(&room, "아무도 없나").await.problem(404);
        person.inviting(&room, &[&anna]).await.problem(404);
    }
}

#[tokio::test]
async fn everybody_may_leave_at_the_same_moment() {
    let ([anna, boram, chulsoo], room) = group_of_three().await;
    let (one, two, three) = join3(
        anna.leaving(&room).send(),
        boram.leaving(&room).send(),
        chulsoo.leaving(&room).send(),
    )
    .await;
    for reply in [one, two, three] {
        reply.accepted();
    }
    anna.get(format!("/v1/rooms/{room}")).fresh().await.problem(404);
}

#[tokio::test]
async fn leaving_a_direct_room_is_silent_and_hides_what_was_before() {
    let [anna, boram, _] = Api::shared().three().await;
    let room = anna.direct(&boram).await;
    anna.say(&room, "옛날 이야기").await;
    let before = anna.room(&room).await;
    let history = anna.history(&room).await;
    boram.leaving(&room).await.accepted();

    assert_eq!(boram.listed(&room).await, None);
    assert_eq!(boram.room(&room).await["member_count"], 2);
    assert_eq!(boram.history(&room).await, Vec::<Value>::new());
    assert_eq!(boram.rooms().await["total_unread"], 0);
    assert_eq!(anna.room(&room).await, before, "the other side sees no trace");
    assert_eq!(anna.history(&room).await, history);
}

#[tokio::test]
async fn a_direct_room_comes_back_with_the_next_message_of_the_other_side() {
    let [anna, boram, _] = Api::shared().three().await;
    let room = anna.direct(&boram).await;
    anna.say(&room, "옛날 이야기").await;
    boram.leaving(&room).await.accepted();
    let seq = anna.say_seq(&room, "거기 있어?").await;
    let listed = boram.listed(&room).await.unwrap();
    assert_eq!(
        (&listed["unread_count"], &listed["last_item"]["seq"]),
        (&json!(1), &json!(seq))
    );
    let seen = boram.room(&room).await;
    assert_eq!(seen["joined_seq"], seq);
    assert_eq!(seqs(&boram.history(&room).await), [seq]);
    let page = boram.see(format!("/v1/rooms/{room}/messages?before={seq}")).await;
    assert_eq!((&page["items"], &page["has_before"]), (&json!([]), &json!(false)));
}

#[tokio::test]
async fn a_direct_room_comes_back_with_my_own_next_message_too() {
    let [anna, boram, _] = Api::shared().three().await;
    let room = anna.direct(&boram).await;
    anna.say(&room, "하나").await;
    boram.say(&room, "둘").await;
    boram.leaving(&room).await.accepted();
    let seq = boram.say_seq(&room, "다시 나야").await;
    assert_eq!(seqs(&boram.history(&room).await), [seq]);
    assert_eq!(boram.listed(&room).await.unwrap()["unread_count"], 0);
    assert_eq!(seqs(&anna.history(&room).await), [1, 2, 3]);
    boram.leaving(&room).await.accepted();
    assert_eq!(boram.listed(&room).await, None, "it can be left again and again");
}

#[tokio::test]
async fn opening_a_left_direct_room_again_gives_the_same_room_and_no_old_history() {
    let [anna, boram, _] = Api::shared().three().await;
    let room = anna.direct(&boram).await;
    anna.say(&room, "지나간 말").await;
    boram.leaving(&room).await.accepted();
    assert_eq!(boram.direct(&anna).await, room);
    assert_eq!(boram.history(&room).await, Vec::<Value>::new());
}

#[tokio::test]
async fn a_direct_room_that_both_left_comes_back_for_both() {
    let [anna, boram, _] = Api::shared().three().await;
    let room = anna.direct(&boram).await;
    anna.say(&room, "옛날 이야기").await;
    for person in [&anna, &boram] {
        person.leaving(&room).await.is(204);
        person.leaving(&room).await.is(204);
        assert_eq!(person.listed(&room).await, None);
        assert_eq!(person.room(&room).await["version"], 2, "nobody is told of it");
    }
    let seq = boram.say_seq(&room, "다시 시작").await;
    for (person, unread) in [(&anna, 1), (&boram, 0)] {
        assert_eq!(seqs(&person.history(&room).await), [seq]);
        assert_eq!(person.listed(&room).await.unwrap()["unread_count"], unread);
    }
}

#[tokio::test]
async fn notes_to_oneself_are_left_behind_as_well() {
    let anna = Api::shared().person("anna").await;
    let room = anna.direct(&anna).await;
    anna.leaving(&room).await.is(204);
    anna.say(&room, "장보기: 우유").await;
    anna.leaving(&room).await.is(204);
    assert_eq!(anna.listed(&room).await, None);
    assert_eq!(anna.history(&room).await, Vec::<Value>::new());
    let seq = anna.say_seq(&room, "장보기: 두부").await;
    assert_eq!(seqs(&anna.history(&room).await), [seq]);
    assert_eq!(anna.listed(&room).await.unwrap()["member_count"], 1);
}

#[tokio::test]
async fn what_was_left_behind_in_a_direct_room_is_not_answered_by_me_and_only_a_seq_in_the_answers_of_others() {
    let [anna, boram, _] = Api::shared().three().await;
    let room = anna.direct(&boram).await;
    let old = text(&anna.say(&room, "지나간 말").await["message_id"]);
    boram.leaving(&room).await.is(204);
    let reply = json!({"kind": "text", "text": "그거 말이야", "reply_to": old});
    let path = format!("/v1/rooms/{room}/messages");
    boram.post(&path, &reply).await.refused(404, "message_not_found");
    anna.post(&path, &reply).await.is(201);
    assert_eq!(boram.history(&room).await[0]["reply_to"], json!({"seq": 1}));
    assert_eq!(anna.history(&room).await[1]["reply_to"]["preview"], "지나간 말");
}

#[tokio::test]
async fn leaving_a_direct_room_is_told_to_my_sessions_only_and_the_next_message_to_both() {
    let [anna, boram, _] = Api::shared().three().await;
    let room = anna.direct(&boram).await;
    anna.say(&room, "옛날 이야기").await;
    let phone = boram.on_another_device().await;
    let (mut mine, mut theirs) = (Socket::open(&phone).await, Socket::open(&anna).await);
    let cursor = mine.open_beside(&phone).await.cursor();
    boram.leaving(&room).await.is(204);
    let frame = mine.event("seat.changed", &room).await;
    assert_eq!((&frame["data"], &frame["version"]), (&json!({}), &Value::Null));
    anna.say(&room, "거기 있어?").await;
    let item = boram.history(&room).await.pop().unwrap();
    for socket in [&mut mine, &mut theirs] {
        let frame = socket
            .wait_for("the next message", |frame| is_version(frame, &room, 3))
            .await;
        assert_eq!((&frame["type"], &frame["data"]), (&json!("message.sent"), &item));
    }
    let seat = |frame: &&Value| frame["type"] == "seat.changed";
    assert_eq!(theirs.unread().find(seat), None);

    let changes = boram.see(format!("/v1/rooms/{room}/changes?after_version=0")).await;
    let told: Vec<_> = list(&changes["items"])
        .iter()
        .map(|frame| text(&frame["type"]))
        .collect();
    assert_eq!(told, ["room.changed", "room.changed", "message.sent"]);
    let mut resumed = Socket::resume(&phone, &cursor).await;
    assert_eq!(resumed.ready["resumed"], "replayed");
    resumed.event("seat.changed", &room).await;
    assert_eq!(resumed.event("message.sent", &room).await["data"], item);
}
