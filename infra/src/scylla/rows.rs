//! What projections write.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use async_trait::async_trait;
use cocotalk_application::error::StoreError;
use cocotalk_application::port::row_store::{Checkpoint, RowStore, Tables};
use cocotalk_application::projection::Projection;
use cocotalk_application::row::{ItemKind, LastItem, MessageRow, ProfileRow, RoomRow, RowWrite, Stamped};
use cocotalk_domain::id::{RoomId, UserId};
use cocotalk_domain::number::{Cnt, Seq, Version};
use cocotalk_domain::room::{Role, RoomKind};
use cocotalk_domain::sealed::Sealed;
use cocotalk_domain::stream::{SLICES, Slice};
use cocotalk_domain::text::Emoji;
use cocotalk_domain::time::Instant;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use scylla::serialize::row::SerializeRow;
use scylla::statement::batch::{Batch, BatchType};
use scylla::statement::prepared::PreparedStatement;
use scylla::value::{CqlTimestamp, CqlValue, MaybeUnset};
use tokio::sync::{Semaphore, SemaphorePermit};
use uuid::Uuid;

use super::schema::unknown;
use super::{BUCKET_SHIFT, Cql, Use, damaged, unavailable};
use crate::metrics::{CQL_WRITE_SECONDS, ROWS_WRITTEN};

/// Messages of one partition that are written together, and their bytes: one of the engines refuses larger batches.
const BATCH_ROWS: usize = 20;
const BATCH_BYTES: usize = 30 * 1024;

/// The rows of the read model.
pub struct CqlRowStore {
    cql: Cql,
    rooms: RoomsStatements,
    reads: ReadsStatements,
    profile: PreparedStatement,
    checkpoint: CheckpointStatements,
    tables: Vec<Tables>,
    turns: Semaphore,
}

struct RoomsStatements {
    message: PreparedStatement,
    edited: PreparedStatement,
    deleted: PreparedStatement,
    reactions: PreparedStatement,
    reactor: PreparedStatement,
    last_changed: PreparedStatement,
    room: PreparedStatement,
    head: PreparedStatement,
    version: PreparedStatement,
    members: PreparedStatement,
    owner: PreparedStatement,
    name: PreparedStatement,
    notice: PreparedStatement,
    settings: PreparedStatement,
    closed: PreparedStatement,
    user_room: PreparedStatement,
    user_room_left: PreparedStatement,
    floor: PreparedStatement,
    preferences: PreparedStatement,
    last_hidden: PreparedStatement,
    hidden: PreparedStatement,
    member: PreparedStatement,
    member_left: PreparedStatement,
    role: PreparedStatement,
}

struct ReadsStatements {
    user_read: PreparedStatement,
    room_read: PreparedStatement,
    ended: PreparedStatement,
}

struct CheckpointStatements {
    /// One raises the position, the other what has settled; each has a time of its own.
    both: Batch,
    all: PreparedStatement,
}

impl CqlRowStore {
    /// The tables of these projections.
    ///
    /// # Errors
    /// `Unavailable` where the store does not answer; the schema has to be there.
    pub async fn open(cql: &Cql, projections: &[Arc<dyn Projection>]) -> Result<Self, StoreError> {
        let version = |name| version_of(projections, name);
        let profile = format!(
            "INSERT INTO {}.profiles_v{} (user_id, sealed, version) VALUES (?, ?, ?) USING TIMESTAMP ?",
            cql.settings.keyspace,
            version("people")?
        );
        Ok(Self {
            rooms: RoomsStatements::prepare(cql, version("rooms")?).await?,
            reads: ReadsStatements::prepare(cql, version("reads")?).await?,
            profile: cql.prepare(&profile, Use::Write).await?,
            checkpoint: CheckpointStatements::prepare(cql).await?,
            tables: projections.iter().map(|projection| Tables::of(&**projection)).collect(),
            turns: Semaphore::new(cql.settings.in_flight),
            cql: cql.clone(),
        })
    }

