//! The pool of connections, and the schema.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cocotalk_application::error::{StoreError, chain};
use sqlx::migrate::Migrator;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPoolOptions};
use sqlx::{ConnectOptions as _, Connection as _, Executor as _, PgPool, Postgres, Row as _};

use super::STORE;
use super::settings::Settings;

static MIGRATOR: Migrator = sqlx::migrate!("../migrations/postgres");

/// The oldest server that has all that is used.
const OLDEST: i32 = 150_000;
/// The lock that whoever changes the schema holds ("cocotalk" on a telephone's keys).
const MIGRATING: i64 = 26_268_255;
/// A connection that was not used for longer than this is tried before it is used again.
const IDLE: Duration = Duration::from_secs(1);
/// How long a migration may take.
const MIGRATION: Duration = Duration::from_mins(10);

/// A database. Clones share its connections.
#[derive(Clone)]
pub struct Database {
    pub(super) pool: PgPool,
    pub(super) settings: Arc<Settings>,
    fault: Arc<Mutex<Option<String>>>,
}

/// What a database is, for whoever operates it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The server's version, as it says it.
    pub version: String,
    /// Whether it is new enough.
    pub is_new_enough: bool,
    /// The newest migration that was applied; none in an empty database.
    pub schema: Option<i64>,
    /// The newest migration that this release knows.
    pub newest: i64,
    /// By how much its clock is ahead of ours, milliseconds.
    pub clock_ahead_ms: i64,
}

impl Database {
    /// Connects, and checks that the schema is the one this release works with.
    ///
    /// # Errors
    /// `Unavailable` where it cannot be reached, `Corrupt` where it was not migrated or by another release.
    pub async fn open(settings: &Settings) -> Result<Self, StoreError> {
        let database = Self::connect(settings)?;
        let standing = database.standing().await?;
        if standing.schema != Some(standing.newest) {
            let why = match standing.schema {
                None => "the database is empty: run `cocotalk migrate`".to_owned(),
                Some(schema) if schema < standing.newest => {
                    format!(
                        "the schema is of migration {schema}, not {}: run `cocotalk migrate`",
                        standing.newest
                    )
                }
                Some(schema) => format!("the schema is of migration {schema}, which a newer release wrote"),
            };
            return Err(StoreError::corrupt(STORE, why));
        }
        Ok(database)
    }

    /// A pool that connects when it is used.
    ///
    /// # Errors
    /// `Corrupt` where the address is none.
    pub fn connect(settings: &Settings) -> Result<Self, StoreError> {
        let options = options(settings)?;
        let role = settings.role.clone();
        let pool = PgPoolOptions::new()
            .max_connections(settings.connections)
            .acquire_timeout(settings.connect())
            .test_before_acquire(false)
            .before_acquire(|connection, meta| {
                Box::pin(async move {
                    if meta.idle_for > IDLE {
                        connection.ping().await?;
                    }
                    Ok(true)
                })
            })
            .after_connect(move |connection, _| {
                let role = role.clone();
                Box::pin(async move { act_as(connection, &role).await })
            })
            .connect_lazy_with(options);
        Ok(Self {
            pool,
            settings: Arc::new(settings.clone()),
            fault: Arc::default(),
        })
    }

    /// A connection of one's own, which acts as the user of the address.
    pub(super) async fn direct(settings: &Settings) -> Result<PgConnection, StoreError> {
        let options = options(settings)?;
        let connecting = tokio::time::timeout(settings.connect(), options.connect());
        connecting.await.map_err(|_| late())?.map_err(of_store)
    }

    /// Applies every migration that is missing; of several processes one does it, the others wait.
    ///
    /// # Errors
    /// As for [`Database::open`].
    pub async fn migrate(settings: &Settings) -> Result<(), StoreError> {
        let mut connection = Self::direct(settings).await?;
        let migrated = async {
            sqlx::query("SELECT pg_advisory_lock($1)")
                .bind(MIGRATING)
                .execute(&mut connection)
                .await
                .map_err(of_store)?;
            let run = MIGRATOR.run_direct(&mut connection).await;
            run.map_err(|error| StoreError::corrupt(STORE, chain(&error)))
        };
        tokio::time::timeout(MIGRATION, migrated).await.map_err(|_| late())??;
        connection.close().await.map_err(of_store)
    }

