//! What is reported as appended is there after the process is gone, however it went.

use std::sync::Arc;

use cocotalk_application::contract::script::Script;
use cocotalk_application::contract::support::{
    append, append_one, id, key, room, room_id, slice_events, stamp, stamped, stream_events, unit,
};
use cocotalk_application::port::event_log::{EventLog as _, LogReader as _, Snapshot, UnitOutcome};
use cocotalk_application::port::key_vault::KeyVault as _;
use cocotalk_application::port::read_model::ReadModel as _;
use cocotalk_application::row::RowWrite;
use cocotalk_domain::id::UserId;
use cocotalk_domain::number::{Cnt, Seq};

use crate::opened::{Home, Opened};

/// The files of a store as they are at this moment, as a process that is killed now would leave them.
fn as_if_killed(home: &Home) -> Arc<Home> {
    let copy = Home::new();
    for entry in std::fs::read_dir(home.path()).expect("the folder is there") {
        let entry = entry.expect("the folder is there");
        std::fs::copy(entry.path(), copy.file(&entry.file_name().to_string_lossy())).expect("a copy");
    }
    copy
}

#[tokio::test]
async fn everything_is_there_after_closing_and_opening() {
    let script = Script::new("script");
    let opened = Opened::fresh(vec![Arc::<Script>::clone(&script)]).await;
    let (stream, user, key) = (room(), UserId(id()), key());
    let read = RowWrite::Read {
        room_id: room_id(stream),
        user_id: user,
        read_seq: Seq(3),
        read_cnt: Cnt(2),
    };
    script.write(&opened.store, stream, vec![read]).await;
    append(&opened.store, stamped(unit(stream, 1, 4), key)).await;
    let snapshot = Snapshot {
        sequence: 5,
        state_version: 1,
        state: vec![1, 2, 3],
    };
    opened
        .store
        .save_snapshot(&stream, snapshot.clone())
        .await
        .expect("it can be written");
    let before = slice_events(&opened.store, stream.slice()).await;

    let opened = opened.reopen(vec![script]).await;
    let after = slice_events(&opened.store, stream.slice()).await;
    assert_eq!(format!("{before:?}"), format!("{after:?}"));
    assert_eq!(
        opened.store.snapshot(&stream, 1).await.expect("it can be read"),
        Some(snapshot)
    );
    let read = opened
        .store
        .user_read(user, room_id(stream))
        .await
        .expect("it can be read");
    assert_eq!(read.map(|read| read.read_seq), Some(Seq(3)));
    let (heads, checkpoints) = tokio::join!(opened.store.heads(), opened.store.checkpoints("script"));
    assert_eq!(heads.expect("it can be read"), checkpoints.expect("it can be read"));
    append(&opened.store, unit(stream, 5, 1)).await;
    let events = slice_events(&opened.store, stream.slice()).await;
    assert!(events.windows(2).all(|pair| pair[0].ts_us < pair[1].ts_us));
}

