//! Who is what in a group: kicking, giving roles, handing over, following an owner who left, and what each may do.

use std::collections::BTreeSet;

use futures_util::future::{join, join_all};
use serde_json::{Value, json};

use crate::harness::client::{Api, Call, list, new_key, number, text};
use crate::harness::person::Person;
use crate::harness::socket::{Socket, is_version};

async fn group_of_three() -> ([Person; 3], String) {
    let [anna, boram, chulsoo] = Api::shared().three().await;
    let room = anna.group(&[&boram, &chulsoo]).await;
    ([anna, boram, chulsoo], room)
}

/// What a line tells, `sent_at` aside.
fn told(line: &Value) -> [Value; 5] {
    ["seq", "kind", "author_id", "members", "role"].map(|field| line[field].clone())
}

async fn role_of(person: &Person, room: &str) -> String {
    text(&person.room(room).await["my_role"])
}

#[tokio::test]
async fn who_is_kicked_is_a_line_for_the_rest_and_finds_no_such_room_any_more() {
    let ([anna, boram, chulsoo], room) = group_of_three().await;
    boram.say(&room, "이게 마지막 말").await;
    anna.kicking(&room, &boram).await.is(204);

    assert_eq!(boram.listed(&room).await, None);
    let path = format!("/v1/rooms/{room}");
    for door in ["", "/members", "/messages", "/changes?after_version=0"] {
        boram
            .get(format!("{path}{door}"))
            .fresh()
            .await
            .refused(404, "room_not_found");
    }
    boram.sending(&room, "아직 있어?").await.refused(404, "room_not_found");
    boram.leaving(&room).await.refused(404, "room_not_found");

    let line = chulsoo.history(&room).await.pop().unwrap();
    assert_eq!(
        told(&line),
        [
            json!(3),
            json!("kicked"),
            json!(anna.id),
            json!([boram.id]),
            Value::Null
        ]
    );
    let seen = chulsoo.listed(&room).await.unwrap();
    assert_eq!(
        (&seen["member_count"], &seen["last_seq"], &seen["unread_count"]),
        (&json!(2), &json!(3), &json!(1)),
        "the line is not counted, the message is"
    );
    assert_eq!(
        (&seen["last_item"]["kind"], &seen["last_item"]["author_id"]),
        (&json!("kicked"), &json!(anna.id))
    );
}

#[tokio::test]
async fn who_was_kicked_may_be_invited_again_and_sees_only_what_follows() {
    let ([anna, boram, _], room) = group_of_three().await;
    anna.giving(&room, &boram, "admin").await.is(200);
    anna.kicking(&room, &boram).await.is(204);
    anna.say(&room, "없을 때").await;
    anna.inviting(&room, &[&boram]).await.is(200);
    let after = anna.say_seq(&room, "다시 있을 때").await;
    let seqs: Vec<u64> = boram
        .history(&room)
        .await
        .iter()
        .map(|item| number(&item["seq"]))
        .collect();
    assert_eq!(seqs, [after - 1, after]);
    let seen = boram.room(&room).await;
    assert_eq!((&seen["unread_count"], &seen["my_role"]), (&json!(1), &json!("member")));
}

#[tokio::test]
async fn who_was_kicked_counts_no_longer_among_those_who_have_not_read() {
    let ([anna, boram, chulsoo], room) = group_of_three().await;
    boram.say(&room, "읽었니").await;
    let unread = async || anna.history(&room).await[1]["unread_member_count"].clone();
    assert_eq!(unread().await, 2);
    anna.kicking(&room, &chulsoo).await.is(204);
    assert_eq!(unread().await, 1);
    anna.inviting(&room, &[&chulsoo]).await.is(200);
    assert_eq!(unread().await, 1, "who comes back never saw it");
}

#[tokio::test]
async fn only_a_higher_role_kicks() {
    let people = Api::shared().people(5).await;
    let [owner, admin, other_admin, member, other_member] = &people[..] else {
        unreachable!("five people were asked for")
    };
    let room = owner.group(&[admin, other_admin, member, other_member]).await;
    for person in [admin, other_admin] {
        owner.giving(&room, person, "admin").await.is(200);
    }
    let stranger = Api::shared().person("stranger").await;
    let before = owner.room(&room).await;
    for (by, whom) in [
        (owner, owner),
        (admin, owner),
        (admin, admin),
        (admin, other_admin),
        (member, owner),
        (member, admin),
        (member, member),
        (member, other_member),
        (member, &stranger),
    ] {
        by.kicking(&room, whom).await.refused(403, "not_allowed");
    }
    for by in [owner, admin] {
        by.kicking(&room, &stranger).await.refused(404, "member_not_found");
    }
    assert_eq!(owner.room(&room).await, before);
    for (by, whom) in [(admin, member), (owner, other_member), (owner, other_admin)] {
        by.kicking(&room, whom).await.is(204);
        by.kicking(&room, whom).await.refused(404, "member_not_found");
    }
    let roles = [(owner, "owner"), (admin, "admin")];
    let roles: Vec<_> = roles
        .iter()
        .map(|(person, role)| (person.id.clone(), (*role).to_owned()))
        .collect();
    let shown: BTreeSet<_> = admin.roles(&room).await.into_iter().collect();
    assert_eq!(shown, roles.into_iter().collect());
}

