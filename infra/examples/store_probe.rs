//! How fast the embedded store commits: message events with their rows, by batch size, rooms and page size.
//!
//! `cargo run --release -p cocotalk-infra --features embedded --example store_probe -- [folder] [seconds] [page_bytes[:cache_kib] ...]`

#![expect(clippy::print_stdout, reason = "it is a tool whose result is what it prints")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use cocotalk_application::port::event_log::{CommandKey, EventLog, Metadata, NewEvent, Run, Stamp, Unit, UnitOutcome};
use cocotalk_application::projection::Projection;
use cocotalk_domain::event::AnyEvent;
use cocotalk_domain::id::{CommandId, MessageId, RoomId, UserId};
use cocotalk_domain::number::{Cnt, Seq};
use cocotalk_domain::room::event::{MessageSent, Opened};
use cocotalk_domain::room::{RoomEvent, RoomKind};
use cocotalk_domain::sealed::Sealed;
use cocotalk_domain::stream::StreamId;
use cocotalk_domain::time::Instant as At;
use cocotalk_infra::embedded::{EmbeddedStore, Settings};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

const MEMBERS: u128 = 10;

struct Room {
    id: RoomId,
    version: u64,
}

fn id() -> Uuid {
    Uuid::from_u128(rand::random())
}

fn user(room: usize, member: u128) -> UserId {
    UserId(Uuid::from_u128(
        0x9999_0000_0000_0000_0000_0000_0000_0000_u128 ^ ((room as u128) << 70) ^ (member << 3),
    ))
}

fn metadata(actor: UserId) -> Arc<Metadata> {
    Arc::new(Metadata {
        actor: actor.to_string(),
        command_id: id().to_string(),
        session_id: Some(id().to_string()),
        traceparent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned()),
    })
}

fn stamp(actor: UserId) -> Stamp {
    let answer = r#"{"status":201,"body":{"room_id":"01890a5d-ac96-774b-bcce-b302099a8057","message_id":"01890a5d-ac96-774b-bcce-b302099a8057","seq":123,"cnt":120,"sent_at":"2026-11-24T06:18:00.000Z"},"slices":[12]}"#;
    Stamp {
        key: CommandKey {
            actor: actor.0,
            command_id: CommandId(id()),
        },
        request_mac: rand::random(),
        answer: answer.into(),
    }
}

fn open(index: usize, room: &mut Room) -> Unit {
    let users: Vec<UserId> = (0..MEMBERS).map(|member| user(index, member)).collect();
    let opened = Opened {
        room_id: room.id,
        kind: RoomKind::Group,
        by: users[0],
        user_ids: users.clone(),
        name: None,
        seq: Seq(1),
        at: At::from_millis(1_764_000_000_000),
    };
    unit(room, users[0], vec![(RoomEvent::Opened(opened), None)])
}

fn unit(room: &mut Room, by: UserId, events: Vec<(RoomEvent, Option<Uuid>)>) -> Unit {
    let stream = StreamId::Room(room.id);
    let after = room.version;
    room.version += events.len() as u64;
    let events = events
        .into_iter()
        .map(|(event, subject)| NewEvent {
            event: AnyEvent::Room(event),
            metadata: metadata(by),
            subject,
            stamp: Some(stamp(by)),
        })
        .collect();
    Unit {
        runs: vec![Run {
            stream,
            slice: stream.slice(),
            after,
            events,
        }],
    }
}

fn messages(index: usize, room: &mut Room, count: usize) -> Unit {
    let by = user(index, (room.version % 10).into());
    let events = (0..count).map(|n| {
        let seq = room.version + n as u64 + 1;
        let message_id = Uuid::from_u128((u128::from(seq) << 20 | index as u128) ^ (0x0190 << 112));
        let mut bytes = vec![0; 24 + 16 + 60];
        bytes[..16].copy_from_slice(&rand::random::<[u8; 16]>());
        let sent = MessageSent {
            room_id: room.id,
            message_id: MessageId(message_id),
            author_id: by,
            seq: Seq(seq),
            cnt: Cnt(seq - 1),
            sent_at: At::from_millis(1_764_000_000_000),
            body: Sealed { subject: by, bytes },
            preview: None,
            mentions: Vec::new(),
            reply_to: None,
            member_count: MEMBERS as u32,
        };
        (RoomEvent::MessageSent(sent), Some(message_id))
    });
    let events = events.collect();
    unit(room, by, events)
}

