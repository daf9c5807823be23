//! Projectors through whatever happens: faults of every store, outages that lose rows, slices taken away, processes killed
//! between any two steps, on a bus that repeats, reorders and leaves holes.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use cocotalk_application::following::Aggregate;
use cocotalk_application::projection::Projection;
use cocotalk_domain::stream::{Slice, StreamId};
use cocotalk_projectors::metrics::{DROPPED, HEALED, PARKED, RETRIES, REWINDS};
use tokio::task::JoinSet;

use crate::counters::{Counters, run};
use crate::parked::operator;
use crate::projectors::{Projectors, deliver};
use crate::world::{Fold, World, locked, streams, until};

/// Stories told.
const STORIES: u64 = 60;
/// Events of a story.
const EVENTS: u64 = 150;

fn slices() -> [Slice; 2] {
    [3, 40].map(|number| Slice::new(number).expect("there are so many"))
}

/// Appends events now and then.
async fn write(world: Arc<World>, streams: Vec<StreamId>) {
    for _ in 0..EVENTS {
        world.append(streams[world.chance.below(streams.len() as u64) as usize]);
        world.chance.pause(400).await;
    }
}

/// Delivers a slice as a bad bus would, from somewhere before where it was acknowledged, until nobody takes it any more.
async fn bad_bus(
    world: Arc<World>,
    slice: Slice,
    bus: tokio::sync::mpsc::Sender<cocotalk_application::port::assignment::Delivery>,
) {
    let mut next = world.chance.below(20);
    loop {
        let events = world.slice(slice);
        if let Some(event) = events.get(next as usize) {
            // The newest is never left out for good: what is missing at the end nobody can know of.
            let is_left_out = world.chance.happens(100) && next + 1 < events.len() as u64;
            if !is_left_out && !deliver(&bus, event).await {
                return;
            }
            next = if world.chance.happens(50) {
                next.saturating_sub(world.chance.below(6))
            } else {
                next + 1
            };
        } else if bus.is_closed() {
            return;
        }
        world.chance.pause(60).await;
    }
}

/// Lets the stores be away for some seconds, again and again; sometimes what they did not have on disk is lost.
async fn outages(world: Arc<World>) {
    loop {
        world.chance.pause(25_000).await;
        if world.chance.happens(700) {
            world.lose(Duration::from_secs(10));
        }
        world.is_down.store(true, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(6_000 + world.chance.below(9_000))).await;
        world.is_down.store(false, Ordering::Relaxed);
    }
}

/// One process after another, each with the slices, each ending in another way.
async fn troubled(world: &Arc<World>, folds: &[Arc<Fold>]) {
    for _ in 0..4 {
        let projectors = Projectors::start(world, folds);
        let mut buses = JoinSet::new();
        for _ in 0..3 {
            for slice in slices() {
                buses.spawn(bad_bus(Arc::clone(world), slice, projectors.assign(slice).await));
            }
            world.chance.pause(20_000).await;
            // Taken away, and given again: the former task may still be at it.
            buses.abort_all();
        }
        match world.chance.below(3) {
            0 => projectors.leave().await,
            1 => projectors.process.die(),
            // It goes on unseen, with what it has.
            _ => drop(tokio::time::timeout(Duration::from_millis(1), projectors.leave()).await),
        }
    }
}

async fn story(seed: u64, poison: &[(usize, u64)]) {
    let (world, folds) = (World::new(seed), [Fold::new("one"), Fold::new("two")]);
    let streams: Vec<StreamId> = slices().iter().flat_map(|slice| streams(*slice, 2)).collect();
    for (stream, sequence) in poison {
        locked(&folds[0].poison).insert((streams[*stream], *sequence));
    }
    world.faults.store(30, Ordering::Relaxed);
    let mut around = JoinSet::new();
    let mut writing = JoinSet::new();
    around.spawn(outages(Arc::clone(&world)));
    writing.spawn(write(Arc::clone(&world), streams.clone()));
    troubled(&world, &folds).await;
    writing.join_all().await;
    around.abort_all();
    world.is_down.store(false, Ordering::Relaxed);
    world.faults.store(0, Ordering::Relaxed);
    let last = Projectors::start(&world, &folds);
    let mut buses = Vec::new();
    for slice in slices() {
        buses.push(last.assign(slice).await);
        last.reach(slice, world.slice(slice).len() as u64).await;
    }
    calm(&world, &folds, &streams, seed).await;
    last.leave().await;
    world.assert_kept();
}

/// What has to be so when everything has calmed down.
async fn calm(world: &Arc<World>, folds: &[Arc<Fold>; 2], streams: &[StreamId], seed: u64) {
    let events = world.events();
    let straight = |fold: &Fold| fold.straight(&events);
    let cells = |fold: &Fold| locked(&world.read_model).cells(fold.tables());
    let expected = straight(&folds[1]);
    until("the rows are those of the log", || cells(&folds[1]) == expected).await;
    // Of each room what comes before its first bad event is there, and nothing after it.
    let mut bad: HashMap<Aggregate, u64> = HashMap::new();
    for event in &events {
        if locked(&folds[0].poison).contains(&(event.stream, event.sequence)) {
            let first = bad.entry(event.stream.into()).or_insert(event.slice_pos);
            *first = event.slice_pos.min(*first);
        }
    }
    let waits = |stream: StreamId, position: u64| bad.get(&stream.into()).is_some_and(|first| position >= *first);
    let taken: Vec<_> = events
        .iter()
        .filter(|event| !waits(event.stream, event.slice_pos))
        .cloned()
        .collect();
    assert_eq!(cells(&folds[0]), folds[0].straight(&taken), "story {seed}");
    for event in &events {
        let parked = world.parked();
        let is_parked = parked
            .iter()
            .any(|(by, parked)| *by == "one" && (parked.stream, parked.sequence) == (event.stream, event.sequence));
        let may = bad.contains_key(&event.stream.into());
        assert!(
            is_parked || !waits(event.stream, event.slice_pos),
            "story {seed}: {event:?} is not parked"
        );
        assert!(may || !is_parked, "story {seed}: {event:?} is parked");
    }
    assert!(world.parked().iter().all(|(by, _)| *by == "one"));
    // Mended and tried again, the rows are those of the log.
    locked(&folds[0].poison).clear();
    let projection = Arc::clone(&folds[0]) as Arc<dyn Projection>;
    for stream in streams {
        let retried = operator(world).retry(&projection, Aggregate::from(*stream)).await;
        retried.expect("the stores work");
    }
    assert_eq!(world.parked(), []);
    assert_eq!(cells(&folds[0]), straight(&folds[0]), "story {seed}");
}

#[test]
fn whatever_happens_the_rows_are_those_of_the_log() {
    let counters = Counters::default();
    for seed in 0..STORIES {
        run(&counters, story(seed, &[]));
    }
    for counter in [DROPPED, HEALED, RETRIES, REWINDS] {
        assert!(counters.of(counter) > STORIES, "{counter} is {}", counters.of(counter));
    }
    assert_eq!(counters.of(PARKED), 0);
}

#[test]
fn whatever_happens_what_cannot_be_taken_waits_and_nothing_else_does() {
    let counters = Counters::default();
    for seed in 0..STORIES {
        run(&counters, story(seed, &[(0, 3), (0, 9), (5, 2)]));
    }
    for counter in [DROPPED, HEALED, RETRIES, REWINDS, PARKED] {
        assert!(counters.of(counter) > STORIES, "{counter} is {}", counters.of(counter));
    }
}
