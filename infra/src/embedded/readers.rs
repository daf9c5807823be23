//! The connections that read: a few, each on a thread of its own, taken in turn.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, PoisonError};

use cocotalk_application::error::StoreError;
use sqlx::sqlite::{SqliteArguments, SqliteConnectOptions, SqliteRow};
use sqlx::{Arguments as _, ConnectOptions as _, SqliteConnection};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::error::{Fault, fault, of_store};
use super::script::Value;
use crate::metrics::STATEMENTS;

/// Connections that read. Every statement is one consistent look at what is committed when it begins.
pub(super) struct Readers {
    options: SqliteConnectOptions,
    idle: Mutex<Vec<SqliteConnection>>,
    permits: Semaphore,
}

impl Readers {
    /// So many connections, all of them opened now so that the first readers do not wait.
    pub(super) async fn open(options: SqliteConnectOptions, count: usize) -> Result<Self, sqlx::Error> {
        let mut idle = Vec::with_capacity(count);
        for _ in 0..count {
            idle.push(options.connect().await?);
        }
        Ok(Self {
            options,
            idle: Mutex::new(idle),
            permits: Semaphore::new(count),
        })
    }

    /// The rows of a query.
    pub(super) async fn fetch(&self, text: &str, values: Vec<Value<'_>>) -> Result<Vec<SqliteRow>, StoreError> {
        let arguments = bound(values)?;
        let mut reader = self.take().await?;
        let fetched = sqlx::query_with(text, arguments).fetch_all(&mut *reader).await;
        reader.end(fetched)
    }

    /// The row of a query that always has one. Whoever waits is woken once, with the row, and not again to hear that it was
    /// the last.
    pub(super) async fn fetch_one(&self, text: &str, values: Vec<Value<'_>>) -> Result<SqliteRow, StoreError> {
        let arguments = bound(values)?;
        let mut reader = self.take().await?;
        let fetched = sqlx::query_with(text, arguments).fetch_one(&mut *reader).await;
        reader.end(fetched)
    }

    /// Closes the connections that nobody uses.
    pub(super) async fn close(&self) {
        self.permits.close();
        let idle = std::mem::take(&mut *self.idle.lock().unwrap_or_else(PoisonError::into_inner));
        for connection in idle {
            if let Err(error) = sqlx::Connection::close(connection).await {
                tracing::debug!("a reader did not close: {error}");
            }
        }
    }

    /// A connection for one statement.
    async fn take(&self) -> Result<Reader<'_>, StoreError> {
        let permit = self
            .permits
            .acquire()
            .await
            .map_err(|_closed| super::error::stopped())?;
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = match idle {
            Some(connection) => connection,
            None => self.options.connect().await.map_err(of_store)?,
        };
        metrics::counter!(STATEMENTS, "role" => "reader").increment(1);
        Ok(Reader {
            connection: Some(connection),
            readers: self,
            _permit: permit,
        })
    }
}

fn bound(values: Vec<Value<'_>>) -> Result<SqliteArguments<'_>, StoreError> {
    let mut arguments = SqliteArguments::default();
    arguments.reserve(values.len(), 0);
    for value in values {
        arguments
            .add(value)
            .map_err(|error| of_store(sqlx::Error::Encode(error)))?;
    }
    Ok(arguments)
}

/// A connection on loan.
struct Reader<'a> {
    connection: Option<SqliteConnection>,
    readers: &'a Readers,
    _permit: SemaphorePermit<'a>,
}

impl Reader<'_> {
    /// Gives it back with what it fetched; where the storage has failed the next one gets a new connection.
    fn end<T>(mut self, fetched: Result<T, sqlx::Error>) -> Result<T, StoreError> {
        if fetched.as_ref().is_err_and(|error| fault(error) == Fault::Storage) {
            self.connection = None;
        }
        fetched.map_err(of_store)
    }
}

impl Deref for Reader<'_> {
    type Target = SqliteConnection;

    fn deref(&self) -> &Self::Target {
        self.connection
            .as_ref()
            .expect("a reader has its connection until it is given back")
    }
}

impl DerefMut for Reader<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        self.connection
            .as_mut()
            .expect("a reader has its connection until it is given back")
    }
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.readers
                .idle
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(connection);
        }
    }
}