#[tokio::test]
async fn a_role_is_given_by_a_line_and_taken_back() {
    let ([anna, boram, chulsoo], room) = group_of_three().await;
    let given = anna.giving(&room, &boram, "admin").await.is(200);
    assert_eq!(given, json!({"room_id": room, "version": 2}));
    assert_eq!(role_of(&boram, &room).await, "admin");
    let line = chulsoo.history(&room).await.pop().unwrap();
    let expected = |seq: u64, role: &str| {
        [
            json!(seq),
            json!("role_changed"),
            json!(anna.id),
            json!([boram.id]),
            json!(role),
        ]
    };
    assert_eq!(told(&line), expected(2, "admin"));
    assert_eq!(chulsoo.listed(&room).await.unwrap()["unread_count"], 0);

    let again = anna.giving(&room, &boram, "admin").await.is(200);
    assert_eq!(again["version"], 2, "the role they have is no new role");
    anna.giving(&room, &boram, "member").await.is(200);
    assert_eq!(role_of(&boram, &room).await, "member");
    assert_eq!(
        told(&chulsoo.history(&room).await.pop().unwrap()),
        expected(3, "member")
    );
}

#[tokio::test]
async fn only_the_owner_gives_roles_and_only_to_members() {
    let ([anna, boram, chulsoo], room) = group_of_three().await;
    let stranger = Api::shared().person("stranger").await;
    anna.giving(&room, &boram, "admin").await.is(200);
    let before = anna.room(&room).await;
    for role in ["member", "admin", "owner"] {
        for by in [&boram, &chulsoo] {
            for whom in [&anna, &boram, &chulsoo, &stranger] {
                by.giving(&room, whom, role).await.refused(403, "not_allowed");
            }
        }
        anna.giving(&room, &stranger, role)
            .await
            .refused(404, "member_not_found");
        stranger
            .giving(&room, &stranger, role)
            .await
            .refused(404, "room_not_found");
    }
    for role in ["member", "admin"] {
        anna.giving(&room, &anna, role)
            .await
            .refused(409, "owner_must_hand_over");
    }
    anna.giving(&room, &anna, "owner").await.is(200);
    anna.giving(&room, &boram, "king").await.points_at("/role");
    assert_eq!(anna.room(&room).await, before);
}

#[tokio::test]
async fn an_owner_hands_the_group_over_and_stays_as_an_admin() {
    let ([anna, boram, chulsoo], room) = group_of_three().await;
    anna.giving(&room, &chulsoo, "owner").await.is(200);
    for (person, role) in [(&anna, "admin"), (&boram, "member"), (&chulsoo, "owner")] {
        assert_eq!(role_of(person, &room).await, role);
    }
    assert_eq!(anna.history(&room).await.len(), 2, "one line tells both");
    anna.giving(&room, &anna, "owner").await.refused(403, "not_allowed");
    chulsoo.kicking(&room, &anna).await.is(204);
    chulsoo.giving(&room, &boram, "owner").await.is(200);
    let roles: BTreeSet<_> = boram.roles(&room).await.into_iter().collect();
    let expected = [(boram.id, "owner".to_owned()), (chulsoo.id, "admin".to_owned())];
    assert_eq!(roles, expected.into());
}

