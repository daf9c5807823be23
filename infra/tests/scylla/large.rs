//! Partitions that do not fit into one page of an answer.

use std::collections::HashSet;

use cocotalk_application::contract::support::{at, id};
use cocotalk_application::port::read_model::ReadModel as _;
use cocotalk_application::port::row_store::{RowStore as _, Tables};
use cocotalk_application::row::{RowWrite, Stamped};
use cocotalk_domain::id::{RoomId, UserId};
use cocotalk_domain::number::{Cnt, Seq};
use cocotalk_domain::room::Role;

use crate::opened::Opened;

/// Rows of a partition.
const ROWS: usize = 10_000;

fn stamped(write: RowWrite) -> Stamped {
    Stamped { ts_us: 1, write }
}

const fn read(room_id: RoomId, user_id: UserId) -> RowWrite {
    RowWrite::Read {
        room_id,
        user_id,
        read_seq: Seq(7),
        read_cnt: Cnt(6),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_in_a_large_room_is_found() {
    let (opened, all) = (Opened::keyspace().await, cocotalk_projectors::all());
    let (rows, reads) = opened.tables(&all).await;
    let room_id = RoomId(id());
    let users: HashSet<UserId> = (0..ROWS).map(|_| UserId(id())).collect();
    let member = |user_id: &UserId| {
        stamped(RowWrite::Member {
            room_id,
            user_id: *user_id,
            role: Role::Member,
            joined_seq: Seq(1),
            joined_at: at(1),
            invited_by: *user_id,
        })
    };
    let members: Vec<_> = users.iter().map(member).collect();
    rows.write(Tables::of(&*all[0]), &members)
        .await
        .expect("it can be written");
    let marks: Vec<_> = users.iter().map(|user| stamped(read(room_id, *user))).collect();
    rows.write(Tables::of(&*all[1]), &marks)
        .await
        .expect("it can be written");

    let found = reads.members(room_id).await.expect("it can be read");
    assert_eq!(found.len(), ROWS);
    assert_eq!(found.iter().map(|row| row.user_id).collect::<HashSet<_>>(), users);
    let found = reads.reads(room_id).await.expect("it can be read");
    assert_eq!(found.len(), ROWS);
    assert_eq!(found.iter().map(|row| row.user_id).collect::<HashSet<_>>(), users);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_rooms_of_a_person_are_found() {
    let (opened, all) = (Opened::keyspace().await, cocotalk_projectors::all());
    let (rows, reads) = opened.tables(&all).await;
    let user_id = UserId(id());
    let rooms: HashSet<RoomId> = (0..ROWS).map(|_| RoomId(id())).collect();
    let place = |room_id: &RoomId| {
        stamped(RowWrite::UserRoom {
            user_id,
            room_id: *room_id,
            joined_seq: Seq(1),
            joined_cnt: Cnt(0),
            joined_at: at(1),
            peer_id: None,
        })
    };
    let places: Vec<_> = rooms.iter().map(place).collect();
    rows.write(Tables::of(&*all[0]), &places)
        .await
        .expect("it can be written");
    let marks: Vec<_> = rooms.iter().map(|room| stamped(read(*room, user_id))).collect();
    rows.write(Tables::of(&*all[1]), &marks)
        .await
        .expect("it can be written");

    let found = reads.user_rooms(user_id).await.expect("it can be read");
    assert_eq!(found.len(), ROWS);
    assert_eq!(found.iter().map(|row| row.room_id).collect::<HashSet<_>>(), rooms);
    let found = reads.user_reads(user_id).await.expect("it can be read");
    assert_eq!(found.len(), ROWS);
    assert_eq!(found.iter().map(|row| row.room_id).collect::<HashSet<_>>(), rooms);
}
