//! What only several nodes can promise: it does not matter which of them does what, nor which of them is new or gone.

use futures_util::future::{join, join_all};
use serde_json::{Value, json};

use crate::harness::client::{Api, Doors, new_key, number};
use crate::harness::person::Person;
use crate::harness::socket::Socket;
use crate::node::{Node, Role};
use crate::stage::Stage;

/// The shared platform, entered by one node of each side.
fn doors(command: usize, query: usize) -> Doors {
    let public = |role, index| Stage::shared().of(role).nth(index).map(Node::public).unwrap();
    Doors {
        commands: vec![public(Role::CommandApi, command)],
        queries: vec![public(Role::QueryApi, query)],
    }
}

/// The same person, who talks to one node of each side only.
fn at(person: &Person, command: usize, query: usize) -> Person {
    person.at(&person.api.moved_to(doors(command, query)))
}

/// The versions of the frames that have one.
fn versions(frames: &[Value]) -> Vec<u64> {
    frames.iter().filter_map(|frame| frame["version"].as_u64()).collect()
}

/// The sum of a counter over its labels, as a node tells it.
async fn counted(node: &Node, name: &str) -> f64 {
    let reply = Api::at(node.admin()).get("/metrics").await;
    let text = String::from_utf8(reply.body.to_vec()).unwrap();
    let values = text.lines().filter(|line| line.starts_with(name));
    values
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum()
}

#[tokio::test]
async fn there_are_two_of_each_and_both_have_work() {
    let anna = Api::shared().person("anna").await;
    assert!(anna.api.has_several_nodes());
    let room = anna.direct(&anna).await;
    for name in ["하나", "둘", "셋"] {
        anna.say(&room, name).await;
        anna.history(&room).await;
    }
    for role in Role::ALL {
        let nodes: Vec<_> = Stage::shared().of(role).collect();
        assert_eq!(nodes.len(), 2);
        let work = match role {
            Role::CommandApi => "cocotalk_command_duration_seconds_count",
            Role::QueryApi => "cocotalk_http_requests_seconds_count",
            // One leader may have all the work, so that the other one has none to show.
            Role::Relay | Role::Projectors => continue,
        };
        for node in nodes {
            assert!(counted(node, work).await > 0.0, "{node} has done nothing");
        }
    }
}

