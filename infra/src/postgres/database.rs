//! The connections of a process, and the schema.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cocotalk_application::error::{StoreError, chain};
use sqlx::migrate::Migrator;
use sqlx::postgres::PgConnection;
use sqlx::{ConnectOptions as _, Connection as _};

use super::STORE;
use super::connector::{self, Connector};
use super::error::{Fault, fault, late, of_store};
use super::pool::{Loan, Pool};
use super::settings::Settings;
use super::standing::{self, Schema, Standing};

pub(super) static MIGRATOR: Migrator = sqlx::migrate!("../migrations/postgres");

/// The lock that whoever changes a schema holds ("cocotalk" on a telephone's keys).
const MIGRATING: i64 = 26_268_255;
/// How long migrating may take, waiting for others included.
const MIGRATION: Duration = Duration::from_mins(10);

/// A database. Clones share its connections.
#[derive(Clone)]
pub struct Database(Arc<Inner>);

struct Inner {
    settings: Settings,
    connector: Arc<Connector>,
    readers: Arc<Pool>,
    lockers: Arc<Pool>,
    fault: Mutex<Option<String>>,
}

impl Database {
    /// Connects, and checks that the schema is the one this release works with.
    ///
    /// # Errors
    /// `Unavailable` where it cannot be reached, `Corrupt` where it is too old, was not migrated, or by a newer release.
    pub async fn open(settings: &Settings) -> Result<Self, StoreError> {
        let standing = Self::standing(settings).await?;
        if !standing.is_new_enough {
            let why = format!("version {} is too old: 15 or newer is needed", standing.version);
            return Err(StoreError::corrupt(STORE, why));
        }
        match standing.schema {
            Schema::Current => Self::connect(settings),
            Schema::Missing | Schema::Behind { .. } | Schema::Newer { .. } | Schema::Foreign { .. } => {
                Err(StoreError::corrupt(STORE, standing.schema))
            }
        }
    }

    /// What it is, for whoever operates it. Needs no schema and no role.
    ///
    /// # Errors
    /// `Unavailable` where it cannot be reached.
    pub async fn standing(settings: &Settings) -> Result<Standing, StoreError> {
        let mut connection = own(settings).await?;
        let looked = tokio::time::timeout(settings.statement(), standing::look(&mut connection, settings)).await;
        let standing = looked
            .unwrap_or_else(|_| Err(late("looking at the database")))
            .map_err(of_store)?;
        close(connection, settings).await;
        Ok(standing)
    }

    /// Applies every migration that is missing, and then does what else is to be done by one process at a time; the others
    /// wait.
    ///
    /// # Errors
    /// `Corrupt` where a migration does not fit what is there, and what `then` says.
    pub async fn migrate(
        settings: &Settings,
        then: impl AsyncFnOnce(&Self) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut connection = own(settings).await?;
        let migrating = async {
            let locked = sqlx::query("SELECT pg_advisory_lock($1)").bind(MIGRATING);
            locked.execute(&mut connection).await.map_err(of_store)?;
            let run = MIGRATOR.run_direct(&mut connection).await;
            run.map_err(|error| StoreError::corrupt("the schema of PostgreSQL", chain(&error)))?;
            then(&Self::connect(settings)?).await
        };
        let migrated = tokio::time::timeout(MIGRATION, migrating).await;
        migrated.unwrap_or_else(|_| Err(of_store(late("migrating"))))?;
        close(connection, settings).await;
        Ok(())
    }

    /// Connections that are opened when they are used.
    fn connect(settings: &Settings) -> Result<Self, StoreError> {
        let connector = Arc::new(Connector::new(settings)?);
        let pool = |purpose, size| Pool::new(&connector, purpose, size, settings.connect());
        Ok(Self(Arc::new(Inner {
            readers: pool("read", settings.connections),
            lockers: pool("lock", settings.lockers),
            settings: settings.clone(),
            connector,
            fault: Mutex::default(),
        })))
    }

    /// Does something on a connection, within the time of a statement.
    pub(super) async fn run<T>(
        &self,
        what: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, StoreError> {
        let done = match self.0.readers.take().await {
            Ok(mut loan) => loan.session().run(self.settings().statement(), what).await,
            Err(error) => Err(error),
        };
        self.note(done.as_ref().err());
        done.map_err(of_store)
    }

    /// Does something in a transaction, within the time of a statement.
    pub(super) async fn transact<T>(
        &self,
        what: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, StoreError> {
        let done = match self.0.readers.take().await {
            Ok(mut loan) => loan.session().transact(self.settings().statement(), what).await,
            Err(error) => Err(error),
        };
        self.note(done.as_ref().err());
        done.map_err(of_store)
    }

    /// A connection for what is decided under lock.
    pub(super) async fn locker(&self) -> Result<Loan, sqlx::Error> {
        self.0.lockers.take().await
    }

    pub(super) fn connector(&self) -> &Arc<Connector> {
        &self.0.connector
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// Why it could not be used a moment ago, if it has not worked since.
    pub fn fault(&self) -> Option<String> {
        self.0.fault.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes how using it went.
    pub(super) fn note(&self, error: Option<&sqlx::Error>) {
        let mut kept = self.0.fault.lock().unwrap_or_else(PoisonError::into_inner);
        match error {
            None => *kept = None,
            Some(error) if fault(error) == Fault::Connection => *kept = Some(chain(error)),
            Some(_) => {}
        }
    }
}

/// A connection of the user of the address, in no role.
async fn own(settings: &Settings) -> Result<PgConnection, StoreError> {
    let wrong = |why: String| StoreError::corrupt("the address of PostgreSQL", why);
    let options = connector::parse(&settings.url).map_err(wrong)?;
    let options = options.application_name("cocotalk").disable_statement_logging();
    let opening = tokio::time::timeout(settings.connect(), options.connect()).await;
    opening.unwrap_or_else(|_| Err(late("connecting"))).map_err(of_store)
}

async fn close(connection: PgConnection, settings: &Settings) {
    if let Ok(Err(error)) = tokio::time::timeout(settings.connect(), connection.close()).await {
        tracing::debug!("a connection did not close: {error}");
    }
}
