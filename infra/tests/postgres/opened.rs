//! A database of a test's own, on the server that the environment names.

use std::sync::Arc;

use cocotalk_application::port::key_vault::KeyVault;
use cocotalk_infra::postgres::{Database, PostgresEventLog, PostgresKeyVault, Settings};
use sqlx::{Connection as _, Executor as _, PgConnection};
use tempfile::TempDir;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

/// A migrated database and the log in it. It stays on the server: servers of tests are thrown away as a whole.
pub(crate) struct Opened {
    pub(crate) log: PostgresEventLog,
    pub(crate) settings: Settings,
    folder: TempDir,
    _stop: DropGuard,
}

/// The server of the tests: a user that may create databases.
pub(crate) fn server() -> String {
    #[expect(
        clippy::disallowed_methods,
        reason = "tests are told by the environment where the servers are"
    )]
    let server = std::env::var("COCOTALK_TEST_POSTGRES");
    server.expect("COCOTALK_TEST_POSTGRES names a server: run `cargo xtask test`, or `cargo xtask up --servers-only`")
}

/// The same server's other database.
fn with_database(server: &str, name: &str) -> String {
    let (address, query) = server.split_once('?').map_or((server, None), |(a, q)| (a, Some(q)));
    let (host, _) = address.rsplit_once('/').expect("an address ends in a database");
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    format!("{host}/{name}{query}")
}

impl Opened {
    pub(crate) async fn fresh() -> Self {
        let server = server();
        let name = format!("test_{:032x}", rand::random::<u128>());
        let mut connection = PgConnection::connect(&server).await.expect("the server answers");
        connection
            .execute(format!("CREATE DATABASE {name}").as_str())
            .await
            .expect("a database is made");
        let settings = Settings {
            url: with_database(&server, &name).as_str().into(),
            ..Settings::default()
        };
        Database::migrate(&settings).await.expect("it is migrated");
        let database = Database::open(&settings).await.expect("it is opened");
        let stop = CancellationToken::new();
        let log = PostgresEventLog::new(database, &TaskTracker::new(), stop.clone());
        Self {
            log,
            settings,
            folder: tempfile::tempdir().expect("a folder"),
            _stop: stop.drop_guard(),
        }
    }

    pub(crate) async fn vault(&self) -> Arc<dyn KeyVault> {
        let file = self.folder.path().join("master.key");
        let database = self.log.database();
        PostgresKeyVault::prepare(database, &file)
            .await
            .expect("a master key is made");
        Arc::new(PostgresKeyVault::open(database.clone(), &file).expect("it is opened"))
    }
}
