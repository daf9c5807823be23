//! What operators do with events that wait, while projectors run.

use std::sync::Arc;

use cocotalk_application::following::Aggregate;
use cocotalk_application::metrics::PARKED_AGGREGATES;
use cocotalk_application::port::event_log::LogReader;
use cocotalk_application::port::parking::Parking;
use cocotalk_application::port::row_store::RowStore;
use cocotalk_application::projection::Projection;
use cocotalk_domain::stream::Slice;
use cocotalk_projectors::parked::ParkedPorts;

use crate::counters::{Counters, run};
use crate::projectors::{Projectors, deliver};
use crate::world::{Fold, Process, World, locked, streams, until};

fn slice() -> Slice {
    Slice::new(5).expect("there are so many")
}

pub(crate) fn operator(world: &Arc<World>) -> ParkedPorts {
    let process = Process::of(world);
    ParkedPorts {
        log: Arc::clone(&process) as Arc<dyn LogReader>,
        rows: Arc::clone(&process) as Arc<dyn RowStore>,
        parking: process as Arc<dyn Parking>,
    }
}

/// Sequences that were tried, and whether they were applied.
type Tried = Vec<(u64, bool)>;

#[test]
fn what_waits_is_applied_in_order_until_one_fails_again() {
    let counters = Counters::default();
    let told = counters.clone();
    run(&counters, async move {
        let (world, fold) = (World::new(1), Fold::new("a"));
        let room = streams(slice(), 1)[0];
        for sequence in [2, 20] {
            locked(&fold.poison).insert((room, sequence));
        }
        (0..30).for_each(|_| drop(world.append(room)));
        let projectors = Projectors::start(&world, &[Arc::clone(&fold)]);
        let bus = projectors.assign(slice()).await;
        projectors.reach(slice(), 30).await;
        assert!(
            (told.gauge(PARKED_AGGREGATES) - 1.0).abs() < f64::EPSILON,
            "one room waits"
        );
        let projection = Arc::clone(&fold) as Arc<dyn Projection>;
        let retry = async || -> Tried {
            let retried = operator(&world).retry(&projection, Aggregate::from(room)).await;
            let retried = retried.expect("the stores work");
            retried.iter().map(|one| (one.sequence, one.error.is_none())).collect()
        };
        assert_eq!(retry().await, [(2, false)]);
        locked(&fold.poison).remove(&(room, 2));
        let mut until_20: Tried = (2..20).map(|sequence| (sequence, true)).collect();
        until_20.push((20, false));
        assert_eq!(retry().await, until_20);
        locked(&fold.poison).clear();
        assert_eq!(
            retry().await,
            (20..=30).map(|sequence| (sequence, true)).collect::<Tried>()
        );
        assert_eq!(retry().await, []);
        deliver(&bus, &world.append(room)).await;
        projectors.reach(slice(), 31).await;
        assert_eq!(world.parked(), [], "the projector finds that nothing waits any more");
        assert!(told.gauge(PARKED_AGGREGATES).abs() < f64::EPSILON);
        let cells = locked(&world.read_model).cells(fold.tables());
        assert_eq!(cells, fold.straight(&world.events()));
        projectors.leave().await;
        world.assert_kept();
    });
}

#[test]
fn what_is_given_up_no_longer_holds_up_what_waits_behind_it() {
    run(&Counters::default(), async {
        let (world, fold) = (World::new(1), Fold::new("a"));
        let room = streams(slice(), 1)[0];
        locked(&fold.poison).insert((room, 2));
        (0..5).for_each(|_| drop(world.append(room)));
        let projectors = Projectors::start(&world, &[Arc::clone(&fold)]);
        let _bus = projectors.assign(slice()).await;
        projectors.reach(slice(), 5).await;
        let projection = Arc::clone(&fold) as Arc<dyn Projection>;
        let skipped = operator(&world)
            .skip(&projection, &room, 2)
            .await
            .expect("the stores work");
        assert_eq!(skipped.expect("it waits").len(), 3);
        assert_eq!(
            operator(&world)
                .skip(&projection, &room, 2)
                .await
                .expect("the stores work"),
            None
        );
        let without: Vec<_> = world.events().into_iter().filter(|event| event.sequence != 2).collect();
        let cells = locked(&world.read_model).cells(fold.tables());
        assert_eq!(cells, fold.straight(&without));
        projectors.leave().await;
    });
}

/// The projector still believes that the room waits; what comes now is itself not to be taken.
#[test]
fn a_second_bad_event_is_not_lost_when_the_first_was_mended_meanwhile() {
    run(&Counters::default(), async {
        let (world, fold) = (World::new(1), Fold::new("a"));
        let room = streams(slice(), 1)[0];
        for sequence in [1, 4] {
            locked(&fold.poison).insert((room, sequence));
        }
        (0..2).for_each(|_| drop(world.append(room)));
        let projectors = Projectors::start(&world, &[Arc::clone(&fold)]);
        let bus = projectors.assign(slice()).await;
        projectors.reach(slice(), 2).await;
        locked(&fold.poison).remove(&(room, 1));
        let projection = Arc::clone(&fold) as Arc<dyn Projection>;
        let retried = operator(&world).retry(&projection, Aggregate::from(room)).await;
        assert_eq!(retried.expect("the stores work").len(), 2);
        assert!(projectors.gate.shut().await);
        // 3 is free, 4 is bad, 5 and 6 wait behind it: 5 in the same flush, 6 in a later one.
        for _ in 3..=5 {
            deliver(&bus, &world.append(room)).await;
        }
        projectors.gate.open();
        projectors.reach(slice(), 5).await;
        deliver(&bus, &world.append(room)).await;
        projectors.reach(slice(), 6).await;
        let parked: Vec<u64> = world.parked().iter().map(|(_, event)| event.sequence).collect();
        assert_eq!(parked, [4, 5, 6]);
        locked(&fold.poison).clear();
        let retried = operator(&world).retry(&projection, Aggregate::from(room)).await;
        assert_eq!(retried.expect("the stores work").len(), 3);
        let straight = fold.straight(&world.events());
        until("everything is there", || {
            locked(&world.read_model).cells(fold.tables()) == straight
        })
        .await;
        projectors.leave().await;
        world.assert_kept();
    });
}