#[tokio::test]
async fn the_oldest_admin_follows_an_owner_who_leaves() {
    let ([anna, boram, chulsoo], room) = group_of_three().await;
    let dahee = anna.api.person("dahee").await;
    anna.inviting(&room, &[&dahee]).await.is(200);
    anna.giving(&room, &dahee, "admin").await.is(200);
    anna.leaving(&room).await.is(204);
    assert_eq!(role_of(&dahee, &room).await, "owner", "before those who joined earlier");
    // Of two admins whoever came first.
    for person in [&boram, &chulsoo] {
        dahee.giving(&room, person, "admin").await.is(200);
    }
    dahee.inviting(&room, &[&anna]).await.is(200);
    dahee.giving(&room, &anna, "admin").await.is(200);
    dahee.leaving(&room).await.is(204);
    let roles = boram.roles(&room).await;
    let owner = roles.iter().find(|(_, role)| role == "owner").unwrap();
    assert!([&boram.id, &chulsoo.id].contains(&&owner.0), "{roles:?}");
    assert_eq!(roles.iter().filter(|(_, role)| role == "owner").count(), 1);
    let kinds: Vec<_> = boram
        .history(&room)
        .await
        .iter()
        .map(|item| text(&item["kind"]))
        .collect();
    assert_eq!(kinds.last().unwrap(), "left", "succession has no line of its own");
}

/// Every cell of what a role may do under every setting.
#[tokio::test]
async fn name_notice_and_invitations_follow_the_settings_and_settings_the_role() {
    let people = Api::shared().people(4).await;
    let [owner, admin, member, _] = &people[..] else {
        unreachable!("four people were asked for")
    };
    let room = owner.group(&people[1..].iter().collect::<Vec<_>>()).await;
    owner.giving(&room, admin, "admin").await.is(200);
    let path = format!("/v1/rooms/{room}");
    let mut number = 0;
    for (rename_by, invite_by) in [
        ("all", "all"),
        ("admins", "all"),
        ("all", "admins"),
        ("admins", "admins"),
    ] {
        let settings = json!({"rename_by": rename_by, "invite_by": invite_by});
        owner.patch(&path, &json!({"settings": settings})).await.is(200);
        for (person, is_admin) in [(owner, true), (admin, true), (member, false)] {
            number += 1;
            let guest = owner.api.person("guest").await;
            let word = format!("{number}번째");
            let calls = [
                (
                    person.patch(&path, &json!({"name": word})),
                    is_admin || rename_by == "all",
                ),
                (
                    person.patch(&path, &json!({"notice": word})),
                    is_admin || rename_by == "all",
                ),
                (person.inviting(&room, &[&guest]), is_admin || invite_by == "all"),
                (person.patch(&path, &json!({"settings": settings})), is_admin),
            ];
            for (call, allowed) in calls {
                let reply = call.await;
                if allowed {
                    reply.is(200);
                } else {
                    reply.refused(403, "not_allowed");
                }
            }
            let seen = owner.room(&room).await;
            let renamed = seen["name"] == word.as_str() && seen["notice"] == word.as_str();
            assert_eq!(renamed, is_admin || rename_by == "all", "{settings}: {seen}");
            assert_eq!(seen["settings"], settings);
        }
    }
}

#[tokio::test]
async fn of_several_changes_all_happen_or_none() {
    let ([anna, boram, _], room) = group_of_three().await;
    let path = format!("/v1/rooms/{room}");
    let before = anna.room(&room).await;
    let too_much = json!({"name": "바꿀 이름", "notice": "바꿀 공지", "settings": {"invite_by": "admins"}});
    boram.patch(&path, &too_much).await.refused(403, "not_allowed");
    let with_photo = json!({"name": "바꿀 이름", "photo": new_key()});
    anna.patch(&path, &with_photo).await.refused(422, "media_not_available");
    assert_eq!(anna.room(&room).await, before);
    anna.patch(&path, &too_much).await.is(200);
    let seen = boram.room(&room).await;
    assert_eq!(
        (&seen["name"], &seen["notice"], &seen["settings"]["invite_by"]),
        (&json!("바꿀 이름"), &json!("바꿀 공지"), &json!("admins"))
    );
    let nothing = json!({"name": "바꿀 이름", "photo": null, "settings": {}});
    anna.patch(&path, &nothing).await.is(200);
    assert_eq!(anna.room(&room).await["version"], seen["version"]);
}

#[tokio::test]
async fn a_notice_is_a_line_and_is_taken_down_by_another() {
    let ([anna, boram, chulsoo], room) = group_of_three().await;
    let path = format!("/v1/rooms/{room}");
    boram
        .patch(&path, &json!({"notice": "토요일\n7시, 역 앞"}))
        .await
        .is(200);
    assert_eq!(chulsoo.room(&room).await["notice"], "토요일\n7시, 역 앞");
    anna.patch(&path, &json!({"notice": null})).await.is(200);
    assert_eq!(chulsoo.room(&room).await["notice"], Value::Null);
    let lines: Vec<_> = chulsoo
        .history(&room)
        .await
        .iter()
        .map(|item| json!([item["kind"], item["author_id"], item["name"]]))
        .collect();
    let expected = [
        json!(["invited", anna.id, null]),
        json!(["notice", boram.id, "토요일\n7시, 역 앞"]),
        json!(["notice", anna.id, null]),
    ];
    assert_eq!(lines, expected);
    for notice in ["", &"가".repeat(10_001), "nul\u{0}"] {
        anna.patch(&path, &json!({"notice": notice})).await.points_at("/notice");
    }
}

