//! Tables are made once, however often it is tried, and where they are missing that is said.

use cocotalk_application::error::StoreError;
use cocotalk_application::port::row_store::{RowStore as _, Tables};
use cocotalk_infra::scylla::{Cql, CqlReadModel, CqlRowStore, migrate};

use crate::opened::{MIGRATING, OfVersion, Opened, new_keyspace, settings};

fn assert_corrupt<T>(result: Result<T, StoreError>, words: &str) {
    match result.map(drop) {
        Err(error @ StoreError::Corrupt { .. }) => {
            let why = cocotalk_application::error::chain(&error);
            assert!(why.contains(words), "{why}");
        }
        other => panic!("it should have given up: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_are_made_once() {
    let opened = Opened::keyspace().await;
    let all = cocotalk_projectors::all();
    {
        let _turn = MIGRATING.lock().await;
        migrate(&opened.settings, &all).await.expect("it changes nothing");
    }
    let standing = Cql::examine(&opened.settings, &all).await.expect("the store answers");
    assert_eq!(standing.missing, [""; 0]);
    assert!(standing.version.contains('.'), "{standing:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn missing_tables_are_named() {
    let (opened, later) = (Opened::keyspace().await, OfVersion::all(7));
    let standing = Cql::examine(&opened.settings, &later).await.expect("the store answers");
    assert_eq!(standing.missing.len(), 9, "{standing:?}");
    assert!(standing.missing.contains(&"messages_v7".to_owned()), "{standing:?}");
    assert_corrupt(CqlReadModel::open(&opened.cql, &later).await, "cocotalk migrate");
    assert_corrupt(CqlRowStore::open(&opened.cql, &later).await, "cocotalk migrate");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_keyspace_there_is_no_connection() {
    let settings = settings(new_keyspace());
    assert_corrupt(Cql::connect(&settings).await, "cocotalk migrate");
    let all = cocotalk_projectors::all();
    let standing = Cql::examine(&settings, &all).await.expect("the store answers");
    assert_eq!(standing.missing.len(), 10, "{standing:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_of_another_version_are_not_taken() {
    let (opened, all) = (Opened::keyspace().await, cocotalk_projectors::all());
    let (rows, _reads) = opened.tables(&all).await;
    let tables = Tables {
        version: 2,
        ..Tables::of(&*all[0])
    };
    assert_corrupt(rows.write(tables, &[]).await, "version");
}
