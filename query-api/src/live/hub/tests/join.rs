//! A socket is let in such that the read model shows everything before its cursor, and frames tell everything after it.

use std::pin::pin;

use cocotalk_application::position::Position;
use futures_util::future::join_all;
use tokio::time::Instant;

use super::*;
use crate::checkpoints::Projection;
use crate::testing::world::{Fault, Part, Table};

const NOTHING: [&str; 0] = [];

/// A group that is there before the hub, and Jun, who is not in it.
async fn group() -> (Node, RoomId, [UserId; 2]) {
    let world = Arc::new(World::default());
    let [mina, jun, hana] = world.three();
    let dahee = world.person(4, "다희");
    let room = world.group(100, &[mina, hana, dahee]);
    (Node::open(&world).await, room, [mina, jun])
}

/// The same with Jun in it.
async fn group_with_jun() -> (Node, RoomId, [UserId; 2]) {
    let world = Arc::new(World::default());
    let [mina, jun, hana] = world.three();
    let room = world.group(100, &[mina, jun, hana]);
    (Node::open(&world).await, room, [mina, jun])
}

/// The read model shows everything before the cursor, and what is said next is told.
async fn is_told_what_follows(node: &Node, told: &mut Told, room: RoomId, by: UserId) {
    let position = Position::from(&told.cursor);
    for projection in Projection::ALL {
        let shown = node.hub.ports.checkpoints.now(projection).await.unwrap();
        assert!(position.reached_by(&shown), "{projection:?}");
    }
    node.world.say(room, by, "들려?");
    node.publish().await;
    assert_eq!(told.types(room), ["message.sent"]);
}

#[tokio::test(start_paused = true)]
async fn a_join_that_is_told_and_not_projected_leaves_no_room_mute() {
    let (node, room, [mina, jun]) = group().await;
    node.world.hold();
    node.world.invite(room, mina, &[jun]);
    node.publish().await;
    let mut joining = pin!(node.join(jun));
    still_waits(&mut joining).await;
    node.world.release();
    let mut told = ends(joining).await;
    assert_eq!(told.cursor.0, node.world.heads());
    assert_eq!(types(&told.missed, room), NOTHING, "the read model shows it");
    is_told_what_follows(&node, &mut told, room, mina).await;
}

#[tokio::test(start_paused = true)]
async fn a_join_that_is_projected_and_not_told_is_told() {
    let (node, room, [mina, jun]) = group().await;
    node.world.invite(room, mina, &[jun]);
    let mut joining = pin!(node.join(jun));
    still_waits(&mut joining).await;
    node.world.publish();
    let mut told = ends(joining).await;
    assert_eq!(types(&told.missed, room), ["member.joined"]);
    assert_eq!(told.types(room), NOTHING, "it is told once");
    is_told_what_follows(&node, &mut told, room, mina).await;
}

#[tokio::test(start_paused = true)]
async fn a_join_that_is_told_while_the_read_model_is_waited_for_is_replayed() {
    let (node, room, [mina, jun]) = group().await;
    node.world.hold();
    node.world.say(room, mina, "먼저");
    node.publish().await;
    let mut joining = pin!(node.join(jun));
    still_waits(&mut joining).await;
    // What was noted is projected, the join is not.
    node.world.hold();
    node.world.invite(room, mina, &[jun]);
    node.publish().await;
    let mut told = ends(joining).await;
    assert_eq!(types(&told.missed, room), ["member.joined"]);
    assert_eq!(told.types(room), NOTHING);
    node.world.release();
    is_told_what_follows(&node, &mut told, room, mina).await;
}

#[tokio::test(start_paused = true)]
async fn a_join_that_is_projected_while_the_read_model_is_waited_for_is_told() {
    let (node, room, [mina, jun]) = group().await;
    node.world.hold();
    node.world.say(room, mina, "먼저");
    node.publish().await;
    let mut joining = pin!(node.join(jun));
    still_waits(&mut joining).await;
    node.world.invite(room, mina, &[jun]);
    node.world.release();
    still_waits(&mut joining).await;
    node.world.publish();
    let mut told = ends(joining).await;
    assert_eq!(types(&told.missed, room), ["member.joined"]);
    assert_eq!(told.types(room), NOTHING);
    is_told_what_follows(&node, &mut told, room, mina).await;
}

#[tokio::test(start_paused = true)]
async fn a_join_whose_rows_are_there_before_the_checkpoint_says_so_is_told() {
    let (node, room, [mina, jun]) = group().await;
    node.world.hold();
    node.world.invite(room, mina, &[jun]);
    node.world.show(&Table::ALL);
    let mut told = ends(node.join(jun)).await;
    node.publish().await;
    assert_eq!(told.types(room), ["member.joined"]);
    node.world.release();
    is_told_what_follows(&node, &mut told, room, mina).await;
}

