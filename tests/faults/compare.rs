//! The log, the bus and the read model side by side, each read for itself: what was made of the log must be what it says.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use cocotalk_application::port::event_log::{EventLog as _, Metadata, NewEvent, RecordedEvent, Run, Unit, UnitOutcome};
use cocotalk_application::port::outbox::{LogRecord, Outbox as _};
use cocotalk_application::port::read_model::{From, Page, ReadModel};
use cocotalk_domain::id::{RoomId, UserId};
use cocotalk_domain::number::Seq;
use cocotalk_domain::stream::{SLICES, Slice, StreamId};
use cocotalk_infra::cluster::Settings;
use cocotalk_infra::kafka::kept;
use cocotalk_infra::memory::MemoryStore;
use cocotalk_infra::postgres::{Database, PostgresOutbox};
use cocotalk_infra::scylla::{Cql, CqlReadModel};
use futures_util::{StreamExt as _, stream};

use crate::stage::{Stage, recovered};

/// Items of one page of a timeline.
const PAGE: usize = 1_000;
/// Rooms and people that are looked at together.
const TOGETHER: usize = 16;

/// Waits until everything has arrived everywhere, and asserts that it is the same.
pub(crate) async fn all_stores_agree(stage: &Stage) {
    let settings = settings(&stage.installation().config("compare", ""));
    let log = whole_log(&settings).await;
    let rows = Cql::connect(&settings.cql).await.unwrap();
    let rows = CqlReadModel::open(&rows, &cocotalk_projectors::all()).await.unwrap();
    everything_is_projected(&log, &rows).await;
    let repeated = the_bus_has_the_log(&settings, &log).await;
    let seen = rows_are_a_recount(&log, &rows).await;
    let events: usize = log.iter().map(Vec::len).sum();
    eprintln!("{events} events in the log, {repeated} more on the bus, {seen} answers of the read model are the same");
}

/// How processes reach the servers.
fn settings(config: &Path) -> Settings {
    let config: toml::Table = std::fs::read_to_string(config).unwrap().parse().unwrap();
    config["backend"]["cluster"].clone().try_into().unwrap()
}

/// Every event, by slice, byte for byte.
async fn whole_log(settings: &Settings) -> Vec<Vec<LogRecord>> {
    let outbox = PostgresOutbox::new(Database::open(&settings.postgres).await.unwrap());
    let mut log = vec![Vec::new(); SLICES];
    loop {
        let after: Vec<_> = Slice::all()
            .map(|slice| (slice, log[slice.index()].len() as u64))
            .collect();
        let records = outbox.read_after(&after).await.unwrap();
        if records.is_empty() {
            return log;
        }
        for record in records {
            let events: &mut Vec<LogRecord> = &mut log[record.slice.index()];
            assert_eq!(
                record.slice_pos,
                events.len() as u64 + 1,
                "a hole in the log: {record:?}"
            );
            events.push(record);
        }
    }
}

async fn everything_is_projected(log: &[Vec<LogRecord>], rows: &dyn ReadModel) {
    let heads: Vec<u64> = log.iter().map(|events| events.len() as u64).collect();
    for projection in cocotalk_projectors::all() {
        recovered("the projectors reach the end of the log", || async {
            let reached = rows.checkpoints(projection.name()).await.ok()?;
            (reached[..] == heads).then_some(())
        })
        .await;
    }
}

/// Every partition, without what comes again, is its slice of the log. How many came again.
async fn the_bus_has_the_log(settings: &Settings, log: &[Vec<LogRecord>]) -> usize {
    let mut repeated = 0;
    let kept = kept(&settings.kafka).await.unwrap();
    for (slice, (events, records)) in log.iter().zip(&kept).enumerate() {
        let mut next = 0;
        for record in records {
            let place = record.slice_pos as usize - 1;
            assert!(
                place <= next,
                "slice {slice}: the bus has {record:?} after position {next}"
            );
            assert_eq!(*record, events[place], "slice {slice}: the bus and the log differ");
            repeated += usize::from(place < next);
            next = next.max(place + 1);
        }
        assert_eq!(next, events.len(), "slice {slice}: the bus ends before the log");
    }
    repeated
}

