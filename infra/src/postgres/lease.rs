//! Leadership: locks of the server that live and die with a connection of their own.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use cocotalk_application::error::StoreError;
use cocotalk_application::port::outbox::{Lease, SliceGroup};
use sqlx::{Connection as _, Executor as _};

use super::database::Database;
use super::error::of_store;
use super::session::Session;

/// The first number of the locks that leaders hold; the second is that of a slice, so that two releases that group slices in
/// different ways do not lead the same one.
const LEADERS: i32 = 0x0c0c_07a1;
/// How long a leader waits to hear whether it still is one, and a candidate whether it becomes one.
const ANSWER: Duration = Duration::from_secs(1);
/// Connections that are kept for the next try.
const SPARE: usize = 8;

/// Where leaders come from.
pub(super) struct Leases {
    database: Database,
    /// A standby asks again and again: on the same connection.
    spare: Mutex<Vec<Session>>,
}

impl Leases {
    pub(super) fn new(database: &Database) -> Self {
        Self {
            database: database.clone(),
            spare: Mutex::default(),
        }
    }

    pub(super) async fn lead(&self, group: SliceGroup) -> Result<Option<Box<dyn Lease>>, StoreError> {
        let mut session = self.session().await.map_err(of_store)?;
        for slice in group.slices() {
            let lock = sqlx::query_scalar("SELECT pg_try_advisory_lock($1, $2)");
            let lock = lock.bind(LEADERS).bind(slice.index() as i32);
            let locked = session.run(ANSWER, async |connection| lock.fetch_one(connection).await);
            // After an error the connection may hold some of them: it is closed with the session.
            if !locked.await.map_err(of_store)? {
                unlock(&mut session).await.map_err(of_store)?;
                self.keep(session);
                return Ok(None);
            }
        }
        Ok(Some(Box::new(SessionLocks { session })))
    }

    async fn session(&self) -> Result<Session, sqlx::Error> {
        let spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if let Some(mut session) = spare
            && session.is_alive().await
        {
            return Ok(session);
        }
        let mut session = Session::open(self.database.connector(), "lead").await?;
        // The server ends it, and with it the leadership: one that is there and does nothing would lead for ever.
        let limit = format!("SET idle_session_timeout = {}", self.database.settings().silence_ms);
        session
            .run(ANSWER, async |connection| {
                connection.execute(limit.as_str()).await.map(drop)
            })
            .await?;
        Ok(session)
    }

    fn keep(&self, session: Session) {
        let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        if spare.len() < SPARE {
            spare.push(session);
        }
    }
}

async fn unlock(session: &mut Session) -> Result<(), sqlx::Error> {
    let text = "SELECT pg_advisory_unlock_all()";
    session
        .run(ANSWER, async |connection| connection.execute(text).await.map(drop))
        .await
}

/// Locks that the server holds for as long as the connection lives.
struct SessionLocks {
    session: Session,
}

#[async_trait]
impl Lease for SessionLocks {
    async fn is_held(&mut self) -> Result<bool, StoreError> {
        if !self.session.is_open() {
            return Ok(false);
        }
        // They live and die with the session, so an answer on the same connection says that they are held.
        let asked = self.session.run(ANSWER, async |connection| connection.ping().await);
        asked.await.map(|()| true).map_err(of_store)
    }

    async fn release(mut self: Box<Self>) {
        if let Err(error) = unlock(&mut self.session).await {
            tracing::debug!("leadership ends with its connection: {error}");
        }
    }
}
