//! Projections in the embedded store: parked across restarts, parked by the file itself, and caught up.

use std::sync::Arc;

use cocotalk_application::contract::script::Script;
use cocotalk_application::contract::support::{
    append, at, eventually, id, room, room_id, room_in, sealed, stream_events, unit,
};
use cocotalk_application::port::event_log::EventLog as _;
use cocotalk_application::port::read_model::ReadModel as _;
use cocotalk_application::projection::Projection;
use cocotalk_application::row::{ItemKind, ItemMeta, ItemState, MessageRow, RowWrite};
use cocotalk_domain::id::UserId;
use cocotalk_domain::number::{Cnt, Seq};
use cocotalk_domain::room::event::ReactionTotals;
use cocotalk_domain::stream::StreamId;
use sqlx::{Connection as _, SqliteConnection};

use crate::opened::{Home, Opened};

fn one(script: &Arc<Script>) -> Vec<Arc<dyn Projection>> {
    vec![Arc::<Script>::clone(script)]
}

fn read(stream: StreamId, user_id: UserId, seq: u64) -> RowWrite {
    RowWrite::Read {
        room_id: room_id(stream),
        user_id,
        read_seq: Seq(seq),
        read_cnt: Cnt(seq),
    }
}

/// An item that the table refuses: there is no item before the first.
fn refused_item(stream: StreamId) -> RowWrite {
    let author_id = UserId::from_u128(5);
    RowWrite::Message(Box::new(MessageRow {
        room_id: room_id(stream),
        seq: Seq(0),
        cnt: Cnt(0),
        message_id: None,
        author_id,
        kind: ItemKind::Text,
        sent_at: at(1),
        body: Some(sealed(author_id, "x")),
        meta: ItemMeta::default(),
        state: ItemState::Sent,
        changed_at: None,
        reactions: ReactionTotals::new(),
    }))
}

async fn read_seq(opened: &Opened, stream: StreamId, user: UserId) -> Option<u64> {
    let read = opened
        .store
        .user_read(user, room_id(stream))
        .await
        .expect("it can be read");
    read.map(|read| read.read_seq.0)
}

async fn caught_up(opened: &Opened, name: &'static str) {
    eventually("the projection arrives", async || {
        let (at, heads) = tokio::join!(opened.store.checkpoints(name), opened.store.heads());
        at.expect("it can be read") == heads.expect("it can be read")
    })
    .await;
}

/// The parked events of a store that is closed: stream, sequence and reason, in order.
async fn parked(home: &Home) -> Vec<(String, i64, String)> {
    let url = format!("sqlite://{}", home.file("cocotalk.db").display());
    let mut connection = SqliteConnection::connect(&url).await.expect("the file opens");
    let text = "SELECT aggregate_type || '/' || aggregate_id, sequence, error FROM parked ORDER BY slice, slice_pos";
    sqlx::query_as(text)
        .fetch_all(&mut connection)
        .await
        .expect("the table is there")
}

#[tokio::test]
async fn what_is_parked_waits_across_restarts() {
    let script = Script::new("script");
    let opened = Opened::fresh(one(&script)).await;
    let (bad, user) = (room(), UserId(id()));
    let (seat, neighbour) = (StreamId::Seat(room_id(bad), user), room_in(bad.slice()));
    script.poison(&opened.store, bad).await;
    script.write(&opened.store, bad, vec![read(bad, user, 2)]).await;

    let opened = opened.reopen(one(&script)).await;
    script.write(&opened.store, seat, vec![read(seat, user, 3)]).await;
    script
        .write(&opened.store, neighbour, vec![read(neighbour, user, 4)])
        .await;
    assert_eq!(read_seq(&opened, bad, user).await, None);
    assert_eq!(read_seq(&opened, neighbour, user).await, Some(4));
    assert_eq!(stream_events(&opened.store, bad).await.len(), 2);

    let home = opened.close().await;
    let waiting = parked(&home).await;
    let names: Vec<_> = waiting
        .iter()
        .map(|(stream, sequence, _)| (stream.clone(), *sequence))
        .collect();
    assert_eq!(
        names,
        [(bad.to_string(), 1), (bad.to_string(), 2), (seat.to_string(), 1)]
    );
    assert_eq!(waiting[0].2, "as the test wants it");
    assert!(waiting[1].2.contains("waits behind"), "{}", waiting[1].2);
}