/// What queries see is what comes out when all events are projected once more, elsewhere. How many answers were compared.
async fn rows_are_a_recount(log: &[Vec<LogRecord>], rows: &CqlReadModel) -> usize {
    // An event that nobody can read has no rows: somebody has skipped it.
    let recorded = log
        .iter()
        .flatten()
        .map(|record| record.as_stored().recorded().unwrap());
    let readable: Vec<RecordedEvent> = recorded.filter(|recorded| recorded.event.is_ok()).collect();
    let recount = recount(&readable).await;
    let (rooms, people) = about(&readable);
    let mut compared = 0;
    let of_rooms = rooms
        .iter()
        .map(|room| async { (of_room(rows, *room).await, of_room(&recount, *room).await) });
    let mut of_rooms = stream::iter(of_rooms).buffer_unordered(TOGETHER);
    while let Some((found, expected)) = of_rooms.next().await {
        assert_eq!(found, expected);
        compared += found.len();
    }
    let of_people = people
        .iter()
        .map(|user| async { (of_person(rows, *user).await, of_person(&recount, *user).await) });
    let mut of_people = stream::iter(of_people).buffer_unordered(TOGETHER);
    while let Some((found, expected)) = of_people.next().await {
        assert_eq!(found, expected);
        compared += found.len();
    }
    compared
}

/// All projections of these events, in memory.
async fn recount(events: &[RecordedEvent]) -> MemoryStore {
    let memory = MemoryStore::new(cocotalk_projectors::all());
    let mut versions: BTreeMap<StreamId, u64> = BTreeMap::new();
    for recorded in events {
        let version = versions.entry(recorded.stream).or_default();
        let event = NewEvent {
            event: recorded.event.clone().unwrap(),
            metadata: Arc::<Metadata>::clone(&recorded.metadata),
            subject: None,
            stamp: None,
        };
        let run = Run {
            stream: recorded.stream,
            slice: recorded.slice,
            after: *version,
            events: vec![event],
        };
        *version += 1;
        let outcomes = memory.append(vec![Unit { runs: vec![run] }]).await.unwrap();
        assert!(matches!(outcomes[..], [UnitOutcome::Appended { .. }]), "{outcomes:?}");
    }
    memory
}

/// Whom and what the events are about.
fn about(events: &[RecordedEvent]) -> (BTreeSet<RoomId>, BTreeSet<UserId>) {
    let (mut rooms, mut people) = (BTreeSet::new(), BTreeSet::new());
    for recorded in events {
        match recorded.stream {
            StreamId::Room(room) => drop(rooms.insert(room)),
            StreamId::Seat(room, user) => {
                rooms.insert(room);
                people.insert(user);
            }
            StreamId::Account(user) => drop(people.insert(user)),
            StreamId::Claim(..) => {}
        }
    }
    (rooms, people)
}

/// Everything that queries see of a room, as text.
async fn of_room(rows: &dyn ReadModel, room: RoomId) -> Vec<String> {
    let mut seen = vec![format!("{:?}", rows.rooms(&[room]).await.unwrap().get(&room))];
    let mut members = rows.members(room).await.unwrap();
    members.sort_unstable_by_key(|row| row.user_id);
    let mut positions = rows.reads(room).await.unwrap();
    // A mark that comes after its owner has left may stay in one store and not in another: nobody counts it.
    positions.retain(|row| members.iter().any(|member| member.user_id == row.user_id));
    positions.sort_unstable_by_key(|row| row.user_id);
    seen.push(format!("{members:?} {positions:?}"));
    let mut after = Seq(0);
    loop {
        let page = Page {
            from: From::After(after),
            floor: Seq(0),
            limit: PAGE,
        };
        let items = rows.messages(room, page).await.unwrap();
        let Some(last) = items.last() else {
            return seen;
        };
        after = last.seq;
        seen.extend(items.iter().map(|item| format!("{item:?}")));
    }
}

/// Everything that queries see of a person, as text.
async fn of_person(rows: &dyn ReadModel, user: UserId) -> Vec<String> {
    let mut rooms = rows.user_rooms(user).await.unwrap();
    rooms.sort_unstable_by_key(|row| row.room_id);
    let mut positions = rows.user_reads(user).await.unwrap();
    positions.sort_unstable_by_key(|row| row.room_id);
    let profile = format!("{:?}", rows.profiles(&[user]).await.unwrap().get(&user));
    vec![format!("{rooms:?} {positions:?}"), profile]
}
