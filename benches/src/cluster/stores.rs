//! PostgreSQL as the figures use it: fresh databases, nodes over them, and the bare statement.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use cocotalk_application::command_bus::{BusSettings, Command, CommandBus as _, CommandError, LaneBus};
use cocotalk_application::port::event_log::{CommandKey, EventLog as _, Metadata};
use cocotalk_application::use_case::UseCase;
use cocotalk_application::use_case::open_group::OpenGroup;
use cocotalk_application::use_case::register::Register;
use cocotalk_application::use_case::send_message::SendMessage;
use cocotalk_domain::id::{CommandId, RoomId, UserId};
use cocotalk_domain::stream::ClaimId;
use cocotalk_infra::postgres::{Database, PostgresEventLog, Settings};
use futures_util::future::join_all;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions as _, Executor as _, PgPool};
use tokio::task::JoinSet;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use super::senders::{Target, Try, body, id, message_id, now};

/// The server that the environment names.
pub(crate) struct Servers {
    admin: PgPool,
    options: PgConnectOptions,
    made: AtomicU32,
}

impl Servers {
    /// The server at this address, whose user may make databases.
    pub(crate) async fn at(url: &str) -> Result<Self> {
        let options: PgConnectOptions = url.parse().context("no address of a PostgreSQL server")?;
        let admin = PgPoolOptions::new()
            .max_connections(2)
            .connect_with(options.clone())
            .await?;
        Ok(Self {
            admin,
            options,
            made: AtomicU32::new(0),
        })
    }

    /// An empty database; the one made before is dropped, so that their caches and files do not pile up.
    pub(crate) async fn empty_database(&self) -> Result<String> {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let name = |number: u32| format!("bench_{}_{number}", std::process::id());
        if number > 1 {
            let drop = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", name(number - 2));
            self.admin.execute(drop.as_str()).await?;
        }
        let create = format!("CREATE DATABASE {}", name(number));
        self.admin.execute(create.as_str()).await?;
        self.admin.execute("CHECKPOINT").await?;
        Ok(self.options.clone().database(&name(number)).to_url_lossy().to_string())
    }

    /// A database with our schema.
    pub(crate) async fn database(&self) -> Result<Settings> {
        let settings = Settings {
            url: self.empty_database().await?.as_str().into(),
            ..Settings::default()
        };
        Database::migrate(&settings, async |_| Ok(())).await?;
        Ok(settings)
    }

    /// `append_batch` alone, on so many connections, with batches of so many one-event runs in rooms of their own: rows a
    /// second.
    pub(crate) async fn raw_appends(&self, connections: u32, batch: usize, length: Duration) -> Result<f64> {
        let settings = self.database().await?;
        let url = settings.url.expose();
        let pool = PgPoolOptions::new().max_connections(connections).connect(url).await?;
        let until = Instant::now() + length;
        let mut tasks = JoinSet::new();
        for _ in 0..connections {
            let pool = pool.clone();
            tasks.spawn(async move {
                let mut rows = 0_u64;
                while Instant::now() < until {
                    append_rooms(&pool, batch).await?;
                    rows += batch as u64;
                }
                anyhow::Ok(rows)
            });
        }
        let mut rows = 0;
        while let Some(done) = tasks.join_next().await {
            rows += done??;
        }
        Ok(rows as f64 / length.as_secs_f64())
    }
}

