//! What the parking promises projectors and operators.

use std::collections::HashSet;
use std::sync::Arc;

use cocotalk_domain::id::UserId;
use cocotalk_domain::stream::StreamId;
use futures_util::future::join;

use super::support::{id, room, room_id, room_in};
use crate::following::Aggregate;
use crate::port::parking::{PAGE_PARKED, ParkedEvent, Parking, ToPark};
use crate::port::row_store::Tables;

const TABLES: Tables = Tables {
    projection: "rooms",
    version: 1,
};

fn event(stream: StreamId, sequence: u64, is_culprit: bool) -> ToPark {
    ToPark {
        stream,
        sequence,
        slice: stream.slice(),
        slice_pos: sequence + 100,
        error: if is_culprit { "it makes no sense" } else { "it waits" }.to_owned(),
        is_culprit,
    }
}

fn culprit(stream: StreamId, sequence: u64) -> ToPark {
    event(stream, sequence, true)
}

fn follower(stream: StreamId, sequence: u64) -> ToPark {
    event(stream, sequence, false)
}

async fn park(parking: &dyn Parking, events: &[ToPark]) -> Vec<usize> {
    parking.park(TABLES, events).await.expect("it can be written")
}

async fn remove(parking: &dyn Parking, stream: StreamId, sequence: u64) -> bool {
    parking
        .remove(TABLES, &stream, sequence)
        .await
        .expect("it can be written")
}

async fn of(parking: &dyn Parking, stream: StreamId) -> Vec<ParkedEvent> {
    let aggregate = Aggregate::from(stream);
    parking.of_aggregate(TABLES, aggregate).await.expect("it can be read")
}

async fn sequences(parking: &dyn Parking, stream: StreamId) -> Vec<u64> {
    of(parking, stream).await.iter().map(|event| event.sequence).collect()
}

/// Every field comes back, in the order of the slice.
pub async fn what_is_parked_is_found(parking: Arc<dyn Parking>) {
    let (room, other) = (room(), room());
    let seat = StreamId::Seat(room_id(room), UserId(id()));
    let free = park(
        &*parking,
        &[
            culprit(room, 5),
            follower(seat, 7),
            follower(room, 9),
            culprit(other, 1),
        ],
    )
    .await;
    assert!(free.is_empty());
    let found = of(&*parking, room).await;
    let places: Vec<_> = found
        .iter()
        .map(|event| (event.stream, event.sequence, event.slice_pos))
        .collect();
    assert_eq!(places, [(room, 5, 105), (seat, 7, 107), (room, 9, 109)]);
    assert_eq!(found[0].error, "it makes no sense");
    assert!(
        found
            .iter()
            .all(|event| event.slice == room.slice() && event.attempts == 1)
    );
    assert!(
        found
            .iter()
            .all(|event| event.first_at == event.last_at && event.first_at.millis() > 1_700_000_000_000)
    );
    assert_eq!(of(&*parking, seat).await, found, "a seat waits with its room");
    assert_eq!(sequences(&*parking, other).await, [1]);
}

/// Parking again changes nothing but the reason, and a reason that only says that it waits does not replace a better one.
pub async fn parking_again_changes_nothing(parking: Arc<dyn Parking>) {
    let stream = room();
    park(&*parking, &[culprit(stream, 1), follower(stream, 2)]).await;
    let before = of(&*parking, stream).await;
    assert!(
        park(&*parking, &[follower(stream, 1), follower(stream, 2)])
            .await
            .is_empty()
    );
    assert_eq!(of(&*parking, stream).await, before);
    let other = ToPark {
        error: "it makes no sense at all".to_owned(),
        ..culprit(stream, 1)
    };
    assert!(park(&*parking, &[other.clone(), other]).await.is_empty());
    let mut expected = before;
    "it makes no sense at all".clone_into(&mut expected[0].error);
    assert_eq!(of(&*parking, stream).await, expected);
}

/// What is not to blame is parked only behind something that is.
pub async fn whoever_waits_waits_for_somebody(parking: Arc<dyn Parking>) {
    let slice = room().slice();
    let (bad, good, late) = (room_in(slice), room_in(slice), room_in(slice));
    let events = [
        follower(late, 1),
        culprit(bad, 2),
        follower(good, 3),
        follower(bad, 4),
        culprit(late, 5),
        follower(late, 6),
    ];
    assert_eq!(park(&*parking, &events).await, [0, 2]);
    assert_eq!(sequences(&*parking, bad).await, [2, 4]);
    assert_eq!(sequences(&*parking, late).await, [5, 6]);
    assert!(sequences(&*parking, good).await.is_empty());
    assert!(park(&*parking, &[follower(bad, 7)]).await.is_empty());
    for sequence in [2, 4, 7] {
        assert!(remove(&*parking, bad, sequence).await);
    }
    assert_eq!(
        park(&*parking, &[follower(bad, 8)]).await,
        [0],
        "nothing of it waits any more"
    );
    assert!(park(&*parking, &[]).await.is_empty());
}