    /// Statements are those of the versions that were opened: rows of another one must not go into their tables.
    fn check(&self, tables: Tables) -> Result<(), StoreError> {
        let opened = self.tables.iter().find(|opened| opened.projection == tables.projection);
        match opened {
            Some(opened) if *opened != tables => Err(damaged(format!(
                "the tables of {} are open in version {}, not {}",
                tables.projection, opened.version, tables.version
            ))),
            Some(_) | None => Ok(()),
        }
    }

    async fn execute(&self, statement: &PreparedStatement, values: impl SerializeRow) -> Result<(), StoreError> {
        let _turn = self.turn().await;
        let executed = self.cql.session.execute_unpaged(statement, values).await;
        executed.map(drop).map_err(unavailable)
    }

    async fn execute_together(&self, batch: &Batch, values: Vec<impl SerializeRow>) -> Result<(), StoreError> {
        let _turn = self.turn().await;
        let executed = self.cql.session.batch(batch, values).await;
        executed.map(drop).map_err(unavailable)
    }

    /// Waits for one of the others to end, which it does at its deadline at the latest.
    async fn turn(&self) -> SemaphorePermit<'_> {
        self.turns.acquire().await.expect("it is never closed")
    }

    async fn all(&self, jobs: Vec<Job<'_>>) -> Result<(), StoreError> {
        let running: Vec<_> = jobs.into_iter().map(|job| self.run(job)).collect();
        stream::iter(running)
            .buffer_unordered(self.cql.settings.in_flight)
            .try_collect()
            .await
    }

    async fn run(&self, job: Job<'_>) -> Result<(), StoreError> {
        match job {
            Job::Messages(messages) => self.messages(&messages).await,
            Job::Row(stamped) => self.row(stamped).await,
            Job::Heads(writes) => {
                for stamped in writes {
                    self.row(stamped).await?;
                }
                Ok(())
            }
            Job::RoomRead { room, user, seq } => {
                let values = (room.0, user.0, seq.0 as i64, seq.0 as i64);
                self.execute(&self.reads.room_read, values).await
            }
        }
    }

    async fn messages(&self, messages: &[(i64, &MessageRow)]) -> Result<(), StoreError> {
        let statement = &self.rooms.message;
        if let [(ts_us, row)] = messages {
            return self.execute(statement, message_values(*ts_us, row)).await;
        }
        let mut batch = unlogged(&self.cql);
        let mut values = Vec::with_capacity(messages.len());
        for (ts_us, row) in messages {
            batch.append_statement(statement.clone());
            values.push(message_values(*ts_us, row));
        }
        self.execute_together(&batch, values).await
    }

    async fn row(&self, stamped: &Stamped) -> Result<(), StoreError> {
        let ts = stamped.ts_us;
        let s = &self.rooms;
        match &stamped.write {
            RowWrite::Message(row) => self.execute(&s.message, message_values(ts, row)).await,
            RowWrite::MessageEdited {
                room_id, seq, body, at, ..
            } => {
                let values = (ts, &body.bytes, time(*at), room_id.0, bucket(*seq), seq.0 as i64);
                self.execute(&s.edited, values).await
            }
            RowWrite::MessageDeleted { room_id, seq, at } => {
                let values = (ts, time(*at), room_id.0, bucket(*seq), seq.0 as i64);
                self.execute(&s.deleted, values).await
            }
            RowWrite::Reactions {
                room_id,
                seq,
                reactions,
            } => {
                let totals: BTreeMap<&str, i32> = reactions
                    .iter()
                    .map(|(emoji, count)| (emoji.as_str(), *count as i32))
                    .collect();
                let values = (ts, totals, room_id.0, bucket(*seq), seq.0 as i64);
                self.execute(&s.reactions, values).await
            }
            RowWrite::Reactor {
                room_id,
                seq,
                user_id,
                emoji,
                at,
            } => {
                let emoji = emoji.as_ref().map_or("", Emoji::as_str);
                let values = (room_id.0, bucket(*seq), seq.0 as i64, user_id.0, emoji, time(*at), ts);
                self.execute(&s.reactor, values).await
            }
            // Its event was decided while the item was the newest: a newer one has a newer time.
            RowWrite::LastChanged {
                room_id,
                preview,
                deleted,
                ..
            } => {
                let values = (ts, sealed(preview.as_ref()), *deleted, room_id.0);
                self.execute(&s.last_changed, values).await
            }
            RowWrite::Room(row) => self.execute(&s.room, room_values(ts, row)).await,
            RowWrite::Head { room_id, version, last } => {
                let LastItem {
                    seq,
                    cnt,
                    at,
                    kind,
                    author_id,
                    preview,
                    deleted,
                } = last;
                let preview = preview.as_ref().map_or(&[][..], |sealed| &sealed.bytes);
                let numbers = (ts, version.0 as i64, seq.0 as i64, cnt.0 as i64);
                let values = (
                    numbers.0,
                    numbers.1,
                    numbers.2,
                    numbers.3,
                    time(*at),
                    kind_number(*kind),
                    author_id.0,
                    preview,
                    *deleted,
                    room_id.0,
                );
                self.execute(&s.head, values).await
            }
            RowWrite::RoomVersion { room_id, version } => {
                self.execute(&s.version, (ts, version.0 as i64, room_id.0)).await
            }
            RowWrite::RoomMembers {
                room_id,
                member_count,
                member_sample,
            } => {
                let sample: Vec<Uuid> = member_sample.iter().map(|user| user.0).collect();
                self.execute(&s.members, (ts, *member_count as i32, sample, room_id.0))
                    .await
            }
            RowWrite::RoomOwner { room_id, owner_id } => self.execute(&s.owner, (ts, owner_id.0, room_id.0)).await,
            RowWrite::RoomName { room_id, name } => self.execute(&s.name, (ts, text(name.as_ref()), room_id.0)).await,
            RowWrite::RoomNotice { room_id, notice } => {
                self.execute(&s.notice, (ts, text(notice.as_ref()), room_id.0)).await
            }
            RowWrite::RoomSettings { room_id, settings } => {
                self.execute(&s.settings, (ts, json(settings), room_id.0)).await
            }
            RowWrite::RoomClosed { room_id } => self.execute(&s.closed, (ts, room_id.0)).await,
            RowWrite::UserRoom {
                user_id,
                room_id,
                joined_seq,
                joined_cnt,
                joined_at,
                peer_id,
            } => {
                let values = (
                    user_id.0,
                    room_id.0,
                    joined_seq.0 as i64,
                    joined_cnt.0 as i64,
                    time(*joined_at),
                    unset(peer_id.map(|peer| peer.0)),
                    ts,
                );
                self.execute(&s.user_room, values).await
            }
            RowWrite::UserRoomLeft { user_id, room_id } => {
                self.execute(&s.user_room_left, (ts, user_id.0, room_id.0)).await
            }
            RowWrite::UserRoomFloor {
                user_id,
                room_id,
                floor_seq: Seq(seq),
                floor_cnt: Cnt(cnt),
            } => {
                let values = (ts, *seq as i64, *cnt as i64, user_id.0, room_id.0);
                self.execute(&s.floor, values).await
            }
            RowWrite::UserRoomPreferences {
                user_id,
                room_id,
                muted_until,
                pinned_at,
                alias,
            } => {
                let values = (
                    ts,
                    time_or_none(*muted_until),
                    time_or_none(*pinned_at),
                    sealed(alias.as_ref()),
                    user_id.0,
                    room_id.0,
                );
                self.execute(&s.preferences, values).await
            }
            RowWrite::UserRoomHidden {
                user_id,
                room_id,
                last_hidden: Seq(seq),
            } => {
                let values = (ts, *seq as i64, user_id.0, room_id.0);
                self.execute(&s.last_hidden, values).await
            }
            RowWrite::Hidden {
                user_id,
                room_id,
                seq: Seq(seq),
            } => self.execute(&s.hidden, (user_id.0, room_id.0, *seq as i64, ts)).await,
            RowWrite::Member {
                room_id,
                user_id,
                role,
                joined_seq,
                joined_at,
                invited_by,
            } => {
                let values = (
                    room_id.0,
                    user_id.0,
                    role_number(*role),
                    joined_seq.0 as i64,
                    time(*joined_at),
                    invited_by.0,
                    ts,
                );
                self.execute(&s.member, values).await
            }
            RowWrite::MemberLeft { room_id, user_id } => self.execute(&s.member_left, (ts, room_id.0, user_id.0)).await,
            RowWrite::MemberRole { room_id, user_id, role } => {
                self.execute(&s.role, (ts, role_number(*role), room_id.0, user_id.0))
                    .await
            }
            RowWrite::Read {
                room_id,
                user_id,
                read_seq: Seq(seq),
                read_cnt: Cnt(cnt),
            } => {
                let values = (user_id.0, room_id.0, *seq as i64, *cnt as i64, *seq as i64);
                self.execute(&self.reads.user_read, values).await
            }
            RowWrite::ReadEnded { room_id, user_id, seq } => {
                self.execute(&self.reads.ended, (seq.0 as i64, room_id.0, user_id.0))
                    .await
            }
            RowWrite::Profile(ProfileRow {
                user_id,
                sealed,
                version,
            }) => {
                let values = (user_id.0, &sealed.bytes, version.0 as i64, ts);
                self.execute(&self.profile, values).await
            }
        }
    }
}

