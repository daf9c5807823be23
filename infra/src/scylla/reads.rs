//! What queries see.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use async_trait::async_trait;
use cocotalk_application::error::StoreError;
use cocotalk_application::port::read_model::{From, Page, ReadModel};
use cocotalk_application::projection::Projection;
use cocotalk_application::row::{
    ItemKind, ItemState, LastItem, MemberRow, MessageRow, ProfileRow, RoomReadRow, RoomRow, UserReadRow, UserRoomRow,
};
use cocotalk_domain::id::{MessageId, RoomId, UserId};
use cocotalk_domain::number::{Cnt, Seq, Version};
use cocotalk_domain::room::{Role, RoomKind};
use cocotalk_domain::sealed::Sealed;
use cocotalk_domain::stream::SLICES;
use cocotalk_domain::text::Emoji;
use cocotalk_domain::time::Instant;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use scylla::DeserializeRow;
use scylla::serialize::row::SerializeRow;
use scylla::statement::prepared::PreparedStatement;
use scylla::value::CqlTimestamp;
use serde::de::DeserializeOwned;
use tokio::sync::{Semaphore, SemaphorePermit};
use uuid::Uuid;

use super::rows::{bucket, checkpoints, checkpoints_text, version_of};
use super::{BUCKET_SHIFT, Cql, Use, damaged, unavailable, within};

/// Items of one bucket that are asked for by number at once: one of the engines allows no more.
const ITEMS_AT_ONCE: usize = 100;

/// The read model in the tables of some projections.
pub struct CqlReadModel {
    cql: Cql,
    room: PreparedStatement,
    last_seq: PreparedStatement,
    user_rooms: PreparedStatement,
    user_room: PreparedStatement,
    user_reads: PreparedStatement,
    user_read: PreparedStatement,
    members: PreparedStatement,
    member: PreparedStatement,
    reads: PreparedStatement,
    before: PreparedStatement,
    after: PreparedStatement,
    items: PreparedStatement,
    reactions: PreparedStatement,
    hidden: PreparedStatement,
    profile: PreparedStatement,
    checkpoints: PreparedStatement,
    versions: HashMap<&'static str, u32>,
    turns: Semaphore,
}

const MESSAGE: &str = "seq, cnt, message_id, author_id, kind, sent_at, body, meta, state, changed_at, reactions";
const ROOM: &str = "room_id, kind, name, owner_id, member_count, member_sample, notice, settings, created_at, closed, version, \
    last_seq, last_cnt, last_at, last_kind, last_author, last_preview, last_deleted";
const USER_ROOM: &str = "room_id, state, joined_seq, joined_cnt, joined_at, peer_id, floor_seq, floor_cnt, pinned_at, muted_until, alias, \
    last_hidden";

impl CqlReadModel {
    /// The tables of these projections.
    ///
    /// # Errors
    /// `Unavailable` where the store does not answer; the schema has to be there.
    pub async fn open(cql: &Cql, projections: &[Arc<dyn Projection>]) -> Result<Self, StoreError> {
        let (rooms, reads, people) = (
            version_of(projections, "rooms")?,
            version_of(projections, "reads")?,
            version_of(projections, "people")?,
        );
        let k = &cql.settings.keyspace;
        let read = async |text: String| cql.prepare(&text, Use::Read).await;
        let messages = |rest: &str| {
            format!("SELECT {MESSAGE} FROM {k}.messages_v{rooms} WHERE room_id = ? AND bucket = ? AND {rest}")
        };
        let user_rooms = format!("SELECT {USER_ROOM} FROM {k}.user_rooms_v{rooms} WHERE user_id = ?");
        let user_reads = format!("SELECT room_id, read_seq, read_cnt FROM {k}.user_reads_v{reads} WHERE user_id = ?");
        let members = format!(
            "SELECT user_id, state, role, joined_seq, joined_at FROM {k}.room_members_v{rooms} WHERE room_id = ?"
        );
        Ok(Self {
            room: read(format!("SELECT {ROOM} FROM {k}.rooms_v{rooms} WHERE room_id = ?")).await?,
            last_seq: read(format!("SELECT last_seq FROM {k}.rooms_v{rooms} WHERE room_id = ?")).await?,
            user_room: read(format!("{user_rooms} AND room_id = ?")).await?,
            user_rooms: read(user_rooms).await?,
            user_read: read(format!("{user_reads} AND room_id = ?")).await?,
            user_reads: read(user_reads).await?,
            member: read(format!("{members} AND user_id = ?")).await?,
            members: read(members).await?,
            reads: read(format!(
                "SELECT user_id, read_seq FROM {k}.room_reads_v{reads} WHERE room_id = ?"
            ))
            .await?,
            before: read(messages("seq < ? AND seq >= ? LIMIT ?")).await?,
            after: read(messages("seq > ? ORDER BY seq ASC LIMIT ?")).await?,
            items: read(messages("seq IN ?")).await?,
            reactions: read(format!(
                "SELECT seq, emoji FROM {k}.message_reactors_v{rooms} \
                 WHERE room_id = ? AND bucket = ? AND seq IN ? AND user_id = ?"
            ))
            .await?,
            hidden: read(format!(
                "SELECT seq FROM {k}.user_hidden_v{rooms} WHERE user_id = ? AND room_id = ? AND seq >= ?"
            ))
            .await?,
            profile: read(format!(
                "SELECT user_id, sealed, version FROM {k}.profiles_v{people} WHERE user_id = ?"
            ))
            .await?,
            checkpoints: read(checkpoints_text(cql)).await?,
            versions: projections
                .iter()
                .map(|projection| (projection.name(), projection.version()))
                .collect(),
            turns: Semaphore::new(cql.settings.in_flight),
            cql: cql.clone(),
        })
    }