/// One call with one event in each of `batch` new streams, each of the size of a message.
async fn append_rooms(pool: &PgPool, batch: usize) -> Result<()> {
    let ids: Vec<String> = (0..batch).map(|_| id().to_string()).collect();
    let slices: Vec<i16> = (0..batch).map(|_| rand::random_range(0..64)).collect();
    let payload = format!(r#"{{"room.message_sent":{{"body":"{}"}}}}"#, "x".repeat(380));
    let metadata = format!(r#"{{"actor":"{}","command_id":"{}"}}"#, id(), id());
    let ordinals: Vec<i32> = (1..=batch as i32).collect();
    let keys: Vec<uuid::Uuid> = (0..batch).map(|_| id()).collect();
    sqlx::query(
        "SELECT * FROM append_batch($1::int[], $2::smallint[], $3::text[], $4::text[], $5::bigint[], $6::int[], $1::int[], $7::int[], \
         $8::text[], $9::text[], $10::text[], $11::text[], $12::uuid[], $13::bytea[], $14::uuid[], $12::uuid[], $13::bytea[], $15::text[])",
    )
    .bind(&ordinals)
    .bind(&slices)
    .bind(vec!["room"; batch])
    .bind(&ids)
    .bind(vec![1_i64; batch])
    .bind(vec![1_i32; batch])
    .bind(vec![0_i32; batch])
    .bind(vec!["room.message_sent"; batch])
    .bind(vec!["1"; batch])
    .bind(vec![payload.as_str(); batch])
    .bind(vec![metadata.as_str(); batch])
    .bind(&keys)
    .bind(vec![vec![7_u8; 32]; batch])
    .bind(vec![id(); batch])
    .bind(vec![r#"{"status":201}"#; batch])
    .fetch_all(pool)
    .await?;
    Ok(())
}

/// A process with our command path on a database.
pub(crate) struct Node {
    bus: LaneBus,
    log: PostgresEventLog,
    _stop: DropGuard,
}

impl Node {
    pub(crate) async fn open(settings: &Settings) -> Result<Arc<Self>> {
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let log = PostgresEventLog::new(Database::open(settings).await?, &tasks, stop.clone());
        let bus = LaneBus::start(Arc::new(log.clone()), BusSettings::default(), &tasks, &stop);
        Ok(Arc::new(Self {
            bus,
            log,
            _stop: stop.drop_guard(),
        }))
    }

    async fn run(&self, use_case: impl UseCase) -> Result<(), CommandError> {
        let key = CommandKey {
            actor: id(),
            command_id: CommandId(id()),
        };
        let metadata = Metadata {
            actor: key.actor.to_string(),
            command_id: key.command_id.to_string(),
            ..Metadata::default()
        };
        let command = Command {
            key,
            request_mac: [7; 32],
            metadata: Arc::new(metadata),
            use_case: Box::new(use_case),
        };
        self.bus.execute(command).await.map(drop)
    }

    /// New groups of three.
    pub(crate) async fn rooms(&self, count: usize) -> Result<Vec<(RoomId, UserId)>> {
        let people: Vec<UserId> = (0..3).map(|_| UserId(id())).collect();
        for user in &people {
            let registered = self.run(Register {
                user_id: *user,
                handle: ClaimId(*id().as_bytes()),
                profile: body(*user),
                at: now(),
            });
            registered.await.context("somebody is not registered")?;
        }
        let mut rooms = Vec::with_capacity(count);
        while rooms.len() < count {
            let some = (count - rooms.len()).min(100);
            let ids: Vec<RoomId> = (0..some).map(|_| RoomId(id())).collect();
            let opening = ids.iter().map(|room| {
                self.run(OpenGroup {
                    room_id: *room,
                    by: people[0],
                    user_ids: people[1..].to_vec(),
                    name: None,
                    min_members: 3,
                    max_members: 3_000,
                    at: now(),
                })
            });
            for opened in join_all(opening).await {
                opened.context("a room is not opened")?;
            }
            rooms.extend(ids.into_iter().map(|room| (room, people[0])));
        }
        Ok(rooms)
    }

    fn message(room_id: RoomId, by: UserId) -> SendMessage {
        SendMessage {
            room_id,
            message_id: message_id(),
            by,
            body: body(by),
            preview: None,
            mentions: Vec::new(),
            reply_to: None,
            at: now(),
        }
    }

    /// Says so many things in a room, many at a time.
    pub(crate) async fn fill(&self, (room, by): (RoomId, UserId), messages: u64) -> Result<()> {
        let mut left = messages;
        while left > 0 {
            let some = left.min(200);
            let sending = (0..some).map(|_| self.run(Self::message(room, by)));
            for sent in join_all(sending).await {
                sent.context("a message is not sent")?;
            }
            left -= some;
        }
        Ok(())
    }

    /// Events of messages that are in the log: all but those of the people and of the rooms' openings are.
    pub(crate) async fn messages(&self, rooms: usize) -> Result<u64> {
        let events: u64 = self.log.heads().await?.iter().sum();
        // A person is two events, an account and a claim.
        Ok(events - rooms as u64 - 6)
    }
}

impl Target for Node {
    async fn send(&self, room: RoomId, by: UserId) -> Result<Try> {
        match self.run(Self::message(room, by)).await {
            Ok(()) => Ok(Try::Done),
            Err(CommandError::Refused(_)) => Ok(Try::Refused),
            Err(error) => Err(error.into()),
        }
    }
}
