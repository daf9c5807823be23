//! What writing rows promises: the later event wins, whatever the order and however often; and a version tells of its rows.

use cocotalk_domain::id::{RoomId, UserId};
use cocotalk_domain::number::{Cnt, Seq, Version};
use cocotalk_domain::room::{Role, Settings, Who};
use cocotalk_domain::stream::{SLICES, Slice};
use rand::seq::SliceRandom as _;

use super::RowTables;
use super::messages::{emoji, totals};
use super::stage::{full_room, item, last, message};
use super::support::{at, id, sealed};
use crate::port::read_model::{From, Page, ReadModel};
use crate::port::row_store::{Checkpoint, Tables};
use crate::row::{LastItem, MemberRow, ProfileRow, RoomRow, RowWrite, Stamped};

/// A write of an event at this instant.
const fn of(ts_us: i64, write: RowWrite) -> Stamped {
    Stamped { ts_us, write }
}

/// What is in a room's and a person's tables, as text.
async fn seen(reads: &dyn ReadModel, room: RoomId, user: UserId) -> String {
    let items = reads.messages(room, after(0, 1_000)).await.expect("it can be read");
    let rooms = reads.rooms(&[room]).await.expect("it can be read");
    let members = sorted(reads.members(room).await.expect("it can be read"));
    let positions = reads.reads(room).await.expect("it can be read");
    let place = reads.user_room(user, room).await.expect("it can be read");
    let own = reads.user_read(user, room).await.expect("it can be read");
    let profiles = reads.profiles(&[user]).await.expect("it can be read");
    let hidden = reads.hidden(user, &[(room, Seq(0))]).await.expect("it can be read");
    let seqs: Vec<Seq> = items.iter().map(|row| row.seq).collect();
    let mut reactions = reads.reactions(user, room, &seqs).await.expect("it can be read");
    reactions.sort_unstable();
    format!("{items:?} {rooms:?} {members:?} {positions:?} {place:?} {own:?} {profiles:?} {hidden:?} {reactions:?}")
}

/// A head whose item was deleted.
fn gone(seq: u64) -> LastItem {
    LastItem {
        preview: None,
        deleted: true,
        ..last(seq)
    }
}

fn sorted(mut members: Vec<MemberRow>) -> Vec<MemberRow> {
    members.sort_unstable_by_key(|row| row.user_id);
    members
}

const fn after(seq: u64, limit: usize) -> Page {
    Page {
        from: From::After(Seq(seq)),
        floor: Seq(0),
        limit,
    }
}

async fn room_row(store: &RowTables, room: RoomId) -> Option<RoomRow> {
    let mut rooms = store.reads.rooms(&[room]).await.expect("it can be read");
    rooms.remove(&room)
}

/// One of every kind of write, and most of them twice with different contents, as events of one room would make them.
fn history(room_id: RoomId, user_id: UserId) -> Vec<Stamped> {
    let other = UserId::from_u128(6);
    let settings = Settings {
        rename_by: Who::All,
        invite_by: Who::Admins,
    };
    let writes = vec![
        RowWrite::Room(Box::new(full_room(room_id))),
        member(room_id, user_id, Role::Owner, 1),
        member(room_id, other, Role::Member, 1),
        user_room(room_id, user_id, 1),
        item(room_id, 1),
        read(room_id, user_id, 1),
        head(room_id, 2),
        item(room_id, 2),
        read(room_id, user_id, 2),
        preferences(room_id, user_id, true),
        name(room_id, Some("first")),
        notice(room_id, Some("first")),
        RowWrite::RoomMembers {
            room_id,
            member_count: 3,
            member_sample: vec![user_id, other],
        },
        RowWrite::UserRoomFloor {
            user_id,
            room_id,
            floor_seq: Seq(2),
            floor_cnt: Cnt(1),
        },
        RowWrite::MemberRole {
            room_id,
            user_id,
            role: Role::Admin,
        },
        RowWrite::MemberLeft {
            room_id,
            user_id: other,
        },
        head(room_id, 3),
        item(room_id, 3),
        last_changed(room_id, 3, Some("in other words")),
        last_changed(room_id, 3, None),
        edited(room_id, 1, "first"),
        edited(room_id, 1, "second"),
        reactions(room_id, 1, &[("👍", 1)]),
        reactor(room_id, user_id, Some("👍")),
        reactions(room_id, 1, &[("❤", 1)]),
        reactor(room_id, user_id, Some("❤")),
        edited(room_id, 2, "first"),
        reactions(room_id, 2, &[("👍", 1)]),
        RowWrite::MessageDeleted {
            room_id,
            seq: Seq(2),
            at: at(6),
        },
        RowWrite::Hidden {
            user_id,
            room_id,
            seq: Seq(3),
        },
        RowWrite::UserRoomHidden {
            user_id,
            room_id,
            last_hidden: Seq(3),
        },
        RowWrite::RoomSettings { room_id, settings },
        RowWrite::RoomOwner {
            room_id,
            owner_id: other,
        },
        RowWrite::UserRoomLeft { user_id, room_id },
        RowWrite::MemberLeft { room_id, user_id },
        RowWrite::ReadEnded {
            room_id,
            user_id,
            seq: Seq(4),
        },
        user_room(room_id, user_id, 5),
        member(room_id, user_id, Role::Member, 5),
        read(room_id, user_id, 5),
        preferences(room_id, user_id, false),
        name(room_id, None),
        notice(room_id, None),
        RowWrite::RoomMembers {
            room_id,
            member_count: 1,
            member_sample: vec![user_id],
        },
        profile(user_id, 1),
        profile(user_id, 2),
        RowWrite::RoomVersion {
            room_id,
            version: Version(30),
        },
        RowWrite::RoomClosed { room_id },
    ];
    (1..)
        .zip(writes)
        .map(|(ts_us, write)| of(ts_us * 1_000, write))
        .collect()
}

