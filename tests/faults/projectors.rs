//! Projectors that are told to pause.

use crate::compare::all_stores_agree;
use crate::harness::client::Api;
use crate::node::Role;
use crate::stage::Turn;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_projectors_pause_whoever_asks_for_more_is_told_that_the_read_model_is_behind() {
    let turn = Turn::take().await;
    let [anna, boram, chulsoo] = turn.stage.api().three().await;
    let room = anna.group(&[&boram, &chulsoo]).await;
    let before = anna.sending(&room, "멈추기 전").await;
    before.is(201);
    let path = format!("/v1/rooms/{room}/messages");
    let shown = |page: serde_json::Value| page["items"].as_array().unwrap().len();
    assert_eq!(
        shown(boram.get(path.clone()).at_least(before.position()).await.is(200)),
        2
    );

    let tell = async |what: &str| {
        for node in turn.stage.of(Role::Projectors) {
            Api::at(node.admin()).call("POST", what).await.is(204);
        }
    };
    tell("/projectors/pause").await;
    let after = anna.sending(&room, "멈춘 동안").await;
    after.is(201);
    for _ in 0..2 {
        // The one and the other query node.
        let reply = boram.get(path.clone()).header("x-min-position", after.position()).await;
        reply.refused(503, "read_model_behind");
        assert!(reply.header("retry-after").is_some(), "{reply}");
        let old = shown(boram.get(path.clone()).await.is(200));
        assert_eq!(old, 2, "who asks for no more is served");
    }
    tell("/projectors/resume").await;
    for _ in 0..2 {
        assert_eq!(
            shown(boram.get(path.clone()).at_least(after.position()).await.is(200)),
            3
        );
    }
    all_stores_agree(turn.stage).await;
}
