//! A read model without transactions: of one event some rows are there and others not yet, and none of it is an error.
//!
//! What a store promises is that a room's version is not seen before the other rows of its events. Tables that were read at
//! different moments may look like any mixture, so those are tried as well, for what must never happen at all.

use std::collections::BTreeMap;

use cocotalk_domain::id::{RoomId, UserId};
use cocotalk_domain::number::Seq;
use serde_json::Value;

use super::{DOORS, path};
use crate::testing::world::{Part, Table};
use crate::testing::{Api, World, column};

/// A group of four (the last comes later), with something in it.
struct Scene {
    api: Api,
    room: RoomId,
    people: [UserId; 4],
}

impl Scene {
    fn begin() -> Self {
        let api = Api::new();
        let [mina, jun, hana] = api.world.three();
        let dahee = api.world.person(4, "다희");
        let room = api.world.group(100, &[mina, jun, hana]);
        api.world.say(room, mina, "옛말 하나");
        api.world.say(room, jun, "옛말 둘");
        Self {
            api,
            room,
            people: [mina, jun, hana, dahee],
        }
    }

    /// Everything that somebody is answered, by path.
    async fn answers(&self, by: UserId) -> BTreeMap<String, Value> {
        let mut answers = BTreeMap::new();
        let paths = DOORS.iter().map(|door| path(self.room, door));
        let pages = ["?limit=1", "?after=1", "?around=3&limit=2", "?before=4"]
            .map(|page| path(self.room, &format!("/messages{page}")));
        for path in paths.chain(pages).chain(["/v1/rooms".to_owned()]) {
            let answer = self.api.get(by, &path).await;
            let status = answer.status.as_u16();
            assert!([200, 404].contains(&status), "{path}: {status} {}", answer.body);
            if status == 200 {
                answers.insert(path, answer.body);
            }
        }
        answers
    }
}

/// Something that happens in a room.
type Happening = fn(&World, RoomId, [UserId; 4]);

/// What may happen in a room.
const HAPPENINGS: [(&str, Happening); 9] = [
    ("a message", |world, room, [mina, ..]| {
        world.say(room, mina, "셋");
    }),
    ("an answer", |world, room, [_, jun, ..]| {
        world.say_about(room, jun, "넷", Some(Seq(2)));
    }),
    ("a mark", |world, room, [_, _, hana, _]| world.read(room, hana, 3)),
    ("a name", |world, room, [mina, ..]| {
        world.rename(room, mina, "이름");
    }),
    ("settings", |world, room, [mina, ..]| {
        world.only_admins_rename(room, mina);
    }),
    ("a join", |world, room, [mina, .., dahee]| {
        world.invite(room, mina, &[dahee]);
        world.say(room, dahee, "안녕하세요");
    }),
    ("a leave", |world, room, [mina, jun, ..]| {
        world.leave(room, jun);
        world.say(room, mina, "비밀");
    }),
    ("a leave of the owner", |world, room, [mina, _, hana, _]| {
        world.leave(room, mina);
        world.say(room, hana, "비밀");
    }),
    ("a return", |world, room, [mina, jun, ..]| {
        world.leave(room, jun);
        world.say(room, mina, "비밀");
        world.invite(room, mina, &[jun]);
    }),
];

/// Every set of tables that an event of a room has rows in.
fn mixtures() -> impl Iterator<Item = Vec<Table>> {
    let tables = Table::ALL.into_iter().filter(|table| *table != Table::Profiles);
    let tables: Vec<Table> = tables.collect();
    (0..1_u32 << tables.len()).map(move |bits| {
        let chosen = tables.iter().enumerate().filter(|(bit, _)| bits >> bit & 1 == 1);
        chosen.map(|(_, table)| *table).collect()
    })
}

/// Whether a room that is shown comes with all of these.
fn comes_with(shown: &[Table], others: &[Table]) -> bool {
    !shown.contains(&Table::Rooms) || others.iter().all(|table| shown.contains(table))
}

/// Whether a store may show this of an event: a room's version comes last.
fn is_promised(shown: &[Table]) -> bool {
    comes_with(shown, &[Table::UserRooms, Table::Members, Table::Messages])
}

/// Whether a query may read this: a timeline reads a person's place beside the room, everything else after it.
fn may_be_read(path: &str, shown: &[Table]) -> bool {
    if path.contains("/messages") {
        comes_with(shown, &[Table::Members, Table::Messages])
    } else {
        is_promised(shown)
    }
}

