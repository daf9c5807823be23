//! Processes that die, or stand still and go on as if nothing had been.

use rand::RngExt as _;

use crate::guests::Guests;
use crate::node::Role;
use crate::stage::{Turn, figure, led, recovered};
use crate::turmoil::Turmoil;

/// How often one of each role is killed.
const ROUNDS: usize = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_killed_under_load_takes_nothing_with_it() {
    let turn = Turn::take().await;
    let mut turmoil = Turmoil::begin(turn.stage).await;
    let guests = Guests::begin(turn.stage).await;
    let lost = turmoil.tally.lost_answers();
    for round in 0..ROUNDS {
        let mut roles = Role::ALL.to_vec();
        while !roles.is_empty() {
            let role = roles.swap_remove(turmoil.rng.random_range(0..roles.len()));
            let more = turmoil.rng.random_range(10..100);
            turmoil.goes_on(more).await;
            let node = match role {
                Role::Relay => turn.stage.leader().await,
                Role::CommandApi | Role::QueryApi | Role::Projectors => {
                    turn.stage.pair(role)[turmoil.rng.random_range(0..2)]
                }
            };
            // Finding the leader takes a moment.
            let in_flight = turmoil.many_in_flight().await;
            node.kill();
            eprintln!("round {round}: {node} killed, {in_flight} in flight, {}", turmoil.tally);
            tokio::task::block_in_place(|| node.restart());
        }
    }
    turmoil.goes_on(100).await;
    guests.end_after(5).await;
    assert!(turmoil.tally.lost_answers() > lost, "no kill met a command on its way");
    let moved = turmoil.ends_well().await;
    assert!(moved > 0, "no socket was taken up again at another node");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_that_led_and_stood_still_past_the_take_over_makes_no_hole_and_no_double() {
    let turn = Turn::take().await;
    let turmoil = Turmoil::begin(turn.stage).await;
    let old = turn.stage.leader().await;
    let new = turn.stage.of(Role::Relay).find(|node| node.index != old.index).unwrap();
    let (all, before) = (led(old).await + led(new).await, led(new).await);
    assert!(all > before, "the old one leads something");
    let took_over = async || figure(new, "cocotalk_relay_takeovers_total").await.unwrap_or(0.0);
    let taken_before = took_over().await;
    turmoil.goes_on(20).await;
    old.pause();
    recovered("the other one takes over everything", || async {
        (led(new).await >= all).then_some(())
    })
    .await;
    assert!(
        took_over().await >= taken_before + all - before,
        "one take-over a group"
    );
    turmoil.goes_on(100).await;
    old.resume();
    turmoil.goes_on(200).await;
    recovered("the old one knows that it was replaced", || async {
        (led(old).await + led(new).await <= all).then_some(())
    })
    .await;
    turmoil.ends_well().await;
    turn.stage.nobody_ended();
}