#[tokio::test]
async fn who_comes_back_to_another_node_is_replayed_what_was_missed() {
    let [anna, boram, chulsoo] = Api::shared().three().await;
    let room = anna.group(&[&boram, &chulsoo]).await;
    for (here, there) in [(0, 1), (1, 0)] {
        let (before, after) = (at(&boram, 0, here), at(&boram, 0, there));
        let mut first = Socket::open(&before).await;
        anna.say(&room, "아직 연결됨").await;
        first.event("message.sent", &room).await;
        let cursor = first.open_beside(&before).await.cursor();
        drop(first);
        let start = number(&anna.room(&room).await["version"]);
        for word in ["하나", "둘", "셋"] {
            chulsoo.say(&room, word).await;
        }
        let end = start + 3;
        let mut second = Socket::resume(&after, &cursor).await;
        assert_eq!(second.ready["resumed"], "replayed", "from node {here} to node {there}");
        let frames = second.up_to(&room, end).await;
        assert_eq!(versions(&frames), (start + 1..=end).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn a_cursor_from_the_future_of_a_node_is_waited_for() {
    let [anna, boram, chulsoo] = Api::shared().three().await;
    let room = anna.group(&[&boram, &chulsoo]).await;
    let mut sockets = [
        Socket::open(&at(&boram, 0, 0)).await,
        Socket::open(&at(&boram, 0, 1)).await,
    ];
    for round in 0..40 {
        let (here, there) = (round % 2, (round + 1) % 2);
        let told = number(&anna.say(&room, "여기까지 들었음").await["version"]);
        sockets[here].up_to(&room, told).await;
        // The other node may not have got there yet.
        let cursor = sockets[here].open_beside(&boram).await.cursor();
        let mut other = Socket::resume(&at(&boram, 0, there), &cursor).await;
        assert_eq!(other.ready["resumed"], "replayed");
        let next = number(&anna.say(&room, "처음 듣는 말").await["version"]);
        let frames = other.up_to(&room, next).await;
        assert_eq!(versions(&frames), [next], "what was told is not told again: {frames:?}");
        sockets[here].up_to(&room, next).await;
        sockets[there].up_to(&room, next).await;
    }
}

#[tokio::test]
async fn one_key_is_one_message_whichever_node_it_comes_to() {
    let [anna, boram, chulsoo] = Api::shared().three().await;
    let room = anna.group(&[&boram, &chulsoo]).await;
    let (one, other) = (at(&anna, 0, 0), at(&anna, 1, 1));
    let mut sockets = [Socket::open(&one).await, Socket::open(&other).await];
    for round in 0..10 {
        let (key, words) = (new_key(), format!("차례로 {round}"));
        let first = one.sending(&room, &words).key(&key).await;
        let again = other.sending(&room, &words).key(&key).await;
        assert_eq!(first.is(201), again.is(201));
        assert!(!first.is_replayed() && again.is_replayed(), "{again}");
        let message = json!({"kind": "text", "text": words});
        for socket in &mut sockets {
            let ack = socket.post(&room, &key, &message).await;
            assert_eq!(
                (&ack["seq"], &ack["replayed"]),
                (&first.value()["seq"], &json!(true)),
                "{ack}"
            );
        }

        let (key, words) = (new_key(), format!("동시에 {round}"));
        let (first, second) = join(
            one.sending(&room, &words).key(&key).send(),
            other.sending(&room, &words).key(&key).send(),
        )
        .await;
        assert_eq!(first.is(201), second.is(201));
        assert_ne!(first.is_replayed(), second.is_replayed(), "{first} and {second}");
    }
    assert_eq!(anna.room(&room).await["last_seq"], 21);
}

#[tokio::test]
async fn who_was_invited_at_one_node_is_never_refused_at_the_other_and_who_left_always() {
    let [anna, boram, chulsoo] = Api::shared().three().await;
    let room = anna.group(&[&boram, &chulsoo]).await;
    let dahee = anna.api.person("dahee").await;
    for round in 0..25 {
        let (here, there) = (round % 2, (round + 1) % 2);
        // Both nodes have the room in memory, as it was.
        join(
            at(&anna, here, 0).say(&room, "미리"),
            at(&anna, there, 0).say(&room, "미리"),
        )
        .await;
        at(&anna, here, 0).inviting(&room, &[&dahee]).await.is(200);
        at(&dahee, there, 0).sending(&room, "들어왔어요").await.is(201);
        at(&dahee, here, 0).leaving(&room).await.accepted();
        at(&dahee, there, 0).sending(&room, "아직 있나요").await.problem(404);
    }
}

#[tokio::test]
async fn a_socket_takes_commands_that_another_node_has_made_possible() {
    let [anna, boram, chulsoo] = Api::shared().three().await;
    for round in 0..10 {
        let mut socket = Socket::open(&at(&boram, 0, round % 2)).await;
        let room = anna.group(&[&boram, &chulsoo]).await;
        // Nobody has told the socket of the room yet, and nobody has to.
        let ack = socket
            .post(&room, &new_key(), &json!({"kind": "text", "text": "벌써 왔어요"}))
            .await;
        assert_eq!((&ack["op"], &ack["seq"]), (&json!("ack"), &json!(2)), "{ack}");
    }
}

#[tokio::test]
async fn typing_reaches_the_sockets_of_another_node() {
    let [anna, boram, chulsoo] = Api::shared().three().await;
    let room = anna.group(&[&boram, &chulsoo]).await;
    let (mut one, mut other) = (
        Socket::open(&at(&anna, 0, 0)).await,
        Socket::open(&at(&boram, 0, 1)).await,
    );
    let typing = json!({"op": "typing", "room_id": room});
    one.send(&typing).await;
    let frame = other.event("typing", &room).await;
    assert!(frame.to_string().contains(&anna.id), "{frame}");
    other.send(&typing).await;
    let frame = one.event("typing", &room).await;
    assert!(frame.to_string().contains(&boram.id), "{frame}");
}

#[tokio::test]
async fn every_node_tells_the_same_frames_in_the_same_order_and_nobody_is_refused() {
    const EACH: usize = 5;
    let people = Api::shared().people(16).await;
    let room = people[0].group(&people[1..].iter().collect::<Vec<_>>()).await;
    let (mut one, mut other) = (
        Socket::open(&at(&people[0], 0, 0)).await,
        Socket::open(&at(&people[1], 0, 1)).await,
    );
    let start = number(&people[0].room(&room).await["version"]);
    // Four buses write into one room: two nodes take calls, two take what sockets send.
    let sends = people.iter().enumerate().map(|(index, person)| {
        let (person, room) = (at(person, index % 2, index / 2 % 2), &room);
        async move {
            let mut socket = Socket::open(&person).await;
            for count in 0..EACH {
                let words = format!("{} {count}", person.name);
                if index < 8 {
                    person.say(room, &words).await;
                } else {
                    let ack = socket
                        .post(room, &new_key(), &json!({"kind": "text", "text": words}))
                        .await;
                    assert_eq!(ack["op"], "ack", "{ack}");
                }
            }
        }
    });
    join_all(sends).await;
    let end = start + (people.len() * EACH) as u64;
    let (seen, same) = (
        one.between(&room, start, end).await,
        other.between(&room, start, end).await,
    );
    assert_eq!(versions(&seen), (start + 1..=end).collect::<Vec<_>>());
    assert_eq!(seen, same);
}

#[tokio::test]
async fn a_node_that_has_just_started_replays_and_misses_nothing_of_what_goes_on() {
    let [anna, boram, chulsoo] = Api::shared().three().await;
    let room = anna.group(&[&boram, &chulsoo]).await;
    let mut first = Socket::open(&boram).await;
    anna.say(&room, "아직 연결됨").await;
    first.event("message.sent", &room).await;
    let cursor = first.open_beside(&boram).await.cursor();
    let start = number(&anna.room(&room).await["version"]);
    anna.say(&room, "새 노드가 뜨기 전").await;

    let fresh = Stage::new();
    let node = fresh.of(Role::QueryApi).next().unwrap();
    for round in 0..3 {
        let boram = boram.at(&boram.api.moved_to(fresh.doors()));
        let talk = async {
            for count in 0..20 {
                chulsoo.say(&room, &format!("그동안에도 {round} {count}")).await;
            }
            number(&chulsoo.say(&room, "끝").await["version"])
        };
        let (end, mut socket) = join(talk, Socket::resume(&boram, &cursor)).await;
        assert_eq!(socket.ready["resumed"], "replayed", "round {round}");
        let frames = socket.up_to(&room, end).await;
        assert_eq!(
            versions(&frames),
            (start + 1..=end).collect::<Vec<_>>(),
            "round {round}"
        );
        node.kill();
        node.restart();
    }
}

#[tokio::test]
async fn a_node_that_stood_still_tells_everything_when_it_goes_on() {
    let [anna, boram, chulsoo] = Api::shared().three().await;
    let room = anna.group(&[&boram, &chulsoo]).await;
    let stage = Stage::new();
    let node = stage.of(Role::QueryApi).next().unwrap();
    let mut socket = Socket::open(&boram.at(&boram.api.moved_to(stage.doors()))).await;
    let start = number(&anna.room(&room).await["version"]);
    node.pause();
    for count in 0..20 {
        anna.say(&room, &format!("멈춘 동안 {count}")).await;
    }
    // Everybody else has it meanwhile.
    let end = number(&chulsoo.room(&room).await["version"]);
    assert_eq!(end, start + 20);
    node.resume();
    let frames = socket.between(&room, start, end).await;
    assert_eq!(versions(&frames), (start + 1..=end).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_command_node_that_dies_takes_nothing_with_it() {
    let stage = Stage::new();
    let [anna, boram, chulsoo] = Api::shared().three().await;
    let room = anna.group(&[&boram, &chulsoo]).await;
    let dying = anna.at(&anna.api.moved_to(stage.doors()));
    let keys: Vec<_> = (0..32).map(|_| new_key()).collect();
    let sends = keys
        .iter()
        .map(|key| async { dying.sending(&room, "살아남기").key(key).attempt().await.ok() });
    let node = stage.of(Role::CommandApi).next().unwrap();
    let (answers, ()) = join(join_all(sends), async { node.kill() }).await;
    // Whatever became of each, the other nodes know: once done it is answered as before, else it is done now.
    let mut seqs = Vec::new();
    for (key, answer) in keys.iter().zip(answers) {
        let reply = anna.sending(&room, "살아남기").key(key).await;
        if let Some(answer) = answer.filter(|answer| answer.status == 201) {
            assert_eq!(answer.is(201), reply.is(201));
            assert!(reply.is_replayed(), "{reply}");
        }
        seqs.push(number(&reply.is(201)["seq"]));
    }
    seqs.sort_unstable();
    assert_eq!(seqs, (2..=33).collect::<Vec<_>>(), "once each, without holes");
    assert_eq!(chulsoo.history(&room).await.len(), 33);
    node.restart();
    dying.say(&room, "다시 일어남").await;
}
