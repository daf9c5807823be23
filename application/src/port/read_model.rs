//! The read model: what queries see. Made by projections from the log, and from it again whenever needed.

use std::collections::{BTreeSet, HashMap};
use std::ops::RangeInclusive;

use async_trait::async_trait;
use cocotalk_domain::id::{RoomId, UserId};
use cocotalk_domain::number::Seq;
use cocotalk_domain::stream::SLICES;
use cocotalk_domain::text::Emoji;
use futures_util::try_join;

use crate::error::StoreError;
use crate::row::{MemberRow, MessageRow, ProfileRow, RoomReadRow, RoomRow, UserReadRow, UserRoomRow};

/// Which items of a timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// From where, and which way.
    pub from: From,
    /// No item before this one.
    pub floor: Seq,
    /// At most so many.
    pub limit: usize,
}

/// Where a page begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// The newest ones before this seq.
    Before(Seq),
    /// The oldest ones after this seq.
    After(Seq),
}

/// Who has not read all of a page, of the present members of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Behind {
    /// Enough of them that nobody counts further have read nothing of it.
    Enough,
    /// These, in no particular order, each with the place up to which they have read; nobody else.
    These(Vec<RoomReadRow>),
}

impl Behind {
    /// From all members and all read positions. A position of somebody who is no member does not count.
    pub fn of(members: &[MemberRow], reads: &[RoomReadRow], page: &RangeInclusive<Seq>, enough: usize) -> Self {
        let reads: HashMap<UserId, Seq> = reads.iter().map(|read| (read.user_id, read.read_seq)).collect();
        let position = |member: &MemberRow| {
            let read_seq = reads.get(&member.user_id).copied().unwrap_or_default();
            RoomReadRow {
                user_id: member.user_id,
                read_seq: read_seq.max(member.joined_seq),
            }
        };
        let behind = |position: &RoomReadRow| position.read_seq < *page.end();
        let behind: Vec<RoomReadRow> = members.iter().map(position).filter(behind).collect();
        let before = |position: &&RoomReadRow| position.read_seq < *page.start();
        if behind.iter().filter(before).count() >= enough {
            return Self::Enough;
        }
        Self::These(behind)
    }
}

/// The read model.
///
/// - Lists are answered with one statement where the store can, and with one point read a key where it cannot; never with
///   one statement an item of the answer.
/// - What is not there is absent from the answer, not an error.
/// - A row is shown whole or not at all; rows of one projection at one checkpoint agree with each other.
/// - `messages` and `messages_at` answer in rising `seq`.
/// - `checkpoints` never falls, and never claims what a later read would not see.
#[async_trait]
pub trait ReadModel: Send + Sync + 'static {
    /// R2 of these rooms.
    async fn rooms(&self, rooms: &[RoomId]) -> Result<HashMap<RoomId, RoomRow>, StoreError>;
    /// R3 of a person: the rooms they are in now.
    async fn user_rooms(&self, user: UserId) -> Result<Vec<UserRoomRow>, StoreError>;
    /// R3 of a person in one room, present or not.
    async fn user_room(&self, user: UserId, room: RoomId) -> Result<Option<UserRoomRow>, StoreError>;
    /// R4 of a person.
    async fn user_reads(&self, user: UserId) -> Result<Vec<UserReadRow>, StoreError>;
    /// R4 of a person in one room.
    async fn user_read(&self, user: UserId, room: RoomId) -> Result<Option<UserReadRow>, StoreError>;
    /// R5 of a room: who is in it now.
    async fn members(&self, room: RoomId) -> Result<Vec<MemberRow>, StoreError>;
    /// R5 of a person in one room, if they are in it now.
    async fn member(&self, room: RoomId, user: UserId) -> Result<Option<MemberRow>, StoreError>;
    /// R6 of a room.
    async fn reads(&self, room: RoomId) -> Result<Vec<RoomReadRow>, StoreError>;
    /// R5 with R6 of a group, for the items of a page: who has not read them. A store that can tell `Enough` from less than all
    /// of both does. It may count on a position of everybody who is there, since the line that let them in.
    async fn behind(&self, room: RoomId, page: RangeInclusive<Seq>, enough: usize) -> Result<Behind, StoreError> {
        let (members, reads) = try_join!(self.members(room), self.reads(room))?;
        Ok(Behind::of(&members, &reads, &page, enough))
    }
    /// R1: a page of a timeline.
    async fn messages(&self, room: RoomId, page: Page) -> Result<Vec<MessageRow>, StoreError>;
    /// R1: single items.
    async fn messages_at(&self, room: RoomId, seqs: &[Seq]) -> Result<Vec<MessageRow>, StoreError>;
    /// R8: how a person reacts to these messages of a room, where they do; in no particular order.
    async fn reactions(&self, user: UserId, room: RoomId, seqs: &[Seq]) -> Result<Vec<(Seq, Emoji)>, StoreError>;
    /// R9: the messages of these rooms that a person has hidden, each room from a seq on; those without any are absent.
    async fn hidden(&self, user: UserId, rooms: &[(RoomId, Seq)])
    -> Result<HashMap<RoomId, BTreeSet<Seq>>, StoreError>;
    /// R11 of these people.
    async fn profiles(&self, users: &[UserId]) -> Result<HashMap<UserId, ProfileRow>, StoreError>;
    /// R16: how far a projection has come in every slice.
    async fn checkpoints(&self, projection: &str) -> Result<[u64; SLICES], StoreError>;
}
