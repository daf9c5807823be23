//! What the read model promises, given rows through a projection.

use std::sync::Arc;

use cocotalk_domain::id::{MessageId, RoomId, UserId};
use cocotalk_domain::number::{Cnt, Seq, Version};
use cocotalk_domain::room::{Role, RoomKind, Settings, Who};
use cocotalk_domain::stream::{SLICES, StreamId};

use super::Store;
use super::script::Script;
use super::support::{append, at, id, room, room_id, sealed, unit};
use crate::port::read_model::{From, Page};
use crate::projection::Projection;
use crate::row::{
    ItemKind, ItemMeta, LastItem, MessageRow, ProfileRow, ReplyMeta, RoomReadRow, RoomRow, RowWrite, UserReadRow,
    UserRoomRow,
};

type Projections = Vec<Arc<dyn Projection>>;

/// A store, its script, and a room whose events carry the rows.
struct Stage {
    store: Store,
    script: Arc<Script>,
    stream: StreamId,
    room_id: RoomId,
}

impl Stage {
    async fn set(fresh: impl AsyncFn(Projections) -> Store) -> Self {
        let script = Script::new("script");
        let store = fresh(vec![Arc::<Script>::clone(&script)]).await;
        let stream = room();
        Self { store, script, stream, room_id: room_id(stream) }
    }

    async fn write(&self, rows: Vec<RowWrite>) {
        self.script.write(&*self.store.log, self.stream, rows).await;
    }

    async fn room(&self) -> Option<RoomRow> {
        self.store.reads.rooms(&[self.room_id]).await.expect("it can be read").remove(&self.room_id)
    }

    async fn seqs(&self, from: From, floor: u64, limit: usize) -> Vec<u64> {
        let page = Page { from, floor: Seq(floor), limit };
        let rows = self.store.reads.messages(self.room_id, page).await.expect("it can be read");
        rows.iter().map(|row| row.seq.0).collect()
    }

    fn read(&self, user_id: UserId, seq: u64) -> RowWrite {
        RowWrite::Read { room_id: self.room_id, user_id, read_seq: Seq(seq), read_cnt: Cnt(seq + 100) }
    }

    fn user_room(&self, user_id: UserId, seq: u64) -> RowWrite {
        let (joined_seq, joined_cnt) = (Seq(seq), Cnt(seq - 1));
        let peer_id = Some(UserId::from_u128(9));
        RowWrite::UserRoom { user_id, room_id: self.room_id, joined_seq, joined_cnt, joined_at: at(3), peer_id }
    }

    fn full_room(&self) -> RoomRow {
        let owner = UserId(id());
        RoomRow {
            room_id: self.room_id,
            kind: RoomKind::Group,
            name: Some("산책 🐕".to_owned()),
            owner_id: Some(owner),
            member_count: 3,
            member_sample: vec![owner, UserId(id()), UserId(id())],
            notice: Some("bring water".to_owned()),
            settings: Settings { rename_by: Who::Admins, invite_by: Who::All },
            created_at: at(1),
            closed: false,
            version: Version(1),
            last: Some(last(1)),
        }
    }
}

fn last(seq: u64) -> LastItem {
    let author_id = UserId::from_u128(5);
    LastItem {
        seq: Seq(seq),
        cnt: Cnt(seq),
        at: at(2),
        kind: ItemKind::Text,
        author_id,
        preview: Some(sealed(author_id, &format!("preview {seq}"))),
    }
}

fn message(room_id: RoomId, seq: u64) -> MessageRow {
    let author_id = UserId::from_u128(5);
    MessageRow {
        room_id,
        seq: Seq(seq),
        cnt: Cnt(seq),
        message_id: Some(MessageId(id())),
        author_id,
        kind: ItemKind::Text,
        sent_at: at(seq as i64),
        body: Some(sealed(author_id, &format!("text {seq}"))),
        meta: ItemMeta::default(),
    }
}