fn member(room_id: RoomId, user_id: UserId, role: Role, seq: u64) -> RowWrite {
    RowWrite::Member {
        room_id,
        user_id,
        role,
        joined_seq: Seq(seq),
        joined_at: at(seq as i64),
        invited_by: user_id,
    }
}

fn user_room(room_id: RoomId, user_id: UserId, seq: u64) -> RowWrite {
    RowWrite::UserRoom {
        user_id,
        room_id,
        joined_seq: Seq(seq),
        joined_cnt: Cnt(seq - 1),
        joined_at: at(seq as i64),
        peer_id: Some(UserId::from_u128(6)),
    }
}

fn preferences(room_id: RoomId, user_id: UserId, is_set: bool) -> RowWrite {
    RowWrite::UserRoomPreferences {
        user_id,
        room_id,
        muted_until: is_set.then_some(at(9)),
        pinned_at: is_set.then_some(at(8)),
        alias: is_set.then(|| sealed(user_id, "가족")),
    }
}

fn name(room_id: RoomId, name: Option<&str>) -> RowWrite {
    let name = name.map(str::to_owned);
    RowWrite::RoomName { room_id, name }
}

fn notice(room_id: RoomId, notice: Option<&str>) -> RowWrite {
    let notice = notice.map(str::to_owned);
    RowWrite::RoomNotice { room_id, notice }
}

fn head(room_id: RoomId, seq: u64) -> RowWrite {
    RowWrite::Head {
        room_id,
        version: Version(seq),
        last: last(seq),
    }
}

fn last_changed(room_id: RoomId, seq: u64, text: Option<&str>) -> RowWrite {
    RowWrite::LastChanged {
        room_id,
        seq: Seq(seq),
        author_id: last(seq).author_id,
        preview: text.map(|text| sealed(last(seq).author_id, text)),
        deleted: text.is_none(),
    }
}

fn edited(room_id: RoomId, seq: u64, text: &str) -> RowWrite {
    RowWrite::MessageEdited {
        room_id,
        seq: Seq(seq),
        author_id: last(seq).author_id,
        body: sealed(last(seq).author_id, text),
        at: at(5),
    }
}

fn reactions(room_id: RoomId, seq: u64, counts: &[(&str, u32)]) -> RowWrite {
    RowWrite::Reactions {
        room_id,
        seq: Seq(seq),
        reactions: totals(counts),
    }
}

fn reactor(room_id: RoomId, user_id: UserId, with: Option<&str>) -> RowWrite {
    RowWrite::Reactor {
        room_id,
        seq: Seq(1),
        user_id,
        emoji: with.map(emoji),
        at: at(5),
    }
}

fn read(room_id: RoomId, user_id: UserId, seq: u64) -> RowWrite {
    RowWrite::Read {
        room_id,
        user_id,
        read_seq: Seq(seq),
        read_cnt: Cnt(seq + 100),
    }
}

fn profile(user_id: UserId, version: u64) -> RowWrite {
    RowWrite::Profile(ProfileRow {
        user_id,
        sealed: sealed(user_id, &format!("profile {version}")),
        version: Version(version),
    })
}

