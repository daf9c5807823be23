//! One history, three ways into rows: in memory, in the embedded store as it happens, and in the embedded store afterwards.
//! What queries see must be the same, whatever was written together and in whatever order a flush puts it.
#![cfg(feature = "embedded")]

#[path = "same_rows/history.rs"]
mod history;
#[path = "embedded/opened.rs"]
#[expect(dead_code, reason = "the other tests of the store use the rest of it")]
mod opened;

use cocotalk_application::contract::support::eventually;
use cocotalk_application::port::event_log::{EventLog, Unit, UnitOutcome};
use cocotalk_application::port::read_model::ReadModel as _;
use cocotalk_infra::memory::MemoryStore;
use history::{COMMANDS, History};
use opened::Opened;

/// Histories.
const HISTORIES: usize = 12;

async fn append(log: &dyn EventLog, unit: &Unit) {
    let outcomes = log.append(vec![unit.clone()]).await.expect("it can be written");
    assert!(matches!(outcomes[..], [UnitOutcome::Appended { .. }]), "{outcomes:?}");
}

async fn one_history(seed: u64) {
    let mut history = History::new(seed);
    let memory = MemoryStore::new(cocotalk_projectors::all());
    let inline = Opened::fresh(cocotalk_projectors::all()).await;
    let late = Opened::fresh(Vec::new()).await;
    let mut commands = 0;
    while commands < COMMANDS {
        let unit = history.unit();
        commands += 1 + unit.runs.iter().map(|run| run.events.len()).sum::<usize>();
        if unit.runs.is_empty() {
            continue;
        }
        append(&memory, &unit).await;
        append(&inline.store, &unit).await;
        append(&late.store, &unit).await;
    }
    let late = late.reopen(cocotalk_projectors::all()).await;
    for projection in cocotalk_projectors::all() {
        eventually("the projection arrives", async || {
            let at = late.store.checkpoints(projection.name()).await.expect("it can be read");
            at == late.store.heads().await.expect("it can be read")
        })
        .await;
    }
    let expected = history.seen(&memory).await;
    assert!(expected.len() > 20, "too little happened with seed {seed}");
    assert_same(&expected, &history.seen(&inline.store).await, "as it happened", seed);
    assert_same(&expected, &history.seen(&late.store).await, "afterwards", seed);
}

fn assert_same(expected: &[String], found: &[String], when: &str, seed: u64) {
    for (expected, found) in expected.iter().zip(found) {
        assert_eq!(expected, found, "embedded, {when}, seed {seed}");
    }
    assert_eq!(expected.len(), found.len(), "embedded, {when}, seed {seed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_store_makes_the_same_rows_of_the_same_history() {
    for _ in 0..HISTORIES {
        one_history(rand::random()).await;
    }
}
