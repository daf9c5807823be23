//! Two numbers: what I have not read in a room, and how many have not read a message.

use std::collections::HashMap;

use cocotalk_application::port::read_model::Behind;
use cocotalk_application::row::{MemberRow, RoomReadRow, UserReadRow, UserRoomRow};
use cocotalk_domain::id::UserId;
use cocotalk_domain::limits::UNREAD_MEMBERS_SHOWN;
use cocotalk_domain::number::{Cnt, Seq};
use cocotalk_domain::room::RoomKind;

use crate::frame::MemberRead;

/// Messages of a room that its member has not read: those counted after their read position, from the first item on that
/// they may see. Read model tables may be a moment apart, so what was read may be past what is counted; that is none.
pub(crate) fn unread_count(last_cnt: Cnt, seat: &UserRoomRow, read: Option<&UserReadRow>) -> u64 {
    let read_cnt = read.map_or(Cnt(0), |read| read.read_cnt);
    last_cnt.0.saturating_sub(read_cnt.max(seat.first_cnt()).0)
}

/// Where a person has read to. In a group never before the line that let them in; in a direct room 0 before the first mark.
pub(crate) fn position(kind: RoomKind, joined_seq: Seq, read_seq: Option<Seq>) -> Seq {
    let read_seq = read_seq.unwrap_or_default();
    match kind {
        RoomKind::Group => read_seq.max(joined_seq),
        RoomKind::Direct => read_seq,
    }
}

/// Members who have not read a message, from which on it does not matter how many more there are: its author may be one.
pub(crate) const ENOUGH_BEHIND: usize = UNREAD_MEMBERS_SHOWN as usize + 1;

/// How far the present members of a room have read. Positions of people who are not members (a mark that came after their
/// leave) do not count.
#[derive(Default)]
pub(crate) struct Watermarks {
    of: HashMap<UserId, Seq>,
    sorted: Vec<Seq>,
    /// Nobody's position is known, but that as many are behind as are counted.
    enough: bool,
}

impl Watermarks {
    /// From the members and the read positions of a room.
    pub(crate) fn new(kind: RoomKind, members: &[MemberRow], reads: &[RoomReadRow]) -> Self {
        let reads: HashMap<UserId, Seq> = reads.iter().map(|read| (read.user_id, read.read_seq)).collect();
        let mark = |member: &MemberRow| {
            let read_seq = reads.get(&member.user_id).copied();
            (member.user_id, position(kind, member.joined_seq, read_seq))
        };
        Self::at(members.iter().map(mark).collect())
    }

    /// From what a large group's page needs; good for the items of that page alone.
    pub(crate) fn of_page(behind: &Behind) -> Self {
        match behind {
            Behind::Enough => Self {
                enough: true,
                ..Self::default()
            },
            Behind::These(reads) => Self::at(reads.iter().map(|read| (read.user_id, read.read_seq)).collect()),
        }
    }

    fn at(of: HashMap<UserId, Seq>) -> Self {
        let mut sorted: Vec<Seq> = of.values().copied().collect();
        sorted.sort_unstable();
        let enough = false;
        Self { of, sorted, enough }
    }

    /// Present members, the author aside, who have not read the message at `seq`; nobody counts beyond 99.
    pub(crate) fn unread(&self, seq: Seq, author: UserId) -> u64 {
        if self.enough {
            return UNREAD_MEMBERS_SHOWN;
        }
        let behind = self.sorted.partition_point(|read| *read < seq);
        let author_behind = self.of.get(&author).is_some_and(|read| *read < seq);
        (behind as u64 - u64::from(author_behind)).min(UNREAD_MEMBERS_SHOWN)
    }

    /// A member's position.
    pub(crate) fn get(&self, user: UserId) -> Option<Seq> {
        self.of.get(&user).copied()
    }

    /// Everybody's position, by id.
    pub(crate) fn all(&self) -> Vec<MemberRead> {
        let mut all: Vec<MemberRead> = self
            .of
            .iter()
            .map(|(user_id, read_seq)| MemberRead {
                user_id: *user_id,
                read_seq: *read_seq,
            })
            .collect();
        all.sort_unstable_by_key(|read| read.user_id);
        all
    }
}

#[cfg(test)]
mod tests {
    use cocotalk_domain::room::Role;
    use cocotalk_domain::time::Instant;
    use proptest::prelude::*;

    use super::*;
    use crate::testing::user;

    fn member(number: u128, joined_seq: u64) -> MemberRow {
        MemberRow {
            user_id: user(number),
            role: Role::Member,
            joined_seq: Seq(joined_seq),
            joined_at: Instant::from_millis(0),
        }
    }

    fn read(number: u128, read_seq: u64) -> RoomReadRow {
        RoomReadRow {
            user_id: user(number),
            read_seq: Seq(read_seq),
        }
    }

    fn kind() -> impl Strategy<Value = RoomKind> {
        prop_oneof![Just(RoomKind::Direct), Just(RoomKind::Group)]
    }

    #[test]
    fn a_mark_of_somebody_who_left_is_no_reader() {
        let watermarks = Watermarks::new(RoomKind::Group, &[member(1, 1)], &[read(1, 3), read(2, 1)]);
        assert_eq!(watermarks.unread(Seq(2), user(1)), 0);
        assert_eq!(watermarks.get(user(2)), None);
        assert_eq!(watermarks.all().len(), 1);
    }

    proptest! {
        #[test]
        fn the_number_is_what_counting_gives(
            kind in kind(),
            joined in proptest::collection::btree_map(0_u128..8, 1_u64..9, 0..8),
            reads in proptest::collection::btree_map(0_u128..8, 0_u64..12, 0..8),
            seq in 1_u64..12,
            author in 0_u128..8,
        ) {
            let members: Vec<MemberRow> = joined.iter().map(|(user, seq)| member(*user, *seq)).collect();
            let rows: Vec<RoomReadRow> = reads.iter().map(|(user, seq)| read(*user, *seq)).collect();
            let watermarks = Watermarks::new(kind, &members, &rows);
            let has_not_read = |(user, joined): &(&u128, &u64)| {
                let read = reads.get(*user).copied().unwrap_or(0);
                let read = if kind == RoomKind::Group { read.max(**joined) } else { read };
                **user != author && read < seq
            };
            let counted = joined.iter().filter(has_not_read).count() as u64;
            prop_assert_eq!(watermarks.unread(Seq(seq), user(author)), counted);
        }

        #[test]
        fn more_reading_never_raises_the_number(
            members in proptest::collection::vec(1_u64..9, 1..8),
            seq in 1_u64..12,
            to in 0_u64..12,
        ) {
            let members: Vec<MemberRow> = (0..).zip(members).map(|(user, seq)| member(user, seq)).collect();
            let before = Watermarks::new(RoomKind::Group, &members, &[]).unread(Seq(seq), user(99));
            let after = Watermarks::new(RoomKind::Group, &members, &[read(0, to)]).unread(Seq(seq), user(99));
            prop_assert!(after <= before);
        }
    }
}
