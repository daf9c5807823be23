//! The read model over the tables in memory.

use std::collections::{BTreeSet, HashMap};
use std::ops::Bound;

use async_trait::async_trait;
use cocotalk_application::error::StoreError;
use cocotalk_application::port::read_model::{From, Page, ReadModel};
use cocotalk_application::row::{MemberRow, MessageRow, ProfileRow, RoomReadRow, RoomRow, UserReadRow, UserRoomRow};
use cocotalk_domain::id::{RoomId, UserId};
use cocotalk_domain::number::Seq;
use cocotalk_domain::stream::SLICES;
use cocotalk_domain::text::Emoji;

use super::MemoryStore;

/// The smallest and the largest id, as ends of a range.
const FIRST: u128 = 0;
const LAST: u128 = u128::MAX;

#[async_trait]
impl ReadModel for MemoryStore {
    async fn rooms(&self, rooms: &[RoomId]) -> Result<HashMap<RoomId, RoomRow>, StoreError> {
        let state = self.state();
        Ok(rooms
            .iter()
            .filter_map(|room| Some((*room, state.tables.rooms.get(room)?.clone())))
            .collect())
    }

    async fn user_rooms(&self, user: UserId) -> Result<Vec<UserRoomRow>, StoreError> {
        let state = self.state();
        let range = (user, RoomId::from_u128(FIRST))..=(user, RoomId::from_u128(LAST));
        let rows = state
            .tables
            .user_rooms
            .range(range)
            .filter_map(|(_, place)| place.row.as_ref());
        Ok(rows.filter(|row| row.present).cloned().collect())
    }

    async fn user_room(&self, user: UserId, room: RoomId) -> Result<Option<UserRoomRow>, StoreError> {
        Ok(self
            .state()
            .tables
            .user_rooms
            .get(&(user, room))
            .and_then(|place| place.row.clone()))
    }

    async fn user_reads(&self, user: UserId) -> Result<Vec<UserReadRow>, StoreError> {
        let state = self.state();
        let range = (user, RoomId::from_u128(FIRST))..=(user, RoomId::from_u128(LAST));
        Ok(state.tables.user_reads.range(range).map(|(_, row)| *row).collect())
    }

    async fn user_read(&self, user: UserId, room: RoomId) -> Result<Option<UserReadRow>, StoreError> {
        Ok(self.state().tables.user_reads.get(&(user, room)).copied())
    }

    async fn members(&self, room: RoomId) -> Result<Vec<MemberRow>, StoreError> {
        let state = self.state();
        let range = (room, UserId::from_u128(FIRST))..=(room, UserId::from_u128(LAST));
        let members = state.tables.members.range(range).map(|(_, member)| member);
        Ok(members
            .filter(|member| member.present)
            .map(|member| member.row.clone())
            .collect())
    }

    async fn member(&self, room: RoomId, user: UserId) -> Result<Option<MemberRow>, StoreError> {
        let state = self.state();
        let member = state.tables.members.get(&(room, user));
        Ok(member.filter(|member| member.present).map(|member| member.row.clone()))
    }

    async fn reads(&self, room: RoomId) -> Result<Vec<RoomReadRow>, StoreError> {
        let state = self.state();
        let range = (room, UserId::from_u128(FIRST))..=(room, UserId::from_u128(LAST));
        Ok(state.tables.room_reads.range(range).map(|(_, row)| *row).collect())
    }

    async fn messages(&self, room: RoomId, page: Page) -> Result<Vec<MessageRow>, StoreError> {
        let state = self.state();
        let (floor, last) = (
            Bound::Included((room, page.floor)),
            Bound::Included((room, Seq(u64::MAX))),
        );
        let rows = state.tables.messages.range((floor, last)).map(|(_, row)| row);
        Ok(match page.from {
            From::After(seq) => rows.filter(|row| row.seq > seq).take(page.limit).cloned().collect(),
            From::Before(seq) => {
                let mut rows: Vec<_> = rows
                    .rev()
                    .filter(|row| row.seq < seq)
                    .take(page.limit)
                    .cloned()
                    .collect();
                rows.reverse();
                rows
            }
        })
    }

    async fn messages_at(&self, room: RoomId, seqs: &[Seq]) -> Result<Vec<MessageRow>, StoreError> {
        let mut seqs = seqs.to_vec();
        seqs.sort_unstable();
        seqs.dedup();
        let state = self.state();
        Ok(seqs
            .iter()
            .filter_map(|seq| state.tables.messages.get(&(room, *seq)).cloned())
            .collect())
    }

    async fn reactions(&self, user: UserId, room: RoomId, seqs: &[Seq]) -> Result<Vec<(Seq, Emoji)>, StoreError> {
        let state = self.state();
        let mine = |seq: &Seq| Some((*seq, state.tables.reactors.get(&(room, *seq, user))?.clone()));
        Ok(seqs.iter().filter_map(mine).collect())
    }

    async fn hidden(
        &self,
        user: UserId,
        rooms: &[(RoomId, Seq)],
    ) -> Result<HashMap<RoomId, BTreeSet<Seq>>, StoreError> {
        let state = self.state();
        let of_room = |(room, from): &(RoomId, Seq)| {
            let range = (user, *room, *from)..=(user, *room, Seq(u64::MAX));
            let seqs: BTreeSet<Seq> = state.tables.hidden.range(range).map(|(_, _, seq)| *seq).collect();
            (*room, seqs)
        };
        Ok(rooms.iter().map(of_room).filter(|(_, seqs)| !seqs.is_empty()).collect())
    }

    async fn profiles(&self, users: &[UserId]) -> Result<HashMap<UserId, ProfileRow>, StoreError> {
        let state = self.state();
        Ok(users
            .iter()
            .filter_map(|user| Some((*user, state.tables.profiles.get(user)?.clone())))
            .collect())
    }

    async fn checkpoints(&self, projection: &str) -> Result<[u64; SLICES], StoreError> {
        let state = self.state();
        let followed = state
            .followed
            .iter()
            .find(|followed| followed.projection.name() == projection);
        Ok(followed.map_or([0; SLICES], |followed| followed.positions))
    }
}