/// One statement or batch to execute.
enum Job<'a> {
    /// Messages of one partition.
    Messages(Vec<(i64, &'a MessageRow)>),
    /// One write, as it is.
    Row(&'a Stamped),
    /// What tells a room's version, in this order: none of it may be seen before the one before it.
    Heads(Vec<&'a Stamped>),
    /// The other table of a read position.
    RoomRead { room: RoomId, user: UserId, seq: Seq },
}

/// Messages of one partition that wait for more, and their bytes.
type Waiting<'a> = (usize, Vec<(i64, &'a MessageRow)>);

/// Writes as jobs: what may be executed side by side, and what comes after, because it tells that the rest is there.
fn jobs<'a>(writes: &'a [Stamped]) -> (Vec<Job<'a>>, Vec<Job<'a>>) {
    let mut first = Vec::with_capacity(writes.len());
    let mut heads: HashMap<RoomId, Vec<(Version, &Stamped)>> = HashMap::new();
    let mut partitions: HashMap<(RoomId, i32), Waiting<'_>> = HashMap::new();
    for stamped in writes {
        match &stamped.write {
            RowWrite::Message(row) => {
                let bytes = size_of(row);
                let (size, waiting) = partitions.entry((row.room_id, bucket(row.seq))).or_default();
                if waiting.len() >= BATCH_ROWS || (*size + bytes > BATCH_BYTES && !waiting.is_empty()) {
                    *size = 0;
                    first.push(Job::Messages(std::mem::take(waiting)));
                }
                *size += bytes;
                waiting.push((stamped.ts_us, row));
            }
            RowWrite::Room(row) => heads.entry(row.room_id).or_default().push((row.version, stamped)),
            RowWrite::Head { room_id, version, .. } | RowWrite::RoomVersion { room_id, version } => {
                heads.entry(*room_id).or_default().push((*version, stamped));
            }
            RowWrite::Read {
                room_id,
                user_id,
                read_seq,
                ..
            } => {
                first.push(Job::Row(stamped));
                first.push(Job::RoomRead {
                    room: *room_id,
                    user: *user_id,
                    seq: *read_seq,
                });
            }
            RowWrite::MessageEdited { .. }
            | RowWrite::MessageDeleted { .. }
            | RowWrite::Reactions { .. }
            | RowWrite::Reactor { .. }
            | RowWrite::LastChanged { .. }
            | RowWrite::UserRoomHidden { .. }
            | RowWrite::Hidden { .. }
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
            | RowWrite::MemberRole { .. }
            | RowWrite::ReadEnded { .. }
            | RowWrite::Profile(_) => first.push(Job::Row(stamped)),
        }
    }
    first.extend(partitions.into_values().map(|(_, waiting)| Job::Messages(waiting)));
    let in_order = |mut writes: Vec<(Version, &'a Stamped)>| {
        writes.sort_by_key(|(version, stamped)| (stamped.ts_us, *version));
        Job::Heads(writes.into_iter().map(|(_, stamped)| stamped).collect())
    };
    (first, heads.into_values().map(in_order).collect())
}

