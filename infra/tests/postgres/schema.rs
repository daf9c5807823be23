//! Migrating, and what is said of a database.

use cocotalk_application::contract::support::{append, room, unit};
use cocotalk_application::error::chain;
use cocotalk_infra::postgres::{Backlog, Database, Schema, Settings};
use futures_util::future::join_all;
use sqlx::{Connection as _, Executor as _, PgConnection};

use crate::named::Named;
use crate::opened::Opened;

async fn migrate(settings: &Settings) {
    let migrated = Database::migrate(settings, async |_| Ok(())).await;
    migrated.expect("it is migrated");
}

async fn schema(settings: &Settings) -> Schema {
    Database::standing(settings).await.expect("it can be looked at").schema
}

async fn why_not(settings: &Settings) -> String {
    match Database::open(settings).await {
        Ok(_) => panic!("it is not to be used"),
        Err(error) => chain(&error),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_that_migrate_one_does_it() {
    let databases = join_all((0..3).map(|_| Named::empty())).await;
    // Several processes on each, and several databases of one server, which share its roles.
    let settings: Vec<Settings> = databases.iter().cycle().take(9).map(Named::settings).collect();
    join_all(settings.iter().map(migrate)).await;
    for settings in &settings {
        assert_eq!(schema(settings).await, Schema::Current);
        Database::open(settings).await.expect("it is opened");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_done_with_the_migration_is_done_by_one_at_a_time() {
    let named = Named::empty().await;
    let inside = std::sync::atomic::AtomicUsize::new(0);
    let migrate = async || {
        let alone = async |database: &Database| {
            assert_eq!(
                inside.fetch_add(1, std::sync::atomic::Ordering::SeqCst),
                0,
                "two at a time"
            );
            assert!(database.fault().is_none());
            tokio::task::yield_now().await;
            inside.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
            Ok(())
        };
        Database::migrate(&named.settings(), alone)
            .await
            .expect("it is migrated");
    };
    join_all((0..4).map(|_| migrate())).await;
}

#[tokio::test]
async fn an_empty_database_is_said_to_be_empty() {
    let named = Named::empty().await;
    assert_eq!(schema(&named.settings()).await, Schema::Missing);
    assert!(why_not(&named.settings()).await.contains("run `cocotalk migrate`"));
}

#[tokio::test]
async fn the_schema_of_another_release_is_not_used() {
    let named = Named::migrated().await;
    let settings = named.settings();
    let mut connection = PgConnection::connect(settings.url.expose())
        .await
        .expect("the server answers");
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES (9999, '', true, '', 0)";
    connection.execute(newer).await.expect("it may");
    assert!(matches!(schema(&settings).await, Schema::Newer { found: 9_999, .. }));
    assert!(why_not(&settings).await.contains("newer release"));
    let foreign = "DELETE FROM _sqlx_migrations WHERE version = 9999; UPDATE _sqlx_migrations SET checksum = 'x' WHERE version = 1";
    connection.execute(foreign).await.expect("it may");
    assert_eq!(schema(&settings).await, Schema::Foreign { number: 1 });
    assert!(why_not(&settings).await.contains("migration 1"));
}

#[tokio::test]
async fn what_a_database_is_and_what_waits_in_it_is_said() {
    let opened = Opened::fresh().await;
    append(&opened.log, unit(room(), 0, 5)).await;
    let mut administrator = opened.administrator().await;
    let published = "INSERT INTO relay_progress SELECT slice, pos - 2 FROM slice_head WHERE pos > 0";
    administrator.execute(published).await.expect("it may");
    let standing = Database::standing(&opened.settings).await.expect("it can be looked at");
    assert!(standing.is_new_enough && standing.version.starts_with(|digit: char| digit.is_ascii_digit()));
    assert!(standing.clock_ahead_ms.abs() < 60_000, "{} ms", standing.clock_ahead_ms);
    assert_eq!(standing.role_problem, None);
    assert_eq!(
        standing.unsafe_settings,
        Vec::<String>::new(),
        "tests run on a server that keeps what it says it has kept"
    );
    let expected = Backlog {
        events: 5,
        unpublished: 2,
        parked: 0,
    };
    assert_eq!(standing.backlog, Some(expected));
}

#[tokio::test]
async fn a_role_that_is_not_right_is_named() {
    let named = Named::migrated().await;
    let problem = async |role: &str| {
        let settings = Settings {
            role: role.to_owned(),
            ..named.settings()
        };
        let standing = Database::standing(&settings).await.expect("it can be looked at");
        standing.role_problem.expect("something is wrong")
    };
    assert!(problem("nobody_of_this_name").await.contains("does not exist"));
    assert!(problem("").await.contains("can change and remove events"));
}
