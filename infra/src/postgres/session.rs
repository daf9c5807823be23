//! One connection, for as long as it is in order.

use std::time::Duration;

use sqlx::postgres::PgConnection;
use sqlx::{Connection as _, Executor as _};
use tokio::time::Instant;

use super::connector::Connector;
use super::error::{Fault, fault, late};

/// A connection that was not used for longer than this is tried before it is used again.
const IDLE: Duration = Duration::from_secs(1);
/// One that was not used for longer than this is not used again: whatever is between us and the server may have forgotten it.
const STALE: Duration = Duration::from_mins(1);
/// How long such a try may take.
const TRY: Duration = Duration::from_secs(1);

/// A connection. When something on it breaks, is too late or is not waited for, it is closed: what was under way on it ends at
/// the server, and nobody else meets its rest.
pub(super) struct Session {
    connection: Option<PgConnection>,
    used: Instant,
    is_broken: bool,
}

impl Session {
    pub(super) async fn open(connector: &Connector, purpose: &'static str) -> Result<Self, sqlx::Error> {
        let connection = connector.open(purpose).await?;
        Ok(Self {
            connection: Some(connection),
            used: Instant::now(),
            is_broken: false,
        })
    }

    /// Does something on the connection, within a time.
    pub(super) async fn run<T>(
        &mut self,
        time: Duration,
        what: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, sqlx::Error> {
        // Held here and not in `self`, so that it is closed if the caller does not wait for the end.
        let mut connection = self.connection.take().ok_or_else(lost)?;
        let done = tokio::time::timeout(time, what(&mut connection)).await;
        let done = done.unwrap_or_else(|_| Err(late("a statement")));
        self.is_broken = done.as_ref().is_err_and(|error| fault(error) == Fault::Connection);
        if !self.is_broken {
            self.connection = Some(connection);
            self.used = Instant::now();
        }
        done
    }

    /// Does something in a transaction of its own, within a time. After an error there is no connection any more, and so no
    /// transaction.
    pub(super) async fn transact<T>(
        &mut self,
        time: Duration,
        what: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, sqlx::Error> {
        let done = self
            .run(time, async |connection| {
                connection.execute("BEGIN").await?;
                let value = what(connection).await?;
                connection.execute("COMMIT").await?;
                Ok(value)
            })
            .await;
        if done.is_err() {
            self.close();
        }
        done
    }

    pub(super) const fn is_open(&self) -> bool {
        self.connection.is_some()
    }

    /// Whether the last use of it ended with the connection.
    pub(super) const fn is_broken(&self) -> bool {
        self.is_broken
    }

    /// Whether it can be used. If it was idle for a while, the server is asked.
    pub(super) async fn is_alive(&mut self) -> bool {
        let idle = self.used.elapsed();
        if idle > STALE {
            self.close();
        } else if idle > IDLE {
            let asked = self.run(TRY, async |connection| connection.ping().await).await;
            return asked.is_ok();
        }
        self.is_open()
    }

    /// Closes it.
    pub(super) fn close(&mut self) {
        self.connection = None;
    }
}

fn lost() -> sqlx::Error {
    sqlx::Error::Io(std::io::Error::new(
        std::io::ErrorKind::NotConnected,
        "the connection was lost before",
    ))
}
