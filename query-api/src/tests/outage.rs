//! What is answered while a server is away: the log and the vault are one server, the read model is another.

use std::time::Duration;

use cocotalk_application::sealing::KEY_TTL;
use cocotalk_domain::id::{RoomId, UserId};
use cocotalk_domain::number::Seq;

use super::{DOORS, path};
use crate::testing::world::{Fault, Part};
use crate::testing::{Api, column};

/// A group with messages, an answer, and somebody's own name for it.
fn group() -> (Api, RoomId, [UserId; 2]) {
    let api = Api::new();
    let [mina, jun, hana] = api.world.three();
    let room = api.world.group(100, &[mina, jun, hana]);
    api.world.say(room, mina, "하나");
    api.world.say_about(room, jun, "둘", Some(Seq(2)));
    api.world.prefer(room, jun, crate::testing::NOW, "우리끼리");
    (api, room, [mina, jun])
}

/// Everything that is answered from the read model alone.
fn history(room: RoomId) -> Vec<String> {
    let of_room = DOORS.iter().filter(|door| !door.starts_with("/changes"));
    of_room
        .map(|door| path(room, door))
        .chain(["/v1/rooms".to_owned()])
        .collect()
}

#[tokio::test(start_paused = true)]
async fn history_is_served_while_keys_are_at_hand_and_not_longer() {
    let (api, room, [_, jun]) = group();
    let mut before = Vec::new();
    for path in history(room) {
        before.push(api.get(jun, &path).await.ok());
    }
    api.world.fault(Part::Log, Some(Fault::Away));
    api.world.fault(Part::Keys, Some(Fault::Away));
    let almost = KEY_TTL.saturating_sub(Duration::from_secs(1));
    tokio::time::advance(almost).await;
    for (path, before) in history(room).iter().zip(&before) {
        assert_eq!(api.get(jun, path).await.ok(), *before, "{path}");
    }
    let answer = api.get(jun, &path(room, "/changes?after_version=0")).await;
    assert_eq!(answer.refused(503), "storage_unavailable");

    tokio::time::advance(Duration::from_secs(1)).await;
    for path in history(room) {
        let answer = api.get(jun, &path).await;
        assert_eq!(answer.refused(503), "storage_unavailable", "{path}");
        assert!(answer.headers.contains_key("retry-after"), "{path}");
    }
    api.world.fault(Part::Keys, None);
    for (path, before) in history(room).iter().zip(&before) {
        assert_eq!(api.get(jun, path).await.ok(), *before, "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn no_query_but_changes_asks_the_log_and_none_asks_for_a_key_that_is_at_hand() {
    let (api, room, [_, jun]) = group();
    let position = api.world.position(room);
    for path in history(room) {
        api.get_at(jun, &path, &[&position]).await.ok();
    }
    assert_eq!(api.world.statements_of(Part::Log), 0);
    let keys = api.world.statements_of(Part::Keys);
    for path in history(room) {
        api.get_at(jun, &path, &[&position]).await.ok();
    }
    assert_eq!(api.world.statements_of(Part::Keys), keys);
    api.get(jun, &path(room, "/changes?after_version=0")).await.ok();
    assert!(api.world.statements_of(Part::Log) > 0);
}

#[tokio::test(start_paused = true)]
async fn without_the_read_model_nothing_is_answered_until_it_is_back() {
    let (api, room, [_, jun]) = group();
    let position = api.world.position(room);
    let mut paths = history(room);
    paths.push(path(room, "/changes?after_version=0"));
    api.world.fault(Part::Model, Some(Fault::Away));
    for path in &paths {
        for positions in [&[][..], &[position.as_str()]] {
            let answer = api.get_at(jun, path, positions).await;
            assert_eq!(answer.refused(503), "storage_unavailable", "{path}");
            assert!(answer.headers.contains_key("retry-after"), "{path}");
        }
    }
    api.world.fault(Part::Model, None);
    for path in &paths {
        api.get_at(jun, path, &[&position]).await.ok();
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_vault_is_not_needed_for_is_answered_without_it() {
    let (api, room, [_, jun]) = group();
    api.world.fault(Part::Keys, Some(Fault::Away));
    let lines = api.get(jun, &path(room, "/messages?before=2")).await.ok();
    assert_eq!(column(&lines, "kind"), ["invited"]);
}