/// About how many bytes a message takes in a batch: its fixed columns, and what may be long.
fn size_of(row: &MessageRow) -> usize {
    let meta = &row.meta;
    let people = meta.mentions.len() + meta.members.len() + 4 * usize::from(meta.reply_to.is_some());
    let text = row.body.as_ref().map_or(0, |body| body.bytes.len());
    160 + text + 40 * people + 2 * meta.name.as_ref().map_or(0, String::len)
}

/// Counts the rows of writes, table by table.
fn count(writes: &[Stamped]) {
    let mut rows: HashMap<&'static str, u64> = HashMap::new();
    for stamped in writes {
        let tables: &[&'static str] = match &stamped.write {
            RowWrite::Message(_)
            | RowWrite::MessageEdited { .. }
            | RowWrite::MessageDeleted { .. }
            | RowWrite::Reactions { .. } => &["messages"],
            RowWrite::Reactor { .. } => &["message_reactors"],
            RowWrite::Hidden { .. } => &["user_hidden"],
            RowWrite::Room(_)
            | RowWrite::LastChanged { .. }
            | RowWrite::Head { .. }
            | RowWrite::RoomVersion { .. }
            | RowWrite::RoomMembers { .. }
            | RowWrite::RoomOwner { .. }
            | RowWrite::RoomName { .. }
            | RowWrite::RoomNotice { .. }
            | RowWrite::RoomSettings { .. }
            | RowWrite::RoomClosed { .. } => &["rooms"],
            RowWrite::UserRoom { .. }
            | RowWrite::UserRoomLeft { .. }
            | RowWrite::UserRoomFloor { .. }
            | RowWrite::UserRoomHidden { .. }
            | RowWrite::UserRoomPreferences { .. } => &["user_rooms"],
            RowWrite::Member { .. } | RowWrite::MemberLeft { .. } | RowWrite::MemberRole { .. } => &["room_members"],
            RowWrite::Read { .. } => &["user_reads", "room_reads"],
            RowWrite::ReadEnded { .. } => &["room_reads"],
            RowWrite::Profile(_) => &["profiles"],
        };
        for table in tables {
            *rows.entry(table).or_default() += 1;
        }
    }
    for (table, rows) in rows {
        metrics::counter!(ROWS_WRITTEN, "table" => table).increment(rows);
    }
}