/// Projections, and versions of one, wait apart.
pub async fn each_projection_waits_for_itself(parking: Arc<dyn Parking>) {
    let stream = room();
    park(&*parking, &[culprit(stream, 1)]).await;
    for tables in [
        Tables { version: 2, ..TABLES },
        Tables {
            projection: "reads",
            ..TABLES
        },
    ] {
        let free = parking
            .park(tables, &[follower(stream, 2)])
            .await
            .expect("it can be written");
        assert_eq!(free, [0]);
        let aggregates = parking
            .aggregates(tables, stream.slice())
            .await
            .expect("it can be read");
        assert!(aggregates.is_empty());
        assert!(!parking.remove(tables, &stream, 1).await.expect("it can be written"));
        assert!(parking.list(Some(tables), 0).await.expect("it can be read").is_empty());
    }
    assert_eq!(sequences(&*parking, stream).await, [1]);
}

/// The aggregates of a slice of which something waits, each once.
pub async fn the_aggregates_of_a_slice_are_found(parking: Arc<dyn Parking>) {
    let slice = room().slice();
    let (one, two) = (room_in(slice), room_in(slice));
    let elsewhere = std::iter::repeat_with(room)
        .find(|room| room.slice() != slice)
        .expect("there are other slices");
    let person = std::iter::repeat_with(|| StreamId::Account(UserId(id())))
        .find(|account| account.slice() == slice)
        .expect("every slice has people");
    let seat = StreamId::Seat(room_id(two), UserId(id()));
    park(
        &*parking,
        &[culprit(one, 1), follower(one, 2), culprit(seat, 3), culprit(person, 4)],
    )
    .await;
    park(&*parking, &[culprit(elsewhere, 1)]).await;
    let found = parking.aggregates(TABLES, slice).await.expect("it can be read");
    assert_eq!(found.len(), 3, "{found:?}");
    let expected: HashSet<Aggregate> = [one, two, person].map(Aggregate::from).into();
    assert_eq!(found.into_iter().collect::<HashSet<_>>(), expected);
}

/// Removing says whether there was something to remove, once.
pub async fn what_is_removed_is_gone(parking: Arc<dyn Parking>) {
    let stream = room();
    park(&*parking, &[culprit(stream, 1), follower(stream, 2)]).await;
    assert!(remove(&*parking, stream, 1).await);
    assert!(!remove(&*parking, stream, 1).await);
    assert!(!remove(&*parking, room(), 1).await);
    assert_eq!(sequences(&*parking, stream).await, [2]);
}

/// A try in vain is counted, with its reason.
pub async fn tries_in_vain_are_counted(parking: Arc<dyn Parking>) {
    let stream = room();
    park(&*parking, &[culprit(stream, 1), follower(stream, 2)]).await;
    for _ in 0..2 {
        let tried = parking.tried(TABLES, &stream, 2, "it is bad too").await;
        tried.expect("it can be written");
    }
    let found = of(&*parking, stream).await;
    let (bad, tried) = (&found[0], &found[1]);
    assert_eq!((bad.attempts, bad.error.as_str()), (1, "it makes no sense"));
    assert_eq!((tried.attempts, tried.error.as_str()), (3, "it is bad too"));
    assert!(tried.last_at >= tried.first_at);
    park(&*parking, &[follower(stream, 2)]).await;
    assert_eq!(of(&*parking, stream).await[1].error, "it is bad too");
}

/// A list comes in pages, oldest first, of one projection or of all.
pub async fn a_long_list_comes_in_pages(parking: Arc<dyn Parking>) {
    let stream = room();
    let events: Vec<ToPark> = (1..=PAGE_PARKED as u64 + 3)
        .map(|sequence| culprit(stream, sequence))
        .collect();
    park(&*parking, &events).await;
    let other = Tables {
        projection: "reads",
        version: 4,
    };
    let parked = parking.park(other, &[culprit(room(), 1)]).await;
    parked.expect("it can be written");
    let list = async |tables, offset| parking.list(tables, offset).await.expect("it can be read");
    let first = list(None, 0).await;
    assert_eq!(first.len(), PAGE_PARKED);
    assert!(
        first
            .iter()
            .map(|(_, _, event)| event.sequence)
            .eq(1..=PAGE_PARKED as u64)
    );
    let rest = list(None, PAGE_PARKED).await;
    assert_eq!(rest.len(), 4);
    let (projection, version, _) = &rest[3];
    assert_eq!((projection.as_str(), *version), ("reads", 4));
    assert_eq!(list(Some(TABLES), PAGE_PARKED).await.len(), 3);
    assert_eq!(of(&*parking, stream).await.len(), PAGE_PARKED);
}

/// Between parking behind the last one and removing it, one comes first: whoever removed it and then finds nothing more can
/// let the aggregate go, because nothing is parked behind it any more.
pub async fn parking_and_removing_take_turns(parking: Arc<dyn Parking>) {
    for round in 0..100 {
        let stream = room();
        park(&*parking, &[culprit(stream, 1)]).await;
        let late = async {
            for _ in 0..round % 5 {
                tokio::task::yield_now().await;
            }
            park(&*parking, &[follower(stream, 2)]).await
        };
        let let_go = async {
            assert!(remove(&*parking, stream, 1).await);
            sequences(&*parking, stream).await
        };
        let (left, free) = join(let_go, late).await;
        let expected: &[u64] = if free.is_empty() { &[2] } else { &[] };
        assert_eq!(left, expected, "something is parked that nobody knows of");
    }
}