    /// What it is.
    ///
    /// # Errors
    /// `Unavailable` where it cannot be reached.
    pub async fn standing(&self) -> Result<Standing, StoreError> {
        let text = "SELECT current_setting('server_version'), current_setting('server_version_num')::int, \
             (extract(epoch FROM clock_timestamp()) * 1e3)::bigint, to_regclass('_sqlx_migrations') IS NOT NULL";
        let (version, number, now_ms, migrated): (String, i32, i64, bool) = self
            .run(async |connection| sqlx::query_as(text).fetch_one(connection).await)
            .await?;
        let schema = if migrated {
            let text = "SELECT max(version) FROM _sqlx_migrations WHERE success";
            self.run(async |connection| sqlx::query(text).fetch_one(connection).await?.try_get(0))
                .await?
        } else {
            None
        };
        Ok(Standing {
            version,
            is_new_enough: number >= OLDEST,
            schema,
            newest: MIGRATOR.iter().map(|migration| migration.version).max().unwrap_or(0),
            clock_ahead_ms: now_ms - crate::clock::now_us() / 1_000,
        })
    }

    /// Does something on a connection, within the time of a statement. A connection on which it took longer, or which broke,
    /// is dropped.
    pub(super) async fn run<T>(
        &self,
        what: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, StoreError> {
        self.try_run(what).await.map_err(of_store)
    }

    /// As [`Database::run`], with the error as the driver tells it.
    pub(super) async fn try_run<T>(
        &self,
        what: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, sqlx::Error> {
        let mut connection = self.acquire().await?;
        let done = within(self.settings.statement(), what(&mut connection)).await;
        match &done {
            Ok(_) => self.note(None),
            Err(error) if is_refusal(error) => {}
            Err(error) => {
                drop(connection.detach());
                self.note(Some(error));
            }
        }
        done
    }

    pub(super) async fn acquire(&self) -> Result<PoolConnection<Postgres>, sqlx::Error> {
        let acquired = self.pool.acquire().await;
        if let Err(error) = &acquired {
            self.note(Some(error));
        }
        acquired
    }

    /// Why it failed a moment ago, if it has not worked since.
    pub fn fault(&self) -> Option<String> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn note(&self, error: Option<&sqlx::Error>) {
        let mut fault = self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        match error {
            None if fault.is_none() => {}
            None => *fault = None,
            Some(error) => *fault = Some(chain(error)),
        }
    }
}

fn options(settings: &Settings) -> Result<PgConnectOptions, StoreError> {
    let options: PgConnectOptions = settings
        .url
        .expose()
        .parse()
        .map_err(|error: sqlx::Error| StoreError::corrupt("the address of PostgreSQL", error))?;
    let timeout = settings.statement_ms.to_string();
    Ok(options
        .application_name("cocotalk")
        .options([("statement_timeout", timeout.as_str())])
        .disable_statement_logging())
}

/// From here on the connection acts as this role.
async fn act_as(connection: &mut PgConnection, role: &str) -> Result<(), sqlx::Error> {
    if !role.is_empty() {
        // The settings allow letters, digits and underscores only.
        connection.execute(format!("SET ROLE {role}").as_str()).await?;
    }
    Ok(())
}

/// What it comes to, within a time.
pub(super) async fn within<T>(
    time: Duration,
    what: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    // A little more than the server grants a statement, so that its own answer comes first where there is one.
    tokio::time::timeout(time + Duration::from_millis(500), what)
        .await
        .unwrap_or_else(|_| Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())))
}

/// Whether the server is well and just does not do that: the connection can be used again.
pub(super) fn is_refusal(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(error) => {
            let code = error.code().unwrap_or_default();
            // Connection errors, shutdowns, a server that cannot write, and internal errors are not refusals.
            !["08", "53", "57P", "58", "XX", "25006"]
                .iter()
                .any(|class| code.starts_with(class))
        }
        sqlx::Error::RowNotFound | sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => true,
        _ => false,
    }
}

/// An error of the driver as callers of the ports see it.
pub(super) fn of_store(error: sqlx::Error) -> StoreError {
    match error {
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => StoreError::corrupt(STORE, error),
        _ => StoreError::unavailable(STORE, error),
    }
}

fn late() -> StoreError {
    StoreError::unavailable(STORE, "it did not answer in time")
}
