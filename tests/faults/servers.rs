//! A server that is gone for a while.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use crate::harness::client::{Api, number};
use crate::harness::person::Person;
use crate::harness::socket::{Arrival, Socket};
use crate::node::Role;
use crate::stage::{RECOVERY, Stage, Turn, recovered, with};
use crate::turmoil::Turmoil;

/// Somebody who reads, as who they are at one node only.
fn reader_at(turmoil: &Turmoil<'_>, stage: &Stage, index: usize) -> Person {
    turmoil.world.watchers[1].at(&Api::at(stage.doors_of(index)))
}

/// Where the history of a room that is written to is read.
fn history(turmoil: &Turmoil<'_>) -> String {
    format!("/v1/rooms/{}/messages?limit=20", turmoil.world.rooms[0])
}

/// History at each query node, whatever it may be behind.
async fn history_is_served(turmoil: &Turmoil<'_>, stage: &Stage) {
    for index in 0..2 {
        let reader = reader_at(turmoil, stage, index);
        let page = reader.get(history(turmoil)).await.is(200);
        let last = page["items"].as_array().unwrap().last().unwrap().clone();
        assert!(number(&last["seq"]) > 1 && last["text"].is_string(), "{page}");
    }
}

/// Waits until history is answered in this way at each query node.
async fn history_becomes(status: u16, turmoil: &Turmoil<'_>, stage: &Stage) {
    for index in 0..2 {
        let reader = reader_at(turmoil, stage, index);
        let reply = recovered(&format!("history is answered with {status}"), || async {
            let reply = reader.get(history(turmoil)).attempt().await.ok()?;
            (reply.status == status).then_some(reply)
        })
        .await;
        if status == 503 {
            reply.problem(503);
            assert!(reply.header("retry-after").is_some(), "{reply}");
        }
    }
}

/// Waits until somebody who types at one node is seen by somebody at the other one.
async fn typing_reaches_the_other_node(stage: &Stage) {
    let [anna, boram, chulsoo] = stage.api().three().await;
    let room = anna.group(&[&boram, &chulsoo]).await;
    let at = |person: &Person, index| person.at(&person.api.moved_to(stage.doors_of(index)));
    let (mut one, mut other) = (Socket::open(&at(&anna, 0)).await, Socket::open(&at(&boram, 1)).await);
    let deadline = Instant::now() + RECOVERY;
    while Instant::now() < deadline {
        one.send(&json!({"op": "typing", "room_id": room})).await;
        let soon = Instant::now() + Duration::from_secs(1);
        while let Some(arrival) = other.next(soon).await {
            match arrival {
                Arrival::Frame(frame) if frame["type"] == "typing" => {
                    assert!(frame.to_string().contains(&anna.id), "{frame}");
                    return;
                }
                Arrival::Frame(_) => {}
                Arrival::Closed(code) => panic!("closed with {code:?}"),
            }
        }
    }
    panic!("typing does not reach the other node");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_kafka_commands_go_on_and_everything_arrives_later() {
    let turn = Turn::take().await;
    let turmoil = Turmoil::begin(turn.stage).await;
    with(&turn.ours.kafka, |kafka| kafka.stop().unwrap());
    let (put_off, lost) = (turmoil.tally.put_off(), turmoil.tally.lost_answers());
    turmoil.goes_on(200).await;
    turn.stage.rises(Role::Relay, "cocotalk_relay_lag_events", 0.0).await;
    turmoil.goes_on(50).await;
    assert_eq!(
        (turmoil.tally.put_off(), turmoil.tally.lost_answers()),
        (put_off, lost),
        "commands have no use for Kafka"
    );
    history_is_served(&turmoil, turn.stage).await;
    with(&turn.ours.kafka, |kafka| kafka.restart().unwrap());
    turmoil.goes_on(50).await;
    turmoil.ends_well().await;
    typing_reaches_the_other_node(turn.stage).await;
    turn.stage.nobody_ended();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_cql_store_commands_go_on_and_queries_recover_by_themselves() {
    let turn = Turn::take().await;
    let turmoil = Turmoil::begin(turn.stage).await;
    let repairs = async || {
        let retries = turn
            .stage
            .sum(Role::Projectors, "cocotalk_projection_retries_total")
            .await;
        retries
            + turn
                .stage
                .sum(Role::Projectors, "cocotalk_projection_rewinds_total")
                .await
    };
    let before = repairs().await;
    with(&turn.ours.cql, |cql| cql.kill().unwrap());
    let put_off = turmoil.tally.put_off();
    turmoil.goes_on(200).await;
    assert_eq!(
        turmoil.tally.put_off(),
        put_off,
        "commands have no use for the CQL store"
    );
    history_becomes(503, &turmoil, turn.stage).await;
    recovered("projectors try again", || async {
        (repairs().await > before).then_some(())
    })
    .await;
    turn.stage
        .rises(Role::Projectors, "cocotalk_projection_lag_events", 0.0)
        .await;
    with(&turn.ours.cql, |cql| cql.restart().unwrap());
    history_becomes(200, &turmoil, turn.stage).await;
    turmoil.goes_on(50).await;
    turmoil.ends_well().await;
    turn.stage.nobody_ended();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_postgres_loses_nothing_acknowledged_and_no_process_needs_a_restart() {
    let turn = Turn::take().await;
    let turmoil = Turmoil::begin(turn.stage).await;
    history_becomes(200, &turmoil, turn.stage).await;
    for node in turn.stage.of(Role::QueryApi) {
        // What it has asked for then, it has just asked for.
        node.kill();
        tokio::task::block_in_place(|| node.restart());
    }
    history_is_served(&turmoil, turn.stage).await;
    with(&turn.ours.postgres, |postgres| postgres.kill().unwrap());
    history_is_served(&turmoil, turn.stage).await;
    let put_off = turmoil.tally.put_off();
    recovered("commands are put off", || async {
        (turmoil.tally.put_off() >= put_off + 20).then_some(())
    })
    .await;
    // No key is kept any more; the texts are still there.
    history_becomes(503, &turmoil, turn.stage).await;
    with(&turn.ours.postgres, |postgres| postgres.restart().unwrap());
    history_becomes(200, &turmoil, turn.stage).await;
    turmoil.goes_on(200).await;
    turmoil.ends_well().await;
    turn.stage.nobody_ended();
}