fn seqs(page: &Value) -> Vec<u64> {
    column(page, "seq").iter().map(|seq| seq.as_u64().unwrap()).collect()
}

/// The numbers of a body, wherever they are: none is negative.
fn has_negative_number(body: &Value) -> bool {
    match body {
        Value::Number(number) => number.as_u64().is_none(),
        Value::Array(all) => all.iter().any(has_negative_number),
        Value::Object(fields) => fields.values().any(has_negative_number),
        Value::Null | Value::Bool(_) | Value::String(_) => false,
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_part_of_an_event_is_there_it_is_no_error() {
    for (what, happen) in HAPPENINGS {
        for shown in mixtures() {
            let scene = Scene::begin();
            scene.api.world.hold();
            happen(&scene.api.world, scene.room, scene.people);
            scene.api.world.show(&shown);
            for by in scene.people {
                for (path, body) in scene.answers(by).await {
                    assert!(!has_negative_number(&body), "{what}, {shown:?}: {path}: {body}");
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_shown_is_whole_up_to_the_rooms_version() {
    for (what, happen) in HAPPENINGS {
        for shown in mixtures().filter(|shown| is_promised(shown)) {
            let scene = Scene::begin();
            scene.api.world.hold();
            happen(&scene.api.world, scene.room, scene.people);
            scene.api.world.show(&shown);
            for by in scene.people {
                let answers = scene.answers(by).await;
                let (whole, page) = (
                    answers.get(&path(scene.room, "")),
                    answers.get(&path(scene.room, "/messages")),
                );
                let Some((whole, page)) = whole.zip(page) else {
                    continue;
                };
                let number = |field: &str| whole[field].as_u64().unwrap();
                let (first, last) = (number("joined_seq"), number("last_seq"));
                // Who came anew while they asked is shown what is theirs since then.
                let seqs = seqs(page);
                let from = seqs.first().copied().unwrap_or(last + 1);
                assert!(from == first || (what == "a return" && by == scene.people[1]));
                assert_eq!(seqs, (from..=last).collect::<Vec<_>>(), "{what}, {shown:?}: {page}");
                assert_eq!(
                    (&page["has_before"], &page["has_after"]),
                    (&false.into(), &false.into())
                );
                let listed = answers["/v1/rooms"]["items"].as_array().unwrap().first();
                if let Some(listed) = listed {
                    assert_eq!(listed["last_item"]["seq"], last, "{what}, {shown:?}: {listed}");
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_was_not_there_is_shown_nothing_of_it() {
    for (what, happen) in &HAPPENINGS[5..] {
        for shown in mixtures() {
            let scene = Scene::begin();
            scene.api.world.hold();
            happen(&scene.api.world, scene.room, scene.people);
            scene.api.world.show(&shown);
            let gone = if *what == "a leave of the owner" {
                scene.people[0]
            } else {
                scene.people[1]
            };
            let answers = scene.answers(gone).await;
            for (path, body) in &answers {
                if may_be_read(path, &shown) {
                    assert!(!body.to_string().contains("비밀"), "{what}, {shown:?}: {path}: {body}");
                }
            }
            let newcomer = scene.answers(scene.people[3]).await;
            for (path, body) in &newcomer {
                assert!(!body.to_string().contains("옛말"), "{what}, {shown:?}: {path}: {body}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn changes_end_at_the_log_wherever_the_read_model_is() {
    for (what, happen) in HAPPENINGS {
        for shown in mixtures().filter(|shown| is_promised(shown)) {
            let scene = Scene::begin();
            scene.api.world.hold();
            happen(&scene.api.world, scene.room, scene.people);
            scene.api.world.show(&shown);
            let head = scene
                .api
                .world
                .events(cocotalk_domain::stream::StreamId::Room(scene.room))
                .len() as u64;
            for after in 0..=head + 1 {
                let path = path(scene.room, &format!("/changes?after_version={after}"));
                let changes = scene.api.get(scene.people[2], &path).await.ok();
                let versions: Vec<u64> = column(&changes, "version")
                    .iter()
                    .map(|version| version.as_u64().unwrap())
                    .collect();
                assert_eq!(
                    versions,
                    (after + 1..=head).collect::<Vec<_>>(),
                    "{what}, {shown:?}, {after}"
                );
                assert_eq!(changes["version"], head, "{what}, {shown:?}, {after}");
            }
            assert!(scene.api.world.statements_of(Part::Log) > 0);
        }
    }
}
