//! What happens to messages after they were sent, live and replayed.

use cocotalk_domain::number::Seq;

use super::*;

/// Everything that some frames say.
fn told_of(frames: &[Value]) -> String {
    frames.iter().map(Value::to_string).collect()
}

/// A group with two messages, and Jun and 하나, who are connected.
async fn group() -> (Node, RoomId, [UserId; 3], [Told; 2]) {
    let world = Arc::new(World::default());
    let people = world.three();
    let room = world.group(100, &people);
    world.say(room, people[0], "하나");
    world.say(room, people[0], "둘");
    let node = Node::open(&world).await;
    let told = [node.join(people[1]).await, node.join(people[2]).await];
    (node, room, people, told)
}

#[tokio::test(start_paused = true)]
async fn what_happens_to_a_message_is_told_to_everybody_but_who_has_hidden_it() {
    let (node, room, [_, jun, _], [mut mine, mut theirs]) = group().await;
    node.world.hide_message(room, jun, Seq(2));
    node.publish().await;
    assert_eq!(mine.types(room), ["seat.changed"]);
    for seq in [Seq(2), Seq(3)] {
        node.world.edit(room, seq, "셋");
        node.world.react(room, jun, seq, Some("👍"));
        node.world.delete(room, seq);
    }
    node.publish().await;
    let types = ["message.edited", "reaction.changed", "message.deleted"];
    assert_eq!(theirs.types(room), [types, types].concat());
    assert_eq!(mine.types(room), [["room.changed"; 3], types].concat());
}

#[tokio::test(start_paused = true)]
async fn who_comes_with_something_hidden_is_not_told_of_it() {
    let (node, room, [mina, jun, _], [_, mut theirs]) = group().await;
    node.world.hide_message(room, jun, Seq(2));
    node.publish().await;
    let mut told = node.join(jun).await;
    node.world.edit(room, Seq(2), "셋");
    node.world.say_about(room, mina, "넷", Some(Seq(2)));
    node.publish().await;
    let frames = told.frames();
    assert_eq!(types(&frames, room), ["room.changed", "message.sent"]);
    assert!(!told_of(&frames).contains("\"preview\""), "{frames:?}");
    assert!(told_of(&theirs.frames()).contains("\"preview\":\"셋\""));
}

#[tokio::test(start_paused = true)]
async fn who_resumes_is_told_no_words_of_what_was_deleted_meanwhile() {
    let (node, room, [mina, jun, _], _) = group().await;
    let cursor = node.join(jun).await.now.to_string();
    node.world.say(room, mina, "비밀");
    node.world.edit(room, Seq(4), "더한 비밀");
    node.world.hide_message(room, jun, Seq(3));
    node.world.edit(room, Seq(3), "숨긴 비밀");
    node.world.delete(room, Seq(4));
    node.publish().await;
    let told = Told::of(node.hub.join(jun, Some(&cursor)).await.unwrap());
    assert_eq!(told.resumed, Resumed::Replayed);
    assert_eq!(
        types(&told.missed, room),
        [
            "message.sent",
            "message.edited",
            "seat.changed",
            "room.changed",
            "message.deleted"
        ]
    );
    assert!(!told_of(&told.missed).contains("비밀"), "{:?}", told.missed);
}

#[tokio::test(start_paused = true)]
async fn who_left_meanwhile_is_replayed_nothing_from_a_time_when_they_were_not_there() {
    let (node, room, [mina, jun, _], _) = group().await;
    let cursor = node.join(jun).await.now.to_string();
    let world = &node.world;
    world.say(room, mina, "있을 때");
    world.leave(room, jun);
    let secret = world.say(room, mina, "없을 때");
    world.invite(room, mina, &[jun]);
    world.edit(room, secret, "없을 때의 비밀");
    world.react(room, mina, secret, Some("👍"));
    world.kick(room, mina, jun);
    node.publish().await;
    let told = Told::of(node.hub.join(jun, Some(&cursor)).await.unwrap());
    assert_eq!(
        types(&told.missed, room),
        [
            "message.sent",
            "member.left",
            "member.joined",
            "room.changed",
            "room.changed",
            "member.kicked"
        ]
    );
    assert!(!told_of(&told.missed).contains("없을 때"), "{:?}", told.missed);
}

#[tokio::test(start_paused = true)]
async fn who_left_meanwhile_is_replayed_nothing_of_what_they_had_hidden() {
    let (node, room, [mina, jun, _], _) = group().await;
    let before = node.join(jun).await.now.to_string();
    let said = node.world.say(room, mina, "숨길 글");
    node.world.hide_message(room, jun, said);
    node.publish().await;
    let after = node.join(jun).await.now.to_string();
    node.world.edit(room, said, "숨긴 글");
    node.world.leave(room, jun);
    node.publish().await;
    for cursor in [before, after] {
        let told = Told::of(node.hub.join(jun, Some(&cursor)).await.unwrap());
        assert!(types(&told.missed, room).ends_with(&["room.changed".to_owned(), "member.left".to_owned()]));
        assert!(!told_of(&told.missed).contains("글"), "{:?}", told.missed);
    }
}
