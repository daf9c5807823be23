//! What a store promises of projections that cannot take an event.

use std::sync::Arc;

use cocotalk_domain::id::UserId;
use cocotalk_domain::number::{Cnt, Seq, Version};
use cocotalk_domain::stream::StreamId;

use super::Store;
use super::script::Script;
use super::support::{id, room, room_id, room_in, sealed, stream_events};
use crate::projection::Projection;
use crate::row::{ProfileRow, RowWrite};

type Projections = Vec<Arc<dyn Projection>>;

fn read(stream: StreamId, user_id: UserId, seq: u64) -> Vec<RowWrite> {
    vec![RowWrite::Read {
        room_id: room_id(stream),
        user_id,
        read_seq: Seq(seq),
        read_cnt: Cnt(seq),
    }]
}

async fn read_seq(store: &Store, stream: StreamId, user: UserId) -> Option<u64> {
    let read = store
        .reads
        .user_read(user, room_id(stream))
        .await
        .expect("it can be read");
    read.map(|read| read.read_seq.0)
}

/// The append succeeds, the room's later events wait, every other room goes on, and the checkpoint passes.
pub async fn an_event_that_is_not_taken_parks_its_aggregate_and_nothing_else(
    fresh: impl AsyncFn(Projections) -> Store,
) {
    let script = Script::new("script");
    let store = fresh(vec![Arc::<Script>::clone(&script)]).await;
    let (log, user, bad) = (&*store.log, UserId(id()), room());
    let neighbour = room_in(bad.slice());
    script.write(log, bad, read(bad, user, 1)).await;
    script.poison(log, bad).await;
    script.write(log, bad, read(bad, user, 3)).await;
    script.write(log, neighbour, read(neighbour, user, 4)).await;
    assert_eq!(stream_events(log, bad).await.len(), 3, "the log has everything");
    assert_eq!(
        read_seq(&store, bad, user).await,
        Some(1),
        "later events of the room wait"
    );
    assert_eq!(read_seq(&store, neighbour, user).await, Some(4), "others go on");
    let checkpoints = store.reads.checkpoints("script").await.expect("it can be read");
    assert_eq!(checkpoints, log.heads().await.expect("the log can be read"));
}

/// A room and the seats in it are one for this.
pub async fn a_seat_waits_with_its_room(fresh: impl AsyncFn(Projections) -> Store) {
    let script = Script::new("script");
    let store = fresh(vec![Arc::<Script>::clone(&script)]).await;
    let (log, user, bad) = (&*store.log, UserId(id()), room());
    let seat = StreamId::Seat(room_id(bad), user);
    script.write(log, seat, read(seat, user, 1)).await;
    script.poison(log, bad).await;
    script.write(log, seat, read(seat, user, 2)).await;
    assert_eq!(read_seq(&store, seat, user).await, Some(1));
}

/// Another projection takes what this one cannot.
pub async fn one_projection_does_not_park_for_another(fresh: impl AsyncFn(Projections) -> Store) {
    let (strict, lenient) = (Script::new("strict"), Script::new("lenient"));
    let store = fresh(vec![Arc::<Script>::clone(&strict), Arc::<Script>::clone(&lenient)]).await;
    let (log, user, stream) = (&*store.log, UserId(id()), room());
    lenient.say(stream, 1, Ok(read(stream, user, 1)));
    strict.poison(log, stream).await;
    lenient.write(log, stream, read(stream, user, 2)).await;
    assert_eq!(read_seq(&store, stream, user).await, Some(2));
    for name in ["strict", "lenient"] {
        let checkpoints = store.reads.checkpoints(name).await.expect("it can be read");
        assert_eq!(checkpoints[stream.slice().index()], 2);
    }
}

/// Stores keep sealed bytes under the person whose row it is: a row that says otherwise is not taken.
pub async fn a_foreign_seal_is_not_taken(fresh: impl AsyncFn(Projections) -> Store) {
    let script = Script::new("script");
    let store = fresh(vec![Arc::<Script>::clone(&script)]).await;
    let (log, user, stream) = (&*store.log, UserId(id()), room());
    let profile = ProfileRow {
        user_id: user,
        sealed: sealed(UserId(id()), "not mine"),
        version: Version(1),
    };
    script.write(log, stream, vec![RowWrite::Profile(profile)]).await;
    assert!(store.reads.profiles(&[user]).await.expect("it can be read").is_empty());
    assert_eq!(stream_events(log, stream).await.len(), 1);
}