#[tokio::test]
async fn a_key_is_known_for_ever() {
    let opened = Opened::fresh(Vec::new()).await;
    let (stream, key) = (room(), key());
    append(&opened.store, stamped(unit(stream, 0, 1), key)).await;
    let opened = opened.reopen(Vec::new()).await;
    assert_eq!(
        append_one(&opened.store, stamped(unit(stream, 1, 1), key)).await,
        UnitOutcome::Repeated
    );
    let command = opened
        .store
        .probe(Some(key), &[], &[])
        .await
        .expect("it can be read")
        .command;
    assert_eq!(command.map(|command| command.answer), Some(stamp(key).answer));
    assert_eq!(stream_events(&opened.store, stream).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_appended_survives_a_kill_at_any_moment() {
    let opened = Opened::fresh(Vec::new()).await;
    let stream = room();
    let mut kept = Vec::new();
    for round in 0..10_u64 {
        append(&opened.store, unit(stream, round * 3, 3)).await;
        let key = key();
        append(&opened.store, stamped(unit(room(), 0, 1), key)).await;
        // Something is under way at the moment of the kill.
        let (store, other) = (opened.store.clone(), room());
        let under_way = async move { append(&store, unit(other, 0, 50)).await };
        let kill = tokio::task::spawn_blocking({
            let home = Arc::clone(&opened.home);
            move || as_if_killed(&home)
        });
        let (_, killed) = tokio::join!(under_way, kill);
        kept.push((killed.expect("a copy"), (round + 1) * 3, key, other));
    }
    for (home, count, key, other) in kept {
        let opened = Opened::at(&home, Vec::new()).await;
        assert_eq!(stream_events(&opened.store, stream).await.len() as u64, count);
        let probe = opened
            .store
            .probe(Some(key), &[stream, other], &[])
            .await
            .expect("it can be read");
        assert!(probe.command.is_some());
        assert!(
            [0, 50].contains(&probe.versions[1]),
            "half a unit: {}",
            probe.versions[1]
        );
        slice_events(&opened.store, stream.slice()).await;
        append(&opened.store, unit(stream, count, 1)).await;
    }
}

#[tokio::test]
async fn keys_and_secrets_survive_and_need_their_master_key() {
    let opened = Opened::fresh(Vec::new()).await;
    let (stays, gone) = (UserId(id()), UserId(id()));
    let vault = opened.store.key_vault();
    let key = *vault.create(stays).await.expect("it can be written");
    let lost = *vault.create(gone).await.expect("it can be written");
    let secret = *vault.secret("pepper").await.expect("it can be written");
    vault.destroy(gone).await.expect("it can be written");
    drop(vault);

    let opened = opened.reopen(Vec::new()).await;
    let vault = opened.store.key_vault();
    let keys = vault.keys(&[stays, gone]).await.expect("it can be read");
    assert_eq!(
        keys.iter().map(|key| key.as_deref().copied()).collect::<Vec<_>>(),
        [Some(key), None]
    );
    assert_eq!(*vault.secret("pepper").await.expect("it can be read"), secret);
    assert!(vault.create(gone).await.is_err());
    drop(vault);

    let home = opened.close().await;
    let bytes = ["keys.db", "cocotalk.db"].map(|name| std::fs::read(home.file(name)).expect("the file is there"));
    for key in [key, lost, secret] {
        assert!(
            bytes.iter().all(|bytes| bytes.windows(32).all(|window| window != key)),
            "a key lies there in the clear"
        );
    }
    std::fs::write(home.file("master.key"), "00".repeat(32)).expect("it can be written");
    let opened = Opened::at(&home, Vec::new()).await;
    assert!(
        opened.store.key_vault().keys(&[stays]).await.is_err(),
        "another master key opened it"
    );
}

/// The wrapped form of a destroyed key is in neither file of the vault any more.
#[tokio::test]
async fn a_destroyed_key_leaves_no_trace() {
    let opened = Opened::fresh(Vec::new()).await;
    let user = UserId(id());
    let vault = opened.store.key_vault();
    vault.create(user).await.expect("it can be written");
    let files = || ["keys.db", "keys.db-wal"].map(|name| std::fs::read(opened.home.file(name)).unwrap_or_default());
    let find = |bytes: &[u8], part: &[u8]| bytes.windows(part.len()).position(|window| window == part);
    let wrapped = files().iter().find_map(|bytes| {
        let at = find(bytes, user.0.as_bytes())? + 16;
        Some(bytes[at..at + 40].to_vec())
    });
    let wrapped = wrapped.expect("the key is somewhere");
    vault.destroy(user).await.expect("it can be written");
    assert!(
        files().iter().all(|bytes| find(bytes, &wrapped).is_none()),
        "the wrapped key can still be read"
    );
}

#[cfg(unix)]
#[tokio::test]
async fn the_master_key_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let opened = Opened::fresh(Vec::new()).await;
    let mode = std::fs::metadata(opened.home.file("master.key"))
        .expect("it is there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
}
