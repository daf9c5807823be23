//! Projectors on a bus that repeats, reorders and leaves holes: one situation each.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use cocotalk_application::error::StoreError;
use cocotalk_application::metrics::PARKED_AGGREGATES;
use cocotalk_application::port::assignment::{Acknowledge, Assignment, Assignments, Delivery, ProjectorPorts};
use cocotalk_application::port::event_log::{EventLog, RecordedEvent};
use cocotalk_application::port::parking::Parking;
use cocotalk_application::port::row_store::RowStore;
use cocotalk_application::projection::Projection;
use cocotalk_domain::event::DecodeError;
use cocotalk_domain::stream::{Slice, StreamId};
use cocotalk_projectors::gate::Gate;
use cocotalk_projectors::metrics::{DROPPED, HEALED, REWINDS};
use cocotalk_projectors::runner::{self, RunnerSettings, RunnerStatus};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::counters::{Counters, run};
use crate::world::{Fold, Process, SETTLE, World, locked, streams, until};

/// The offset of an event on this bus is its position, so that what is acknowledged can be compared.
struct Acknowledged {
    world: Arc<World>,
    slice: Slice,
    folds: Vec<Arc<Fold>>,
}

impl Acknowledge for Acknowledged {
    fn done(&self, offset: i64) {
        for fold in &self.folds {
            let position = locked(&self.world.read_model).progress(fold.tables())[self.slice.index()].position;
            if position < offset as u64 {
                let slice = self.slice;
                self.world.violated(format!(
                    "{slice}: {offset} is acknowledged, the checkpoint is {position}"
                ));
            }
        }
    }
}

struct Broker {
    queue: tokio::sync::Mutex<mpsc::Receiver<Assignment>>,
    stop: CancellationToken,
}

#[async_trait]
impl Assignments for Broker {
    async fn next(&self) -> Option<Assignment> {
        let mut queue = self.queue.lock().await;
        self.stop.run_until_cancelled(queue.recv()).await.flatten()
    }

    fn fault(&self) -> Option<String> {
        None
    }

    async fn lag(&self) -> Result<u64, StoreError> {
        Ok(0)
    }
}

/// A process of projectors.
pub(crate) struct Projectors {
    pub(crate) process: Arc<Process>,
    pub(crate) status: RunnerStatus,
    pub(crate) stop: CancellationToken,
    pub(crate) gate: Gate,
    folds: Vec<Arc<Fold>>,
    assign: mpsc::Sender<Assignment>,
    tasks: JoinSet<()>,
}

impl Projectors {
    pub(crate) fn start(world: &Arc<World>, folds: &[Arc<Fold>]) -> Self {
        let process = Process::of(world);
        let (stop, status, gate) = (CancellationToken::new(), RunnerStatus::default(), Gate::default());
        let (assign, queue) = mpsc::channel(64);
        let ports = ProjectorPorts {
            assignments: Arc::new(Broker {
                queue: tokio::sync::Mutex::new(queue),
                stop: stop.clone(),
            }),
            log: Arc::clone(&process) as Arc<dyn EventLog>,
            rows: Arc::clone(&process) as Arc<dyn RowStore>,
            parking: Arc::clone(&process) as Arc<dyn Parking>,
        };
        let projections = folds
            .iter()
            .map(|fold| Arc::clone(fold) as Arc<dyn Projection>)
            .collect();
        let settings = RunnerSettings {
            flush_events: 20,
            settle: SETTLE,
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(runner::run(
            ports,
            projections,
            settings,
            status.clone(),
            gate.clone(),
            stop.clone(),
        ));
        Self {
            process,
            status,
            stop,
            gate,
            folds: folds.to_vec(),
            assign,
            tasks,
        }
    }

    /// Assigns a slice. Where to deliver.
    pub(crate) async fn assign(&self, slice: Slice) -> mpsc::Sender<Delivery> {
        let (sender, deliveries) = mpsc::channel(32);
        let acknowledge = Arc::new(Acknowledged {
            world: Arc::clone(&self.process.world),
            slice,
            folds: self.folds.clone(),
        });
        let assignment = Assignment {
            slice,
            deliveries,
            acknowledge,
        };
        self.assign.send(assignment).await.expect("the broker is there");
        sender
    }

    /// How far every projection has come.
    pub(crate) fn reached(&self, slice: Slice) -> u64 {
        let read_model = locked(&self.process.world.read_model);
        let positions = self
            .folds
            .iter()
            .map(|fold| read_model.progress(fold.tables())[slice.index()].position);
        positions.min().unwrap_or(0)
    }

    pub(crate) async fn reach(&self, slice: Slice, position: u64) {
        until("the projectors have come so far", || self.reached(slice) >= position).await;
    }

    /// Stops in order.
    pub(crate) async fn leave(mut self) {
        self.stop.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            ended.expect("it does not panic");
        }
    }
}

