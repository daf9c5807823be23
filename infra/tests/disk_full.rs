//! A disk that is full: what cannot be written is refused, nothing that was reported is lost, and it goes on by itself.
//!
//! The limit of a file's size stands in for the size of a disk. It is one for the whole process, so this test is alone here.
#![cfg(all(feature = "embedded", target_os = "linux"))]

use cocotalk_application::contract::support::{
    append, append_one, key, room, slice_events, stamped, stream_events, unit,
};
use cocotalk_application::error::{StoreError, chain};
use cocotalk_application::port::event_log::{EventLog, LogReader, UnitOutcome};
use cocotalk_infra::embedded::{EmbeddedStore, Settings};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

fn limit(bytes: Option<u64>) {
    let maximum = getrlimit(Resource::Fsize).maximum;
    setrlimit(
        Resource::Fsize,
        Rlimit {
            current: bytes.or(maximum),
            maximum,
        },
    )
    .expect("a limit can be lowered");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_an_error_and_no_end() {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = Settings {
        folder: folder.path().to_owned(),
        log_prepared_bytes: 0,
        ..Settings::default()
    };
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    let store = EmbeddedStore::open(&settings, Vec::new(), &tasks, stop.clone())
        .await
        .expect("the store opens");
    let stream = room();
    append(&store, unit(stream, 0, 1)).await;

    for round in 0..3 {
        let size = folder
            .path()
            .join("cocotalk.db-wal")
            .metadata()
            .expect("it is there")
            .len();
        limit(Some(size + 100_000));
        let mut version = stream_events(&store, stream).await.len() as u64;
        let error = loop {
            match store.append(vec![stamped(unit(stream, version, 20), key())]).await {
                Ok(outcomes) => {
                    assert!(matches!(outcomes[..], [UnitOutcome::Appended { .. }]), "{outcomes:?}");
                    version += 20;
                }
                Err(error) => break error,
            }
            assert!(version < 100_000, "the limit is not felt");
        };
        assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
        assert!(
            chain(&error).starts_with("the embedded store is not available: "),
            "{}",
            chain(&error)
        );
        assert_eq!(
            stream_events(&store, stream).await.len() as u64,
            version,
            "half of it was kept in round {round}"
        );
        // Full is full, also for the next one; but reading goes on.
        assert!(store.append(vec![unit(stream, version, 200)]).await.is_err());
        slice_events(&store, stream.slice()).await;

        limit(None);
        assert!(matches!(
            append_one(&store, unit(stream, version, 20)).await,
            UnitOutcome::Appended { .. }
        ));
        let probe = store.probe(None, &[stream], &[]).await.expect("it can be read");
        assert_eq!(probe.versions, [version + 20]);
    }
    let before = slice_events(&store, stream.slice()).await.len();
    stop.cancel();
    tasks.close();
    tasks.wait().await;
    drop(store);
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    let store = EmbeddedStore::open(&settings, Vec::new(), &tasks, stop)
        .await
        .expect("the store opens again");
    assert_eq!(slice_events(&store, stream.slice()).await.len(), before);
}
