//! The read model of the embedded store. Every question is one statement, however many rows answer it.

use std::collections::HashMap;

use async_trait::async_trait;
use cocotalk_application::error::StoreError;
use cocotalk_application::port::read_model::{From, Page, ReadModel};
use cocotalk_application::row::{
    ItemKind, LastItem, MemberRow, MessageRow, ProfileRow, RoomReadRow, RoomRow, UserReadRow, UserRoomRow,
};
use cocotalk_domain::id::{RoomId, UserId};
use cocotalk_domain::number::{Cnt, Seq, Version};
use cocotalk_domain::room::{Role, RoomKind};
use cocotalk_domain::sealed::Sealed;
use cocotalk_domain::stream::SLICES;
use cocotalk_domain::time::Instant;
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use super::error::of_store;
use super::script::Value;
use super::store::EmbeddedStore;
use super::texts::{list, list_size, values};

const MESSAGE: &str = "seq, cnt, message_id, author_id, kind, sent_at, body, meta";
const ROOM: &str = "room_id, kind, name, owner_id, member_count, member_sample, notice, settings, created_at, closed, \
    version, last_seq, last_cnt, last_at, last_kind, last_author, last_preview";
const USER_ROOM: &str = "room_id, state, joined_seq, joined_cnt, joined_at, peer_id, floor_seq, floor_cnt, pinned_at, \
    muted_until, alias";

/// How far a bucket of messages reaches: as many seqs as two to this power.
const BUCKET_SHIFT: u32 = 12;

impl EmbeddedStore {
    async fn rows<T>(
        &self,
        text: &str,
        values: Vec<Value<'_>>,
        read: impl Fn(&Columns<'_>) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let rows = self.shared.readers.fetch(text, values).await?;
        rows.iter().map(|row| read(&Columns(row))).collect()
    }
}

#[async_trait]
impl ReadModel for EmbeddedStore {
    async fn rooms(&self, rooms: &[RoomId]) -> Result<HashMap<RoomId, RoomRow>, StoreError> {
        if rooms.is_empty() {
            return Ok(HashMap::new());
        }
        let size = list_size(rooms.len());
        let text = format!(
            "SELECT {ROOM} FROM rooms_v1 WHERE room_id IN ({}) AND kind IS NOT NULL",
            list(size)
        );
        let mut ids: Vec<_> = rooms.iter().map(|room| Value::id(&room.0)).collect();
        ids.resize(size, Value::NULL);
        let found = self.rows(&text, ids, room).await?;
        Ok(found.into_iter().map(|row| (row.room_id, row)).collect())
    }

    async fn user_rooms(&self, user: UserId) -> Result<Vec<UserRoomRow>, StoreError> {
        let text =
            format!("SELECT {USER_ROOM} FROM user_rooms_v1 WHERE user_id = ? AND state = 1 AND joined_at IS NOT NULL");
        self.rows(&text, vec![Value::id(&user.0)], |row| user_room(user, row))
            .await
    }

    async fn user_room(&self, user: UserId, room: RoomId) -> Result<Option<UserRoomRow>, StoreError> {
        let text = format!(
            "SELECT {USER_ROOM} FROM user_rooms_v1 WHERE user_id = ? AND room_id = ? AND joined_at IS NOT NULL"
        );
        let rows = self
            .rows(&text, vec![Value::id(&user.0), Value::id(&room.0)], |row| {
                user_room(user, row)
            })
            .await?;
        Ok(rows.into_iter().next())
    }

    async fn user_reads(&self, user: UserId) -> Result<Vec<UserReadRow>, StoreError> {
        let text = "SELECT room_id, read_seq, read_cnt FROM user_reads_v1 WHERE user_id = ?";
        self.rows(text, vec![Value::id(&user.0)], user_read).await
    }

    async fn user_read(&self, user: UserId, room: RoomId) -> Result<Option<UserReadRow>, StoreError> {
        let text = "SELECT room_id, read_seq, read_cnt FROM user_reads_v1 WHERE user_id = ? AND room_id = ?";
        let rows = self
            .rows(text, vec![Value::id(&user.0), Value::id(&room.0)], user_read)
            .await?;
        Ok(rows.into_iter().next())
    }

    async fn members(&self, room: RoomId) -> Result<Vec<MemberRow>, StoreError> {
        let text = "SELECT user_id, role, joined_seq, joined_at FROM room_members_v1 WHERE room_id = ? AND state = 1";
        let member = |row: &Columns<'_>| {
            Ok(MemberRow {
                user_id: row.id(0)?.into(),
                role: row.role(1)?,
                joined_seq: row.seq(2)?,
                joined_at: row.instant(3)?,
            })
        };
        self.rows(text, vec![Value::id(&room.0)], member).await
    }