#[async_trait]
impl RowStore for CqlRowStore {
    async fn write(&self, tables: Tables, writes: &[Stamped]) -> Result<(), StoreError> {
        self.check(tables)?;
        let started = tokio::time::Instant::now();
        let (first, last) = jobs(writes);
        self.all(first).await?;
        self.all(last).await?;
        count(writes);
        metrics::histogram!(CQL_WRITE_SECONDS).record(started.elapsed().as_secs_f64());
        self.cql.count_requests();
        Ok(())
    }

    async fn progress(&self, tables: Tables) -> Result<[Checkpoint; SLICES], StoreError> {
        self.check(tables)?;
        let rows = checkpoints(&self.cql, &self.checkpoint.all, tables.projection, tables.version).await?;
        let mut progress = [Checkpoint::default(); SLICES];
        for (slice, position, settled) in rows {
            progress[slice.index()] = Checkpoint { position, settled };
        }
        Ok(progress)
    }

    async fn save_checkpoint(&self, tables: Tables, slice: Slice, checkpoint: Checkpoint) -> Result<(), StoreError> {
        self.check(tables)?;
        let key = |number: u64| {
            let number = number as i64;
            let (projection, version) = (tables.projection, tables.version as i32);
            (number, number, projection, version, slice.index() as i16)
        };
        // A write at the time 0 is one that any other wins over, and the same value is what is there already.
        let both = vec![key(checkpoint.position), key(checkpoint.settled)];
        self.execute_together(&self.checkpoint.both, both).await
    }
}