/// Whatever comes again, doubled, in another order, alone or together: what is read stays what the last event left.
pub async fn order_and_repetition_change_nothing(store: RowTables) {
    let (room, user) = (RoomId(id()), UserId(id()));
    let history = history(room, user);
    for stamped in &history {
        store.write(std::slice::from_ref(stamped)).await;
    }
    let expected = seen(&*store.reads, room, user).await;
    let row = room_row(&store, room).await.expect("the room is there");
    assert_eq!(
        (row.version, row.last, row.name, row.notice),
        (Version(30), Some(gone(3)), None, None)
    );
    for _ in 0..5 {
        let from = rand::random_range(0..history.len());
        let mut again = [&history[from..], &history[from..]].concat();
        again.shuffle(&mut rand::rng());
        store.write(&again).await;
        assert_eq!(seen(&*store.reads, room, user).await, expected, "repeated from {from}");
    }
    // The newest first: what comes late must not be shown.
    let (other_room, other_user) = (RoomId(id()), UserId(id()));
    let again = self::history(other_room, other_user);
    for stamped in again.iter().rev() {
        store.write(std::slice::from_ref(stamped)).await;
    }
    let row = room_row(&store, other_room).await.expect("the room is there");
    assert_eq!(
        (row.version, row.last, row.name, row.notice, row.closed),
        (Version(30), Some(gone(3)), None, None, true)
    );
    let place = store
        .reads
        .user_room(other_user, other_room)
        .await
        .expect("it can be read");
    let place = place.expect("it is there");
    assert_eq!(
        (place.present, place.joined_seq, place.muted_until, place.floor_seq),
        (true, Seq(5), None, Seq(2))
    );
    let roles: Vec<_> = store.reads.members(other_room).await.expect("it can be read");
    let roles: Vec<_> = roles.iter().map(|row| (row.user_id, row.role)).collect();
    assert_eq!(roles, [(other_user, Role::Member)]);
}

/// The head and the version of an earlier event that comes late are not shown.
pub async fn a_head_does_not_go_back(store: RowTables) {
    let room = RoomId(id());
    store.write(&[of(1, RowWrite::Room(Box::new(full_room(room))))]).await;
    for (ts_us, seq) in [(9, 8), (5, 4), (9, 8)] {
        store.write(&[of(ts_us, head(room, seq))]).await;
        let row = room_row(&store, room).await.expect("the room is there");
        assert_eq!((row.version, row.last), (Version(8), Some(last(8))));
    }
}

/// The furthest position wins whatever its event's time; an ended one stays ended for anything not past its line.
pub async fn read_positions_are_registers(store: RowTables) {
    let (room, user_id) = (RoomId(id()), UserId(id()));
    let ended = |seq| RowWrite::ReadEnded {
        room_id: room,
        user_id,
        seq: Seq(seq),
    };
    let positions = async || {
        let of_room = store.reads.reads(room).await.expect("it can be read");
        let own = store.reads.user_read(user_id, room).await.expect("it can be read");
        (
            of_room.first().map(|row| row.read_seq.0),
            own.map(|row| (row.read_seq.0, row.read_cnt.0)),
        )
    };
    store.write(&[of(900, read(room, user_id, 7))]).await;
    store.write(&[of(950, read(room, user_id, 5))]).await;
    assert_eq!(positions().await, (Some(7), Some((7, 107))));
    store.write(&[of(10, read(room, user_id, 9))]).await;
    assert_eq!(positions().await, (Some(9), Some((9, 109))));
    store.write(&[of(20, ended(10))]).await;
    assert_eq!(positions().await, (None, Some((9, 109))));
    store.write(&[of(30, read(room, user_id, 8)), of(40, ended(10))]).await;
    store.write(&[of(50, read(room, user_id, 10))]).await;
    assert_eq!(positions().await.0, None, "not past the line");
    store.write(&[of(60, read(room, user_id, 11))]).await;
    assert_eq!(positions().await, (Some(11), Some((11, 111))));
    store.write(&[of(20, ended(10))]).await;
    assert_eq!(positions().await.0, Some(11), "an old end comes again");
}

