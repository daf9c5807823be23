//! What the read model promises of rooms and their timelines, given rows through a projection.

use std::sync::Arc;

use cocotalk_domain::id::{MessageId, RoomId, UserId};
use cocotalk_domain::number::{Seq, Version};
use cocotalk_domain::room::{Role, RoomKind, Settings, Who};
use cocotalk_domain::stream::SLICES;

use super::Store;
use super::stage::{Stage, item, last, message};
use super::support::{append, id, room, unit};
use crate::port::read_model::{From, Page};
use crate::projection::Projection;
use crate::row::{ItemKind, ItemMeta, ReplyMeta, RoomRow, RowWrite};

type Projections = Vec<Arc<dyn Projection>>;

/// Every column comes back.
pub async fn a_room_is_shown_as_it_was_written(fresh: impl AsyncFn(Projections) -> Store) {
    let stage = Stage::set(fresh).await;
    let full = stage.full_room();
    stage.write(vec![RowWrite::Room(Box::new(full.clone()))]).await;
    assert_eq!(stage.room().await, Some(full));
    let bare = RoomRow {
        kind: RoomKind::Direct,
        name: None,
        owner_id: None,
        member_sample: Vec::new(),
        notice: None,
        settings: Settings::default(),
        closed: true,
        last: None,
        ..stage.full_room()
    };
    stage.write(vec![RowWrite::Room(Box::new(bare.clone()))]).await;
    assert_eq!(stage.room().await, Some(bare));
}

/// Nothing there is no error; a list of many has only what is there.
pub async fn what_is_not_there_is_absent(fresh: impl AsyncFn(Projections) -> Store) {
    let stage = Stage::set(fresh).await;
    let (reads, user) = (&stage.store.reads, UserId(id()));
    assert_eq!(stage.room().await, None);
    assert!(reads.rooms(&[]).await.expect("it can be read").is_empty());
    assert!(reads.user_rooms(user).await.expect("it can be read").is_empty());
    assert_eq!(
        reads.user_room(user, stage.room_id).await.expect("it can be read"),
        None
    );
    assert!(reads.user_reads(user).await.expect("it can be read").is_empty());
    assert_eq!(
        reads.user_read(user, stage.room_id).await.expect("it can be read"),
        None
    );
    assert!(reads.members(stage.room_id).await.expect("it can be read").is_empty());
    assert!(reads.reads(stage.room_id).await.expect("it can be read").is_empty());
    assert!(stage.seqs(From::After(Seq(0)), 0, 10).await.is_empty());
    assert!(
        reads
            .messages_at(stage.room_id, &[Seq(1)])
            .await
            .expect("it can be read")
            .is_empty()
    );
    assert!(
        reads
            .messages_at(stage.room_id, &[])
            .await
            .expect("it can be read")
            .is_empty()
    );
    assert!(reads.profiles(&[user]).await.expect("it can be read").is_empty());
    assert!(reads.profiles(&[]).await.expect("it can be read").is_empty());
    assert_eq!(reads.checkpoints("nobody").await.expect("it can be read"), [0; SLICES]);

    stage.write(vec![RowWrite::Room(Box::new(stage.full_room()))]).await;
    let many: Vec<RoomId> = (0..300)
        .map(|_| RoomId(id()))
        .chain([stage.room_id, stage.room_id])
        .collect();
    let found = reads.rooms(&many).await.expect("it can be read");
    assert_eq!(found.keys().collect::<Vec<_>>(), [&stage.room_id]);
}

/// A change of one thing leaves the others, whatever their order in one flush.
pub async fn parts_of_a_room_change_alone(fresh: impl AsyncFn(Projections) -> Store) {
    let stage = Stage::set(fresh).await;
    let (room_id, owner_id) = (stage.room_id, UserId(id()));
    let mut expected = stage.full_room();
    stage.write(vec![RowWrite::Room(Box::new(expected.clone()))]).await;
    let settings = Settings {
        rename_by: Who::All,
        invite_by: Who::Admins,
    };
    let sample = vec![owner_id];
    let rows = vec![
        RowWrite::Head {
            room_id,
            version: Version(2),
            last: last(2),
        },
        RowWrite::RoomName { room_id, name: None },
        RowWrite::RoomNotice {
            room_id,
            notice: Some("new".to_owned()),
        },
        RowWrite::RoomOwner { room_id, owner_id },
        RowWrite::RoomMembers {
            room_id,
            member_count: 1,
            member_sample: sample.clone(),
        },
        RowWrite::RoomSettings { room_id, settings },
        RowWrite::RoomVersion {
            room_id,
            version: Version(3),
        },
        RowWrite::RoomClosed { room_id },
    ];
    expected = RoomRow {
        name: None,
        notice: Some("new".to_owned()),
        owner_id: Some(owner_id),
        member_count: 1,
        member_sample: sample,
        settings,
        version: Version(3),
        closed: true,
        last: Some(last(2)),
        ..expected
    };
    stage.write(rows).await;
    assert_eq!(stage.room().await, Some(expected));
}

/// Neither the head nor the version.
pub async fn a_head_never_goes_back(fresh: impl AsyncFn(Projections) -> Store) {
    let stage = Stage::set(fresh).await;
    let room_id = stage.room_id;
    stage.write(vec![RowWrite::Room(Box::new(stage.full_room()))]).await;
    for (version, seq) in [(9, 8), (5, 4), (9, 8)] {
        stage
            .write(vec![RowWrite::Head {
                room_id,
                version: Version(version),
                last: last(seq),
            }])
            .await;
        stage
            .write(vec![RowWrite::RoomVersion {
                room_id,
                version: Version(version),
            }])
            .await;
        let row = stage.room().await.expect("the room is there");
        assert_eq!((row.version, row.last), (Version(9), Some(last(8))));
    }
}

