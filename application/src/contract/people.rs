//! What the read model promises of people: the rooms they are in, how far they have read, who they are.

use std::sync::Arc;

use cocotalk_domain::id::UserId;
use cocotalk_domain::number::{Cnt, Seq, Version};
use cocotalk_domain::room::Role;

use super::Store;
use super::stage::Stage;
use super::support::{at, id, sealed};
use crate::port::read_model::Behind;
use crate::projection::Projection;
use crate::row::{ProfileRow, RoomReadRow, RowWrite, UserReadRow, UserRoomRow};

type Projections = Vec<Arc<dyn Projection>>;

/// Only those they are in now are listed; one room is shown either way.
pub async fn a_person_sees_the_rooms_they_are_in(fresh: impl AsyncFn(Projections) -> Store) {
    let stage = Stage::set(fresh).await;
    let (user, room_id) = (UserId(id()), stage.room_id);
    stage
        .write(vec![stage.user_room(user, 4), stage.user_room(UserId(id()), 5)])
        .await;
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
        last_hidden: Seq(0),
    };
    assert_eq!(rows, std::slice::from_ref(&expected));
    stage
        .write(vec![RowWrite::UserRoomLeft { user_id: user, room_id }])
        .await;
    assert!(
        stage
            .store
            .reads
            .user_rooms(user)
            .await
            .expect("it can be read")
            .is_empty()
    );
    let left = UserRoomRow {
        present: false,
        ..expected.clone()
    };
    assert_eq!(
        stage
            .store
            .reads
            .user_room(user, room_id)
            .await
            .expect("it can be read"),
        Some(left)
    );
    stage.write(vec![stage.user_room(user, 4)]).await;
    assert_eq!(
        stage
            .store
            .reads
            .user_room(user, room_id)
            .await
            .expect("it can be read"),
        Some(expected)
    );
}

/// Their columns have different owners, who may come in any order.
pub async fn what_a_seat_says_and_what_a_room_says_do_not_mix(fresh: impl AsyncFn(Projections) -> Store) {
    let stage = Stage::set(fresh).await;
    let (user_id, room_id) = (UserId(id()), stage.room_id);
    let alias = Some(sealed(user_id, "가족"));
    stage
        .write(vec![RowWrite::UserRoomFloor {
            user_id,
            room_id,
            floor_seq: Seq(9),
            floor_cnt: Cnt(8),
        }])
        .await;
    assert_eq!(
        stage
            .store
            .reads
            .user_room(user_id, room_id)
            .await
            .expect("it can be read"),
        None
    );
    stage.write(vec![stage.user_room(user_id, 4)]).await;
    let (muted_until, pinned_at) = (Some(at(50)), Some(at(40)));
    let preferences = RowWrite::UserRoomPreferences {
        user_id,
        room_id,
        muted_until,
        pinned_at,
        alias: alias.clone(),
    };
    stage.write(vec![preferences]).await;
    stage.write(vec![stage.user_room(user_id, 6)]).await;
    let row = stage
        .store
        .reads
        .user_room(user_id, room_id)
        .await
        .expect("it can be read")
        .expect("it is there");
    assert_eq!((row.floor_seq, row.floor_cnt, row.joined_seq), (Seq(9), Cnt(8), Seq(6)));
    assert_eq!(
        (row.muted_until, row.pinned_at, row.alias),
        (muted_until, pinned_at, alias)
    );
    let cleared = RowWrite::UserRoomPreferences {
        user_id,
        room_id,
        muted_until: None,
        pinned_at: None,
        alias: None,
    };
    stage.write(vec![cleared]).await;
    let row = stage
        .store
        .reads
        .user_room(user_id, room_id)
        .await
        .expect("it can be read")
        .expect("it is there");
    assert_eq!(
        (row.muted_until, row.pinned_at, row.alias, row.floor_seq),
        (None, None, None, Seq(9))
    );
}

/// Until they come again.
pub async fn members_who_left_are_not_shown(fresh: impl AsyncFn(Projections) -> Store) {
    let stage = Stage::set(fresh).await;
    let (room_id, users) = (stage.room_id, [UserId(id()), UserId(id()), UserId(id())]);
    let member = |user_id: UserId, role| {
        let (joined_seq, joined_at) = (Seq(2), at(7));
        RowWrite::Member {
            room_id,
            user_id,
            role,
            joined_seq,
            joined_at,
            invited_by: users[0],
        }
    };
    stage
        .write(vec![
            member(users[0], Role::Owner),
            member(users[1], Role::Member),
            member(users[2], Role::Member),
        ])
        .await;
    let promoted = RowWrite::MemberRole {
        room_id,
        user_id: users[1],
        role: Role::Admin,
    };
    stage
        .write(vec![
            promoted,
            RowWrite::MemberLeft {
                room_id,
                user_id: users[2],
            },
        ])
        .await;
    let reads = &stage.store.reads;
    let alone = async |user| reads.member(room_id, user).await.expect("it can be read");
    assert_eq!(alone(users[1]).await.map(|row| row.role), Some(Role::Admin));
    assert_eq!([alone(users[2]).await, alone(UserId(id())).await], [None, None]);
    let roles = || async {
        let rows = stage.store.reads.members(room_id).await.expect("it can be read");
        assert!(
            rows.iter()
                .all(|row| (row.joined_seq, row.joined_at) == (Seq(2), at(7)))
        );
        users.map(|user| rows.iter().find(|row| row.user_id == user).map(|row| row.role))
    };
    assert_eq!(roles().await, [Some(Role::Owner), Some(Role::Admin), None]);
    stage
        .write(vec![
            RowWrite::MemberLeft {
                room_id,
                user_id: users[1],
            },
            member(users[2], Role::Member),
        ])
        .await;
    assert_eq!(roles().await, [Some(Role::Owner), None, Some(Role::Member)]);
}