#[tokio::test(start_paused = true)]
async fn before_a_join_whose_rows_are_there_first_nothing_is_replayed() {
    let (node, room, [mina, jun]) = group().await;
    let before = node.join(jun).await.now;
    node.world.say(room, mina, "준이 오기 전에");
    node.publish().await;
    node.world.hold();
    node.world.invite(room, mina, &[jun]);
    node.world.show(&Table::ALL);
    let again = ends(node.hub.join(jun, Some(&before.to_string()))).await;
    let mut told = Told::of(again.unwrap());
    assert_eq!(told.resumed, Resumed::Replayed);
    assert_eq!(types(&told.missed, room), NOTHING, "it was said before");
    node.publish().await;
    assert_eq!(told.types(room), ["member.joined"]);
    node.world.release();
    is_told_what_follows(&node, &mut told, room, mina).await;
}

#[tokio::test(start_paused = true)]
async fn a_leave_that_is_told_and_not_projected_is_no_seat() {
    let (node, room, [mina, jun]) = group_with_jun().await;
    node.world.hold();
    node.world.leave(room, jun);
    node.publish().await;
    let mut joining = pin!(node.join(jun));
    still_waits(&mut joining).await;
    node.world.release();
    let mut told = ends(joining).await;
    node.world.say(room, mina, "준은 못 듣는다");
    node.publish().await;
    assert_eq!(types(&told.missed, room), NOTHING);
    assert_eq!(told.types(room), NOTHING);
}

#[tokio::test(start_paused = true)]
async fn a_leave_that_is_projected_and_not_told_is_told() {
    let (node, room, [mina, jun]) = group_with_jun().await;
    node.world.say(room, mina, "준이 있을 때");
    node.world.leave(room, jun);
    node.world.say(room, mina, "준은 못 듣는다");
    let mut joining = pin!(node.join(jun));
    still_waits(&mut joining).await;
    node.world.publish();
    let mut told = ends(joining).await;
    assert_eq!(types(&told.missed, room), ["message.sent", "member.left"]);
    assert_eq!(told.types(room), NOTHING);
}

#[tokio::test(start_paused = true)]
async fn a_leave_whose_rows_are_there_before_the_checkpoint_says_so_is_told() {
    let (node, room, [mina, jun]) = group_with_jun().await;
    node.world.hold();
    node.world.leave(room, jun);
    node.world.show(&Table::ALL);
    let mut told = ends(node.join(jun)).await;
    node.world.say(room, mina, "준은 못 듣는다");
    node.publish().await;
    assert_eq!(
        told.types(room),
        ["member.left"],
        "what the client knew has the room still"
    );
}