fn item(room_id: RoomId, seq: u64) -> RowWrite {
    RowWrite::Message(Box::new(message(room_id, seq)))
}

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
    assert_eq!(reads.user_room(user, stage.room_id).await.expect("it can be read"), None);
    assert!(reads.user_reads(user).await.expect("it can be read").is_empty());
    assert_eq!(reads.user_read(user, stage.room_id).await.expect("it can be read"), None);
    assert!(reads.members(stage.room_id).await.expect("it can be read").is_empty());
    assert!(reads.reads(stage.room_id).await.expect("it can be read").is_empty());
    assert!(stage.seqs(From::After(Seq(0)), 0, 10).await.is_empty());
    assert!(reads.messages_at(stage.room_id, &[Seq(1)]).await.expect("it can be read").is_empty());
    assert!(reads.messages_at(stage.room_id, &[]).await.expect("it can be read").is_empty());
    assert!(reads.profiles(&[user]).await.expect("it can be read").is_empty());
    assert!(reads.profiles(&[]).await.expect("it can be read").is_empty());
    assert_eq!(reads.checkpoints("nobody").await.expect("it can be read"), [0; SLICES]);

    stage.write(vec![RowWrite::Room(Box::new(stage.full_room()))]).await;
    let many: Vec<RoomId> = (0..300).map(|_| RoomId(id())).chain([stage.room_id, stage.room_id]).collect();
    let found = reads.rooms(&many).await.expect("it can be read");
    assert_eq!(found.keys().collect::<Vec<_>>(), [&stage.room_id]);
}

/// A change of one thing leaves the others, whatever their order in one flush.
pub async fn parts_of_a_room_change_alone(fresh: impl AsyncFn(Projections) -> Store) {
    let stage = Stage::set(fresh).await;
    let (room_id, owner_id) = (stage.room_id, UserId(id()));
    let mut expected = stage.full_room();
    stage.write(vec![RowWrite::Room(Box::new(expected.clone()))]).await;
    let settings = Settings { rename_by: Who::All, invite_by: Who::Admins };
    let sample = vec![owner_id];
    let rows = vec![
        RowWrite::Head { room_id, version: Version(2), last: last(2) },
        RowWrite::RoomName { room_id, name: None },
        RowWrite::RoomNotice { room_id, notice: Some("new".to_owned()) },
        RowWrite::RoomOwner { room_id, owner_id },
        RowWrite::RoomMembers { room_id, member_count: 1, member_sample: sample.clone() },
        RowWrite::RoomSettings { room_id, settings },
        RowWrite::RoomVersion { room_id, version: Version(3) },
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
        stage.write(vec![RowWrite::Head { room_id, version: Version(version), last: last(seq) }]).await;
        stage.write(vec![RowWrite::RoomVersion { room_id, version: Version(version) }]).await;
        let row = stage.room().await.expect("the room is there");
        assert_eq!((row.version, row.last), (Version(9), Some(last(8))));
    }
}

/// Before and after a seq, limited, in rising order, never below the floor.
pub async fn pages_go_both_ways_and_stop_at_the_floor(fresh: impl AsyncFn(Projections) -> Store) {
    let stage = Stage::set(fresh).await;
    stage.write((1..=20).map(|seq| item(stage.room_id, seq)).collect()).await;
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
    stage.write((4_090..=4_101).map(|seq| item(stage.room_id, seq)).collect()).await;
    stage.write((8_190..=8_193).map(|seq| item(stage.room_id, seq)).collect()).await;
    assert_eq!(stage.seqs(From::Before(Seq(4_098)), 0, 4).await, [4_094, 4_095, 4_096, 4_097]);
    assert_eq!(stage.seqs(From::After(Seq(4_094)), 0, 3).await, [4_095, 4_096, 4_097]);
    assert_eq!(stage.seqs(From::After(Seq(4_100)), 0, 4).await, [4_101, 8_190, 8_191, 8_192]);
    assert_eq!(stage.seqs(From::Before(Seq(8_193)), 4_096, 100).await.len(), 9);
}

/// In rising order, each once, absent ones left out.
pub async fn single_items_are_found(fresh: impl AsyncFn(Projections) -> Store) {
    let stage = Stage::set(fresh).await;
    stage.write([3, 5, 4_095, 4_096, 9_000].map(|seq| item(stage.room_id, seq)).to_vec()).await;
    let asked = [9_000, 4, 3, 4_096, 3, 12_345].map(Seq);
    let rows = stage.store.reads.messages_at(stage.room_id, &asked).await.expect("it can be read");
    assert_eq!(rows.iter().map(|row| row.seq.0).collect::<Vec<_>>(), [3, 4_096, 9_000]);
}

