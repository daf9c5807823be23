//! A crowd that goes on through whatever happens, and what must be true afterwards.

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::sync::watch::Sender;
use tokio::task::JoinSet;

use crate::compare;
use crate::crowd::load::{Sent, Tally};
use crate::crowd::watch::{Heads, Seen};
use crate::crowd::{World, check, load, watch};
use crate::harness::client::Api;
use crate::stage::{Stage, recovered};

/// So many commands are on their way, unanswered, whenever something happens.
const IN_FLIGHT: usize = 20;

/// Senders and watchers at work.
pub(crate) struct Turmoil<'a> {
    stage: &'a Stage,
    pub(crate) tally: Tally,
    pub(crate) world: World,
    pub(crate) rng: StdRng,
    senders: JoinSet<Vec<Sent>>,
    watchers: JoinSet<Seen>,
    ends: Sender<Option<Heads>>,
    /// Kept: where the platform is does not change.
    _here: Sender<Option<Api>>,
}

/// The seed of this run: printed, and taken from `COCOTALK_CHAOS_SEED` to run the same decisions again.
#[expect(
    clippy::disallowed_methods,
    reason = "a setting of the test, which no configuration of the server holds"
)]
fn seed() -> u64 {
    let given = std::env::var_os("COCOTALK_CHAOS_SEED").and_then(|seed| seed.to_str()?.parse().ok());
    let seed = given.unwrap_or_else(rand::random);
    eprintln!("COCOTALK_CHAOS_SEED={seed}");
    seed
}

impl<'a> Turmoil<'a> {
    /// Begins it, and waits until it is in full swing.
    pub(crate) async fn begin(stage: &'a Stage) -> Self {
        let mut rng = StdRng::seed_from_u64(seed());
        let api = stage.api();
        let world = World::settle(&api).await;
        let (here, _) = tokio::sync::watch::channel(Some(api));
        let (ends, _) = tokio::sync::watch::channel(None);
        let (tally, mut senders, mut watchers) = (Tally::default(), JoinSet::new(), JoinSet::new());
        for person in &world.watchers {
            let (here, ends) = (here.subscribe(), ends.subscribe());
            watchers.spawn(watch::follow(person.clone(), here, ends, rng.random()));
        }
        for (index, person) in world.senders.iter().enumerate() {
            let (rooms, here) = (world.rooms_of(index), here.subscribe());
            let (tally, seed) = (tally.clone(), rng.random());
            senders.spawn(load::post_until_stopped(person.clone(), rooms, here, tally, seed));
        }
        let turmoil = Self {
            stage,
            tally,
            world,
            rng,
            senders,
            watchers,
            ends,
            _here: here,
        };
        turmoil.goes_on(50).await;
        turmoil
    }

    /// Waits until so much more is acknowledged, with many commands on their way.
    pub(crate) async fn goes_on(&self, more: usize) {
        self.tally.reach(self.tally.acknowledged() + more, IN_FLIGHT).await;
    }

    /// Waits until many commands are on their way. How many.
    pub(crate) async fn many_in_flight(&self) -> usize {
        loop {
            self.goes_on(1).await;
            let in_flight = self.tally.in_flight();
            if in_flight >= IN_FLIGHT {
                return in_flight;
            }
        }
    }

    /// Lets everybody finish and checks every promise. Gives how often watchers went on at another node than before.
    pub(crate) async fn ends_well(mut self) -> usize {
        self.tally.stop();
        let sent: Vec<_> = self.senders.join_all().await.into_iter().flatten().collect();
        eprintln!("{} messages, {}", sent.len(), self.tally);
        caught_up(&self.world).await;
        let heads = check::heads(&self.world).await;
        self.ends.send_replace(Some(heads.clone()));
        let watched = self.watchers.join_all().await;
        let timelines = check::every_message_is_there_once_in_order(&self.world, &sent).await;
        for index in 0..2 {
            // Whichever node it was sent to first, each of them gives that answer.
            let api = self.world.watchers[0].api.moved_to(self.stage.doors_of(index));
            check::a_retry_gets_the_same_answer(&self.world.at(&api), &sent, &mut self.rng).await;
        }
        check::unread_numbers_equal_a_recount(&self.world, &timelines).await;
        for seen in &watched {
            check::a_watcher_missed_nothing(seen, &timelines, &heads);
        }
        check::changes_are_what_was_seen(&self.world, &watched[0], &heads).await;
        Box::pin(compare::all_stores_agree(self.stage)).await;
        watched.iter().map(|seen| seen.moved).sum()
    }
}

/// Waits until both query nodes show everything that is known to have happened.
async fn caught_up(world: &World) {
    let watcher = &world.watchers[0];
    for _ in 0..2 {
        recovered("queries catch up", || async {
            let reply = watcher.get("/v1/rooms").fresh().attempt().await.ok()?;
            (reply.status == 200).then_some(())
        })
        .await;
    }
}
