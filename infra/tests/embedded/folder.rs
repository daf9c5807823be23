//! One server a folder, and clear words where a folder cannot be used.

use std::os::unix::fs::MetadataExt as _;

use cocotalk_application::contract::support::{append, eventually, room, stream_events, unit};
use cocotalk_application::error::chain;
use cocotalk_infra::embedded::{OpenError, Settings};

use crate::opened::{Home, Opened};

async fn refused(home: &std::sync::Arc<Home>, settings: &Settings) -> OpenError {
    match Opened::with(home, settings, Vec::new()).await {
        Ok(_) => panic!("the store opened"),
        Err(error) => error,
    }
}

#[tokio::test]
async fn a_second_server_is_refused() {
    let opened = Opened::fresh(Vec::new()).await;
    let error = refused(&opened.home, &opened.home.settings()).await;
    assert!(matches!(error, OpenError::Locked { .. }), "{error:?}");
    let text = chain(&error);
    assert!(text.contains("in use by another server"), "{text}");
    assert!(
        text.contains(&*opened.home.path().canonicalize().unwrap().to_string_lossy()),
        "{text}"
    );
    let stream = room();
    append(&opened.store, unit(stream, 0, 1)).await;

    let opened = opened.reopen(Vec::new()).await;
    assert_eq!(
        stream_events(&opened.store, stream).await.len(),
        1,
        "the first one was not disturbed"
    );
}

#[tokio::test]
async fn a_folder_is_made() {
    let home = Home::new();
    let settings = Settings {
        folder: home.file("a/b"),
        ..home.settings()
    };
    let opened = Opened::with(&home, &settings, Vec::new())
        .await
        .expect("the store opens");
    append(&opened.store, unit(room(), 0, 1)).await;
    assert!(home.file("a/b/cocotalk.db").exists());
}

#[tokio::test]
async fn a_folder_that_cannot_be_used_is_named_with_the_cause() {
    let home = Home::new();
    std::fs::write(home.file("file"), "").expect("it can be written");
    let settings = Settings {
        folder: home.file("file/data"),
        ..home.settings()
    };
    let error = refused(&home, &settings).await;
    assert!(matches!(error, OpenError::Unavailable { .. }), "{error:?}");
    let text = chain(&error);
    assert!(
        text.contains("file/data") && text.to_lowercase().contains("not a directory"),
        "{text}"
    );
}

/// Nobody may write under /proc, not even root.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_read_only_folder_is_named_with_the_cause() {
    let home = Home::new();
    let settings = Settings {
        folder: "/proc/self/task".into(),
        ..home.settings()
    };
    let error = refused(&home, &settings).await;
    assert!(matches!(error, OpenError::Unavailable { .. }), "{error:?}");
    assert!(chain(&error).contains("/proc/"), "{}", chain(&error));
}

#[tokio::test]
async fn a_file_that_is_no_store_is_refused() {
    let home = Home::new();
    std::fs::write(
        home.file("cocotalk.db"),
        "not a database, and long enough to be one ".repeat(100),
    )
    .unwrap();
    let error = refused(&home, &home.settings()).await;
    assert!(matches!(error, OpenError::Unreadable { .. }), "{error:?}");
    assert!(chain(&error).contains("cocotalk.db"), "{}", chain(&error));
}

#[tokio::test]
async fn a_lost_master_key_is_not_replaced() {
    let opened = Opened::fresh(Vec::new()).await;
    let home = opened.close().await;
    std::fs::remove_file(home.file("master.key")).expect("it is there");
    let error = refused(&home, &home.settings()).await;
    assert!(matches!(error, OpenError::Unreadable { .. }), "{error:?}");
    assert!(chain(&error).contains("master.key"), "{}", chain(&error));
}

#[tokio::test]
async fn a_setting_that_makes_no_sense_is_named() {
    let home = Home::new();
    for (settings, name) in [
        (
            Settings {
                readers: 0,
                ..home.settings()
            },
            "readers",
        ),
        (
            Settings {
                page_bytes: 1_000,
                ..home.settings()
            },
            "page_bytes",
        ),
        (
            Settings {
                queue_requests: 0,
                ..home.settings()
            },
            "queue_requests",
        ),
        (
            Settings {
                batch_events: 0,
                ..home.settings()
            },
            "batch_events",
        ),
        (
            Settings {
                lock_ms: 0,
                ..home.settings()
            },
            "lock_ms",
        ),
        (
            Settings {
                log_limit_bytes: 1,
                ..home.settings()
            },
            "log_limit_bytes",
        ),
    ] {
        match refused(&home, &settings).await {
            OpenError::Setting { setting, .. } => assert_eq!(setting, name),
            other => panic!("{other:?}"),
        }
    }
}

/// The system lets go all locks of a process on a file when any of its descriptors is closed. The copier looks into the
/// index of the log for as long as the store runs, and other processes see by a lock on that index that it does.
#[tokio::test]
async fn the_copier_leaves_other_processes_the_sign_that_the_store_is_in_use() {
    let opened = Opened::fresh(Vec::new()).await;
    append(&opened.store, unit(room(), 0, 1)).await;
    let index = opened
        .home
        .path()
        .join("cocotalk.db-shm")
        .canonicalize()
        .expect("it is there");
    let inode = std::fs::metadata(&index).expect("it is there").ino();
    eventually("the copier looks into the index", async || {
        let descriptors = std::fs::read_dir("/proc/self/fd").expect("the system tells").flatten();
        descriptors
            .filter(|one| std::fs::read_link(one.path()).is_ok_and(|to| to == index))
            .count()
            > 1
    })
    .await;
    let locks = std::fs::read_to_string("/proc/locks").expect("the system tells");
    let held = |line: &str| line.contains("POSIX") && line.contains(&format!(":{inode} "));
    assert!(locks.lines().any(held), "{locks}");
}
