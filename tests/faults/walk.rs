//! The walk of `tests/model` on two processes of each role, any of which is restarted and killed.

use rand::RngExt as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;

use crate::compare;
use crate::harness::client::Api;
use crate::model::{Fault, Ground, SILENCE, everybody_sees_what_the_rules_say};
use crate::node::{Node, Role};
use crate::stage::{Stage, Turn};

impl Ground for Stage {
    fn api(&self) -> Api {
        Self::api(self)
    }

    fn strike(&self, fault: Fault, rng: &mut StdRng) -> String {
        let role = *Role::ALL.choose(rng).unwrap();
        let node = self.pair(role)[rng.random_range(0..2)];
        match fault {
            Fault::Kill => node.kill(),
            Fault::Restart => {
                node.terminate();
                assert_eq!(node.ended().code(), 0, "{node}");
            }
        }
        node.restart();
        node.to_string()
    }

    fn silences(&self) -> usize {
        let said = |node: &Node| node.log().matches(SILENCE).count();
        self.of(Role::QueryApi).map(said).sum()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_sees_what_the_rules_say_whoever_is_restarted_and_killed() {
    let turn = Turn::take().await;
    everybody_sees_what_the_rules_say(turn.stage).await;
    turn.stage.nobody_ended();
    turn.stage.nobody_panicked();
    Box::pin(compare::all_stores_agree(turn.stage)).await;
}
