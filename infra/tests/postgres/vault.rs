//! What the vault of a cluster promises beside the contract.

use std::path::Path;

use cocotalk_application::error::{StoreError, chain};
use cocotalk_domain::id::UserId;
use cocotalk_infra::postgres::PostgresKeyVault;
use futures_util::future::join_all;

use crate::opened::Opened;

async fn prepare(opened: &Opened, file: &Path) -> Result<(), StoreError> {
    PostgresKeyVault::prepare(opened.log.database(), file).await
}

fn damage(error: &StoreError) -> String {
    assert!(matches!(error, StoreError::Corrupt { .. }), "{}", chain(error));
    chain(error)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_that_make_the_master_key_one_does() {
    let opened = Opened::fresh().await;
    let file = opened.folder().join("shared.key");
    for prepared in join_all((0..8).map(|_| prepare(&opened, &file))).await {
        prepared.expect("all of them have the same one");
    }
    let key = std::fs::read(&file).expect("it is there");
    prepare(&opened, &file).await.expect("it stays");
    assert_eq!(std::fs::read(&file).expect("it is there"), key);
}

#[tokio::test]
async fn a_node_makes_no_master_key_of_its_own() {
    let opened = Opened::fresh().await;
    let file = opened.folder().join("missing.key");
    let Err(error) = PostgresKeyVault::open(opened.database(), &file) else {
        panic!("there is no key");
    };
    assert!(damage(&error).contains("missing.key"));
    assert!(!file.exists());
}

#[tokio::test]
async fn a_lost_master_key_is_not_replaced() {
    let opened = Opened::fresh().await;
    opened
        .vault()
        .await
        .create(UserId::from_u128(1))
        .await
        .expect("it can be written");
    let other = opened.folder().join("other.key");
    let error = prepare(&opened, &other)
        .await
        .expect_err("there are keys that only the lost one opens");
    assert!(damage(&error).contains("missing"));
    assert!(!other.exists());
}

#[tokio::test]
async fn another_master_key_is_refused() {
    let opened = Opened::fresh().await;
    opened.vault().await;
    let other = opened.folder().join("other.key");
    std::fs::write(&other, "ab".repeat(32)).expect("it is written");
    let error = prepare(&opened, &other).await.expect_err("it wrapped nothing here");
    assert!(damage(&error).contains("not the one"));
}

#[tokio::test]
async fn what_lies_in_the_database_opens_nothing() {
    let opened = Opened::fresh().await;
    let vault = opened.vault().await;
    let (stays, goes) = (UserId::from_u128(1), UserId::from_u128(2));
    let key = vault.create(stays).await.expect("it can be written");
    vault.create(goes).await.expect("it can be written");
    vault.destroy(goes).await.expect("it can be written");
    let mut administrator = opened.administrator().await;
    let rows: Vec<(uuid::Uuid, Option<Vec<u8>>)> =
        sqlx::query_as("SELECT subject, wrapped_key FROM subject_keys ORDER BY subject")
            .fetch_all(&mut administrator)
            .await
            .expect("it may look");
    assert_eq!(rows.len(), 2);
    let wrapped = rows[0].1.as_ref().expect("it is kept");
    assert!(
        !wrapped.windows(32).any(|bytes| bytes == key.as_slice()),
        "a key lies there as it is"
    );
    assert_eq!(rows[1], (goes.0, None), "a destroyed key is still there");
}