/// The checkpoints of a projection: slice, position, settled.
pub(super) async fn checkpoints(
    cql: &Cql,
    statement: &PreparedStatement,
    projection: &str,
    version: u32,
) -> Result<Vec<(Slice, u64, u64)>, StoreError> {
    let asked = cql.session.execute_unpaged(statement, (projection, version as i32));
    let answer = asked.await.map_err(unavailable)?.into_rows_result().map_err(damaged)?;
    let mut rows = Vec::with_capacity(SLICES);
    for row in answer.rows::<(i16, Option<i64>, Option<i64>)>().map_err(damaged)? {
        let (slice, position, settled) = row.map_err(damaged)?;
        let slice = Slice::new(slice as usize).ok_or_else(|| damaged("a checkpoint of no slice"))?;
        rows.push((slice, position.unwrap_or(0) as u64, settled.unwrap_or(0) as u64));
    }
    Ok(rows)
}

/// The text that asks for them.
pub(super) fn checkpoints_text(cql: &Cql) -> String {
    format!(
        "SELECT slice, position, settled FROM {}.projection_state WHERE projection = ? AND version = ?",
        cql.settings.keyspace
    )
}

/// The version of a projection's tables.
pub(super) fn version_of(projections: &[Arc<dyn Projection>], name: &'static str) -> Result<u32, StoreError> {
    let found = projections.iter().find(|projection| projection.name() == name);
    found
        .map(|projection| projection.version())
        .ok_or_else(|| unknown(name))
}