    async fn reads(&self, room: RoomId) -> Result<Vec<RoomReadRow>, StoreError> {
        let text = "SELECT user_id, read_seq FROM room_reads_v1 WHERE room_id = ?";
        let read = |row: &Columns<'_>| {
            Ok(RoomReadRow {
                user_id: row.id(0)?.into(),
                read_seq: row.seq(1)?,
            })
        };
        self.rows(text, vec![Value::id(&room.0)], read).await
    }

    async fn messages(&self, room: RoomId, page: Page) -> Result<Vec<MessageRow>, StoreError> {
        let (compare, order, from) = match page.from {
            From::Before(seq) => ("<", "DESC", seq),
            From::After(seq) => (">", "ASC", seq),
        };
        let text = format!(
            "SELECT {MESSAGE} FROM messages_v1 WHERE room_id = ? AND (bucket, seq) {compare} (?, ?) \
             AND (bucket, seq) >= (?, ?) ORDER BY bucket {order}, seq {order} LIMIT ?"
        );
        let place = |seq: Seq| [Value::number(bucket(seq)), Value::number(seq.0)];
        let mut values = vec![Value::id(&room.0)];
        values.extend(place(from));
        values.extend(place(page.floor));
        values.push(Value::number(page.limit as u64));
        let mut rows = self.rows(&text, values, |row| message(room, row)).await?;
        if matches!(page.from, From::Before(_)) {
            rows.reverse();
        }
        Ok(rows)
    }

    async fn messages_at(&self, room: RoomId, seqs: &[Seq]) -> Result<Vec<MessageRow>, StoreError> {
        if seqs.is_empty() {
            return Ok(Vec::new());
        }
        let mut seqs = seqs.to_vec();
        seqs.sort_unstable();
        seqs.dedup();
        let size = list_size(seqs.len());
        let text = format!(
            "SELECT {MESSAGE} FROM (VALUES {}) CROSS JOIN messages_v1 \
             WHERE room_id = ? AND bucket = column1 AND seq = column2",
            values(size, 2)
        );
        let mut values: Vec<_> = seqs
            .iter()
            .flat_map(|seq| [Value::number(bucket(*seq)), Value::number(seq.0)])
            .collect();
        values.resize(size * 2, Value::NULL);
        values.push(Value::id(&room.0));
        self.rows(&text, values, |row| message(room, row)).await
    }

    async fn profiles(&self, users: &[UserId]) -> Result<HashMap<UserId, ProfileRow>, StoreError> {
        if users.is_empty() {
            return Ok(HashMap::new());
        }
        let size = list_size(users.len());
        let text = format!(
            "SELECT user_id, sealed, version FROM profiles_v1 WHERE user_id IN ({})",
            list(size)
        );
        let mut ids: Vec<_> = users.iter().map(|user| Value::id(&user.0)).collect();
        ids.resize(size, Value::NULL);
        let profile = |row: &Columns<'_>| {
            let user_id = UserId(row.id(0)?);
            let sealed = Sealed {
                subject: user_id,
                bytes: row.get::<&[u8]>(1)?.to_vec(),
            };
            Ok((
                user_id,
                ProfileRow {
                    user_id,
                    sealed,
                    version: Version(row.number(2)?),
                },
            ))
        };
        Ok(self.rows(&text, ids, profile).await?.into_iter().collect())
    }

    async fn checkpoints(&self, projection: &str) -> Result<[u64; SLICES], StoreError> {
        Ok(self.shared.progress.checkpoints(projection))
    }
}

const fn bucket(seq: Seq) -> u64 {
    seq.0 >> BUCKET_SHIFT
}

fn message(room_id: RoomId, row: &Columns<'_>) -> Result<MessageRow, StoreError> {
    let author_id = UserId(row.id(3)?);
    let meta: Option<&[u8]> = row.get(7)?;
    Ok(MessageRow {
        room_id,
        seq: row.seq(0)?,
        cnt: row.cnt(1)?,
        message_id: row.id_or_none(2)?.map(Into::into),
        author_id,
        kind: row.kind(4)?,
        sent_at: row.instant(5)?,
        body: row.sealed(6, author_id)?,
        meta: meta.map(from_json).transpose()?.unwrap_or_default(),
    })
}

fn room(row: &Columns<'_>) -> Result<RoomRow, StoreError> {
    let settings: Option<&[u8]> = row.get(7)?;
    Ok(RoomRow {
        room_id: row.id(0)?.into(),
        kind: match row.get::<i64>(1)? {
            0 => RoomKind::Direct,
            1 => RoomKind::Group,
            other => return Err(damaged(format!("no room is of kind {other}"))),
        },
        name: row.get(2)?,
        owner_id: row.id_or_none(3)?.map(Into::into),
        member_count: row.get::<Option<i64>>(4)?.unwrap_or(0) as u32,
        member_sample: row.ids(5)?,
        notice: row.get(6)?,
        settings: settings.map(from_json).transpose()?.unwrap_or_default(),
        created_at: row.instant(8)?,
        closed: row.get::<i64>(9)? != 0,
        version: Version(row.number(10)?),
        last: last(row)?,
    })
}

