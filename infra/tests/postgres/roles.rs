//! What the roles may do.

use cocotalk_application::contract::support::{append, room, unit};
use cocotalk_application::port::event_log::EventLog as _;
use sqlx::{Executor as _, PgConnection};

use crate::opened::Opened;

async fn acting_as(opened: &Opened, role: &str) -> PgConnection {
    let mut connection = opened.administrator().await;
    let acting = connection.execute(format!("SET ROLE {role}").as_str()).await;
    acting.expect("whoever made a role may act as it");
    connection
}

/// The code of the error that a statement ends in.
async fn refused(connection: &mut PgConnection, statement: &str) -> String {
    let error = connection.execute(statement).await.expect_err(statement);
    let error = error.as_database_error().expect("the server says no");
    error.code().expect("with a code").into_owned()
}

const NO_RIGHT: &str = "42501";

#[tokio::test]
async fn the_application_cannot_change_what_happened() {
    let opened = Opened::fresh().await;
    append(&opened.log, unit(room(), 0, 3)).await;
    let mut app = acting_as(&opened, "cocotalk_app").await;
    for statement in [
        "UPDATE events SET payload = '{}'",
        "UPDATE events SET ts_us = 1 WHERE sequence = 1",
        "DELETE FROM events",
        "DELETE FROM events WHERE sequence = 3",
        "TRUNCATE events",
        "DROP TABLE events",
        "ALTER TABLE events DISABLE TRIGGER ALL",
        "INSERT INTO events SELECT * FROM events ON CONFLICT (slice, slice_pos) DO UPDATE SET payload = '{}'",
        "DELETE FROM slice_head",
        "TRUNCATE slice_head",
        "DELETE FROM subject_keys",
        "DELETE FROM secrets",
        "CREATE TABLE mine (id int)",
    ] {
        assert_eq!(refused(&mut app, statement).await, NO_RIGHT, "{statement}");
    }
    let kept: i64 = sqlx::query_scalar("SELECT count(*) FROM events")
        .fetch_one(&mut app)
        .await
        .expect("it may look");
    assert_eq!(kept, 3);
}

#[tokio::test]
async fn connections_act_as_the_application() {
    let opened = Opened::fresh().await;
    append(&opened.log, unit(room(), 0, 1)).await;
    let mut administrator = opened.administrator().await;
    administrator
        .execute("REVOKE INSERT ON events FROM cocotalk_app")
        .await
        .expect("it may");
    let refused = opened.log.append(vec![unit(room(), 0, 1)]).await;
    assert!(refused.is_err(), "it acts as somebody with more rights");
}

#[tokio::test]
async fn an_auditor_reads_the_log_and_no_key() {
    let opened = Opened::fresh().await;
    append(&opened.log, unit(room(), 0, 2)).await;
    let mut auditor = acting_as(&opened, "cocotalk_audit").await;
    for table in ["events", "slice_head", "relay_progress", "parked"] {
        let read = auditor.execute(format!("SELECT * FROM {table}").as_str()).await;
        read.expect("it may read");
    }
    for statement in [
        "SELECT * FROM subject_keys",
        "SELECT * FROM secrets",
        "INSERT INTO events SELECT * FROM events",
        "UPDATE slice_head SET pos = 0",
        "DELETE FROM parked",
    ] {
        assert_eq!(refused(&mut auditor, statement).await, NO_RIGHT, "{statement}");
    }
}