    /// All rows of an answer that may be long: page after page.
    async fn pages<T>(&self, statement: &PreparedStatement, values: impl SerializeRow) -> Result<Vec<T>, StoreError>
    where
        T: for<'f, 'm> scylla::deserialize::row::DeserializeRow<'f, 'm> + 'static,
    {
        let asked = async {
            let _turn = self.turn().await;
            let pager = self.cql.session.execute_iter(statement.clone(), values).await;
            let rows = pager.map_err(unavailable)?.rows_stream::<T>().map_err(damaged)?;
            rows.try_collect().await.map_err(unavailable)
        };
        // Each page has the time of a read; all of them together a few times that.
        within(self.cql.settings.read() * 4, asked).await?
    }

    /// The rows of an answer that is short by its question.
    async fn few<T>(&self, statement: &PreparedStatement, values: impl SerializeRow) -> Result<Vec<T>, StoreError>
    where
        T: for<'f, 'm> scylla::deserialize::row::DeserializeRow<'f, 'm>,
    {
        let _turn = within(self.cql.settings.read(), self.turn()).await?;
        let asked = self.cql.session.execute_unpaged(statement, values);
        let answer = asked.await.map_err(unavailable)?.into_rows_result().map_err(damaged)?;
        let rows = answer.rows::<T>().map_err(damaged)?;
        rows.map(|row| row.map_err(damaged)).collect()
    }

    /// Waits for one of the others to end.
    async fn turn(&self) -> SemaphorePermit<'_> {
        self.turns.acquire().await.expect("it is never closed")
    }

    /// Items of a bucket, at most so many.
    async fn items(
        &self,
        statement: &PreparedStatement,
        values: impl SerializeRow,
        limit: usize,
    ) -> Result<Vec<RawMessage>, StoreError> {
        if limit <= ITEMS_AT_ONCE {
            self.few(statement, values).await
        } else {
            self.pages(statement, values).await
        }
    }

    /// The newest ones before a seq. An empty bucket lies beyond the head: the walk goes on from there.
    async fn before(&self, room: RoomId, seq: Seq, floor: Seq, limit: usize) -> Result<Vec<MessageRow>, StoreError> {
        let (mut top, floor) = (clamp(seq.0), clamp(floor.0));
        let mut rows: Vec<MessageRow> = Vec::new();
        let mut next = (top - 1).max(0) >> BUCKET_SHIFT;
        while rows.len() < limit && next >= floor >> BUCKET_SHIFT {
            let Ok(bucket) = i32::try_from(next) else {
                next = self.head_bucket(room).await?.min(i64::from(i32::MAX));
                continue;
            };
            let missing = limit - rows.len();
            let values = (room.0, bucket, top, floor, at_most(missing));
            let found = self.items(&self.before, values, missing).await?;
            if found.is_empty() && rows.is_empty() {
                next = next.min(self.head_bucket(room).await?.saturating_add(1));
            }
            // A full answer may hold what is not shown: then the rest of this bucket is asked for.
            if found.len() < missing {
                next -= 1;
            }
            top = found.last().map_or(top, |raw| raw.seq);
            rows.extend(shown(room, found)?);
        }
        rows.reverse();
        Ok(rows)
    }

    /// The oldest ones after a seq. Seqs are dense, so that a bucket which ends early is the last one.
    async fn after(&self, room: RoomId, seq: Seq, floor: Seq, limit: usize) -> Result<Vec<MessageRow>, StoreError> {
        let mut after = clamp(seq.0).max(clamp(floor.0) - 1);
        let mut rows: Vec<MessageRow> = Vec::new();
        while rows.len() < limit {
            let Ok(bucket) = i32::try_from(after.saturating_add(1) >> BUCKET_SHIFT) else {
                break;
            };
            let missing = limit - rows.len();
            let values = (room.0, bucket, after, at_most(missing));
            let found = self.items(&self.after, values, missing).await?;
            let end = ((i64::from(bucket) + 1) << BUCKET_SHIFT) - 1;
            let last = found.last().map_or(after, |raw| raw.seq);
            if last != end && found.len() < missing {
                rows.extend(shown(room, found)?);
                break;
            }
            after = last;
            rows.extend(shown(room, found)?);
        }
        Ok(rows)
    }

    /// The bucket of a room's newest item.
    async fn head_bucket(&self, room: RoomId) -> Result<i64, StoreError> {
        let found: Vec<(Option<i64>,)> = self.few(&self.last_seq, (room.0,)).await?;
        let last_seq = found.into_iter().find_map(|(last_seq,)| last_seq);
        Ok(last_seq.unwrap_or(0) >> BUCKET_SHIFT)
    }
}