struct Probe {
    store: EmbeddedStore,
    rooms: Vec<Room>,
}

impl Probe {
    async fn append(&self, units: Vec<Unit>) {
        let outcomes = self.store.append(units).await.expect("the store takes it");
        assert!(
            outcomes
                .iter()
                .all(|outcome| matches!(outcome, UnitOutcome::Appended { .. })),
            "{outcomes:?}"
        );
    }

    /// Batches of `batch` events, one after the other: events a second, and the median and 99th percentile of a batch.
    async fn run(&mut self, batch: usize, one_room: bool, time: Duration) -> (f64, Duration, Duration) {
        let started = Instant::now();
        let mut times = Vec::new();
        let mut next = 0;
        while started.elapsed() < time {
            let units = if one_room {
                vec![messages(0, &mut self.rooms[0], batch)]
            } else {
                let rooms = (0..batch).map(|n| (next + n) % self.rooms.len()).collect::<Vec<_>>();
                next += batch;
                rooms
                    .into_iter()
                    .map(|index| messages(index, &mut self.rooms[index], 1))
                    .collect()
            };
            let before = Instant::now();
            self.append(units).await;
            times.push(before.elapsed());
        }
        let rate = (times.len() * batch) as f64 / started.elapsed().as_secs_f64();
        times.sort_unstable();
        (rate, times[times.len() / 2], times[times.len() * 99 / 100])
    }
}

async fn measure(folder: &Path, page_bytes: u32, cache_kib: u32, time: Duration) {
    let folder = folder.join(format!("page-{page_bytes}"));
    let _absent = std::fs::remove_dir_all(&folder);
    let settings = Settings {
        folder: folder.clone(),
        page_bytes,
        writer_cache_kib: cache_kib,
        ..Settings::default()
    };
    let projections: Vec<Arc<dyn Projection>> = cocotalk_projectors::all();
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    let store = EmbeddedStore::open(&settings, projections, &tasks, stop.clone())
        .await
        .expect("the store opens");
    let mut probe = Probe {
        store,
        rooms: (0..64)
            .map(|_| Room {
                id: RoomId(id()),
                version: 0,
            })
            .collect(),
    };
    for index in 0..probe.rooms.len() {
        let opened = open(index, &mut probe.rooms[index]);
        probe.append(vec![opened]).await;
        let first = messages(index, &mut probe.rooms[index], 100);
        probe.append(vec![first]).await;
    }
    for one_room in [false, true] {
        for batch in [1, 8, 32, 64] {
            let (rate, p50, p99) = probe.run(batch, one_room, time).await;
            let rooms = if one_room { "one room" } else { "64 rooms" };
            println!(
                "page {page_bytes:>5}:{cache_kib:<5}  {rooms}  batch {batch:>3}  {rate:>8.0} events/s  p50 {p50:>9.1?}  p99 {p99:>9.1?}"
            );
        }
    }
    drop(probe);
    stop.cancel();
    tasks.close();
    let before = Instant::now();
    tasks.wait().await;
    println!(
        "page {page_bytes:>5}  closed in {:?}, {} MB",
        before.elapsed(),
        size(&folder) >> 20
    );
    let _gone = std::fs::remove_dir_all(&folder);
}

fn size(folder: &Path) -> u64 {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    files.filter_map(|file| Some(file.metadata().ok()?.len())).sum()
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments
        .next()
        .map_or_else(|| std::env::temp_dir().join("cocotalk-store-probe"), PathBuf::from);
    let seconds = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(3.0);
    let default = Settings::default().writer_cache_kib;
    let mut pages: Vec<(u32, u32)> = Vec::new();
    for argument in arguments {
        let (page, cache) = argument.split_once(':').unwrap_or((&argument, ""));
        pages.extend(page.parse().ok().map(|page| (page, cache.parse().unwrap_or(default))));
    }
    if pages.is_empty() {
        pages = [1_024, 2_048, 4_096].map(|page| (page, default)).to_vec();
    }
    for (page, cache) in pages {
        measure(&folder, page, cache, Duration::from_secs_f64(seconds)).await;
    }
}