/// What only one of its owners has written is not shown, and does not get lost.
pub async fn rows_without_their_owner_are_not_shown(store: RowTables) {
    let (room_id, user_id) = (RoomId(id()), UserId(id()));
    let role = Role::Admin;
    store
        .write(&[
            of(90, head(room_id, 5)),
            of(91, preferences(room_id, user_id, true)),
            of(92, RowWrite::MemberRole { room_id, user_id, role }),
        ])
        .await;
    assert_eq!(room_row(&store, room_id).await, None);
    assert!(
        store
            .reads
            .user_rooms(user_id)
            .await
            .expect("it can be read")
            .is_empty()
    );
    assert_eq!(
        store.reads.user_room(user_id, room_id).await.expect("it can be read"),
        None
    );
    assert!(store.reads.members(room_id).await.expect("it can be read").is_empty());
    store
        .write(&[
            of(1, RowWrite::Room(Box::new(full_room(room_id)))),
            of(2, user_room(room_id, user_id, 1)),
            of(3, member(room_id, user_id, Role::Member, 1)),
        ])
        .await;
    let row = room_row(&store, room_id).await.expect("the room is there");
    assert_eq!((row.version, row.last), (Version(5), Some(last(5))));
    let place = store.reads.user_rooms(user_id).await.expect("it can be read");
    assert_eq!(place.iter().map(|row| row.pinned_at).collect::<Vec<_>>(), [Some(at(8))]);
    let members = store.reads.members(room_id).await.expect("it can be read");
    assert_eq!(members.iter().map(|row| row.role).collect::<Vec<_>>(), [Role::Admin]);
}

/// Who sees a version sees every other row of its call, at any moment.
pub async fn a_version_is_not_seen_before_its_rows(store: RowTables) {
    const FLUSHES: u64 = 40;
    const ITEMS: u64 = 50;
    let room = RoomId(id());
    store.write(&[of(1, RowWrite::Room(Box::new(full_room(room))))]).await;
    let writing = async {
        for flush in 0..FLUSHES {
            let seqs = flush * ITEMS + 2..(flush + 1) * ITEMS + 2;
            // Two versions a head: that of its own event and that of another one right after it.
            let newest = seqs.end - 1;
            let (version, next) = (Version(2 * newest), Version(2 * newest + 1));
            let head = RowWrite::Head {
                room_id: room,
                version,
                last: last(newest),
            };
            let name = name(room, Some(&format!("name {newest}")));
            let writes = std::iter::once(head)
                .chain(seqs.map(|seq| item(room, seq)))
                .chain([name]);
            let mut writes: Vec<_> = writes.map(|write| of(version.0 as i64, write)).collect();
            let version = next;
            writes.push(of(version.0 as i64, RowWrite::RoomVersion { room_id: room, version }));
            store.write(&writes).await;
        }
    };
    let reading = async {
        let mut last_seq = 1;
        while last_seq < FLUSHES * ITEMS {
            let row = room_row(&store, room).await.expect("the room is there");
            let head = row.last.expect("it has a head").seq;
            assert!(head.0 >= last_seq, "the head went back from {last_seq} to {head}");
            assert!(row.version.0 / 2 <= head.0, "a version before its head");
            last_seq = head.0;
            let page = Page {
                from: From::Before(Seq(last_seq + 1)),
                floor: Seq(2),
                limit: ITEMS as usize,
            };
            let items = store.reads.messages(room, page).await.expect("it can be read");
            let expected = last_seq.saturating_sub(1).min(ITEMS) as usize;
            assert_eq!(items.len(), expected, "items below the head {last_seq}");
        }
    };
    tokio::join!(writing, reading);
}

/// Both numbers only rise, each by itself, in every slice and every version of the tables by itself.
pub async fn checkpoints_only_rise(store: RowTables) {
    let of_rooms = store.tables[0];
    let slice = Slice::new(rand::random_range(0..SLICES)).expect("there are so many");
    let before = store.rows.progress(of_rooms).await.expect("it can be read");
    let base = before[slice.index()].position + 10;
    let steps = [(0, 0), (5, 2), (3, 4), (3, 1), (9, 4)];
    let mut expected = Checkpoint::default();
    for (position, settled) in steps.map(|(position, settled)| (base + position, base + settled)) {
        let checkpoint = Checkpoint { position, settled };
        let saved = store.rows.save_checkpoint(of_rooms, slice, checkpoint).await;
        saved.expect("it can be written");
        expected = Checkpoint {
            position: expected.position.max(position),
            settled: expected.settled.max(settled),
        };
        let progress = store.rows.progress(of_rooms).await.expect("it can be read");
        assert_eq!(progress[slice.index()], expected);
    }
    let shown = store
        .reads
        .checkpoints(of_rooms.projection)
        .await
        .expect("it can be read");
    assert_eq!(shown[slice.index()], expected.position);
    let progress = store.rows.progress(of_rooms).await.expect("it can be read");
    for other in Slice::all().filter(|other| *other != slice) {
        assert_eq!(progress[other.index()], before[other.index()], "another slice");
    }
    let of_people = store.tables[2];
    let others = store.rows.progress(of_people).await.expect("it can be read");
    assert!(others[slice.index()].position < base, "another projection");
}