#[tokio::test]
async fn a_row_that_the_file_refuses_parks_its_aggregate_and_nothing_else() {
    let (script, other) = (Script::new("script"), Script::new("other"));
    let both: Vec<Arc<dyn Projection>> = vec![Arc::<Script>::clone(&script), Arc::<Script>::clone(&other)];
    let opened = Opened::fresh(both).await;
    let (bad, good, user) = (room(), room(), UserId(id()));
    // All in one transaction: the good room's rows are written around the bad one's.
    script.say(good, 1, Ok(vec![read(good, user, 1)]));
    script.say(bad, 1, Ok(vec![read(bad, user, 1)]));
    script.say(bad, 2, Ok(vec![read(bad, user, 2), refused_item(bad)]));
    script.say(bad, 3, Ok(vec![read(bad, user, 3)]));
    script.say(good, 2, Ok(vec![read(good, user, 2)]));
    other.say(bad, 3, Ok(vec![read(bad, UserId::from_u128(3), 3)]));
    let units = vec![unit(good, 0, 1), unit(bad, 0, 3)];
    let outcomes = opened.store.append(units).await.expect("the append succeeds");
    assert_eq!(outcomes.len(), 2);
    append(&opened.store, unit(good, 1, 1)).await;

    assert_eq!(read_seq(&opened, good, user).await, Some(2));
    assert_eq!(
        read_seq(&opened, bad, user).await,
        Some(1),
        "half of an event's rows were kept, or later ones"
    );
    assert_eq!(
        read_seq(&opened, bad, UserId::from_u128(3)).await,
        Some(3),
        "the other projection goes on"
    );
    assert_eq!(stream_events(&opened.store, bad).await.len(), 3);
    caught_up(&opened, "script").await;

    let home = opened.close().await;
    let waiting = parked(&home).await;
    assert_eq!(
        waiting.iter().map(|(_, sequence, _)| *sequence).collect::<Vec<_>>(),
        [2, 3]
    );
    assert!(waiting[0].2.contains("CHECK"), "{}", waiting[0].2);
}

#[tokio::test]
async fn a_projection_that_is_behind_is_caught_up_and_then_follows() {
    let script = Script::new("script");
    let opened = Opened::fresh(Vec::new()).await;
    let (long, bad, user) = (room(), room(), UserId(id()));
    append(&opened.store, unit(long, 0, 1_203)).await;
    append(&opened.store, unit(bad, 0, 3)).await;
    for sequence in 1..=1_204 {
        script.say(long, sequence, Ok(vec![read(long, user, sequence)]));
    }
    script.say(bad, 1, Ok(vec![read(bad, user, 1)]));
    script.say(bad, 2, Ok(vec![refused_item(bad)]));
    script.say(bad, 3, Ok(vec![read(bad, user, 3)]));

    let opened = opened.reopen(one(&script)).await;
    // Others append meanwhile; what comes in a slice that is behind waits for its turn.
    append(&opened.store, unit(long, 1_203, 1)).await;
    caught_up(&opened, "script").await;
    assert_eq!(read_seq(&opened, long, user).await, Some(1_204));
    assert_eq!(read_seq(&opened, bad, user).await, Some(1));
    script.write(&opened.store, long, vec![read(long, user, 1_205)]).await;
    assert_eq!(
        read_seq(&opened, long, user).await,
        Some(1_205),
        "it follows inline now"
    );

    let opened = opened.reopen(one(&script)).await;
    caught_up(&opened, "script").await;
    assert_eq!(
        read_seq(&opened, long, user).await,
        Some(1_205),
        "nothing was done twice"
    );
}

#[tokio::test]
async fn a_new_version_of_a_projection_begins_at_the_beginning() {
    let script = Script::new("script");
    let opened = Opened::fresh(one(&script)).await;
    let (stream, user) = (room(), UserId(id()));
    script.write(&opened.store, stream, Vec::new()).await;
    let second = Script::of_version("script", 2);
    second.say(stream, 1, Ok(vec![read(stream, user, 7)]));
    let opened = opened.reopen(one(&second)).await;
    caught_up(&opened, "script").await;
    assert_eq!(read_seq(&opened, stream, user).await, Some(7));
}

#[tokio::test]
async fn a_projection_that_was_away_is_caught_up_from_where_it_was() {
    let script = Script::new("script");
    let opened = Opened::fresh(one(&script)).await;
    let (stream, user) = (room(), UserId(id()));
    script.write(&opened.store, stream, vec![read(stream, user, 1)]).await;
    let opened = opened.reopen(Vec::new()).await;
    script.say(stream, 2, Ok(vec![read(stream, user, 2)]));
    append(&opened.store, unit(stream, 1, 1)).await;
    assert_eq!(read_seq(&opened, stream, user).await, Some(1));
    let opened = opened.reopen(one(&script)).await;
    caught_up(&opened, "script").await;
    assert_eq!(read_seq(&opened, stream, user).await, Some(2));
}
