//! What the read model promises of messages after they were sent: edits, deletions, reactions, and what people hide.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cocotalk_domain::id::{RoomId, UserId};
use cocotalk_domain::number::{Seq, Version};
use cocotalk_domain::room::event::ReactionTotals;
use cocotalk_domain::text::Emoji;

use super::Store;
use super::stage::{Stage, item, last, message};
use super::support::{at, id, sealed};
use crate::projection::Projection;
use crate::row::{ItemMeta, ItemState, MessageRow, RowWrite};

type Projections = Vec<Arc<dyn Projection>>;

/// An emoji.
pub fn emoji(text: &str) -> Emoji {
    Emoji::parse(text).expect("an emoji")
}

/// How many reacted with each.
pub fn totals(counts: &[(&str, u32)]) -> ReactionTotals {
    counts.iter().map(|(text, count)| (emoji(text), *count)).collect()
}

async fn shown(stage: &Stage, seq: u64) -> MessageRow {
    let rows = stage.store.reads.messages_at(stage.room_id, &[Seq(seq)]).await;
    rows.expect("it can be read").pop().expect("it is there")
}

/// Each of them changes what it is about and nothing else.
pub async fn a_message_is_shown_as_it_became(fresh: impl AsyncFn(Projections) -> Store) {
    let stage = Stage::set(fresh).await;
    let room_id = stage.room_id;
    let sent: Vec<MessageRow> = (1..=3).map(|seq| message(room_id, seq)).collect();
    let body = sealed(sent[0].author_id, "in other words");
    let edit = |seq| RowWrite::MessageEdited {
        room_id,
        seq: Seq(seq),
        author_id: body.subject,
        body: body.clone(),
        at: at(7),
    };
    let react = |seq, counts: &[(&str, u32)]| RowWrite::Reactions {
        room_id,
        seq: Seq(seq),
        reactions: totals(counts),
    };
    let items = sent.iter().map(|row| RowWrite::Message(Box::new(row.clone())));
    let afterwards = [edit(1), react(1, &[("👍", 1)]), react(1, &[("❤", 2), ("👍🏽", 1)])];
    for row in items.chain(afterwards) {
        stage.write(vec![row]).await;
    }
    let edited = MessageRow {
        body: Some(body.clone()),
        state: ItemState::Edited,
        changed_at: Some(at(7)),
        reactions: totals(&[("❤", 2), ("👍🏽", 1)]),
        ..sent[0].clone()
    };
    assert_eq!(shown(&stage, 1).await, edited);
    assert_eq!(shown(&stage, 2).await, sent[1]);

    stage.write(vec![react(1, &[]), edit(3), react(3, &[("🥥", 1)])]).await;
    let bare = MessageRow {
        reactions: ReactionTotals::new(),
        ..edited
    };
    assert_eq!(shown(&stage, 1).await, bare);
    stage
        .write(vec![RowWrite::MessageDeleted {
            room_id,
            seq: Seq(3),
            at: at(8),
        }])
        .await;
    let deleted = MessageRow {
        body: None,
        meta: ItemMeta::default(),
        state: ItemState::Deleted,
        changed_at: Some(at(8)),
        ..sent[2].clone()
    };
    assert_eq!(shown(&stage, 3).await, deleted);
}

/// The head shows what its item became, and nothing of an older one; a newer item is as it was sent.
pub async fn a_head_shows_what_its_item_became(fresh: impl AsyncFn(Projections) -> Store) {
    let stage = Stage::set(fresh).await;
    let room_id = stage.room_id;
    let head = |seq| RowWrite::Head {
        room_id,
        version: Version(seq),
        last: last(seq),
    };
    let other = Some(sealed(last(2).author_id, "in other words"));
    let changed = |seq, deleted: bool| RowWrite::LastChanged {
        room_id,
        seq: Seq(seq),
        author_id: last(seq).author_id,
        preview: other.clone().filter(|_| !deleted),
        deleted,
    };
    let shown = async || stage.room().await.and_then(|room| room.last).expect("it has one");
    for row in [RowWrite::Room(Box::new(stage.full_room())), head(2), changed(2, false)] {
        stage.write(vec![row]).await;
    }
    assert_eq!((shown().await.preview, shown().await.deleted), (other.clone(), false));
    stage.write(vec![changed(2, true)]).await;
    assert_eq!((shown().await.preview, shown().await.deleted), (None, true));
    stage.write(vec![head(3)]).await;
    assert_eq!(shown().await, last(3));
}