/// Whoever came later, left or has read all of it does not count, and where enough have read nothing of it they alone matter.
pub async fn who_is_behind_a_page_is_a_member_who_has_not_read_it(fresh: impl AsyncFn(Projections) -> Store) {
    let stage = Stage::set(fresh).await;
    let room_id = stage.room_id;
    let mut rows = Vec::new();
    let mut come = |joined_seq: u64, read_seq: u64| {
        let user_id = UserId(id());
        rows.push(RowWrite::Member {
            room_id,
            user_id,
            role: Role::Member,
            joined_seq: Seq(joined_seq),
            joined_at: at(7),
            invited_by: user_id,
        });
        rows.push(stage.read(user_id, read_seq));
        user_id
    };
    let (none, some, all) = (come(1, 1), come(1, 12), come(1, 20));
    let (late, amid, left, also) = (come(30, 30), come(2, 15), come(1, 1), come(1, 9));
    // A mark of somebody who was never in the room.
    rows.push(stage.read(UserId(id()), 1));
    stage.write(rows).await;
    stage.write(vec![RowWrite::MemberLeft { room_id, user_id: left }]).await;
    let behind = async |first: u64, last: u64, enough: usize| {
        let page = Seq(first)..=Seq(last);
        let behind = stage.store.reads.behind(room_id, page, enough).await;
        match behind.expect("it can be read") {
            Behind::Enough => None,
            Behind::These(rows) => {
                let mut rows: Vec<_> = rows.into_iter().map(|row| (row.user_id, row.read_seq.0)).collect();
                rows.sort_unstable();
                Some(rows)
            }
        }
    };
    let sorted = |mut rows: Vec<(UserId, u64)>| {
        rows.sort_unstable();
        Some(rows)
    };
    let everybody = sorted(vec![(none, 1), (some, 12), (amid, 15), (also, 9)]);
    assert_eq!(
        behind(10, 20, 3).await,
        everybody,
        "{all} has read it, {late} came later"
    );
    assert_eq!(behind(10, 20, 2).await, None);
    assert_eq!(behind(9, 12, 2).await, sorted(vec![(none, 1), (also, 9)]));
    assert_eq!(behind(1, 1, 1).await, sorted(vec![]));
}

/// Whatever the order in which they come, in one flush or in several.
pub async fn read_positions_only_rise(fresh: impl AsyncFn(Projections) -> Store) {
    let stage = Stage::set(fresh).await;
    let (user, room_id) = (UserId(id()), stage.room_id);
    for (seqs, expected) in [(vec![5], 5), (vec![3], 5), (vec![4, 9, 7], 9), (vec![1], 9)] {
        stage
            .write(seqs.into_iter().map(|seq| stage.read(user, seq)).collect())
            .await;
        let row = UserReadRow {
            room_id,
            read_seq: Seq(expected),
            read_cnt: Cnt(expected + 100),
        };
        assert_eq!(
            stage
                .store
                .reads
                .user_read(user, room_id)
                .await
                .expect("it can be read"),
            Some(row)
        );
        assert_eq!(stage.store.reads.user_reads(user).await.expect("it can be read"), [row]);
        let of_room = RoomReadRow {
            user_id: user,
            read_seq: Seq(expected),
        };
        assert_eq!(
            stage.store.reads.reads(room_id).await.expect("it can be read"),
            [of_room]
        );
    }
}

/// Only in the room's list; the person's own stays.
pub async fn leaving_ends_a_read_position_but_not_a_later_one(fresh: impl AsyncFn(Projections) -> Store) {
    let stage = Stage::set(fresh).await;
    let (user_id, room_id) = (UserId(id()), stage.room_id);
    let ended = |seq| RowWrite::ReadEnded {
        room_id,
        user_id,
        seq: Seq(seq),
    };
    let position = || async {
        let rows = stage.store.reads.reads(room_id).await.expect("it can be read");
        rows.first().map(|row| row.read_seq.0)
    };
    stage.write(vec![stage.read(user_id, 5), ended(6)]).await;
    assert_eq!(position().await, None);
    assert!(
        stage
            .store
            .reads
            .user_read(user_id, room_id)
            .await
            .expect("it can be read")
            .is_some()
    );
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
    let profile = |user_id: UserId, version| ProfileRow {
        user_id,
        sealed: sealed(user_id, &format!("profile {version}")),
        version: Version(version),
    };
    stage
        .write(users.iter().map(|user| RowWrite::Profile(profile(*user, 1))).collect())
        .await;
    stage.write(vec![RowWrite::Profile(profile(users[3], 2))]).await;
    let asked: Vec<UserId> = users.iter().copied().chain([UserId(id())]).collect();
    let found = stage.store.reads.profiles(&asked).await.expect("it can be read");
    assert_eq!(found.len(), 20);
    assert_eq!(found[&users[3]], profile(users[3], 2));
    assert_eq!(found[&users[4]], profile(users[4], 1));
}