/// Many rows in one call, of one room and of many, over every border that a store may draw.
pub async fn a_large_call_is_written_whole(store: RowTables) {
    let room = RoomId(id());
    let mut writes: Vec<_> = (1..=4_500).map(|seq| of(seq as i64, item(room, seq))).collect();
    let rooms: Vec<RoomId> = (0..300).map(|_| RoomId(id())).collect();
    writes.extend(
        rooms
            .iter()
            .map(|room| of(1, RowWrite::Room(Box::new(full_room(*room))))),
    );
    writes.extend(rooms.iter().map(|room| of(2, item(*room, 1))));
    writes.shuffle(&mut rand::rng());
    store.write(&writes).await;
    let items = store
        .reads
        .messages(room, after(0, 10_000))
        .await
        .expect("it can be read");
    assert!(items.iter().map(|row| row.seq.0).eq(1..=4_500));
    assert_eq!(store.reads.rooms(&rooms).await.expect("it can be read").len(), 300);
    for some in &rooms {
        assert_eq!(
            store
                .reads
                .messages(*some, after(0, 9))
                .await
                .expect("it can be read")
                .len(),
            1
        );
    }
}

/// A text of every size that a message may have, also many of the largest in one call.
pub async fn large_items_are_written(store: RowTables) {
    let room = RoomId(id());
    let items = (1..=60).map(|seq| {
        let mut row = message(room, seq);
        row.body = Some(sealed(
            row.author_id,
            &"가".repeat(5_400 * usize::from(seq % 3 != 0) + 1),
        ));
        row
    });
    let items: Vec<_> = items.collect();
    let writes = items.iter().map(|row| of(1, RowWrite::Message(Box::new(row.clone()))));
    store.write(&writes.collect::<Vec<_>>()).await;
    assert_eq!(
        store.reads.messages(room, after(0, 100)).await.expect("it can be read"),
        items
    );
}

/// An empty call is none.
pub async fn nothing_is_written_by_an_empty_call(store: RowTables) {
    for tables in store.tables {
        store.rows.write(tables, &[]).await.expect("it can be written");
    }
}

impl RowTables {
    /// Writes, each to the tables that it belongs to.
    async fn write(&self, writes: &[Stamped]) {
        let [rooms, reads, people] = self.tables;
        for tables in [rooms, reads, people] {
            let of_these = writes.iter().filter(|stamped| self.owner(&stamped.write) == tables);
            let of_these: Vec<_> = of_these.cloned().collect();
            if !of_these.is_empty() {
                self.rows.write(tables, &of_these).await.expect("it can be written");
            }
        }
    }

    const fn owner(&self, write: &RowWrite) -> Tables {
        let [rooms, reads, people] = self.tables;
        match write {
            RowWrite::Read { .. } | RowWrite::ReadEnded { .. } => reads,
            RowWrite::Profile(_) => people,
            RowWrite::Message(_)
            | RowWrite::MessageEdited { .. }
            | RowWrite::MessageDeleted { .. }
            | RowWrite::Reactions { .. }
            | RowWrite::Reactor { .. }
            | RowWrite::LastChanged { .. }
            | RowWrite::Hidden { .. }
            | RowWrite::UserRoomHidden { .. }
            | RowWrite::Room(_)
            | RowWrite::Head { .. }
            | RowWrite::RoomVersion { .. }
            | RowWrite::RoomMembers { .. }
            | RowWrite::RoomOwner { .. }
            | RowWrite::RoomName { .. }
            | RowWrite::RoomNotice { .. }
            | RowWrite::RoomSettings { .. }
            | RowWrite::RoomClosed { .. }
            | RowWrite::UserRoom { .. }
            | RowWrite::UserRoomLeft { .. }
            | RowWrite::UserRoomFloor { .. }
            | RowWrite::UserRoomPreferences { .. }
            | RowWrite::Member { .. }
            | RowWrite::MemberLeft { .. }
            | RowWrite::MemberRole { .. } => rooms,
        }
    }
}