/// Every column comes back, also those of a line that is no message; a later write replaces the item.
pub async fn an_item_is_shown_as_it_was_written(fresh: impl AsyncFn(Projections) -> Store) {
    let stage = Stage::set(fresh).await;
    let users = [UserId(id()), UserId(id())];
    let mut answer = message(stage.room_id, 1);
    answer.meta = ItemMeta {
        reply_to: Some(ReplyMeta { seq: Seq(1), message_id: MessageId(id()), author_id: users[0] }),
        mentions: users.to_vec(),
        ..ItemMeta::default()
    };
    let mut line = message(stage.room_id, 2);
    (line.message_id, line.body, line.kind) = (None, None, ItemKind::Renamed);
    line.meta = ItemMeta { members: users.to_vec(), name: Some("이름".to_owned()), ..ItemMeta::default() };
    let plain = MessageRow { body: Some(sealed(UserId::from_u128(5), "")), ..message(stage.room_id, 3) };
    let written = vec![answer, line, plain];
    stage.write(vec![item(stage.room_id, 3)]).await;
    stage.write(written.iter().map(|row| RowWrite::Message(Box::new(row.clone()))).collect()).await;
    let page = Page { from: From::After(Seq(0)), floor: Seq(0), limit: 10 };
    assert_eq!(stage.store.reads.messages(stage.room_id, page).await.expect("it can be read"), written);
}

/// Only those they are in now are listed; one room is shown either way.
pub async fn a_person_sees_the_rooms_they_are_in(fresh: impl AsyncFn(Projections) -> Store) {
    let stage = Stage::set(fresh).await;
    let (user, room_id) = (UserId(id()), stage.room_id);
    stage.write(vec![stage.user_room(user, 4), stage.user_room(UserId(id()), 5)]).await;
    let rows = stage.store.reads.user_rooms(user).await.expect("it can be read");
    let expected = UserRoomRow {
        user_id: user,
        room_id,
        present: true,
        joined_seq: Seq(4),
        joined_cnt: Cnt(3),
        joined_at: at(3),
        peer_id: Some(UserId::from_u128(9)),
        floor_seq: Seq(0),
        floor_cnt: Cnt(0),
        pinned_at: None,
        muted_until: None,
        alias: None,
    };
    assert_eq!(rows, [expected.clone()]);
    stage.write(vec![RowWrite::UserRoomLeft { user_id: user, room_id }]).await;
    assert!(stage.store.reads.user_rooms(user).await.expect("it can be read").is_empty());
    let left = UserRoomRow { present: false, ..expected.clone() };
    assert_eq!(stage.store.reads.user_room(user, room_id).await.expect("it can be read"), Some(left));
    stage.write(vec![stage.user_room(user, 4)]).await;
    assert_eq!(stage.store.reads.user_room(user, room_id).await.expect("it can be read"), Some(expected));
}

/// Their columns have different owners, who may come in any order.
pub async fn what_a_seat_says_and_what_a_room_says_do_not_mix(fresh: impl AsyncFn(Projections) -> Store) {
    let stage = Stage::set(fresh).await;
    let (user_id, room_id) = (UserId(id()), stage.room_id);
    let alias = Some(sealed(user_id, "가족"));
    stage.write(vec![RowWrite::UserRoomFloor { user_id, room_id, floor_seq: Seq(9), floor_cnt: Cnt(8) }]).await;
    assert_eq!(stage.store.reads.user_room(user_id, room_id).await.expect("it can be read"), None);
    stage.write(vec![stage.user_room(user_id, 4)]).await;
    let (muted_until, pinned_at) = (Some(at(50)), Some(at(40)));
    let preferences = RowWrite::UserRoomPreferences { user_id, room_id, muted_until, pinned_at, alias: alias.clone() };
    stage.write(vec![preferences]).await;
    stage.write(vec![stage.user_room(user_id, 6)]).await;
    let row = stage.store.reads.user_room(user_id, room_id).await.expect("it can be read").expect("it is there");
    assert_eq!((row.floor_seq, row.floor_cnt, row.joined_seq), (Seq(9), Cnt(8), Seq(6)));
    assert_eq!((row.muted_until, row.pinned_at, row.alias), (muted_until, pinned_at, alias));
    let cleared =
        RowWrite::UserRoomPreferences { user_id, room_id, muted_until: None, pinned_at: None, alias: None };
    stage.write(vec![cleared]).await;
    let row = stage.store.reads.user_room(user_id, room_id).await.expect("it can be read").expect("it is there");
    assert_eq!((row.muted_until, row.pinned_at, row.alias, row.floor_seq), (None, None, None, Seq(9)));
}

