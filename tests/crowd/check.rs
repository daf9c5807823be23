//! What must be true after all that, seen only through the API.

use std::collections::BTreeMap;

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use futures_util::stream;
use rand::RngExt as _;
use rand::rngs::StdRng;
use serde_json::{Value, json};

use super::World;
use super::load::Sent;
use super::watch::{Heads, Seen};
use crate::harness::client::{list, number, text};
use crate::harness::person::Person;

/// The whole history of each room.
pub(crate) type Timelines = BTreeMap<String, Vec<Value>>;

/// So many retries are made, chosen at random.
const RETRIES: usize = 400;

/// The version of each room.
pub(crate) async fn heads(world: &World) -> Heads {
    let watcher = &world.watchers[0];
    let read = |room: &String| {
        let room = room.clone();
        async move { (room.clone(), number(&watcher.room(&room).await["version"])) }
    };
    join_all(world.rooms.iter().map(read)).await.into_iter().collect()
}

/// Every acknowledged message is there, once, at the seq it was given, and nothing else is there.
pub(crate) async fn every_message_is_there_once_in_order(world: &World, sent: &[Sent]) -> Timelines {
    let mut timelines = Timelines::new();
    for room in &world.rooms {
        let items = world.watchers[1].whole_history(room).await;
        let seqs: Vec<_> = items.iter().map(|item| number(&item["seq"])).collect();
        assert_eq!(
            seqs,
            (1..=items.len() as u64).collect::<Vec<_>>(),
            "{room}: dense from 1"
        );
        assert!(
            items.iter().map(|item| text(&item["sent_at"])).is_sorted(),
            "{room}: time never falls"
        );
        timelines.insert(room.clone(), items);
    }
    let mut found = 0;
    for room in &world.rooms {
        let items = &timelines[room];
        let mut last_of = BTreeMap::new();
        for one in sent.iter().filter(|one| one.room == *room) {
            let seq = number(&one.ack["seq"]);
            let item = &items[usize::try_from(seq).unwrap() - 1];
            for field in ["seq", "message_id", "sent_at"] {
                assert_eq!(item[field], one.ack[field], "{field} of {:?}", one.words);
            }
            assert_eq!(
                (&item["text"], &item["author_id"]),
                (&json!(one.words), &json!(one.author.id))
            );
            let before = last_of.insert(&one.author.id, seq);
            assert!(
                before < Some(seq),
                "{}: a sender's messages keep their order",
                one.author.name
            );
            found += 1;
        }
        let ours = sent.iter().filter(|one| one.room == *room).count();
        assert_eq!(
            items.len(),
            ours + 1,
            "{room}: the invited line and what was acknowledged, nothing twice"
        );
    }
    assert_eq!(found, sent.len());
    timelines
}

/// The same key gives the same answer, long after and many restarts later.
pub(crate) async fn a_retry_gets_the_same_answer(world: &World, sent: &[Sent], rng: &mut StdRng) {
    let api = &world.watchers[0].api;
    let chosen: Vec<_> = (0..RETRIES.min(sent.len()))
        .map(|_| &sent[rng.random_range(0..sent.len())])
        .collect();
    let retries = stream::iter(chosen).map(|one| async move {
        let again = one.author.at(api).sending(&one.room, &one.words).key(&one.key).await;
        assert_eq!(again.is(201), one.ack);
        assert!(again.is_replayed(), "{again}");
    });
    retries.buffer_unordered(32).collect::<Vec<()>>().await;
    assert_eq!(
        heads(world).await.values().sum::<u64>(),
        sent.len() as u64 + world.rooms.len() as u64
    );
}

/// The unread numbers of everybody, counted again from the history.
pub(crate) async fn unread_numbers_equal_a_recount(world: &World, timelines: &Timelines) {
    for person in world.senders.iter().chain(&world.watchers) {
        let rooms = person.rooms().await;
        let mut total = 0;
        for room in list(&rooms["items"]) {
            let read = number(&room["read_seq"]);
            let items = &timelines[&text(&room["room_id"])];
            let unread = items.iter().filter(|item| is_unread_by(item, person, read)).count() as u64;
            assert_eq!(number(&room["unread_count"]), unread, "{} in {room}", person.name);
            total += unread;
        }
        assert_eq!(number(&rooms["total_unread"]), total, "{}", person.name);
    }
    for room in &world.rooms {
        unread_members_equal_a_recount(&world.watchers[2], room).await;
    }
}

fn is_unread_by(item: &Value, person: &Person, read_seq: u64) -> bool {
    item["kind"] == "text" && item["author_id"] != person.id.as_str() && number(&item["seq"]) > read_seq
}

async fn unread_members_equal_a_recount(reader: &Person, room: &str) {
    let members = reader.see(format!("/v1/rooms/{room}/members")).await;
    let members = list(&members["items"]);
    for item in reader.history(room).await {
        let late = |member: &&Value| {
            member["user_id"] != item["author_id"] && number(&member["read_seq"]) < number(&item["seq"])
        };
        let expected = if item["kind"] == "text" {
            members.iter().filter(late).count() as u64
        } else {
            0
        };
        assert_eq!(number(&item["unread_member_count"]), expected, "{item}");
    }
}

/// A client that resumed has every version from its first one on, and every message as history shows it.
pub(crate) fn a_watcher_missed_nothing(seen: &Seen, timelines: &Timelines, heads: &Heads) {
    for (room, versions) in &seen.rooms {
        let (first, head) = (versions.keys().next().unwrap(), heads[room]);
        let expected: Vec<_> = (*first..=head).collect();
        assert_eq!(
            versions.keys().copied().collect::<Vec<_>>(),
            expected,
            "{}: {room}",
            seen.name
        );
        for frame in versions.values().filter(|frame| frame["type"] == "message.sent") {
            let data = &frame["data"];
            let item = &timelines[room][usize::try_from(number(&data["seq"])).unwrap() - 1];
            for field in ["seq", "message_id", "author_id", "text", "sent_at", "kind"] {
                assert_eq!(data[field], item[field], "{field} in {frame}");
            }
        }
    }
    assert_eq!(seen.rooms.len(), heads.len(), "{} heard of every room", seen.name);
}

/// `changes` tells what the sockets told.
pub(crate) async fn changes_are_what_was_seen(world: &World, seen: &Seen, heads: &Heads) {
    for (room, head) in heads {
        let after = head.saturating_sub(50).max(*seen.rooms[room].keys().next().unwrap());
        let changes = world.watchers[0]
            .see(format!("/v1/rooms/{room}/changes?after_version={after}"))
            .await;
        let told: Vec<_> = seen.rooms[room].range(after + 1..).map(|(_, frame)| frame).collect();
        assert_eq!(list(&changes["items"]).iter().collect::<Vec<_>>(), told);
    }
}