#[tokio::test]
async fn the_picture_of_a_group_is_of_those_who_are_in_it() {
    let people = Api::shared().people(6).await;
    let room = people[0].group(&[&people[1], &people[2], &people[3], &people[4]]).await;
    let sample = async || -> Vec<String> {
        let seen = people[0].room(&room).await;
        let sample = list(&seen["members_sample"]);
        sample.iter().map(|member| text(&member["user_id"])).collect()
    };
    let shown = sample().await;
    assert_eq!(shown.len(), 4);
    let gone = people[1..5].iter().filter(|person| shown.contains(&person.id));
    let gone: Vec<&Person> = gone.take(2).collect();
    people[0].kicking(&room, gone[0]).await.is(204);
    gone[1].leaving(&room).await.is(204);
    let rest = people[..5].iter().map(|person| person.id.clone());
    let rest: BTreeSet<String> = rest.filter(|id| gone.iter().all(|gone| gone.id != *id)).collect();
    assert_eq!(sample().await.into_iter().collect::<BTreeSet<_>>(), rest);
    people[0].inviting(&room, &[&people[5]]).await.is(200);
    let shown = sample().await;
    assert_eq!(
        (shown.len(), shown.last()),
        (4, Some(&people[5].id)),
        "who came last is shown last"
    );
    for person in [&people[5], gone[0]] {
        let listed = person.rooms().await.to_string();
        assert_eq!(listed.contains(&room), person.id == people[5].id);
    }
}

#[tokio::test]
async fn nobody_is_kicked_from_a_direct_room_and_nobody_has_a_role_in_it() {
    let [anna, boram, _] = Api::shared().three().await;
    let room = anna.direct(&boram).await;
    anna.say(&room, "둘이서만").await;
    let before = anna.room(&room).await;
    anna.kicking(&room, &boram).await.refused(409, "only_in_groups");
    anna.giving(&room, &boram, "admin").await.refused(409, "only_in_groups");
    for change in [
        json!({"name": "우리"}),
        json!({"notice": "우리"}),
        json!({"settings": {"invite_by": "all"}}),
    ] {
        let reply = anna.patch(format!("/v1/rooms/{room}"), &change).await;
        reply.refused(409, "only_in_groups");
    }
    assert_eq!(anna.room(&room).await, before);
}

#[tokio::test]
async fn the_room_that_nobody_is_left_in_is_closed_for_good() {
    let ([anna, boram, chulsoo], room) = group_of_three().await;
    anna.say(&room, "마지막으로 불 끄고 나가기").await;
    anna.kicking(&room, &boram).await.is(204);
    chulsoo.leaving(&room).await.is(204);
    let mut socket = Socket::open(&anna).await;
    let key = new_key();
    anna.leaving(&room).key(&key).await.is(204);
    let frame = socket.event("member.left", &room).await;
    assert_eq!(frame["data"]["user_ids"], json!([anna.id]));
    let direct = anna.direct(&boram).await;
    let version = number(&boram.say(&direct, "그 방 없어졌어?").await["version"]);
    let after = socket.up_to(&direct, version).await;
    assert!(after.iter().all(|frame| frame["room_id"] != room.as_str()), "{after:?}");

    assert!(anna.leaving(&room).key(&key).await.is_replayed());
    let path = format!("/v1/rooms/{room}");
    for person in [&anna, &boram, &chulsoo] {
        assert_eq!(person.listed(&room).await, None);
        let calls = [
            person.get(&path).fresh(),
            person.get(format!("{path}/changes?after_version=0")).fresh(),
            person.patch(&path, &json!({"name": "다시"})),
            person.sending(&room, "아무도 없나"),
            person.inviting(&room, &[&boram]),
            person.kicking(&room, &boram),
            person.giving(&room, &boram, "owner"),
            person.leaving(&room),
        ];
        for call in calls {
            call.await.refused(404, "room_not_found");
        }
    }
}

