//! Relays on a log and a bus that fail: everything is published at least once, in order, without a hole.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use cocotalk_application::contract::support::room_in;
use cocotalk_domain::stream::{Slice, StreamId};
use cocotalk_projectors::metrics::{RELAY_ERRORS, RELAY_PUBLISHED, RELAY_TAKEOVERS};
use cocotalk_projectors::relay::{self, RelayStatus};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::bus::{Bus, Relay};
use crate::counters::{Counters, run};
use crate::world::until;

/// Groups that a relay leads when it is alone.
const GROUPS: usize = 4;

/// A relay that runs.
struct Running {
    relay: Relay,
    status: RelayStatus,
    stop: CancellationToken,
    task: JoinSet<()>,
}

impl Running {
    fn start(bus: &Arc<Bus>) -> Self {
        let (relay, status, stop) = (Relay::of(bus), RelayStatus::default(), CancellationToken::new());
        let mut task = JoinSet::new();
        task.spawn(relay::run(relay.ports(), status.clone(), stop.clone()));
        Self {
            relay,
            status,
            stop,
            task,
        }
    }

    fn thaw(&self) {
        self.relay.frozen.send_replace(false);
    }

    /// Stops in order.
    async fn leave(self) {
        self.thaw();
        self.stop.cancel();
        self.task.join_all().await;
    }

    /// Dies between any two steps; its connections with it.
    async fn die(mut self) {
        self.task.shutdown().await;
        self.relay.bus.revoke(Some(self.relay.id));
    }
}

fn rooms(count: usize) -> Vec<StreamId> {
    let slices = Slice::all().step_by(64 / count);
    slices.map(room_in).collect()
}

#[test]
fn everything_is_published_and_noted() {
    run(&Counters::default(), async {
        let (bus, rooms) = (Bus::new(1), rooms(16));
        let running = Running::start(&bus);
        until("it leads", || bus.led(running.relay.id) == GROUPS).await;
        for round in 0..20 {
            rooms.iter().skip(round % 3).for_each(|room| bus.append(*room));
            bus.chance.pause(300).await;
        }
        until("everything is published", || bus.is_complete()).await;
        until("it has nothing to do", || {
            running.status.describe() == "leads 4 of 4 groups"
        })
        .await;
        running.leave().await;
        assert_eq!(bus.assert_published(), 0, "nothing twice");
        let noted: u64 = bus.noted().iter().sum();
        assert_eq!(noted, rooms.iter().map(|room| published(&bus, *room)).sum::<u64>());
    });
}

fn published(bus: &Bus, room: StreamId) -> u64 {
    bus.noted()[room.slice().index()]
}

#[test]
fn a_standby_takes_over_at_once_when_the_leader_leaves() {
    run(&Counters::default(), async {
        let (bus, room) = (Bus::new(1), rooms(1)[0]);
        let first = Running::start(&bus);
        until("it leads", || bus.led(first.relay.id) == GROUPS).await;
        let second = Running::start(&bus);
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(bus.led(second.relay.id), 0);
        assert_eq!(second.status.describe(), "standby");
        bus.append(room);
        until("it is published", || bus.is_complete()).await;
        first.leave().await;
        bus.append(room);
        let left = tokio::time::Instant::now();
        until("the other one goes on", || bus.is_complete()).await;
        assert!(left.elapsed() < Duration::from_secs(1), "{:?}", left.elapsed());
        second.leave().await;
        assert_eq!(bus.assert_published(), 0);
    });
}

