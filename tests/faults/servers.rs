//! A server that is gone for a while.

use crate::harness::client::{Api, number};
use crate::harness::person::Person;
use crate::node::Role;
use crate::stage::{Stage, Turn, recovered, with};
use crate::turmoil::Turmoil;

/// The same person at one query node only.
fn at_query_node(person: &Person, stage: &Stage, index: usize) -> Person {
    let mut doors = stage.doors();
    doors.queries = vec![doors.queries[index]];
    person.at(&Api::at(doors))
}

/// History at each query node, whatever it may be behind.
async fn history_is_served(turmoil: &Turmoil, stage: &Stage) {
    let room = &turmoil.world.rooms[0];
    for index in 0..2 {
        let reader = at_query_node(&turmoil.world.watchers[1], stage, index);
        let page = reader.get(format!("/v1/rooms/{room}/messages?limit=20")).await.is(200);
        let last = page["items"].as_array().unwrap().last().unwrap().clone();
        assert!(number(&last["seq"]) > 1 && last["text"].is_string(), "{page}");
    }
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
    let path = format!("/v1/rooms/{}/messages", turmoil.world.rooms[0]);
    for index in 0..2 {
        let reader = at_query_node(&turmoil.world.watchers[1], turn.stage, index);
        let reply = reader.get(path.clone()).await;
        reply.problem(503);
        assert!(reply.header("retry-after").is_some(), "{reply}");
    }
    recovered("projectors try again", || async {
        (repairs().await > before).then_some(())
    })
    .await;
    with(&turn.ours.cql, |cql| cql.restart().unwrap());
    for index in 0..2 {
        let reader = at_query_node(&turmoil.world.watchers[1], turn.stage, index);
        recovered("queries are answered again", || async {
            let reply = reader.get(path.clone()).attempt().await.ok()?;
            (reply.status == 200).then_some(())
        })
        .await;
    }
    turmoil.goes_on(50).await;
    turmoil.ends_well().await;
    turn.stage.nobody_ended();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_postgres_loses_nothing_acknowledged_and_no_process_needs_a_restart() {
    let turn = Turn::take().await;
    let turmoil = Turmoil::begin(turn.stage).await;
    recovered("queries know of the room", || async {
        let reader = &turmoil.world.watchers[1];
        let path = format!("/v1/rooms/{}/messages", turmoil.world.rooms[0]);
        let reply = reader.get(path).fresh().attempt().await.ok()?;
        (reply.status == 200).then_some(())
    })
    .await;
    // Both nodes have shown the messages, so both hold the keys.
    history_is_served(&turmoil, turn.stage).await;
    with(&turn.ours.postgres, |postgres| postgres.kill().unwrap());
    let put_off = turmoil.tally.put_off();
    recovered("commands are put off", || async {
        (turmoil.tally.put_off() >= put_off + 20).then_some(())
    })
    .await;
    history_is_served(&turmoil, turn.stage).await;
    with(&turn.ours.postgres, |postgres| postgres.restart().unwrap());
    turmoil.goes_on(200).await;
    turmoil.ends_well().await;
    turn.stage.nobody_ended();
}
