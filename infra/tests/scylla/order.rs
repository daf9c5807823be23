//! Histories of rooms, projected as they happened and in disorder: queries see the same as in memory.

use std::collections::HashSet;
use std::sync::Arc;

use cocotalk_application::following::Followed;
use cocotalk_application::port::event_log::EventLog as _;
use cocotalk_application::port::row_store::{RowStore, Tables};
use cocotalk_application::projection::{Projection, coalesce};
use cocotalk_application::row::Stamped;
use cocotalk_domain::stream::{SLICES, Slice};
use cocotalk_infra::memory::MemoryStore;
use cocotalk_infra::scylla::{CqlReadModel, CqlRowStore, migrate};
use rand::RngExt as _;
use rand::seq::SliceRandom as _;

use crate::history::{COMMANDS, History};
use crate::opened::{MIGRATING, OfVersion, Opened};

/// Histories.
const HISTORIES: usize = 8;
/// The version of the tables that are written in disorder.
const IN_DISORDER: u32 = 2;

/// What a projection makes of everything in a log.
async fn writes(log: &MemoryStore, projection: &Arc<dyn Projection>) -> Vec<Stamped> {
    let followed = Followed {
        projection: Arc::clone(projection),
        positions: [0; SLICES],
        parked: HashSet::new(),
    };
    let mut writes = Vec::new();
    for slice in Slice::all() {
        let mut after = 0;
        loop {
            let page = log.read_slice(slice, after).await.expect("the log can be read");
            let Some(last) = page.last() else { break };
            after = last.slice_pos;
            for event in &page {
                writes.extend(followed.rows_alone(event).expect("it can be projected"));
            }
        }
    }
    writes
}

/// Writes in flushes of any size, as a projector does.
async fn flush(rows: &CqlRowStore, tables: Tables, mut writes: Vec<Stamped>) {
    while !writes.is_empty() {
        let size = rand::rng().random_range(1..=writes.len().min(60));
        let now: Vec<_> = writes.drain(..size).collect();
        rows.write(tables, &coalesce(now)).await.expect("it can be written");
    }
}

/// Doubles some and moves all of them.
fn disorder(mut writes: Vec<Stamped>) -> Vec<Stamped> {
    let again: Vec<_> = writes.iter().filter(|_| rand::random()).cloned().collect();
    writes.extend(again);
    writes.shuffle(&mut rand::rng());
    writes
}

/// The tables in order, and those in disorder.
struct Both {
    ordered: (Arc<CqlRowStore>, Arc<CqlReadModel>),
    disordered: (Arc<CqlRowStore>, Arc<CqlReadModel>),
}

impl Both {
    async fn one_history(&self, seed: u64) {
        let mut history = History::new(seed);
        let memory = MemoryStore::new(cocotalk_projectors::all());
        let mut commands = 0;
        while commands < COMMANDS {
            let unit = history.unit();
            commands += 1 + unit.runs.iter().map(|run| run.events.len()).sum::<usize>();
            if !unit.runs.is_empty() {
                memory.append(vec![unit]).await.expect("it can be written");
            }
        }
        let expected = history.seen(&memory).await;
        assert!(expected.len() > 20, "too little happened with seed {seed}");
        for projection in cocotalk_projectors::all() {
            let writes = writes(&memory, &projection).await;
            let tables = Tables::of(&*projection);
            flush(&self.ordered.0, tables, writes.clone()).await;
            let tables = Tables {
                version: IN_DISORDER,
                ..tables
            };
            flush(&self.disordered.0, tables, disorder(writes)).await;
        }
        let found = history.seen(&*self.ordered.1).await;
        assert_same(&expected, &found, "as it happened", seed);
        let found = history.seen(&*self.disordered.1).await;
        assert_same(&expected, &found, "in disorder", seed);
        for projection in cocotalk_projectors::all() {
            let mut suffix = writes(&memory, &projection).await;
            let from = rand::random_range(0..=suffix.len());
            flush(
                &self.ordered.0,
                Tables::of(&*projection),
                disorder(suffix.split_off(from)),
            )
            .await;
        }
        let found = history.seen(&*self.ordered.1).await;
        assert_same(&expected, &found, "after a repeated suffix", seed);
    }
}

fn assert_same(expected: &[String], found: &[String], when: &str, seed: u64) {
    for (expected, found) in expected.iter().zip(found) {
        assert_eq!(expected, found, "{when}, seed {seed}");
    }
    assert_eq!(expected.len(), found.len(), "{when}, seed {seed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_rows_come_of_the_same_history_in_any_order() {
    let opened = Opened::keyspace().await;
    let second = OfVersion::all(IN_DISORDER);
    {
        let _turn = MIGRATING.lock().await;
        migrate(&opened.settings, &second).await.expect("tables are made");
    }
    let both = Both {
        ordered: opened.tables(&cocotalk_projectors::all()).await,
        disordered: opened.tables(&second).await,
    };
    for _ in 0..HISTORIES {
        both.one_history(rand::random()).await;
    }
}
