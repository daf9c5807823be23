//! A log in a database of a test's own.

use std::sync::Arc;

use cocotalk_application::port::key_vault::KeyVault;
use cocotalk_infra::postgres::{Database, PostgresEventLog, PostgresKeyVault, Settings};
use sqlx::{Connection as _, PgConnection};
use tempfile::TempDir;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::named::Named;

/// A migrated database and the log in it. It is removed at the end.
pub(crate) struct Opened {
    pub(crate) log: PostgresEventLog,
    pub(crate) settings: Settings,
    pub(crate) tasks: TaskTracker,
    folder: TempDir,
    stop: CancellationToken,
    _stop_at_the_end: DropGuard,
    named: Named,
}

impl Opened {
    pub(crate) async fn fresh() -> Self {
        Self::with(|_| {}).await
    }

    /// With other settings than the usual ones.
    pub(crate) async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let named = Named::migrated().await;
        let mut settings = named.settings();
        change(&mut settings);
        let database = Database::open(&settings).await.expect("it is opened");
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        Self {
            log: PostgresEventLog::new(database, &tasks, stop.clone()),
            settings,
            tasks,
            folder: tempfile::tempdir().expect("a folder"),
            _stop_at_the_end: stop.clone().drop_guard(),
            stop,
            named,
        }
    }

    /// Another process on the same database.
    pub(crate) async fn neighbour(&self) -> PostgresEventLog {
        let database = Database::open(&self.settings).await.expect("it is opened");
        PostgresEventLog::new(database, &self.tasks, self.stop.clone())
    }

    pub(crate) fn database(&self) -> Database {
        self.log.database().clone()
    }

    /// A connection as the user of the server, who may do anything.
    pub(crate) async fn administrator(&self) -> PgConnection {
        let settings = self.named.settings();
        let connection = PgConnection::connect(settings.url.expose()).await;
        connection.expect("the server answers")
    }

    pub(crate) fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    pub(crate) async fn vault(&self) -> Arc<dyn KeyVault> {
        let file = self.folder().join("master.key");
        PostgresKeyVault::prepare(self.log.database(), &file)
            .await
            .expect("a master key is made");
        Arc::new(PostgresKeyVault::open(self.database(), &file).expect("it is opened"))
    }
}

/// Ends every other connection to this database of which this is so. How many.
pub(crate) async fn end_connections(administrator: &mut PgConnection, which: &str) -> u64 {
    let text = format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
         WHERE datname = current_database() AND pid <> pg_backend_pid() AND {which}"
    );
    let ended = sqlx::query(&text).fetch_all(administrator).await;
    ended.expect("the server does it").len() as u64
}
