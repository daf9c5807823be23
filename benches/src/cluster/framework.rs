//! The unmodified framework: `CqrsFramework` over `postgres-es`'s repository in event-store mode, with our own room as its
//! aggregate, doing the same commands.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use cocotalk_domain::id::{RoomId, UserId};
use cocotalk_domain::room::{Invitation, Room, RoomCommand};
use cqrs_es::persist::PersistedEventStore;
use cqrs_es::{AggregateError, CqrsFramework};
use postgres_es::PostgresEventRepository;
use sqlx::postgres::PgPoolOptions;
use sqlx::{Executor as _, PgPool};

use super::senders::{Target, Try, body, id, message_id, now};

/// The table of postgres-es's own migration.
const TABLE: &str = "CREATE TABLE events (
    aggregate_type text NOT NULL,
    aggregate_id text NOT NULL,
    sequence bigint CHECK (sequence >= 0) NOT NULL,
    event_type text NOT NULL,
    event_version text NOT NULL,
    payload json NOT NULL,
    metadata json NOT NULL,
    PRIMARY KEY (aggregate_type, aggregate_id, sequence)
)";

/// The framework on a database of its own.
pub(crate) struct Framework {
    framework: CqrsFramework<Room, PersistedEventStore<PostgresEventRepository, Room>>,
    pool: PgPool,
}

impl Framework {
    /// On an empty database, with a pool of ten.
    pub(crate) async fn open(url: &str) -> Result<Arc<Self>> {
        let pool = PgPoolOptions::new().max_connections(10).connect(url).await?;
        pool.execute(TABLE).await.context("the framework's table")?;
        let store = PersistedEventStore::new_event_store(PostgresEventRepository::new(pool.clone()));
        Ok(Arc::new(Self {
            framework: CqrsFramework::new(store, vec![], ()),
            pool,
        }))
    }

    /// New groups of three.
    pub(crate) async fn rooms(&self, count: usize) -> Result<Vec<(RoomId, UserId)>> {
        let mut rooms = Vec::with_capacity(count);
        for _ in 0..count {
            let (room_id, by) = (RoomId(id()), UserId(id()));
            let command = RoomCommand::OpenGroup {
                room_id,
                by,
                invitation: Invitation {
                    user_ids: vec![UserId(id()), UserId(id())],
                    refused: Vec::new(),
                    min_members: 3,
                    max_members: 3_000,
                },
                name: None,
                at: now(),
            };
            self.framework
                .execute(&room_id.to_string(), command)
                .await
                .map_err(|error| anyhow::anyhow!("a room is not opened: {error}"))?;
            rooms.push((room_id, by));
        }
        Ok(rooms)
    }

    /// Messages that are in the log, to be compared with what was counted.
    pub(crate) async fn messages(&self) -> Result<i64> {
        let text = "SELECT count(*) FROM events WHERE event_type = 'room.message_sent'";
        Ok(sqlx::query_scalar(text).fetch_one(&self.pool).await?)
    }
}

impl Target for Framework {
    async fn send(&self, room: RoomId, by: UserId) -> Result<Try> {
        let command = RoomCommand::Send {
            by,
            message_id: message_id(),
            body: body(by),
            preview: None,
            mentions: Vec::new(),
            reply_to: None,
            at: now(),
        };
        match self.framework.execute(&room.to_string(), command).await {
            Ok(()) => Ok(Try::Done),
            Err(AggregateError::AggregateConflict) => Ok(Try::Again),
            Err(AggregateError::UserError(_)) => Ok(Try::Refused),
            Err(error) => Err(anyhow::anyhow!("{error}")),
        }
    }
}