/// A leader that was stopped in the middle of publishing, and goes on when another one has long taken over.
#[test]
fn a_former_leader_that_goes_on_only_repeats() {
    let counters = Counters::default();
    let mut repeated = 0;
    for seed in 0..50 {
        run(&counters, async {
            let (bus, rooms) = (Bus::new(seed), rooms(8));
            let old = Running::start(&bus);
            until("it leads", || bus.led(old.relay.id) == GROUPS).await;
            for _ in 0..5 {
                rooms.iter().for_each(|room| bus.append(*room));
            }
            bus.chance.pause(60).await;
            old.relay.frozen.send_replace(true);
            let new = Running::start(&bus);
            for _ in 0..5 {
                rooms.iter().for_each(|room| bus.append(*room));
                bus.chance.pause(500).await;
            }
            until("the other one has taken over", || bus.led(new.relay.id) == GROUPS).await;
            until("it has published what the old one left", || bus.is_complete()).await;
            old.relay.frozen.send_replace(false);
            for _ in 0..5 {
                rooms.iter().for_each(|room| bus.append(*room));
                bus.chance.pause(500).await;
            }
            until("everything is published", || bus.is_complete()).await;
            until("the old one is a standby", || old.status.describe() == "standby").await;
            assert_eq!((bus.led(old.relay.id), bus.led(new.relay.id)), (0, GROUPS));
            repeated += bus.assert_published();
            old.leave().await;
            new.leave().await;
        });
    }
    assert!(repeated > 0, "it did go on");
}

/// A bus that is slow to answer must not cost the leadership: it would go to and fro while the bus is away.
#[test]
fn a_leader_that_waits_for_the_bus_still_leads() {
    let counters = Counters::default();
    run(&counters, async {
        let (bus, rooms) = (Bus::new(1), rooms(8));
        let leader = Running::start(&bus);
        until("it leads", || bus.led(leader.relay.id) == GROUPS).await;
        let standby = Running::start(&bus);
        leader.relay.stuck.send_replace(true);
        rooms.iter().for_each(|room| bus.append(*room));
        tokio::time::sleep(Duration::from_mins(5)).await;
        assert_eq!((bus.led(leader.relay.id), bus.led(standby.relay.id)), (GROUPS, 0));
        leader.relay.stuck.send_replace(false);
        rooms.iter().for_each(|room| bus.append(*room));
        until("everything is published", || bus.is_complete()).await;
        leader.leave().await;
        standby.leave().await;
        assert_eq!(bus.assert_published(), 0);
    });
    assert_eq!(counters.of(RELAY_TAKEOVERS), GROUPS as u64);
}

/// Faults everywhere, relays killed and stopped, leases lost, partitions emptied.
#[test]
fn whatever_happens_everything_is_published_in_order_without_holes() {
    const STORIES: u64 = 60;
    let counters = Counters::default();
    let mut repeated = 0;
    for seed in 0..STORIES {
        run(&counters, async { repeated += story(&Bus::new(seed)).await });
    }
    assert!(repeated > STORIES as usize, "{repeated}");
    assert!(counters.of(RELAY_ERRORS) > STORIES);
    assert!(counters.of(RELAY_TAKEOVERS) > 2 * STORIES * GROUPS as u64);
    assert!(counters.of(RELAY_PUBLISHED) > STORIES * 100);
}

async fn story(bus: &Arc<Bus>) -> usize {
    let rooms = rooms(8);
    bus.faults.store(50, Ordering::Relaxed);
    let mut running = vec![Running::start(bus), Running::start(bus)];
    for _ in 0..150 {
        bus.append(rooms[bus.chance.below(8) as usize]);
        bus.chance.pause(200).await;
        let one = bus.chance.below(2) as usize;
        match bus.chance.below(60) {
            0 => running.remove(one).die().await,
            1 => running.remove(one).leave().await,
            2 => bus.revoke(None),
            3 => bus.expire(),
            4 => {
                running[one].relay.frozen.send_replace(true);
                bus.revoke(Some(running[one].relay.id));
            }
            5 => running.iter().for_each(Running::thaw),
            _ => {}
        }
        while running.len() < 2 {
            running.push(Running::start(bus));
        }
    }
    bus.faults.store(0, Ordering::Relaxed);
    running.iter().for_each(Running::thaw);
    until("everything is published", || bus.is_complete()).await;
    for relay in running {
        relay.leave().await;
    }
    bus.assert_published()
}