/// The items that are whole.
fn shown(room: RoomId, found: Vec<RawMessage>) -> Result<Vec<MessageRow>, StoreError> {
    found.into_iter().filter_map(|raw| raw.read(room).transpose()).collect()
}

/// Seqs by their buckets, each once, as many as may be asked for at once.
fn in_buckets(seqs: &[Seq]) -> Vec<(i32, Vec<i64>)> {
    let mut buckets: BTreeMap<i32, Vec<i64>> = BTreeMap::new();
    for seq in seqs.iter().filter(|seq| i32::try_from(seq.0 >> BUCKET_SHIFT).is_ok()) {
        buckets.entry(bucket(*seq)).or_default().push(seq.0 as i64);
    }
    let mut all = Vec::with_capacity(buckets.len());
    for (bucket, mut seqs) in buckets {
        seqs.sort_unstable();
        seqs.dedup();
        all.extend(seqs.chunks(ITEMS_AT_ONCE).map(|some| (bucket, some.to_vec())));
    }
    all
}

/// A limit as the statement takes it.
fn at_most(items: usize) -> i32 {
    i32::try_from(items).unwrap_or(i32::MAX)
}

/// A row of `profiles`.
type RawProfile = (Uuid, Option<Vec<u8>>, Option<i64>);

fn clamp(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[async_trait]
impl ReadModel for CqlReadModel {
    async fn rooms(&self, rooms: &[RoomId]) -> Result<HashMap<RoomId, RoomRow>, StoreError> {
        let mut distinct = rooms.to_vec();
        distinct.sort_unstable();
        distinct.dedup();
        let asked: Vec<_> = distinct
            .into_iter()
            .map(|room| self.few::<RawRoom>(&self.room, (room.0,)))
            .collect();
        let found: Vec<Vec<RawRoom>> = stream::iter(asked)
            .buffer_unordered(self.cql.settings.in_flight)
            .try_collect()
            .await?;
        let mut rows = HashMap::with_capacity(found.len());
        for raw in found.into_iter().flatten() {
            if let Some(row) = raw.read()? {
                rows.insert(row.room_id, row);
            }
        }
        Ok(rows)
    }

    async fn user_rooms(&self, user: UserId) -> Result<Vec<UserRoomRow>, StoreError> {
        let raw: Vec<RawUserRoom> = self.pages(&self.user_rooms, (user.0,)).await?;
        Ok(raw
            .into_iter()
            .filter_map(|raw| raw.read(user))
            .filter(|row| row.present)
            .collect())
    }

    async fn user_room(&self, user: UserId, room: RoomId) -> Result<Option<UserRoomRow>, StoreError> {
        let raw: Vec<RawUserRoom> = self.few(&self.user_room, (user.0, room.0)).await?;
        Ok(raw.into_iter().find_map(|raw| raw.read(user)))
    }

    async fn user_reads(&self, user: UserId) -> Result<Vec<UserReadRow>, StoreError> {
        let raw: Vec<(Uuid, Option<i64>, Option<i64>)> = self.pages(&self.user_reads, (user.0,)).await?;
        Ok(raw.into_iter().filter_map(user_read).collect())
    }

    async fn user_read(&self, user: UserId, room: RoomId) -> Result<Option<UserReadRow>, StoreError> {
        let raw: Vec<(Uuid, Option<i64>, Option<i64>)> = self.few(&self.user_read, (user.0, room.0)).await?;
        Ok(raw.into_iter().find_map(user_read))
    }

    async fn members(&self, room: RoomId) -> Result<Vec<MemberRow>, StoreError> {
        let raw: Vec<RawMember> = self.pages(&self.members, (room.0,)).await?;
        let mut members = Vec::with_capacity(raw.len());
        for raw in raw {
            members.extend(raw.read()?);
        }
        Ok(members)
    }

    async fn member(&self, room: RoomId, user: UserId) -> Result<Option<MemberRow>, StoreError> {
        let raw: Vec<RawMember> = self.few(&self.member, (room.0, user.0)).await?;
        raw.into_iter().next().map_or(Ok(None), RawMember::read)
    }

    async fn reads(&self, room: RoomId) -> Result<Vec<RoomReadRow>, StoreError> {
        let raw: Vec<(Uuid, Option<i64>)> = self.pages(&self.reads, (room.0,)).await?;
        let read = |(user, read_seq): (Uuid, Option<i64>)| {
            Some(RoomReadRow {
                user_id: UserId(user),
                read_seq: Seq(read_seq? as u64),
            })
        };
        Ok(raw.into_iter().filter_map(read).collect())
    }

    async fn messages(&self, room: RoomId, page: Page) -> Result<Vec<MessageRow>, StoreError> {
        match page.from {
            From::Before(seq) => self.before(room, seq, page.floor, page.limit).await,
            From::After(seq) => self.after(room, seq, page.floor, page.limit).await,
        }
    }

    async fn messages_at(&self, room: RoomId, seqs: &[Seq]) -> Result<Vec<MessageRow>, StoreError> {
        let mut rows: Vec<MessageRow> = Vec::with_capacity(seqs.len());
        for (bucket, some) in in_buckets(seqs) {
            let found: Vec<RawMessage> = self.few(&self.items, (room.0, bucket, some)).await?;
            rows.extend(shown(room, found)?);
        }
        rows.sort_unstable_by_key(|row| row.seq);
        Ok(rows)
    }

    async fn reactions(&self, user: UserId, room: RoomId, seqs: &[Seq]) -> Result<Vec<(Seq, Emoji)>, StoreError> {
        let mut reactions = Vec::new();
        for (bucket, some) in in_buckets(seqs) {
            let asked = (room.0, bucket, some, user.0);
            let found: Vec<(i64, Option<String>)> = self.few(&self.reactions, asked).await?;
            let there = |(seq, emoji): (i64, Option<String>)| {
                let emoji = emoji.filter(|emoji| !emoji.is_empty())?;
                Some((Seq(seq as u64), Emoji::stored(emoji)))
            };
            reactions.extend(found.into_iter().filter_map(there));
        }
        Ok(reactions)
    }

    async fn hidden(
        &self,
        user: UserId,
        rooms: &[(RoomId, Seq)],
    ) -> Result<HashMap<RoomId, BTreeSet<Seq>>, StoreError> {
        let of_room = async |room: RoomId, from: Seq| -> Result<(RoomId, BTreeSet<Seq>), StoreError> {
            let asked = (user.0, room.0, clamp(from.0));
            let found: Vec<(i64,)> = self.pages(&self.hidden, asked).await?;
            Ok((room, found.into_iter().map(|(seq,)| Seq(seq as u64)).collect()))
        };
        let asked: Vec<_> = rooms.iter().map(|(room, from)| of_room(*room, *from)).collect();
        let found: Vec<(RoomId, BTreeSet<Seq>)> = stream::iter(asked)
            .buffer_unordered(self.cql.settings.in_flight)
            .try_collect()
            .await?;
        Ok(found.into_iter().filter(|(_, seqs)| !seqs.is_empty()).collect())
    }

    async fn profiles(&self, users: &[UserId]) -> Result<HashMap<UserId, ProfileRow>, StoreError> {
        let mut distinct = users.to_vec();
        distinct.sort_unstable();
        distinct.dedup();
        let asked: Vec<_> = distinct
            .into_iter()
            .map(|user| self.few::<RawProfile>(&self.profile, (user.0,)))
            .collect();
        let found: Vec<Vec<RawProfile>> = stream::iter(asked)
            .buffer_unordered(self.cql.settings.in_flight)
            .try_collect()
            .await?;
        let read = |(user, bytes, version): RawProfile| {
            let user_id = UserId(user);
            let sealed = Sealed {
                subject: user_id,
                bytes: bytes?,
            };
            let version = Version(version? as u64);
            Some((
                user_id,
                ProfileRow {
                    user_id,
                    sealed,
                    version,
                },
            ))
        };
        Ok(found.into_iter().flatten().filter_map(read).collect())
    }

    async fn checkpoints(&self, projection: &str) -> Result<[u64; SLICES], StoreError> {
        let mut positions = [0; SLICES];
        // A projection that nobody has named has tables of its first version, or none.
        let version = self.versions.get(projection).copied().unwrap_or(1);
        for (slice, position, _) in checkpoints(&self.cql, &self.checkpoints, projection, version).await? {
            positions[slice.index()] = position;
        }
        Ok(positions)
    }
}

/// A row of `messages`; without its author it is what a late change left of nothing.
#[derive(DeserializeRow)]
struct RawMessage {
    seq: i64,
    cnt: Option<i64>,
    message_id: Option<Uuid>,
    author_id: Option<Uuid>,
    kind: Option<i16>,
    sent_at: Option<CqlTimestamp>,
    body: Option<Vec<u8>>,
    meta: Option<Vec<u8>>,
    state: Option<i8>,
    changed_at: Option<CqlTimestamp>,
    reactions: Option<BTreeMap<String, i32>>,
}

impl RawMessage {
    fn read(self, room_id: RoomId) -> Result<Option<MessageRow>, StoreError> {
        let (Some(author), Some(kind)) = (self.author_id, self.kind) else {
            return Ok(None);
        };
        let author_id = UserId(author);
        Ok(Some(MessageRow {
            room_id,
            seq: Seq(self.seq as u64),
            cnt: Cnt(self.cnt.unwrap_or(0) as u64),
            message_id: self.message_id.map(MessageId),
            author_id,
            kind: item_kind(kind)?,
            sent_at: instant(self.sent_at).unwrap_or(Instant::from_millis(0)),
            body: sealed(self.body, author_id),
            meta: json(self.meta)?,
            state: item_state(self.state.unwrap_or(0))?,
            changed_at: instant(self.changed_at),
            reactions: self.reactions.unwrap_or_default().into_iter().map(reaction).collect(),
        }))
    }
}

#[derive(DeserializeRow)]
struct RawRoom {
    room_id: Uuid,
    kind: Option<i8>,
    name: Option<String>,
    owner_id: Option<Uuid>,
    member_count: Option<i32>,
    member_sample: Option<Vec<Uuid>>,
    notice: Option<String>,
    settings: Option<Vec<u8>>,
    created_at: Option<CqlTimestamp>,
    closed: Option<bool>,
    version: Option<i64>,
    last_seq: Option<i64>,
    last_cnt: Option<i64>,
    last_at: Option<CqlTimestamp>,
    last_kind: Option<i16>,
    last_author: Option<Uuid>,
    last_preview: Option<Vec<u8>>,
    last_deleted: Option<bool>,
}

impl RawRoom {
    /// Nothing where the room's own row has not come yet.
    fn read(self) -> Result<Option<RoomRow>, StoreError> {
        let kind = match self.kind {
            None => return Ok(None),
            Some(0) => RoomKind::Direct,
            Some(1) => RoomKind::Group,
            Some(other) => return Err(damaged(format!("no room is of kind {other}"))),
        };
        let last = match (self.last_seq, self.last_kind, self.last_author) {
            (Some(seq), Some(kind), Some(author)) if seq > 0 => {
                let author_id = UserId(author);
                Some(LastItem {
                    seq: Seq(seq as u64),
                    cnt: Cnt(self.last_cnt.unwrap_or(0) as u64),
                    at: instant(self.last_at).unwrap_or(Instant::from_millis(0)),
                    kind: item_kind(kind)?,
                    author_id,
                    preview: sealed(self.last_preview, author_id),
                    deleted: self.last_deleted.unwrap_or(false),
                })
            }
            _ => None,
        };
        Ok(Some(RoomRow {
            room_id: RoomId(self.room_id),
            kind,
            name: self.name.filter(|name| !name.is_empty()),
            owner_id: self.owner_id.filter(|owner| !owner.is_nil()).map(UserId),
            member_count: self.member_count.unwrap_or(0) as u32,
            member_sample: self.member_sample.unwrap_or_default().into_iter().map(UserId).collect(),
            notice: self.notice.filter(|notice| !notice.is_empty()),
            settings: json(self.settings)?,
            created_at: instant(self.created_at).unwrap_or(Instant::from_millis(0)),
            closed: self.closed.unwrap_or(false),
            version: Version(self.version.unwrap_or(0) as u64),
            last,
        }))
    }
}

#[derive(DeserializeRow)]
struct RawUserRoom {
    room_id: Uuid,
    state: Option<i8>,
    joined_seq: Option<i64>,
    joined_cnt: Option<i64>,
    joined_at: Option<CqlTimestamp>,
    peer_id: Option<Uuid>,
    floor_seq: Option<i64>,
    floor_cnt: Option<i64>,
    pinned_at: Option<CqlTimestamp>,
    muted_until: Option<CqlTimestamp>,
    alias: Option<Vec<u8>>,
    last_hidden: Option<i64>,
}

impl RawUserRoom {
    /// Nothing where only the seat has said something yet.
    fn read(self, user_id: UserId) -> Option<UserRoomRow> {
        let number = |number: Option<i64>| number.unwrap_or(0) as u64;
        Some(UserRoomRow {
            user_id,
            room_id: RoomId(self.room_id),
            present: self.state == Some(1),
            joined_seq: Seq(self.joined_seq? as u64),
            joined_cnt: Cnt(number(self.joined_cnt)),
            joined_at: instant(self.joined_at)?,
            peer_id: self.peer_id.map(UserId),
            floor_seq: Seq(number(self.floor_seq)),
            floor_cnt: Cnt(number(self.floor_cnt)),
            pinned_at: instant(self.pinned_at),
            muted_until: instant(self.muted_until),
            alias: sealed(self.alias, user_id),
            last_hidden: Seq(number(self.last_hidden)),
        })
    }
}

#[derive(DeserializeRow)]
struct RawMember {
    user_id: Uuid,
    state: Option<i8>,
    role: Option<i8>,
    joined_seq: Option<i64>,
    joined_at: Option<CqlTimestamp>,
}

impl RawMember {
    /// Nothing where they are gone.
    fn read(self) -> Result<Option<MemberRow>, StoreError> {
        let (Some(1), Some(joined_seq), Some(joined_at)) = (self.state, self.joined_seq, instant(self.joined_at))
        else {
            return Ok(None);
        };
        let role = match self.role {
            Some(0) | None => Role::Member,
            Some(1) => Role::Admin,
            Some(2) => Role::Owner,
            Some(other) => return Err(damaged(format!("no role has the number {other}"))),
        };
        Ok(Some(MemberRow {
            user_id: UserId(self.user_id),
            role,
            joined_seq: Seq(joined_seq as u64),
            joined_at,
        }))
    }
}

fn user_read((room, read_seq, read_cnt): (Uuid, Option<i64>, Option<i64>)) -> Option<UserReadRow> {
    Some(UserReadRow {
        room_id: RoomId(room),
        read_seq: Seq(read_seq? as u64),
        read_cnt: Cnt(read_cnt.unwrap_or(0) as u64),
    })
}

fn item_kind(number: i16) -> Result<ItemKind, StoreError> {
    ItemKind::from_number(number).ok_or_else(|| damaged(format!("no item is of kind {number}")))
}

fn item_state(number: i8) -> Result<ItemState, StoreError> {
    ItemState::from_number(number.into()).ok_or_else(|| damaged(format!("no item is in state {number}")))
}

fn reaction((emoji, count): (String, i32)) -> (Emoji, u32) {
    (Emoji::stored(emoji), count as u32)
}

/// An instant; the epoch stands for none.
fn instant(at: Option<CqlTimestamp>) -> Option<Instant> {
    at.filter(|at| at.0 != 0).map(|at| Instant::from_millis(at.0))
}

/// What was sealed; empty bytes stand for nothing.
fn sealed(bytes: Option<Vec<u8>>, subject: UserId) -> Option<Sealed> {
    let bytes = bytes.filter(|bytes| !bytes.is_empty())?;
    Some(Sealed { subject, bytes })
}

fn json<T: DeserializeOwned + Default>(bytes: Option<Vec<u8>>) -> Result<T, StoreError> {
    match bytes.filter(|bytes| !bytes.is_empty()) {
        Some(bytes) => serde_json::from_slice(&bytes).map_err(damaged),
        None => Ok(T::default()),
    }
}
