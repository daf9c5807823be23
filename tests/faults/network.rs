//! A network that is slow, cut, or silent without an end, between the processes and each server.

use cocotalk_servers::{Delay, Proxy};

use crate::harness::client::Api;
use crate::installation::Servers;
use crate::node::Role;
use crate::stage::{Stage, Turn, recovered, with};
use crate::turmoil::Turmoil;

/// Slow enough to be met by everything that is under way.
const SLOW: Delay = Delay {
    base_ms: 5,
    jitter_ms: 30,
    seed: 7,
};

/// Slow for a while, and cut again and again meanwhile.
async fn spoil(proxy: &Proxy, turmoil: &Turmoil<'_>) {
    let before = proxy.counters();
    proxy.delay(SLOW);
    for _ in 0..3 {
        turmoil.goes_on(30).await;
        proxy.cut();
    }
    turmoil.goes_on(30).await;
    proxy.heal();
    let after = proxy.counters();
    assert!(
        after.cuts > before.cuts && after.bytes > before.bytes,
        "the network met nothing: {before:?}, {after:?}"
    );
    recovered("there are new connections", || async {
        (proxy.counters().connections > before.connections).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_network_before_each_server_changes_no_result() {
    let turn = Turn::take().await;
    let to = |address| Proxy::to(address).unwrap();
    let postgres = to(with(&turn.ours.postgres, |server| server.address()));
    let cql = to(with(&turn.ours.cql, |server| server.address()));
    let kafka = &turn.ours.kafka_proxy;
    let servers = Servers {
        postgres: format!("postgres://cocotalk@{}/postgres", postgres.address()),
        kafka: kafka.address().to_string(),
        cql: cql.address().to_string(),
    };
    let stage = tokio::task::block_in_place(|| Stage::on(servers));
    let turmoil = Turmoil::begin(&stage).await;

    spoil(&postgres, &turmoil).await;
    let missed = || turmoil.tally.put_off() + turmoil.tally.lost_answers();
    let before = missed();
    postgres.swallow();
    recovered("silence of the log is answered with 503", || async {
        (missed() > before).then_some(())
    })
    .await;
    postgres.heal();
    turmoil.goes_on(50).await;

    spoil(kafka, &turmoil).await;
    kafka.swallow();
    stage.rises(Role::Relay, "cocotalk_relay_lag_events", 0.0).await;
    turmoil.goes_on(50).await;
    kafka.heal();

    spoil(&cql, &turmoil).await;
    cql.swallow();
    let reader = turmoil.world.watchers[1].at(&Api::at(stage.doors()));
    let path = format!("/v1/rooms/{}/messages", turmoil.world.rooms[0]);
    recovered("silence of the read model is answered with 503", || async {
        let reply = reader.get(path.clone()).attempt().await.ok()?;
        (reply.status == 503).then_some(())
    })
    .await;
    cql.heal();
    turmoil.goes_on(50).await;
    turmoil.ends_well().await;
    stage.nobody_ended();
}
