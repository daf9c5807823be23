//! The read model of the embedded store. Every question is one statement, however many rows answer it.
//!
//! The engine hands over all rows of an answer as one text, an array for each: the driver hands every row from thread to
//! thread and copies every column, which for a list of 200 rooms costs more than everything else together.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::ops::RangeInclusive;

use async_trait::async_trait;
use cocotalk_application::error::StoreError;
use cocotalk_application::port::read_model::{Behind, From, Page, ReadModel};
use cocotalk_application::row::{
    ItemKind, ItemState, LastItem, MemberRow, MessageRow, ProfileRow, RoomReadRow, RoomRow, UserReadRow, UserRoomRow,
};
use cocotalk_domain::id::{RoomId, UserId};
use cocotalk_domain::number::{Cnt, Seq, Version};
use cocotalk_domain::room::{Role, RoomKind};
use cocotalk_domain::sealed::Sealed;
use cocotalk_domain::stream::SLICES;
use cocotalk_domain::text::Emoji;
use cocotalk_domain::time::Instant;
use serde::de::{DeserializeOwned, Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use sqlx::Row as _;
use uuid::Uuid;

use super::error::of_store;
use super::script::Value;
use super::store::EmbeddedStore;
use super::texts::{list_size, values};

/// So many columns of a table, as the engine is asked for them.
struct Select<const COLUMNS: usize>(&'static str);

/// The columns that [`message`] takes, in its order; so for the others. Bytes are in hexadecimal digits, none where null.
const MESSAGE: Select<11> = Select(
    "seq, cnt, hex(message_id), hex(author_id), kind, sent_at, hex(body), hex(meta), state, changed_at, hex(reactions)",
);
const ROOM: Select<18> = Select(
    "hex(room_id), kind, name, hex(owner_id), member_count, hex(member_sample), notice, hex(settings), \
     created_at, closed, version, last_seq, last_cnt, last_at, last_kind, hex(last_author), hex(last_preview), \
     last_deleted",
);
const USER_ROOM: Select<12> = Select(
    "hex(room_id), state, joined_seq, joined_cnt, joined_at, hex(peer_id), floor_seq, floor_cnt, \
     pinned_at, muted_until, hex(alias), last_hidden",
);
const USER_READ: Select<3> = Select("hex(room_id), read_seq, read_cnt");
const MEMBER: Select<4> = Select("hex(user_id), role, joined_seq, joined_at");
const ROOM_READ: Select<2> = Select("hex(user_id), read_seq");
const REACTION: Select<2> = Select("seq, emoji");
const BEHIND: Select<2> = Select("hex(m.user_id), max(read_seq, joined_seq)");
const HIDDEN: Select<2> = Select("hex(room_id), seq");
const PROFILE: Select<3> = Select("hex(user_id), hex(sealed), version");

/// The present members of a group whose position is before a seq. Whoever is in a group has one since the line that let them
/// in, so the positions are looked through, and only for those before the seq whether they are there.
const POSITIONS_BEFORE: &str = "room_reads_v1 AS r CROSS JOIN room_members_v1 AS m \
    WHERE r.room_id = ?1 AND read_seq < ?2 AND m.room_id = ?1 AND m.user_id = r.user_id AND state = 1 AND joined_seq < ?2";

/// How far a bucket of messages reaches: as many seqs as two to this power.
pub(super) const BUCKET_SHIFT: u32 = 12;

impl EmbeddedStore {
    /// The answer to `SELECT columns FROM rest`, row by row.
    async fn rows<const COLUMNS: usize, T>(
        &self,
        Select(columns): Select<COLUMNS>,
        rest: &str,
        values: Vec<Value<'_>>,
        read: impl Fn(&Columns<'_>) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let text = format!("SELECT group_concat(json_array({columns}), '') FROM {rest}");
        let answer = self.shared.readers.fetch_one(&text, values).await?;
        let answer: Option<&str> = answer.try_get(0).map_err(of_store)?;
        let rows = serde_json::Deserializer::from_str(answer.unwrap_or_default()).into_iter();
        rows.map(|row: serde_json::Result<Cells<'_, COLUMNS>>| read(&Columns(&row.map_err(damaged)?.0)))
            .collect()
    }
}

#[async_trait]
impl ReadModel for EmbeddedStore {
    async fn rooms(&self, rooms: &[RoomId]) -> Result<HashMap<RoomId, RoomRow>, StoreError> {
        if rooms.is_empty() {
            return Ok(HashMap::new());
        }
        let size = list_size(rooms.len());
        let rest = format!(
            "(VALUES {}) CROSS JOIN rooms_v1 WHERE room_id = column1 AND kind IS NOT NULL",
            values(size, 1)
        );
        let mut ids: Vec<_> = rooms.iter().map(|room| Value::id(&room.0)).collect();
        ids.resize(size, Value::NULL);
        let found = self.rows(ROOM, &rest, ids, room).await?;
        Ok(found.into_iter().map(|row| (row.room_id, row)).collect())
    }

    async fn user_rooms(&self, user: UserId) -> Result<Vec<UserRoomRow>, StoreError> {
        let rest = "user_rooms_v1 WHERE user_id = ? AND state = 1 AND joined_at IS NOT NULL";
        self.rows(USER_ROOM, rest, vec![Value::id(&user.0)], |row| user_room(user, row))
            .await
    }

    async fn user_room(&self, user: UserId, room: RoomId) -> Result<Option<UserRoomRow>, StoreError> {
        let rest = "user_rooms_v1 WHERE user_id = ? AND room_id = ? AND joined_at IS NOT NULL";
        let key = vec![Value::id(&user.0), Value::id(&room.0)];
        let rows = self.rows(USER_ROOM, rest, key, |row| user_room(user, row)).await?;
        Ok(rows.into_iter().next())
    }

    async fn user_reads(&self, user: UserId) -> Result<Vec<UserReadRow>, StoreError> {
        let rest = "user_reads_v1 WHERE user_id = ?";
        self.rows(USER_READ, rest, vec![Value::id(&user.0)], user_read).await
    }

    async fn user_read(&self, user: UserId, room: RoomId) -> Result<Option<UserReadRow>, StoreError> {
        let rest = "user_reads_v1 WHERE user_id = ? AND room_id = ?";
        let key = vec![Value::id(&user.0), Value::id(&room.0)];
        let rows = self.rows(USER_READ, rest, key, user_read).await?;
        Ok(rows.into_iter().next())
    }

    async fn members(&self, room: RoomId) -> Result<Vec<MemberRow>, StoreError> {
        let rest = "room_members_v1 WHERE room_id = ? AND state = 1";
        self.rows(MEMBER, rest, vec![Value::id(&room.0)], member).await
    }

    async fn member(&self, room: RoomId, user: UserId) -> Result<Option<MemberRow>, StoreError> {
        let rest = "room_members_v1 WHERE room_id = ? AND user_id = ? AND state = 1";
        let key = vec![Value::id(&room.0), Value::id(&user.0)];
        Ok(self.rows(MEMBER, rest, key, member).await?.into_iter().next())
    }

    async fn reads(&self, room: RoomId) -> Result<Vec<RoomReadRow>, StoreError> {
        let rest = "room_reads_v1 WHERE room_id = ?";
        self.rows(ROOM_READ, rest, vec![Value::id(&room.0)], room_read).await
    }

    /// First how many have read nothing of the page, counted no further than asked: of a large group they nearly always are
    /// enough, and found among its first members. Only else everybody's position is looked at.
    async fn behind(&self, room: RoomId, page: RangeInclusive<Seq>, enough: usize) -> Result<Behind, StoreError> {
        let (first, last) = page.into_inner();
        let text = format!("SELECT count(*) FROM (SELECT 1 FROM {POSITIONS_BEFORE} LIMIT ?3)");
        let values = vec![Value::id(&room.0), Value::number(first.0), Value::number(enough as u64)];
        let counted = self.shared.readers.fetch_one(&text, values).await?;
        let counted: i64 = counted.try_get(0).map_err(of_store)?;
        if counted as usize >= enough {
            return Ok(Behind::Enough);
        }
        let values = vec![Value::id(&room.0), Value::number(last.0)];
        Ok(Behind::These(
            self.rows(BEHIND, POSITIONS_BEFORE, values, room_read).await?,
        ))
    }

    async fn messages(&self, room: RoomId, page: Page) -> Result<Vec<MessageRow>, StoreError> {
        let (compare, order, from) = match page.from {
            From::Before(seq) => ("<", "DESC", seq),
            From::After(seq) => (">", "ASC", seq),
        };
        let rest = format!(
            "(SELECT * FROM messages_v1 WHERE room_id = ? AND (bucket, seq) {compare} (?, ?) \
             AND (bucket, seq) >= (?, ?) ORDER BY bucket {order}, seq {order} LIMIT ?)"
        );
        let place = |seq: Seq| [Value::number(bucket(seq)), Value::number(seq.0)];
        let mut values = vec![Value::id(&room.0)];
        values.extend(place(from));
        values.extend(place(page.floor));
        values.push(Value::number(page.limit as u64));
        let mut rows = self.rows(MESSAGE, &rest, values, |row| message(room, row)).await?;
        rows.sort_unstable_by_key(|row| row.seq);
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
        let rest = format!(
            "(VALUES {}) CROSS JOIN messages_v1 \
             WHERE room_id = ? AND bucket = column1 AND seq = column2",
            values(size, 2)
        );
        let mut values: Vec<_> = seqs
            .iter()
            .flat_map(|seq| [Value::number(bucket(*seq)), Value::number(seq.0)])
            .collect();
        values.resize(size * 2, Value::NULL);
        values.push(Value::id(&room.0));
        let mut rows = self.rows(MESSAGE, &rest, values, |row| message(room, row)).await?;
        rows.sort_unstable_by_key(|row| row.seq);
        Ok(rows)
    }

    async fn reactions(&self, user: UserId, room: RoomId, seqs: &[Seq]) -> Result<Vec<(Seq, Emoji)>, StoreError> {
        if seqs.is_empty() {
            return Ok(Vec::new());
        }
        let mut seqs = seqs.to_vec();
        seqs.sort_unstable();
        seqs.dedup();
        let size = list_size(seqs.len());
        let rest = format!(
            "(VALUES {}) CROSS JOIN message_reactors_v1 \
             WHERE room_id = ? AND bucket = column1 AND seq = column2 AND user_id = ? AND emoji <> ''",
            values(size, 2)
        );
        let mut values: Vec<_> = seqs
            .iter()
            .flat_map(|seq| [Value::number(bucket(*seq)), Value::number(seq.0)])
            .collect();
        values.resize(size * 2, Value::NULL);
        values.extend([Value::id(&room.0), Value::id(&user.0)]);
        let reaction = |row: &Columns<'_>| Ok((row.seq(0)?, Emoji::stored(row.text(1)?.unwrap_or_default())));
        self.rows(REACTION, &rest, values, reaction).await
    }

    async fn hidden(
        &self,
        user: UserId,
        rooms: &[(RoomId, Seq)],
    ) -> Result<HashMap<RoomId, BTreeSet<Seq>>, StoreError> {
        let mut hidden: HashMap<RoomId, BTreeSet<Seq>> = HashMap::new();
        if rooms.is_empty() {
            return Ok(hidden);
        }
        let size = list_size(rooms.len());
        let rest = format!(
            "(VALUES {}) CROSS JOIN user_hidden_v1 WHERE user_id = ? AND room_id = column1 AND seq >= column2",
            values(size, 2)
        );
        let mut values: Vec<_> = rooms
            .iter()
            .flat_map(|(room, from)| [Value::id(&room.0), Value::number(from.0)])
            .collect();
        values.resize(size * 2, Value::NULL);
        values.push(Value::id(&user.0));
        let place = |row: &Columns<'_>| Ok((RoomId(row.id(0)?), row.seq(1)?));
        for (room, seq) in self.rows(HIDDEN, &rest, values, place).await? {
            hidden.entry(room).or_default().insert(seq);
        }
        Ok(hidden)
    }

    async fn profiles(&self, users: &[UserId]) -> Result<HashMap<UserId, ProfileRow>, StoreError> {
        if users.is_empty() {
            return Ok(HashMap::new());
        }
        let size = list_size(users.len());
        let rest = format!(
            "(VALUES {}) CROSS JOIN profiles_v1 WHERE user_id = column1",
            values(size, 1)
        );
        let mut ids: Vec<_> = users.iter().map(|user| Value::id(&user.0)).collect();
        ids.resize(size, Value::NULL);
        let profile = |row: &Columns<'_>| {
            let user_id = UserId(row.id(0)?);
            let sealed = Sealed {
                subject: user_id,
                bytes: row.bytes(1)?,
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
        Ok(self.rows(PROFILE, &rest, ids, profile).await?.into_iter().collect())
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
    Ok(MessageRow {
        room_id,
        seq: row.seq(0)?,
        cnt: row.cnt(1)?,
        message_id: row.id_or_none(2)?.map(Into::into),
        author_id,
        kind: row.kind(4)?,
        sent_at: row.instant(5)?,
        body: row.sealed(6, author_id)?,
        meta: row.json(7)?.unwrap_or_default(),
        state: row.state(8)?,
        changed_at: row.instant_or_none(9)?,
        reactions: row.json(10)?.unwrap_or_default(),
    })
}

fn room(row: &Columns<'_>) -> Result<RoomRow, StoreError> {
    Ok(RoomRow {
        room_id: row.id(0)?.into(),
        kind: match row.number(1)? {
            0 => RoomKind::Direct,
            1 => RoomKind::Group,
            other => return Err(damaged(format!("no room is of kind {other}"))),
        },
        name: row.text(2)?,
        owner_id: row.id_or_none(3)?.map(Into::into),
        member_count: row.number_or_none(4)?.unwrap_or(0) as u32,
        member_sample: row.ids(5)?,
        notice: row.text(6)?,
        settings: row.json(7)?.unwrap_or_default(),
        created_at: row.instant(8)?,
        closed: row.number(9)? != 0,
        version: Version(row.number(10)?),
        last: last(row)?,
    })
}

fn last(row: &Columns<'_>) -> Result<Option<LastItem>, StoreError> {
    let Some(seq) = row.number_or_none(11)? else {
        return Ok(None);
    };
    let author_id = UserId(row.id(15)?);
    Ok(Some(LastItem {
        seq: Seq(seq),
        cnt: row.cnt(12)?,
        at: row.instant(13)?,
        kind: row.kind(14)?,
        author_id,
        preview: row.sealed(16, author_id)?,
        deleted: row.number(17)? != 0,
    }))
}

fn user_room(user_id: UserId, row: &Columns<'_>) -> Result<UserRoomRow, StoreError> {
    Ok(UserRoomRow {
        user_id,
        room_id: row.id(0)?.into(),
        present: row.number(1)? == 1,
        joined_seq: row.seq(2)?,
        joined_cnt: row.cnt(3)?,
        joined_at: row.instant(4)?,
        peer_id: row.id_or_none(5)?.map(Into::into),
        floor_seq: row.seq(6)?,
        floor_cnt: row.cnt(7)?,
        pinned_at: row.instant_or_none(8)?,
        muted_until: row.instant_or_none(9)?,
        alias: row.sealed(10, user_id)?,
        last_hidden: row.seq(11)?,
    })
}

fn member(row: &Columns<'_>) -> Result<MemberRow, StoreError> {
    Ok(MemberRow {
        user_id: row.id(0)?.into(),
        role: row.role(1)?,
        joined_seq: row.seq(2)?,
        joined_at: row.instant(3)?,
    })
}

fn room_read(row: &Columns<'_>) -> Result<RoomReadRow, StoreError> {
    Ok(RoomReadRow {
        user_id: row.id(0)?.into(),
        read_seq: row.seq(1)?,
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

fn from_json<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, StoreError> {
    serde_json::from_slice(bytes).map_err(damaged)
}

/// One value of an answer.
enum Cell<'a> {
    Number(i64),
    Text(Cow<'a, str>),
    Null,
}

impl<'de> Deserialize<'de> for Cell<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;

        impl<'de> Visitor<'de> for Any {
            type Value = Cell<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a number, a text or null")
            }

            fn visit_i64<E>(self, number: i64) -> Result<Cell<'de>, E> {
                Ok(Cell::Number(number))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Cell<'de>, E> {
                Ok(Cell::Number(number as i64))
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Cell<'de>, E> {
                Ok(Cell::Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Cell<'de>, E> {
                Ok(Cell::Text(Cow::Owned(text.to_owned())))
            }

            fn visit_unit<E>(self) -> Result<Cell<'de>, E> {
                Ok(Cell::Null)
            }
        }

        deserializer.deserialize_any(Any)
    }
}

/// The values of a row.
struct Cells<'a, const COLUMNS: usize>([Cell<'a>; COLUMNS]);

impl<'de, const COLUMNS: usize> Deserialize<'de> for Cells<'de, COLUMNS> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All<const COLUMNS: usize>;

        impl<'de, const COLUMNS: usize> Visitor<'de> for All<COLUMNS> {
            type Value = Cells<'de, COLUMNS>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{COLUMNS} values")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut row: A) -> Result<Cells<'de, COLUMNS>, A::Error> {
                let mut cells = [const { Cell::Null }; COLUMNS];
                for (index, cell) in cells.iter_mut().enumerate() {
                    *cell = row
                        .next_element()?
                        .ok_or_else(|| A::Error::invalid_length(index, &self))?;
                }
                Ok(Cells(cells))
            }
        }

        deserializer.deserialize_seq(All)
    }
}

/// The columns of a row, as what they mean.
struct Columns<'a>(&'a [Cell<'a>]);

impl Columns<'_> {
    fn number_or_none(&self, index: usize) -> Result<Option<u64>, StoreError> {
        match self.0.get(index) {
            Some(Cell::Number(number)) => Ok(Some(*number as u64)),
            Some(Cell::Null) => Ok(None),
            Some(Cell::Text(_)) | None => Err(damaged(format!("column {index} is no number"))),
        }
    }

    fn number(&self, index: usize) -> Result<u64, StoreError> {
        self.number_or_none(index)?
            .ok_or_else(|| damaged(format!("column {index} is null")))
    }

    fn text(&self, index: usize) -> Result<Option<String>, StoreError> {
        match self.0.get(index) {
            Some(Cell::Text(text)) => Ok(Some(text.clone().into_owned())),
            Some(Cell::Null) => Ok(None),
            Some(Cell::Number(_)) | None => Err(damaged(format!("column {index} is no text"))),
        }
    }

    fn digits(&self, index: usize) -> Result<&str, StoreError> {
        match self.0.get(index) {
            Some(Cell::Text(text)) => Ok(text),
            Some(Cell::Number(_) | Cell::Null) | None => Err(damaged(format!("column {index} is no bytes"))),
        }
    }

    fn bytes(&self, index: usize) -> Result<Vec<u8>, StoreError> {
        from_hex(self.digits(index)?).ok_or_else(|| damaged(format!("column {index} is no hexadecimal digits")))
    }

    fn json<T: DeserializeOwned>(&self, index: usize) -> Result<Option<T>, StoreError> {
        let bytes = self.bytes(index)?;
        if bytes.is_empty() {
            Ok(None)
        } else {
            from_json(&bytes).map(Some)
        }
    }

    fn seq(&self, index: usize) -> Result<Seq, StoreError> {
        self.number(index).map(Seq)
    }

    fn cnt(&self, index: usize) -> Result<Cnt, StoreError> {
        self.number(index).map(Cnt)
    }

    fn instant(&self, index: usize) -> Result<Instant, StoreError> {
        self.number(index).map(|millis| Instant::from_millis(millis as i64))
    }

    fn instant_or_none(&self, index: usize) -> Result<Option<Instant>, StoreError> {
        Ok(self
            .number_or_none(index)?
            .map(|millis| Instant::from_millis(millis as i64)))
    }

    fn id(&self, index: usize) -> Result<Uuid, StoreError> {
        Uuid::try_parse(self.digits(index)?).map_err(damaged)
    }

    fn id_or_none(&self, index: usize) -> Result<Option<Uuid>, StoreError> {
        if self.digits(index)?.is_empty() {
            Ok(None)
        } else {
            self.id(index).map(Some)
        }
    }

    fn ids(&self, index: usize) -> Result<Vec<UserId>, StoreError> {
        let bytes = self.bytes(index)?;
        bytes
            .chunks(16)
            .map(|id| Uuid::from_slice(id).map(UserId).map_err(damaged))
            .collect()
    }

    fn sealed(&self, index: usize, subject: UserId) -> Result<Option<Sealed>, StoreError> {
        let bytes = self.bytes(index)?;
        Ok((!bytes.is_empty()).then_some(Sealed { subject, bytes }))
    }

    fn kind(&self, index: usize) -> Result<ItemKind, StoreError> {
        let number = self.number(index)?;
        let kind = i16::try_from(number).ok().and_then(ItemKind::from_number);
        kind.ok_or_else(|| damaged(format!("no item is of kind {number}")))
    }

    fn state(&self, index: usize) -> Result<ItemState, StoreError> {
        let number = self.number(index)?;
        let state = i16::try_from(number).ok().and_then(ItemState::from_number);
        state.ok_or_else(|| damaged(format!("no item is in state {number}")))
    }

    fn role(&self, index: usize) -> Result<Role, StoreError> {
        match self.number(index)? {
            0 => Ok(Role::Member),
            1 => Ok(Role::Admin),
            2 => Ok(Role::Owner),
            other => Err(damaged(format!("nobody has role {other}"))),
        }
    }
}

/// What each byte is worth as one of the upper-case digits that the engine writes; 255 where it is none.
const DIGITS: [u8; 256] = {
    let mut digits = [255; 256];
    let mut digit = 0;
    while digit < 16 {
        digits[b"0123456789ABCDEF"[digit] as usize] = digit as u8;
        digit += 1;
    }
    digits
};

/// Bytes from their digits.
fn from_hex(digits: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
    let mut worst = 0;
    let byte = |[high, low]: &[u8; 2]| {
        let (high, low) = (DIGITS[usize::from(*high)], DIGITS[usize::from(*low)]);
        worst |= high | low;
        high << 4 | low & 15
    };
    let bytes: Vec<u8> = pairs.iter().map(byte).collect();
    (worst < 16 && rest.is_empty()).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_as_many_values_as_were_asked_for() {
        let rows = |answer| -> serde_json::Result<Vec<Cells<'_, 2>>> {
            serde_json::Deserializer::from_str(answer).into_iter().collect()
        };
        assert!(rows("").unwrap().is_empty());
        let two = rows(r#"["00FF",null]["\"",7]"#).unwrap();
        assert!(matches!(&two[0].0, [Cell::Text(text), Cell::Null] if text == "00FF"));
        assert!(matches!(&two[1].0, [Cell::Text(text), Cell::Number(7)] if text == "\""));
        for answer in ["[1]", "[1,2,3]", "[1,2", "[1,2][", "1"] {
            assert!(rows(answer).is_err(), "{answer}");
        }
    }

    #[test]
    fn bytes_are_read_from_their_digits() {
        assert_eq!(from_hex("00FF1a"), None);
        assert_eq!(from_hex("00FF1"), None);
        assert_eq!(from_hex("00FF1A"), Some(vec![0, 255, 26]));
        assert_eq!(from_hex(""), Some(Vec::new()));
    }
}