/// Delivers an event; whether anybody takes it.
pub(crate) async fn deliver(bus: &mpsc::Sender<Delivery>, event: &Arc<RecordedEvent>) -> bool {
    let delivery = Delivery {
        event: Arc::clone(event),
        offset: event.slice_pos as i64,
    };
    bus.send(delivery).await.is_ok()
}

fn slice() -> Slice {
    Slice::new(5).expect("there are so many")
}

fn append(world: &World, stream: StreamId, count: usize) -> Vec<Arc<RecordedEvent>> {
    (0..count).map(|_| world.append(stream)).collect()
}

fn assert_straight(world: &World, fold: &Fold) {
    let cells = locked(&world.read_model).cells(fold.tables());
    assert_eq!(cells, fold.straight(&world.events()), "{}", fold.name);
}

#[test]
fn what_was_committed_before_is_taken_from_the_log() {
    let counters = Counters::default();
    run(&counters, async {
        let (world, folds) = (World::new(1), [Fold::new("a"), Fold::new("b")]);
        append(&world, streams(slice(), 1)[0], 30);
        let projectors = Projectors::start(&world, &folds);
        let _bus = projectors.assign(slice()).await;
        projectors.reach(slice(), 30).await;
        folds.iter().for_each(|fold| assert_straight(&world, fold));
        projectors.leave().await;
        world.assert_kept();
    });
    assert_eq!(counters.of(HEALED), 30);
}

#[test]
fn a_bus_that_repeats_reorders_and_leaves_holes_changes_nothing() {
    let counters = Counters::default();
    run(&counters, async {
        let (world, fold) = (World::new(1), Fold::new("a"));
        let projectors = Projectors::start(&world, &[Arc::clone(&fold)]);
        let bus = projectors.assign(slice()).await;
        // Nothing is there yet: the first event comes over the bus.
        until("it follows", || projectors.status.describe() == "follows 1 slices").await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let events = append(&world, streams(slice(), 1)[0], 12);
        for position in [1, 2, 2, 1, 5, 3, 4, 6, 12, 11, 12] {
            deliver(&bus, &events[position - 1]).await;
        }
        projectors.reach(slice(), 12).await;
        assert_straight(&world, &fold);
        projectors.leave().await;
        world.assert_kept();
    });
    assert!(counters.of(DROPPED) >= 4, "{}", counters.of(DROPPED));
    assert!(counters.of(HEALED) >= 9, "{}", counters.of(HEALED));
}

