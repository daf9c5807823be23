//! Disk full and read-only: the real binary, run as a user to whom such things happen.

use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::Value;

use crate::harness::client::{Api, Reply, eventually, new_key, number, text};
use crate::harness::person::Person;
use crate::server::Folder;

/// 4 MiB in blocks of 512 bytes: room for an empty store and some hundred long messages.
const FILE_LIMIT_BLOCKS: u32 = 8_192;

/// Long enough to fill the disk soon, and different each time.
fn long_text(number: usize) -> String {
    format!("{number} {}", "가득".repeat(4_000))
}

/// A 503 that says what is wrong and when to come again, and nothing of the inside.
#[track_caller]
fn assert_unavailable(reply: &Reply, folder: &Folder) {
    let problem = reply.problem(503);
    assert!(
        reply
            .header("retry-after")
            .is_some_and(|after| after.parse::<u64>().is_ok()),
        "{reply}"
    );
    assert!(text(&problem["detail"]).len() > 10, "{reply}");
    let said = problem.to_string();
    for inside in [
        "SQLITE",
        "sqlite",
        "database or disk",
        "cocotalk.db",
        &folder.data().display().to_string(),
    ] {
        assert!(!said.contains(inside), "{reply}");
    }
}

/// Asserts that every acknowledged message is there, once, where it was said to be.
fn assert_all_there(items: &[Value], acknowledged: &[(String, Value)]) {
    for (words, ack) in acknowledged {
        let found: Vec<_> = items.iter().filter(|item| item["text"] == words.as_str()).collect();
        assert_eq!(found.len(), 1, "{ack}");
        assert_eq!(
            (&found[0]["seq"], &found[0]["message_id"]),
            (&ack["seq"], &ack["message_id"])
        );
    }
    let seqs: Vec<_> = items.iter().map(|item| number(&item["seq"])).collect();
    assert!(seqs.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{seqs:?}");
}

#[tokio::test]
async fn a_full_disk_is_503_and_loses_nothing_that_was_acknowledged() {
    let folder = Folder::unprivileged();
    let server = folder.start_with_file_limit(FILE_LIMIT_BLOCKS);
    let [anna, boram, _] = Api::at(server.public).three().await;
    let room = anna.direct(&boram).await;

    let mut acknowledged = Vec::new();
    let (key, refused) = loop {
        let (words, key) = (long_text(acknowledged.len()), new_key());
        let reply = anna.sending(&room, &words).key(&key).await;
        match reply.status {
            201 => acknowledged.push((words, reply.value())),
            _ => break (key, reply),
        }
        assert!(acknowledged.len() < 5_000, "the disk never got full");
    };
    assert!(!acknowledged.is_empty());
    assert_unavailable(&refused, &folder);
    assert!(server.is_running(), "{}", server.stderr());
    for _ in 0..5 {
        let again = anna.sending(&room, &long_text(acknowledged.len())).await;
        assert_unavailable(&again, &folder);
    }
    assert_all_there(&boram.whole_history(&room).await, &acknowledged);
    assert_eq!(number(&boram.rooms().await["total_unread"]), acknowledged.len() as u64);
    server.kill();

    let server = folder.start();
    let api = anna.api.moved_to(server.public);
    let (anna, boram) = (anna.at(&api), boram.at(&api));
    assert_all_there(&boram.whole_history(&room).await, &acknowledged);
    let words = long_text(acknowledged.len());
    let retried = anna.sending(&room, &words).key(&key).await.is(201);
    acknowledged.push((words, retried));
    assert_all_there(&boram.whole_history(&room).await, &acknowledged);
    assert_eq!(number(&boram.rooms().await["total_unread"]), acknowledged.len() as u64);
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// Takes or gives the right to write in the data folder and to every file in it.
fn set_writable(folder: &Folder, writable: bool) {
    for entry in std::fs::read_dir(folder.data()).unwrap() {
        let path = entry.unwrap().path();
        let mode = if path.is_dir() { 0o500 } else { 0o400 } | if writable { 0o200 } else { 0 };
        set_mode(&path, mode);
    }
    set_mode(&folder.data(), if writable { 0o700 } else { 0o500 });
}

/// Sends a few messages, each of which must be done or be refused with 503, and gives those that were done.
async fn send_some(anna: &Person, room: &str, folder: &Folder) -> Vec<(String, Value)> {
    let mut acknowledged = Vec::new();
    for _ in 0..20 {
        let words = new_key();
        let reply = anna.sending(room, &words).await;
        match reply.status {
            201 => acknowledged.push((words, reply.value())),
            _ => assert_unavailable(&reply, folder),
        }
    }
    acknowledged
}

#[tokio::test]
async fn a_folder_that_becomes_read_only_costs_commands_but_neither_the_server_nor_what_is_there() {
    let folder = Folder::unprivileged();
    let server = folder.start();
    let [anna, boram, _] = Api::at(server.public).three().await;
    let room = anna.direct(&boram).await;
    let mut acknowledged = send_some(&anna, &room, &folder).await;
    assert_eq!(acknowledged.len(), 20);

    set_writable(&folder, false);
    acknowledged.extend(send_some(&anna, &room, &folder).await);
    assert_all_there(&boram.whole_history(&room).await, &acknowledged);
    assert!(server.is_running(), "{}", server.stderr());

    set_writable(&folder, true);
    let key = new_key();
    let recovered = || async {
        anna.sending(&room, "이제 다시")
            .key(&key)
            .attempt()
            .await
            .ok()
            .filter(|reply| reply.status == 201)
    };
    let reply = eventually("commands are answered again", recovered).await;
    acknowledged.push(("이제 다시".to_owned(), reply.value()));
    server.kill();
    let server = folder.start();
    let boram = boram.at(&boram.api.moved_to(server.public));
    assert_all_there(&boram.whole_history(&room).await, &acknowledged);
}

#[tokio::test]
async fn a_server_on_a_read_only_folder_answers_503_until_the_folder_is_writable_or_says_why_it_does_not_start() {
    let folder = Folder::unprivileged();
    let server = folder.start();
    let [anna, boram, _] = Api::at(server.public).three().await;
    let room = anna.direct(&boram).await;
    let acknowledged = send_some(&anna, &room, &folder).await;
    server.terminate();
    assert!(server.ended().status.success());

    set_writable(&folder, false);
    // It may be long before it is ready, so nothing will say which port it took: it is given one.
    let address = free_address();
    let arguments = folder.arguments_at(address);
    let starting = folder.begin(&arguments);
    let anna = anna.at(&anna.api.moved_to(address));
    let answer = eventually("an answer or the end", || async {
        let reply = anna.sending(&room, "zu früh").attempt().await.ok();
        (reply.is_some() || !starting.is_running()).then_some(reply)
    });
    if let Some(reply) = answer.await {
        assert_unavailable(&reply, &folder);
        set_writable(&folder, true);
        let server = starting.ready().expect("it recovers when the folder is writable again");
        let boram = boram.at(&boram.api.moved_to(server.public));
        assert_all_there(&boram.whole_history(&room).await, &acknowledged);
        anna.say(&room, "und jetzt").await;
        return;
    }
    let said = starting.ready().err().expect("it has ended");
    let place = folder.data().display().to_string();
    assert!(said.contains(&place) && !said.contains("panicked"), "{said}");
    set_writable(&folder, true);
    let server = folder.start();
    let boram = boram.at(&boram.api.moved_to(server.public));
    assert_all_there(&boram.whole_history(&room).await, &acknowledged);
}

/// An address nobody listens at. Somebody else may take it before it is used; then the test fails and says so.
fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}
