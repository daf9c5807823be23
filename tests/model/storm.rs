//! Many acts at once, in all the rooms, while something is stopped or killed.

use std::sync::{Arc, Mutex};

use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::harness::client::Api;
use crate::harness::person::Person;
use crate::model::Model;
use crate::model::diary::Diary;
use crate::model::insist::Tally;
use crate::model::walk::carry_out;

/// So much is done in each room.
const ACTS: usize = 8;
/// At most so many rooms.
const LANES: usize = 8;

/// What happens to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// `kill -9`.
    Kill,
    /// SIGTERM: it ends in good order.
    Restart,
}

/// What is logged where marks are told without what is left to read: a store was too slow to say.
pub(crate) const SILENCE: &str = "read marks are told without what is left to read";

/// What serves everybody.
pub(crate) trait Ground {
    /// A client of it, which stays one whatever happens.
    fn api(&self) -> Api;

    /// Does it to one of the processes and starts that again: says to which, once it is ready.
    fn strike(&self, fault: Fault, rng: &mut StdRng) -> String;

    /// How often any process has said [`SILENCE`].
    fn silences(&self) -> usize;
}

/// What goes on in a storm.
#[derive(Clone)]
struct Storm {
    people: Arc<Vec<Person>>,
    model: Arc<Mutex<Model>>,
    tally: Arc<Tally>,
    diary: Arc<Diary>,
    /// Acts that were answered.
    done: watch::Sender<usize>,
}

/// Breaks something while commands are on their way in several rooms, and waits until all of them are answered. How many.
///
/// A room has one act after the other, so that it is known what must come of each; what is done in it follows from the seed.
pub(crate) async fn rage(
    ground: &dyn Ground,
    people: &Arc<Vec<Person>>,
    model: &Arc<Mutex<Model>>,
    (tally, diary): (&Arc<Tally>, &Arc<Diary>),
    rng: &mut StdRng,
) -> usize {
    let rooms: Vec<usize> = (0..model.lock().unwrap().rooms.len()).collect();
    let rooms: Vec<usize> = rooms.sample(rng, LANES).copied().collect();
    let (sender, mut done) = watch::channel(0);
    let storm = Storm {
        people: Arc::clone(people),
        model: Arc::clone(model),
        tally: Arc::clone(tally),
        diary: Arc::clone(diary),
        done: sender,
    };
    let mut lanes = JoinSet::new();
    for room in &rooms {
        lanes.spawn(storm.clone().goes_on(*room, StdRng::seed_from_u64(rng.random())));
    }
    // Only the lanes hold it now: when all of them have ended, nobody is waited for.
    drop(storm);
    let all = rooms.len() * ACTS;
    let moment = rng.random_range(0..all.max(2) / 2);
    let fault = if rng.random_bool(0.7) {
        Fault::Kill
    } else {
        Fault::Restart
    };
    // If a lane has failed, that is told below.
    let begun = done.wait_for(|done| *done >= moment).await.map(drop);
    if begun.is_ok() {
        let struck = tokio::task::block_in_place(|| ground.strike(fault, rng));
        diary.note(&format!("{fault:?} of {struck} after {moment} of {all} acts"));
    }
    while let Some(lane) = lanes.join_next().await {
        if let Err(failed) = lane {
            std::panic::resume_unwind(failed.into_panic());
        }
    }
    all
}

impl Storm {
    async fn goes_on(self, room: usize, mut rng: StdRng) {
        for _ in 0..ACTS {
            let (by, act) = self.model.lock().unwrap().anything_in(room, &mut rng);
            carry_out(&self.people, &self.model, (&self.tally, &self.diary), by, act).await;
            self.done.send_modify(|done| *done += 1);
        }
    }
}