fn last(row: &Columns<'_>) -> Result<Option<LastItem>, StoreError> {
    let Some(seq) = row.get::<Option<i64>>(11)? else {
        return Ok(None);
    };
    let author_id = UserId(row.id(15)?);
    Ok(Some(LastItem {
        seq: Seq(seq as u64),
        cnt: row.cnt(12)?,
        at: row.instant(13)?,
        kind: row.kind(14)?,
        author_id,
        preview: row.sealed(16, author_id)?,
    }))
}

fn user_room(user_id: UserId, row: &Columns<'_>) -> Result<UserRoomRow, StoreError> {
    Ok(UserRoomRow {
        user_id,
        room_id: row.id(0)?.into(),
        present: row.get::<i64>(1)? == 1,
        joined_seq: row.seq(2)?,
        joined_cnt: row.cnt(3)?,
        joined_at: row.instant(4)?,
        peer_id: row.id_or_none(5)?.map(Into::into),
        floor_seq: row.seq(6)?,
        floor_cnt: row.cnt(7)?,
        pinned_at: row.instant_or_none(8)?,
        muted_until: row.instant_or_none(9)?,
        alias: row.sealed(10, user_id)?,
    })
}

fn user_read(row: &Columns<'_>) -> Result<UserReadRow, StoreError> {
    Ok(UserReadRow {
        room_id: row.id(0)?.into(),
        read_seq: row.seq(1)?,
        read_cnt: row.cnt(2)?,
    })
}

fn damaged(why: impl std::fmt::Display) -> StoreError {
    StoreError::corrupt("the read model", why)
}

fn from_json<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, StoreError> {
    serde_json::from_slice(bytes).map_err(damaged)
}

/// The columns of a row, as what they mean.
struct Columns<'a>(&'a SqliteRow);

impl<'a> Columns<'a> {
    fn get<T: sqlx::Decode<'a, sqlx::Sqlite> + sqlx::Type<sqlx::Sqlite>>(&self, index: usize) -> Result<T, StoreError> {
        self.0.try_get(index).map_err(of_store)
    }

    fn number(&self, index: usize) -> Result<u64, StoreError> {
        self.get::<i64>(index).map(|number| number as u64)
    }

    fn seq(&self, index: usize) -> Result<Seq, StoreError> {
        self.number(index).map(Seq)
    }

    fn cnt(&self, index: usize) -> Result<Cnt, StoreError> {
        self.number(index).map(Cnt)
    }

    fn instant(&self, index: usize) -> Result<Instant, StoreError> {
        self.get(index).map(Instant::from_millis)
    }

    fn instant_or_none(&self, index: usize) -> Result<Option<Instant>, StoreError> {
        Ok(self.get::<Option<i64>>(index)?.map(Instant::from_millis))
    }

    fn id(&self, index: usize) -> Result<Uuid, StoreError> {
        Uuid::from_slice(self.get(index)?).map_err(damaged)
    }

    fn id_or_none(&self, index: usize) -> Result<Option<Uuid>, StoreError> {
        let bytes: Option<&[u8]> = self.get(index)?;
        bytes.map(Uuid::from_slice).transpose().map_err(damaged)
    }

    fn ids(&self, index: usize) -> Result<Vec<UserId>, StoreError> {
        let bytes = self.get::<Option<&[u8]>>(index)?.unwrap_or_default();
        bytes
            .chunks(16)
            .map(|id| Uuid::from_slice(id).map(UserId).map_err(damaged))
            .collect()
    }

    fn sealed(&self, index: usize, subject: UserId) -> Result<Option<Sealed>, StoreError> {
        let bytes: Option<&[u8]> = self.get(index)?;
        Ok(bytes.map(|bytes| Sealed {
            subject,
            bytes: bytes.to_vec(),
        }))
    }

    fn kind(&self, index: usize) -> Result<ItemKind, StoreError> {
        let number: i64 = self.get(index)?;
        let kind = i16::try_from(number).ok().and_then(ItemKind::from_number);
        kind.ok_or_else(|| damaged(format!("no item is of kind {number}")))
    }

    fn role(&self, index: usize) -> Result<Role, StoreError> {
        match self.get::<i64>(index)? {
            0 => Ok(Role::Member),
            1 => Ok(Role::Admin),
            2 => Ok(Role::Owner),
            other => Err(damaged(format!("nobody has role {other}"))),
        }
    }
}