/// Everybody has their own; one that was taken back is none.
pub async fn everybody_reacts_for_themselves(fresh: impl AsyncFn(Projections) -> Store) {
    let stage = Stage::set(fresh).await;
    let (room_id, mine, theirs) = (stage.room_id, UserId(id()), UserId(id()));
    let react = |seq, user_id, with: Option<&str>| RowWrite::Reactor {
        room_id,
        seq: Seq(seq),
        user_id,
        emoji: with.map(emoji),
        at: at(1),
    };
    stage.write((1..=3).map(|seq| item(room_id, seq)).collect()).await;
    stage
        .write(vec![
            react(1, mine, Some("👍")),
            react(2, mine, Some("👍")),
            react(2, theirs, Some("❤")),
            react(5_000, mine, Some("🥥")),
        ])
        .await;
    let asked = async |user, room, seqs: &[u64]| {
        let seqs: Vec<Seq> = seqs.iter().copied().map(Seq).collect();
        let found = stage.store.reads.reactions(user, room, &seqs).await;
        found.expect("it can be read").into_iter().collect::<BTreeMap<_, _>>()
    };
    let all = [1, 2, 3, 5_000];
    let of_mine = BTreeMap::from([(Seq(1), emoji("👍")), (Seq(2), emoji("👍")), (Seq(5_000), emoji("🥥"))]);
    assert_eq!(asked(mine, room_id, &all).await, of_mine);
    assert_eq!(asked(theirs, room_id, &all).await, [(Seq(2), emoji("❤"))].into());
    assert_eq!(asked(mine, room_id, &[2, 2, 3]).await, [(Seq(2), emoji("👍"))].into());
    assert_eq!(asked(mine, room_id, &[]).await, BTreeMap::new());
    assert_eq!(asked(mine, RoomId(id()), &all).await, BTreeMap::new());
    stage.write(vec![react(1, mine, Some("❤")), react(2, mine, None)]).await;
    assert_eq!(asked(mine, room_id, &[1, 2]).await, [(Seq(1), emoji("❤"))].into());
}

/// Each person by themselves, in every room by itself, from a seq on.
pub async fn what_a_person_hides_is_found(fresh: impl AsyncFn(Projections) -> Store) {
    let stage = Stage::set(fresh).await;
    let (room_id, elsewhere, user) = (stage.room_id, RoomId(id()), UserId(id()));
    let hide = |user_id, room_id, seq| RowWrite::Hidden {
        user_id,
        room_id,
        seq: Seq(seq),
    };
    let newest = |last_hidden| RowWrite::UserRoomHidden {
        user_id: user,
        room_id,
        last_hidden: Seq(last_hidden),
    };
    stage
        .write(vec![
            stage.user_room(user, 1),
            hide(user, room_id, 7),
            newest(7),
            hide(user, room_id, 5),
            newest(7),
            hide(user, elsewhere, 9_000),
            hide(UserId(id()), room_id, 6),
            hide(user, room_id, 7),
        ])
        .await;
    let seqs = |seqs: &[u64]| -> BTreeSet<Seq> { seqs.iter().copied().map(Seq).collect() };
    let asked = async |rooms: &[(RoomId, Seq)]| {
        let hidden = stage.store.reads.hidden(user, rooms).await;
        hidden.expect("it can be read")
    };
    let of_both = asked(&[(room_id, Seq(0)), (elsewhere, Seq(9_000)), (RoomId(id()), Seq(0))]).await;
    assert_eq!(of_both, [(room_id, seqs(&[5, 7])), (elsewhere, seqs(&[9_000]))].into());
    assert_eq!(asked(&[(room_id, Seq(6))]).await, [(room_id, seqs(&[7]))].into());
    assert_eq!(asked(&[(room_id, Seq(8))]).await, [].into());
    assert_eq!(asked(&[]).await, [].into());
    let place = stage.store.reads.user_room(user, room_id).await;
    assert_eq!(place.expect("it can be read").map(|row| row.last_hidden), Some(Seq(7)));
}