#[tokio::test]
async fn a_kick_is_told_to_the_rest_and_to_who_was_kicked_and_nothing_after_it_to_them() {
    let ([anna, boram, chulsoo], room) = group_of_three().await;
    let (mut member, mut gone) = (Socket::open(&chulsoo).await, Socket::open(&boram).await);
    anna.kicking(&room, &boram).await.is(204);
    let line = chulsoo.history(&room).await.pop().unwrap();
    for socket in [&mut member, &mut gone] {
        let frame = socket.event("member.kicked", &room).await;
        assert_eq!(frame["data"], json!({"user_ids": [boram.id], "item": line}));
    }
    anna.say(&room, "보람이 없는 자리").await;
    let direct = anna.direct(&boram).await;
    let version = number(&anna.say(&direct, "미안").await["version"]);
    let after = gone.up_to(&direct, version).await;
    assert!(after.iter().all(|frame| frame["room_id"] != room.as_str()), "{after:?}");
    anna.inviting(&room, &[&boram]).await.is(200);
    let back = anna.room(&room).await["version"].clone();
    assert_eq!(gone.event("member.joined", &room).await["version"], back);
}

#[tokio::test]
async fn a_kick_that_was_missed_is_replayed_and_nothing_after_it() {
    let ([anna, boram, chulsoo], room) = group_of_three().await;
    let first = Socket::open(&boram).await;
    let cursor = first.open_beside(&boram).await.cursor();
    anna.say(&room, "보람이 있을 때").await;
    anna.kicking(&room, &boram).await.is(204);
    chulsoo.say(&room, "보람이 간 뒤").await;
    let direct = anna.direct(&boram).await;
    let end = number(&anna.say(&direct, "마지막").await["version"]);
    let mut socket = Socket::resume(&boram, &cursor).await;
    assert_eq!(socket.ready["resumed"], "replayed");
    let said = socket.event("message.sent", &room).await;
    let kicked = socket.event("member.kicked", &room).await;
    assert_eq!((&said["version"], &kicked["version"]), (&json!(2), &json!(3)));
    socket
        .wait_for("what came last", |frame| is_version(frame, &direct, end))
        .await;
    socket.ping().await;
    let after = |frame: &&Value| frame["room_id"] == room.as_str() && frame["version"].as_u64() > Some(3);
    assert_eq!(socket.unread().find(after), None);
}

#[tokio::test]
async fn roles_are_told_live_and_by_changes_alike() {
    let ([anna, boram, chulsoo], room) = group_of_three().await;
    let mut socket = Socket::open(&chulsoo).await;
    anna.giving(&room, &boram, "admin").await.is(200);
    anna.giving(&room, &boram, "owner").await.is(200);
    boram.leaving(&room).await.is(204);
    let end = number(&anna.room(&room).await["version"]);
    let live = socket.between(&room, 1, end).await;
    let items = anna.history(&room).await;
    let expected = [
        (
            "member.role_changed",
            json!({"user_ids": [boram.id], "role": "admin", "item": items[1]}),
        ),
        (
            "member.role_changed",
            json!({"user_ids": [boram.id], "role": "owner", "item": items[2]}),
        ),
        ("member.role_changed", json!({"user_ids": [anna.id], "role": "admin"})),
        ("member.left", json!({"user_ids": [boram.id], "item": items[3]})),
        ("member.role_changed", json!({"user_ids": [anna.id], "role": "owner"})),
    ];
    let told: Vec<_> = live
        .iter()
        .map(|frame| (frame["type"].as_str().unwrap(), frame["data"].clone()))
        .collect();
    assert_eq!(told, expected);
    let changes = chulsoo.see(format!("/v1/rooms/{room}/changes?after_version=1")).await;
    assert_eq!(list(&changes["items"]), &live);
}

#[tokio::test]
async fn of_two_who_kick_somebody_at_once_one_comes_too_late() {
    let people = Api::shared().people(4).await;
    let room = people[0].group(&[&people[1], &people[2], &people[3]]).await;
    people[0].giving(&room, &people[1], "admin").await.is(200);
    let (one, other) = join(
        people[0].kicking(&room, &people[3]).send(),
        people[1].kicking(&room, &people[3]).send(),
    )
    .await;
    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [204, 404], "{one}, {other}");
}

#[tokio::test]
async fn a_group_has_one_owner_whatever_happens_at_once() {
    let people = Api::shared().people(5).await;
    let room = people[0].group(&people[1..].iter().collect::<Vec<_>>()).await;
    let calls = [
        people[0].giving(&room, &people[1], "owner"),
        people[0].giving(&room, &people[2], "owner"),
        people[0].leaving(&room),
        people[1].leaving(&room),
        people[0].giving(&room, &people[3], "admin"),
    ];
    join_all(calls.map(Call::send)).await;
    let roles = people[4].roles(&room).await;
    assert_eq!(roles.iter().filter(|(_, role)| role == "owner").count(), 1, "{roles:?}");
}