/// Until they come again.
pub async fn members_who_left_are_not_shown(fresh: impl AsyncFn(Projections) -> Store) {
    let stage = Stage::set(fresh).await;
    let (room_id, users) = (stage.room_id, [UserId(id()), UserId(id()), UserId(id())]);
    let member = |user_id: UserId, role| {
        let (joined_seq, joined_at) = (Seq(2), at(7));
        RowWrite::Member { room_id, user_id, role, joined_seq, joined_at, invited_by: users[0] }
    };
    stage.write(vec![member(users[0], Role::Owner), member(users[1], Role::Member), member(users[2], Role::Member)]).await;
    let promoted = RowWrite::MemberRole { room_id, user_id: users[1], role: Role::Admin };
    stage.write(vec![promoted, RowWrite::MemberLeft { room_id, user_id: users[2] }]).await;
    let roles = || async {
        let rows = stage.store.reads.members(room_id).await.expect("it can be read");
        assert!(rows.iter().all(|row| (row.joined_seq, row.joined_at) == (Seq(2), at(7))));
        users.map(|user| rows.iter().find(|row| row.user_id == user).map(|row| row.role))
    };
    assert_eq!(roles().await, [Some(Role::Owner), Some(Role::Admin), None]);
    stage.write(vec![RowWrite::MemberLeft { room_id, user_id: users[1] }, member(users[2], Role::Member)]).await;
    assert_eq!(roles().await, [Some(Role::Owner), None, Some(Role::Member)]);
}

/// Whatever the order in which they come, in one flush or in several.
pub async fn read_positions_only_rise(fresh: impl AsyncFn(Projections) -> Store) {
    let stage = Stage::set(fresh).await;
    let (user, room_id) = (UserId(id()), stage.room_id);
    for (seqs, expected) in [(vec![5], 5), (vec![3], 5), (vec![4, 9, 7], 9), (vec![1], 9)] {
        stage.write(seqs.into_iter().map(|seq| stage.read(user, seq)).collect()).await;
        let row = UserReadRow { room_id, read_seq: Seq(expected), read_cnt: Cnt(expected + 100) };
        assert_eq!(stage.store.reads.user_read(user, room_id).await.expect("it can be read"), Some(row));
        assert_eq!(stage.store.reads.user_reads(user).await.expect("it can be read"), [row]);
        let of_room = RoomReadRow { user_id: user, read_seq: Seq(expected) };
        assert_eq!(stage.store.reads.reads(room_id).await.expect("it can be read"), [of_room]);
    }
}

/// Only in the room's list; the person's own stays.
pub async fn leaving_ends_a_read_position_but_not_a_later_one(fresh: impl AsyncFn(Projections) -> Store) {
    let stage = Stage::set(fresh).await;
    let (user_id, room_id) = (UserId(id()), stage.room_id);
    let ended = |seq| RowWrite::ReadEnded { room_id, user_id, seq: Seq(seq) };
    let position = || async {
        let rows = stage.store.reads.reads(room_id).await.expect("it can be read");
        rows.first().map(|row| row.read_seq.0)
    };
    stage.write(vec![stage.read(user_id, 5), ended(6)]).await;
    assert_eq!(position().await, None);
    assert!(stage.store.reads.user_read(user_id, room_id).await.expect("it can be read").is_some());
    stage.write(vec![stage.read(user_id, 9)]).await;
    assert_eq!(position().await, Some(9));
    stage.write(vec![ended(8)]).await;
    assert_eq!(position().await, Some(9));
    stage.write(vec![ended(10), stage.read(user_id, 12)]).await;
    assert_eq!(position().await, Some(12));
}

/// The newest one, for each of many.
pub async fn profiles_are_found_by_id(fresh: impl AsyncFn(Projections) -> Store) {
    let stage = Stage::set(fresh).await;
    let users: Vec<UserId> = (0..20).map(|_| UserId(id())).collect();
    let profile = |user_id: UserId, version| {
        ProfileRow { user_id, sealed: sealed(user_id, &format!("profile {version}")), version: Version(version) }
    };
    stage.write(users.iter().map(|user| RowWrite::Profile(profile(*user, 1))).collect()).await;
    stage.write(vec![RowWrite::Profile(profile(users[3], 2))]).await;
    let asked: Vec<UserId> = users.iter().copied().chain([UserId(id())]).collect();
    let found = stage.store.reads.profiles(&asked).await.expect("it can be read");
    assert_eq!(found.len(), 20);
    assert_eq!(found[&users[3]], profile(users[3], 2));
    assert_eq!(found[&users[4]], profile(users[4], 1));
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
        assert!(before.iter().zip(now).all(|(before, now)| *before <= now), "a checkpoint fell");
        before = now;
    }
}