/// Before and after a seq, limited, in rising order, never below the floor.
pub async fn pages_go_both_ways_and_stop_at_the_floor(fresh: impl AsyncFn(Projections) -> Store) {
    let stage = Stage::set(fresh).await;
    stage
        .write((1..=20).map(|seq| item(stage.room_id, seq)).collect())
        .await;
    stage.write(vec![item(RoomId(id()), 7)]).await;
    assert_eq!(stage.seqs(From::Before(Seq(11)), 0, 4).await, [7, 8, 9, 10]);
    assert_eq!(stage.seqs(From::Before(Seq(100)), 0, 2).await, [19, 20]);
    assert_eq!(stage.seqs(From::Before(Seq(3)), 0, 4).await, [1, 2]);
    assert_eq!(stage.seqs(From::Before(Seq(11)), 9, 4).await, [9, 10]);
    assert_eq!(stage.seqs(From::Before(Seq(5)), 9, 4).await, [0; 0]);
    assert_eq!(stage.seqs(From::After(Seq(11)), 0, 3).await, [12, 13, 14]);
    assert_eq!(stage.seqs(From::After(Seq(18)), 0, 9).await, [19, 20]);
    assert_eq!(stage.seqs(From::After(Seq(2)), 10, 2).await, [10, 11]);
    assert_eq!(stage.seqs(From::After(Seq(20)), 0, 2).await, [0; 0]);
    assert_eq!(stage.seqs(From::After(Seq(0)), 0, 100).await.len(), 20);
}

/// Wherever a store draws its lines.
pub async fn a_page_crosses_buckets(fresh: impl AsyncFn(Projections) -> Store) {
    let stage = Stage::set(fresh).await;
    stage
        .write((4_090..=4_101).map(|seq| item(stage.room_id, seq)).collect())
        .await;
    stage
        .write((8_190..=8_193).map(|seq| item(stage.room_id, seq)).collect())
        .await;
    assert_eq!(
        stage.seqs(From::Before(Seq(4_098)), 0, 4).await,
        [4_094, 4_095, 4_096, 4_097]
    );
    assert_eq!(stage.seqs(From::After(Seq(4_094)), 0, 3).await, [4_095, 4_096, 4_097]);
    assert_eq!(
        stage.seqs(From::After(Seq(4_100)), 0, 4).await,
        [4_101, 8_190, 8_191, 8_192]
    );
    assert_eq!(stage.seqs(From::Before(Seq(8_193)), 4_096, 100).await.len(), 9);
}

/// In rising order, each once, absent ones left out.
pub async fn single_items_are_found(fresh: impl AsyncFn(Projections) -> Store) {
    let stage = Stage::set(fresh).await;
    stage
        .write([3, 5, 4_095, 4_096, 9_000].map(|seq| item(stage.room_id, seq)).to_vec())
        .await;
    let asked = [9_000, 4, 3, 4_096, 3, 12_345].map(Seq);
    let rows = stage
        .store
        .reads
        .messages_at(stage.room_id, &asked)
        .await
        .expect("it can be read");
    assert_eq!(rows.iter().map(|row| row.seq.0).collect::<Vec<_>>(), [3, 4_096, 9_000]);
}

/// Every column comes back, of items of every kind, also of lines that are no messages; a later write replaces the item.
pub async fn an_item_is_shown_as_it_was_written(fresh: impl AsyncFn(Projections) -> Store) {
    let stage = Stage::set(fresh).await;
    let users = [UserId(id()), UserId(id())];
    let mut answer = message(stage.room_id, 1);
    answer.meta = ItemMeta {
        reply_to: Some(ReplyMeta {
            seq: Seq(1),
            message_id: MessageId(id()),
            author_id: users[0],
        }),
        mentions: users.to_vec(),
        ..ItemMeta::default()
    };
    let line = |(kind, seq): (ItemKind, u64)| {
        let mut line = message(stage.room_id, seq);
        (line.message_id, line.body, line.kind) = (None, None, kind);
        line.meta = ItemMeta {
            members: users.to_vec(),
            name: Some("이름".to_owned()),
            role: Some(Role::Admin),
            ..ItemMeta::default()
        };
        line
    };
    let plain = message(stage.room_id, 2);
    let mut written = vec![answer, plain];
    written.extend(ItemKind::ALL.into_iter().zip(3..).map(line));
    stage.write(vec![item(stage.room_id, 2)]).await;
    stage
        .write(
            written
                .iter()
                .map(|row| RowWrite::Message(Box::new(row.clone())))
                .collect(),
        )
        .await;
    let page = Page {
        from: From::After(Seq(0)),
        floor: Seq(0),
        limit: written.len(),
    };
    assert_eq!(
        stage
            .store
            .reads
            .messages(stage.room_id, page)
            .await
            .expect("it can be read"),
        written
    );
}

/// A checkpoint is where the log is once the rows are there.
pub async fn checkpoints_follow_the_log(fresh: impl AsyncFn(Projections) -> Store) {
    let stage = Stage::set(fresh).await;
    let mut before = [0; SLICES];
    for round in 0..10 {
        append(&*stage.store.log, unit(room(), 0, 1)).await;
        append(&*stage.store.log, unit(stage.stream, round, 1)).await;
        let now = stage.store.reads.checkpoints("script").await.expect("it can be read");
        assert_eq!(now, stage.store.log.heads().await.expect("the log can be read"));
        assert!(
            before.iter().zip(now).all(|(before, now)| *before <= now),
            "a checkpoint fell"
        );
        before = now;
    }
}