#[test]
fn paused_projectors_take_nothing() {
    run(&Counters::default(), async {
        let (world, fold) = (World::new(1), Fold::new("a"));
        let projectors = Projectors::start(&world, &[Arc::clone(&fold)]);
        assert!(projectors.gate.shut().await);
        let [before, later] = [slice(), Slice::new(6).expect("there are so many")];
        append(&world, streams(later, 1)[0], 3);
        let bus = projectors.assign(before).await;
        let _bus = projectors.assign(later).await;
        let events = append(&world, streams(before, 1)[0], 3);
        deliver(&bus, &events[0]).await;
        tokio::time::sleep(Duration::from_mins(5)).await;
        assert_eq!((projectors.reached(before), projectors.reached(later)), (0, 0));
        assert_eq!(projectors.status.describe(), "follows 2 slices, 6 events behind");
        projectors.gate.open();
        projectors.reach(before, 3).await;
        projectors.reach(later, 3).await;
        until("nothing is behind", || {
            projectors.status.describe() == "follows 2 slices"
        })
        .await;
        assert_straight(&world, &fold);
        projectors.leave().await;
    });
}

#[test]
fn whoever_pauses_waits_for_what_is_under_way() {
    run(&Counters::default(), async {
        let (world, fold) = (World::new(1), Fold::new("a"));
        let projectors = Projectors::start(&world, &[Arc::clone(&fold)]);
        let bus = projectors.assign(slice()).await;
        deliver(&bus, &append(&world, streams(slice(), 1)[0], 1)[0]).await;
        projectors.reach(slice(), 1).await;
        world.is_down.store(true, Ordering::Relaxed);
        deliver(&bus, &append(&world, streams(slice(), 1)[0], 1)[0]).await;
        until("it tries", || projectors.status.fault().is_some()).await;
        let early = tokio::time::timeout(Duration::from_mins(5), projectors.gate.shut()).await;
        assert!(early.is_err(), "what it tries is not done");
        world.is_down.store(false, Ordering::Relaxed);
        assert!(projectors.gate.shut().await);
        let under_way = projectors.reached(slice());
        deliver(&bus, &append(&world, streams(slice(), 1)[0], 1)[0]).await;
        tokio::time::sleep(Duration::from_mins(5)).await;
        assert_eq!((under_way, projectors.reached(slice())), (2, 2));
        projectors.gate.open();
        projectors.reach(slice(), 3).await;
        assert_straight(&world, &fold);
        projectors.leave().await;
    });
}

#[test]
fn stopping_does_not_wait_for_a_store_that_is_away() {
    run(&Counters::default(), async {
        let (world, fold) = (World::new(1), Fold::new("a"));
        let projectors = Projectors::start(&world, &[fold]);
        let bus = projectors.assign(slice()).await;
        append(&world, streams(slice(), 1)[0], 1);
        projectors.reach(slice(), 1).await;
        world.lose(Duration::ZERO);
        deliver(&bus, &world.append(streams(slice(), 1)[0])).await;
        until("it says what is wrong", || projectors.status.fault().is_some()).await;
        let left = tokio::time::timeout(Duration::from_secs(1), projectors.leave()).await;
        assert!(left.is_ok(), "it leaves at once");
        world.assert_kept();
    });
}

#[test]
fn rows_that_were_lost_are_written_again_also_in_slices_without_new_events() {
    let counters = Counters::default();
    run(&counters, async {
        let (world, fold) = (World::new(1), Fold::new("a"));
        let projectors = Projectors::start(&world, &[Arc::clone(&fold)]);
        let [busy, quiet] = [slice(), Slice::new(6).expect("there are so many")];
        let (bus, _bus) = (projectors.assign(busy).await, projectors.assign(quiet).await);
        append(&world, streams(busy, 1)[0], 10);
        append(&world, streams(quiet, 1)[0], 10);
        projectors.reach(busy, 10).await;
        projectors.reach(quiet, 10).await;
        world.lose(Duration::from_secs(10));
        assert_ne!(
            locked(&world.read_model).cells(fold.tables()).len(),
            22,
            "something is lost"
        );
        deliver(&bus, &world.append(streams(busy, 1)[0])).await;
        tokio::time::sleep(Duration::from_secs(5)).await;
        world.is_down.store(false, std::sync::atomic::Ordering::Relaxed);
        projectors.reach(busy, 11).await;
        let straight = fold.straight(&world.events());
        until("what was lost is there again", || {
            locked(&world.read_model).cells(fold.tables()) == straight
        })
        .await;
        assert_eq!(projectors.status.fault(), None);
        projectors.leave().await;
        world.assert_kept();
    });
    assert_eq!(counters.of(REWINDS), 2, "once in each slice");
}