impl RoomsStatements {
    async fn prepare(cql: &Cql, v: u32) -> Result<Self, StoreError> {
        let k = &cql.settings.keyspace;
        let item = |set: &str| {
            format!("UPDATE {k}.messages_v{v} USING TIMESTAMP ? SET {set} WHERE room_id = ? AND bucket = ? AND seq = ?")
        };
        let room = |set: &str| format!("UPDATE {k}.rooms_v{v} USING TIMESTAMP ? SET {set} WHERE room_id = ?");
        let place = |set: &str| {
            format!("UPDATE {k}.user_rooms_v{v} USING TIMESTAMP ? SET {set} WHERE user_id = ? AND room_id = ?")
        };
        let member = |set: &str| {
            format!("UPDATE {k}.room_members_v{v} USING TIMESTAMP ? SET {set} WHERE room_id = ? AND user_id = ?")
        };
        let write = async |text: String| cql.prepare(&text, Use::Write).await;
        Ok(Self {
            message: write(format!(
                "INSERT INTO {k}.messages_v{v} (room_id, bucket, seq, cnt, message_id, author_id, kind, sent_at, body, meta) \
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ?"
            ))
            .await?,
            edited: write(item("body = ?, state = 1, changed_at = ?")).await?,
            deleted: write(item("body = 0x, meta = 0x, reactions = {}, state = 2, changed_at = ?")).await?,
            reactions: write(item("reactions = ?")).await?,
            reactor: write(format!(
                "INSERT INTO {k}.message_reactors_v{v} (room_id, bucket, seq, user_id, emoji, reacted_at) \
                 VALUES (?, ?, ?, ?, ?, ?) USING TIMESTAMP ?"
            ))
            .await?,
            last_changed: write(room("last_preview = ?, last_deleted = ?")).await?,
            room: write(format!(
                "INSERT INTO {k}.rooms_v{v} (room_id, kind, name, owner_id, member_count, member_sample, notice, settings, \
                 created_at, closed, version, last_seq, last_cnt, last_at, last_kind, last_author, last_preview) \
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ?"
            ))
            .await?,
            head: write(room(
                "version = ?, last_seq = ?, last_cnt = ?, last_at = ?, last_kind = ?, last_author = ?, last_preview = ?, \
                 last_deleted = ?",
            ))
            .await?,
            version: write(room("version = ?")).await?,
            members: write(room("member_count = ?, member_sample = ?")).await?,
            owner: write(room("owner_id = ?")).await?,
            name: write(room("name = ?")).await?,
            notice: write(room("notice = ?")).await?,
            settings: write(room("settings = ?")).await?,
            closed: write(room("closed = true")).await?,
            user_room: write(format!(
                "INSERT INTO {k}.user_rooms_v{v} (user_id, room_id, state, joined_seq, joined_cnt, joined_at, peer_id) \
                 VALUES (?, ?, 1, ?, ?, ?, ?) USING TIMESTAMP ?"
            ))
            .await?,
            user_room_left: write(place("state = 0")).await?,
            floor: write(place("floor_seq = ?, floor_cnt = ?")).await?,
            preferences: write(place("muted_until = ?, pinned_at = ?, alias = ?")).await?,
            last_hidden: write(place("last_hidden = ?")).await?,
            hidden: write(format!(
                "INSERT INTO {k}.user_hidden_v{v} (user_id, room_id, seq) VALUES (?, ?, ?) USING TIMESTAMP ?"
            ))
            .await?,
            member: write(format!(
                "INSERT INTO {k}.room_members_v{v} (room_id, user_id, state, role, joined_seq, joined_at, invited_by) \
                 VALUES (?, ?, 1, ?, ?, ?, ?) USING TIMESTAMP ?"
            ))
            .await?,
            member_left: write(member("state = 0")).await?,
            role: write(member("role = ?")).await?,
        })
    }
}

impl ReadsStatements {
    async fn prepare(cql: &Cql, v: u32) -> Result<Self, StoreError> {
        let k = &cql.settings.keyspace;
        let user_read = format!(
            "INSERT INTO {k}.user_reads_v{v} (user_id, room_id, read_seq, read_cnt) VALUES (?, ?, ?, ?) USING TIMESTAMP ?"
        );
        let room_read =
            format!("INSERT INTO {k}.room_reads_v{v} (room_id, user_id, read_seq) VALUES (?, ?, ?) USING TIMESTAMP ?");
        let ended = format!("DELETE FROM {k}.room_reads_v{v} USING TIMESTAMP ? WHERE room_id = ? AND user_id = ?");
        Ok(Self {
            user_read: cql.prepare(&user_read, Use::Write).await?,
            room_read: cql.prepare(&room_read, Use::Write).await?,
            ended: cql.prepare(&ended, Use::Write).await?,
        })
    }
}

impl CheckpointStatements {
    async fn prepare(cql: &Cql) -> Result<Self, StoreError> {
        let k = &cql.settings.keyspace;
        let raise = |column: &str| {
            format!(
                "UPDATE {k}.projection_state USING TIMESTAMP ? SET {column} = ? \
                 WHERE projection = ? AND version = ? AND slice = ?"
            )
        };
        let mut both = unlogged(cql);
        both.append_statement(cql.prepare(&raise("position"), Use::Write).await?);
        both.append_statement(cql.prepare(&raise("settled"), Use::Write).await?);
        Ok(Self {
            both,
            all: cql.prepare(&checkpoints_text(cql), Use::Read).await?,
        })
    }
}

/// An empty batch for statements of one partition.
fn unlogged(cql: &Cql) -> Batch {
    let mut batch = Batch::new(BatchType::Unlogged);
    batch.set_is_idempotent(true);
    batch.set_execution_profile_handle(Some(cql.writing.clone()));
    batch
}

