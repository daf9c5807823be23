//! An event that nobody can read.

use std::process::Command;

use futures_util::future::join_all;
use serde_json::Value;

use crate::compare::all_stores_agree;
use crate::harness::client::list;
use crate::harness::process::Process;
use crate::installation::psql;
use crate::node::Role;
use crate::stage::{Stage, Turn, recovered};

/// Runs a statement as the superuser of the database, and gives what it found.
fn query(stage: &Stage, statement: &str) -> String {
    let path = stage.installation().config("psql", "");
    let config: toml::Table = std::fs::read_to_string(path).unwrap().parse().unwrap();
    let url = config["backend"]["cluster"]["postgres"]["url"].as_str().unwrap();
    let mut command = Command::new(psql());
    command.args(["-X", "-q", "-At", "-v", "ON_ERROR_STOP=1", "-c", statement, url]);
    let finished = Process::finish(command);
    assert_eq!(finished.code(), 0, "{}", finished.stderr);
    finished.stdout.trim().to_owned()
}

/// `cocotalk projections parked ...`, as JSON.
fn parked(stage: &Stage, arguments: &[&str]) -> Value {
    let config = stage.installation().config("operator", "");
    let mut command = Command::new(env!("CARGO_BIN_EXE_cocotalk"));
    command.args(["projections", "parked"]).args(arguments).arg("--json");
    command.arg("--config").arg(config).env_remove("RUST_LOG");
    let finished = Process::finish(command);
    assert_eq!(finished.code(), 0, "{}{}", finished.stdout, finished.stderr);
    serde_json::from_str(&finished.stdout).unwrap_or_else(|_| panic!("no JSON: {}", finished.stdout))
}

/// Puts an event of a type that no release knows into somebody's seat, at the next position of the slice of the room.
fn insert_poison(stage: &Stage, room: &str, user: &str) {
    let statement = format!(
        "with place as (select slice from events where aggregate_type = 'room' and aggregate_id = '{room}' limit 1), \
         head as (update slice_head set pos = pos + 1, last_us = last_us + 1 where slice = (select slice from place) \
                  returning slice, pos, last_us), \
         last as (select coalesce(max(sequence), 0) + 1 as next from events \
                  where aggregate_type = 'seat' and aggregate_id = '{room}/{user}') \
         insert into events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata, slice, \
                             slice_pos, ts_us, content_hash) \
         select 'seat', '{room}/{user}', next, 'SeatSetOnFire', '1', '{{}}', '{{}}', slice, pos, last_us, '\\x00' \
         from head, last"
    );
    query(stage, &statement);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unreadable_event_parks_its_room_and_nothing_else_until_it_is_skipped() {
    let turn = Turn::take().await;
    let [anna, boram, chulsoo] = turn.stage.api().three().await;
    let room = anna.group(&[&boram, &chulsoo]).await;
    let others = recovered("another room of the same slice", || async {
        let members = [&boram, &chulsoo];
        let rooms = join_all((0..32).map(|_| anna.group(&members))).await;
        let statement = format!(
            "select distinct aggregate_id from events where aggregate_type = 'room' and slice = \
             (select slice from events where aggregate_type = 'room' and aggregate_id = '{room}' limit 1)"
        );
        let same = tokio::task::block_in_place(|| query(turn.stage, &statement));
        rooms.into_iter().find(|other| same.lines().any(|line| line == other))
    })
    .await;
    assert_eq!(anna.history(&room).await.len(), 1);

    tokio::task::block_in_place(|| insert_poison(turn.stage, &room, &boram.id));
    let seq = anna.say_seq(&room, "가려진 글").await;
    assert_eq!(seq, 2, "commands do not read seats of others");
    anna.say(&others, "옆방은 계속").await;
    let neighbours = boram.history(&others).await;
    assert_eq!(neighbours.len(), 2, "the neighbour of the same slice goes on");
    assert_eq!(boram.history(&room).await.len(), 1, "the room waits");
    assert!(
        turn.stage
            .sum(Role::Projectors, "cocotalk_projection_parked_events_total")
            .await
            > 0.0
    );

    let stream = format!("seat/{room}/{}", boram.id);
    let listed = tokio::task::block_in_place(|| parked(turn.stage, &["list"]));
    let culprits: Vec<_> = list(&listed["items"])
        .iter()
        .filter(|item| item["stream"] == stream.as_str())
        .collect();
    assert!(!culprits.is_empty(), "{listed}");
    tokio::task::block_in_place(|| {
        for culprit in culprits {
            let (projection, sequence) = (culprit["projection"].as_str().unwrap(), culprit["sequence"].to_string());
            let shown = parked(turn.stage, &["show", projection, &stream, &sequence]);
            assert_eq!(shown["event"]["type"], "SeatSetOnFire", "{shown}");
            assert!(shown["event"]["unreadable"].is_string(), "{shown}");
            let skipped = parked(turn.stage, &["skip", projection, &stream, &sequence]);
            assert_eq!(skipped["ok"], true, "{skipped}");
        }
        let left = parked(turn.stage, &["list"]);
        assert_eq!(list(&left["items"]).len(), 0, "{left}");
    });
    recovered("what waited is there", || async {
        (chulsoo.history(&room).await.len() == 2).then_some(())
    })
    .await;
    anna.say(&room, "다시 열림").await;
    recovered("the room goes on", || async {
        (chulsoo.history(&room).await.len() == 3).then_some(())
    })
    .await;
    all_stores_agree(turn.stage).await;
}
