//! Connections that are taken in turn.
//!
//! The driver has a pool, but it asks the server once more after each use whether the connection is well, which doubles the
//! round trips, and it waits for that answer without a deadline, so that a connection that is only half there keeps its place
//! for as long as the operating system believes in it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::connector::Connector;
use super::error::late;
use super::session::Session;

/// A bounded number of connections, opened when they are needed.
pub(super) struct Pool {
    connector: Arc<Connector>,
    purpose: &'static str,
    wait: Duration,
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<Session>>,
}

impl Pool {
    pub(super) fn new(connector: &Arc<Connector>, purpose: &'static str, size: usize, wait: Duration) -> Arc<Self> {
        Arc::new(Self {
            connector: Arc::clone(connector),
            purpose,
            wait,
            permits: Arc::new(Semaphore::new(size)),
            idle: Mutex::default(),
        })
    }

    /// A connection, when one is free.
    pub(super) async fn take(self: &Arc<Self>) -> Result<Loan, sqlx::Error> {
        let permit = tokio::time::timeout(self.wait, Arc::clone(&self.permits).acquire_owned()).await;
        let permit = permit
            .map_err(|_| late("waiting for a free connection"))?
            .expect("the semaphore is never closed");
        let idle = self.idle().pop();
        let session = match idle {
            Some(session) => self.alive(session).await?,
            None => Session::open(&self.connector, self.purpose).await?,
        };
        Ok(Loan {
            session: Some(session),
            pool: Arc::clone(self),
            _permit: permit,
        })
    }

    /// This connection if it is alive, else a new one. Where one is dead the others are too: the server was away.
    async fn alive(&self, mut session: Session) -> Result<Session, sqlx::Error> {
        if session.is_alive().await {
            return Ok(session);
        }
        self.idle().clear();
        Session::open(&self.connector, self.purpose).await
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Session>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection on loan. It goes back when it is dropped, if it is still open.
pub(super) struct Loan {
    session: Option<Session>,
    pool: Arc<Pool>,
    _permit: OwnedSemaphorePermit,
}

impl Loan {
    pub(super) const fn session(&mut self) -> &mut Session {
        self.session.as_mut().expect("it is there until it is dropped")
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        let Some(session) = self.session.take() else { return };
        let mut idle = self.pool.idle();
        if session.is_open() {
            idle.push(session);
        } else if session.is_broken() {
            // Those that lie idle are likely to be broken too, and the next caller should not be the one to find out.
            idle.clear();
        }
    }
}