type MessageValues<'a> = (
    Uuid,
    i32,
    i64,
    i64,
    MaybeUnset<Uuid>,
    Uuid,
    i16,
    CqlTimestamp,
    MaybeUnset<&'a [u8]>,
    MaybeUnset<Vec<u8>>,
    i64,
);

fn message_values(ts_us: i64, row: &MessageRow) -> MessageValues<'_> {
    (
        row.room_id.0,
        bucket(row.seq),
        row.seq.0 as i64,
        row.cnt.0 as i64,
        unset(row.message_id.map(|id| id.0)),
        row.author_id.0,
        kind_number(row.kind),
        time(row.sent_at),
        unset(row.body.as_ref().map(|body| &body.bytes[..])),
        unset((!row.meta.is_empty()).then(|| json(&row.meta))),
        ts_us,
    )
}

/// More columns than a tuple may have. A row is whole: what it does not have is said by what stands for nothing.
fn room_values(ts_us: i64, row: &RoomRow) -> Vec<MaybeUnset<CqlValue>> {
    let number = |number: u64| Some(CqlValue::BigInt(number as i64));
    let sample = row.member_sample.iter().map(|user| CqlValue::Uuid(user.0)).collect();
    let (last, owner) = (row.last.as_ref(), row.owner_id.map_or(Uuid::nil(), |owner| owner.0));
    let values = [
        Some(CqlValue::Uuid(row.room_id.0)),
        Some(CqlValue::TinyInt(match row.kind {
            RoomKind::Direct => 0,
            RoomKind::Group => 1,
        })),
        Some(CqlValue::Text(text(row.name.as_ref()).to_owned())),
        Some(CqlValue::Uuid(owner)),
        Some(CqlValue::Int(row.member_count as i32)),
        Some(CqlValue::List(sample)),
        Some(CqlValue::Text(text(row.notice.as_ref()).to_owned())),
        Some(CqlValue::Blob(json(&row.settings))),
        Some(CqlValue::Timestamp(time(row.created_at))),
        Some(CqlValue::Boolean(row.closed)),
        number(row.version.0),
        number(last.map_or(0, |last| last.seq.0)),
        number(last.map_or(0, |last| last.cnt.0)),
        last.map(|last| CqlValue::Timestamp(time(last.at))),
        last.map(|last| CqlValue::SmallInt(kind_number(last.kind))),
        last.map(|last| CqlValue::Uuid(last.author_id.0)),
        last.map(|last| CqlValue::Blob(sealed(last.preview.as_ref()).to_vec())),
        Some(CqlValue::BigInt(ts_us)),
    ];
    values.into_iter().map(unset).collect()
}

fn unset<T>(value: Option<T>) -> MaybeUnset<T> {
    value.map_or(MaybeUnset::Unset, MaybeUnset::Set)
}

/// A text, or the empty one that stands for none.
fn text(text: Option<&String>) -> &str {
    text.map_or("", String::as_str)
}

/// The bytes, or the empty ones that stand for none.
fn sealed(sealed: Option<&Sealed>) -> &[u8] {
    sealed.map_or(&[], |sealed| &sealed.bytes)
}

const fn time(at: Instant) -> CqlTimestamp {
    CqlTimestamp(at.millis())
}

/// An instant, or the epoch that stands for none.
fn time_or_none(at: Option<Instant>) -> CqlTimestamp {
    at.map_or(CqlTimestamp(0), time)
}

fn json(value: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("rows are plain data")
}

const fn kind_number(kind: ItemKind) -> i16 {
    kind as i16
}

const fn role_number(role: Role) -> i8 {
    match role {
        Role::Member => 0,
        Role::Admin => 1,
        Role::Owner => 2,
    }
}

pub(super) const fn bucket(seq: Seq) -> i32 {
    (seq.0 >> BUCKET_SHIFT) as i32
}