#[test]
fn a_quiet_slice_settles() {
    run(&Counters::default(), async {
        let (world, fold) = (World::new(1), Fold::new("a"));
        let projectors = Projectors::start(&world, &[Arc::clone(&fold)]);
        let _bus = projectors.assign(slice()).await;
        append(&world, streams(slice(), 1)[0], 10);
        let settled = || locked(&world.read_model).progress(fold.tables())[slice().index()].settled;
        projectors.reach(slice(), 10).await;
        assert_eq!(settled(), 0);
        tokio::time::sleep(SETTLE + Duration::from_secs(2)).await;
        assert_eq!(settled(), 10);
        projectors.leave().await;
        world.assert_kept();
    });
}

#[test]
fn an_event_that_cannot_be_taken_parks_its_room_in_its_projection_and_nothing_else() {
    let counters = Counters::default();
    let told = counters.clone();
    run(&counters, async move {
        let world = World::new(1);
        let folds = [Fold::new("strict"), Fold::new("lenient")];
        let streams = streams(slice(), 2);
        let [room, seat, other] = [streams[0], streams[1], streams[2]];
        locked(&folds[0].poison).insert((room, 2));
        for stream in [room, other, room, seat, other, room] {
            world.append(stream);
        }
        let projectors = Projectors::start(&world, &folds);
        let bus = projectors.assign(slice()).await;
        projectors.reach(slice(), 6).await;
        deliver(&bus, &world.append(seat)).await;
        deliver(&bus, &world.append(other)).await;
        projectors.reach(slice(), 8).await;
        let parked: Vec<_> = world
            .parked()
            .iter()
            .map(|(by, event)| (*by, event.slice_pos))
            .collect();
        assert_eq!(parked, [3, 4, 6, 7].map(|position| ("strict", position)));
        let taken: Vec<_> = world
            .events()
            .into_iter()
            .filter(|event| [1, 2, 5, 8].contains(&event.slice_pos))
            .collect();
        let cells = locked(&world.read_model).cells(folds[0].tables());
        assert_eq!(cells, folds[0].straight(&taken));
        assert_straight(&world, &folds[1]);
        assert!(
            (told.gauge(PARKED_AGGREGATES) - 1.0).abs() < f64::EPSILON,
            "one room waits"
        );
        projectors.leave().await;
        assert!(
            told.gauge(PARKED_AGGREGATES).abs() < f64::EPSILON,
            "whoever left tells of nothing any more"
        );
        world.assert_kept();
    });
}

#[test]
fn an_event_that_this_build_cannot_read_is_parked() {
    run(&Counters::default(), async {
        let (world, fold) = (World::new(1), Fold::new("a"));
        let projectors = Projectors::start(&world, &[fold]);
        let bus = projectors.assign(slice()).await;
        let event = world.append(streams(slice(), 1)[0]);
        projectors.reach(slice(), 0).await;
        let unread = RecordedEvent {
            event: Err(DecodeError {
                aggregate_type: "room".to_owned(),
                event_type: "room.painted".to_owned(),
                event_version: "1".to_owned(),
                why: "unknown".to_owned(),
            }),
            slice_pos: 2,
            sequence: 2,
            ..(*event).clone()
        };
        projectors.reach(slice(), 1).await;
        deliver(&bus, &Arc::new(unread)).await;
        projectors.reach(slice(), 2).await;
        let parked: HashSet<u64> = world.parked().iter().map(|(_, event)| event.sequence).collect();
        assert_eq!(parked, HashSet::from([2]));
        projectors.leave().await;
    });
}