#[tokio::test(start_paused = true)]
async fn every_projection_is_waited_for_and_not_for_ever() {
    for projection in ["rooms", "reads", "people"] {
        let (node, room, [mina, jun]) = group_with_jun().await;
        node.world.hold_one(projection);
        node.world.say(room, mina, "안녕");
        node.publish().await;
        let since = Instant::now();
        let refused = ends(node.hub.join(jun, None)).await;
        assert!(matches!(refused, Err(JoinError::ModelBehind)), "{projection}");
        assert_eq!(since.elapsed(), Duration::from_secs(2), "{projection}");
        assert_eq!(node.hub.tables().len(), 0);

        let mut joining = pin!(node.join(jun));
        still_waits(&mut joining).await;
        node.world.release();
        let mut told = ends(joining).await;
        is_told_what_follows(&node, &mut told, room, mina).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_feed_that_stays_behind_the_read_model_lets_nobody_in() {
    let (node, room, [mina, jun]) = group_with_jun().await;
    node.world.say(room, mina, "안녕");
    let since = Instant::now();
    let refused = ends(node.hub.join(jun, None)).await;
    assert!(matches!(refused, Err(JoinError::FeedBehind)));
    assert_eq!(since.elapsed(), Duration::from_secs(2));
    assert_eq!(node.hub.tables().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn whoever_finds_everything_there_is_let_in_at_once() {
    let (node, room, [mina, jun]) = group_with_jun().await;
    node.world.say(room, mina, "안녕");
    node.publish().await;
    node.world.statements();
    let since = Instant::now();
    node.join(jun).await;
    assert_eq!(since.elapsed(), Duration::ZERO);
    assert!(
        node.world.statements() <= 5,
        "each checkpoint, the rooms, and one checkpoint"
    );
}

#[tokio::test(start_paused = true)]
async fn those_who_come_together_ask_for_checkpoints_together() {
    const SOCKETS: usize = 200;
    let (node, room, [mina, jun]) = group_with_jun().await;
    node.world.say(room, mina, "안녕");
    node.publish().await;
    node.world.fault(Part::Model, Some(Fault::Slow));
    node.world.statements();
    join_all((0..SOCKETS).map(|_| node.join(jun))).await;
    let asked = node.world.statements() - SOCKETS;
    assert!(asked <= 6, "{asked} checkpoints were asked for");
}

#[tokio::test(start_paused = true)]
async fn a_read_model_or_a_vault_that_is_away_lets_nobody_in() {
    let (node, room, [mina, jun]) = group_with_jun().await;
    let cursor = Cursor(node.world.heads()).to_string();
    node.world.say(room, mina, "안녕");
    node.publish().await;
    for part in [Part::Model, Part::Keys] {
        node.world.fault(part, Some(Fault::Away));
        let refused = node.hub.join(jun, Some(&cursor)).await;
        assert!(matches!(refused, Err(JoinError::Store(_))), "{part:?}");
        assert_eq!(node.hub.tables().len(), 0, "{part:?}");
        node.world.fault(part, None);
    }
    let told = Told::of(node.hub.join(jun, Some(&cursor)).await.unwrap());
    assert_eq!(
        (told.resumed, types(&told.missed, room)),
        (Resumed::Replayed, vec!["message.sent".to_owned()])
    );
}

#[tokio::test(start_paused = true)]
async fn a_cursor_of_a_node_that_is_ahead_is_waited_for() {
    let (node, room, [mina, jun]) = group_with_jun().await;
    node.world.hold();
    node.world.say(room, mina, "다른 노드가 먼저 말했다");
    let cursor = Cursor(node.world.heads()).to_string();
    let mut joining = pin!(node.hub.join(jun, Some(&cursor)));
    still_waits(&mut joining).await;
    node.world.publish();
    still_waits(&mut joining).await;
    node.world.release();
    let mut told = Told::of(ends(joining).await.unwrap());
    assert_eq!((told.resumed, told.missed.len()), (Resumed::Replayed, 0));
    assert_eq!(told.types(room), NOTHING, "it was told there");
    is_told_what_follows(&node, &mut told, room, mina).await;
}

#[tokio::test(start_paused = true)]
async fn a_cursor_that_this_node_does_not_reach_in_time_is_no_reset() {
    let (node, room, [mina, jun]) = group_with_jun().await;
    node.world.say(room, mina, "다른 노드가 먼저 말했다");
    let cursor = Cursor(node.world.heads()).to_string();
    let refused = ends(node.hub.join(jun, Some(&cursor))).await;
    assert!(matches!(refused, Err(JoinError::FeedBehind)), "{refused:?}");
    node.publish().await;
    let told = Told::of(ends(node.hub.join(jun, Some(&cursor))).await.unwrap());
    assert_eq!((told.resumed, told.missed.len()), (Resumed::Replayed, 0));
}

#[tokio::test(start_paused = true)]
async fn a_node_that_has_just_started_and_cannot_ask_the_log_resets_nobody() {
    let (before, room, [mina, jun]) = group_with_jun().await;
    let cursor = before.join(jun).await.cursor.to_string();
    before.world.say(room, mina, "새 노드가 뜨기 전");
    before.publish().await;
    let settings = LiveSettings {
        window_s: 3_000_000_000,
        ..LiveSettings::default()
    };
    let node = Node::with(&before.world, settings).await;
    node.world.fault(Part::Log, Some(Fault::Away));
    let refused = ends(node.hub.join(jun, Some(&cursor))).await;
    assert!(matches!(refused, Err(JoinError::Store(_))), "{refused:?}");
    node.world.fault(Part::Log, None);
    let told = Told::of(ends(node.hub.join(jun, Some(&cursor))).await.unwrap());
    assert_eq!(
        (told.resumed, types(&told.missed, room)),
        (Resumed::Replayed, vec!["message.sent".to_owned()])
    );
}

#[tokio::test(start_paused = true)]
async fn a_cursor_that_is_nobodys_is_a_reset() {
    let (node, room, [mina, jun]) = group_with_jun().await;
    let mut heads = node.world.heads();
    heads[63] += 7;
    let far = Cursor(heads).to_string();
    for cursor in [far.as_str(), "", "무엇"] {
        let mut told = Told::of(ends(node.hub.join(jun, Some(cursor))).await.unwrap());
        assert_eq!(told.resumed, Resumed::Reset, "{cursor}");
        is_told_what_follows(&node, &mut told, room, mina).await;
    }
}

#[tokio::test(start_paused = true)]
async fn who_comes_back_is_replayed_and_then_told_without_a_gap_or_a_repetition() {
    let (node, room, [mina, jun]) = group_with_jun().await;
    let cursor = node.join(jun).await.cursor.to_string();
    node.world.say(room, mina, "하나");
    node.publish().await;
    node.world.hold();
    node.world.say(room, mina, "둘");
    node.publish().await;
    let mut joining = pin!(node.hub.join(jun, Some(&cursor)));
    still_waits(&mut joining).await;
    node.world.say(room, mina, "셋");
    node.publish().await;
    node.world.release();
    let mut told = Told::of(ends(joining).await.unwrap());
    node.world.say(room, mina, "넷");
    node.publish().await;
    let mut all = told.missed.clone();
    all.extend(told.frames());
    assert_eq!(
        (told.resumed, versions(&all, room)),
        (Resumed::Replayed, vec![2, 3, 4, 5])
    );
    assert_eq!(told.missed.len(), 3, "up to where it was let in: {:?}", told.now);
}
