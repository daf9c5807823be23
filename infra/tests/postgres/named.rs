//! Databases on the server that the environment names, each for one test, made quickly.

use std::time::Duration;

use cocotalk_infra::postgres::{Database, Settings};
use sqlx::{Connection as _, Executor as _, PgConnection};
use tokio::sync::OnceCell;

/// The lock that whoever makes the template holds.
const MAKING_A_TEMPLATE: i64 = 4_711;

/// A database that is removed with its name.
pub(crate) struct Named(String);

/// The server of the tests: a user that may do anything.
fn server() -> String {
    #[expect(
        clippy::disallowed_methods,
        reason = "tests are told by the environment where the servers are"
    )]
    let server = std::env::var("COCOTALK_TEST_POSTGRES");
    server.expect(
        "COCOTALK_TEST_POSTGRES names a server: start the servers with `cargo xtask up --servers-only`, or run `cargo xtask test`",
    )
}

/// The same server's other database.
fn with_database(server: &str, name: &str) -> String {
    let (address, query) = server.split_once('?').map_or((server, None), |(a, q)| (a, Some(q)));
    let (host, _) = address.rsplit_once('/').expect("an address ends in a database");
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    format!("{host}/{name}{query}")
}

fn settings_of(name: &str) -> Settings {
    Settings {
        url: with_database(&server(), name).as_str().into(),
        ..Settings::default()
    }
}

async fn connection() -> PgConnection {
    PgConnection::connect(&server()).await.expect("the server answers")
}

async fn administer(statements: &str) {
    let done = connection().await.execute(statements).await;
    done.expect("the server does it");
}

impl Named {
    /// An empty database.
    pub(crate) async fn empty() -> Self {
        let name = format!("test_{:032x}", rand::random::<u128>());
        administer(&format!("CREATE DATABASE {name}")).await;
        Self(name)
    }

    /// A migrated one: a copy of one that stays, since copying is quicker than migrating.
    pub(crate) async fn migrated() -> Self {
        static TEMPLATE: OnceCell<String> = OnceCell::const_new();
        let template = TEMPLATE.get_or_init(template).await;
        let name = format!("test_{:032x}", rand::random::<u128>());
        administer(&format!("CREATE DATABASE {name} TEMPLATE {template}")).await;
        Self(name)
    }

    pub(crate) fn settings(&self) -> Settings {
        settings_of(&self.0)
    }
}

/// The template of these migrations, made by whichever test binary comes first.
async fn template() -> String {
    let migrations = sqlx::migrate!("../migrations/postgres");
    let sums = migrations.iter().flat_map(|migration| migration.checksum.iter());
    let sum = sums.fold(0_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(*byte)));
    let name = format!("template_{sum:016x}");
    let mut connection = connection().await;
    let lock = sqlx::query("SELECT pg_advisory_lock($1)").bind(MAKING_A_TEMPLATE);
    lock.execute(&mut connection).await.expect("the server answers");
    let exists: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)")
        .bind(&name)
        .fetch_one(&mut connection)
        .await
        .expect("the server answers");
    if !exists {
        let made = Named::empty().await;
        let migrated = Database::migrate(&made.settings(), async |_| Ok(())).await;
        migrated.expect("it is migrated");
        administer(&format!("ALTER DATABASE {} RENAME TO {name}", made.0)).await;
    }
    name
}

impl Drop for Named {
    fn drop(&mut self) {
        let text = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.0);
        // On a thread of its own, because a runtime cannot wait inside another one.
        let removed = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let removing = async { tokio::time::timeout(Duration::from_secs(20), administer(&text)).await };
            runtime.expect("a runtime").block_on(removing).is_ok()
        });
        if !removed.join().unwrap_or(false) {
            eprintln!("a database of a test was left behind");
        }
    }
}
