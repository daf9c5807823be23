//! The walk: one act after the other, a look after each, and now and then a storm.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::Value;

use crate::harness::client::{Call, new_key, number};
use crate::harness::person::Person;
use crate::model::Model;
use crate::model::act::{Act, KINDS};
use crate::model::decide::Verdict;
use crate::model::diary::Diary;
use crate::model::ears::Ears;
use crate::model::insist::{Tally, insist};
use crate::model::learned::Learned;
use crate::model::look::Look;
use crate::model::room::Who;
use crate::model::storm::{Ground, rage};

const PEOPLE: usize = 6;
/// How long it takes unless somebody wants more.
const SECONDS: u64 = 120;
/// It takes as long as it must for so much to happen: steps, faults, answers that were lost and sockets that were taken up again,
/// acts of each kind, and refusals.
const FEWEST_STEPS: usize = 200;
const FEWEST_FAULTS: usize = 6;
const FEWEST_LOST: usize = 10;
const FEWEST_RESUMED: usize = 3;
const FEWEST_OF_EACH: usize = 3;
const FEWEST_REFUSED: usize = 50;
/// What has not happened after so many steps and all the time does not happen any more.
const MOST_STEPS: usize = 10 * FEWEST_STEPS;
/// Every so many steps there is a storm, everything is looked at, and everybody is listened to.
const STORM: usize = 20;
/// Other people in other rooms go on after so many steps, so that a long walk costs the same at its end.
const CHAPTER: usize = 200;
/// So many commands are kept to be repeated.
const REPEATABLE: usize = 50;

/// A setting of the test from the environment.
#[expect(
    clippy::disallowed_methods,
    reason = "a setting of the test, which no configuration of the server holds"
)]
fn setting(name: &str) -> Option<u64> {
    std::env::var_os(name).map(|value| value.to_str().and_then(|value| value.parse().ok()).expect("a number"))
}

/// A command that was carried out, and its answer.
pub(crate) struct Done {
    by: Who,
    call: Call,
    status: u16,
    answer: Value,
}

/// Makes the call of an act until it is answered, asserts that the answer is what the model says, and carries it out there.
/// Nothing is given where nothing happened.
pub(crate) async fn carry_out(
    people: &[Person],
    model: &Mutex<Model>,
    (tally, diary): (&Tally, &Diary),
    by: Who,
    act: Act,
) -> Option<Done> {
    let (verdict, call) = {
        let model = model.lock().unwrap();
        (model.decide(by, &act), act.call(&model, people, by).key(&new_key()))
    };
    diary.note_act(by, &act, verdict);
    let told = format!("{by} {act:?}: {verdict:?}");
    let reply = insist(by, &call, tally).await;
    match verdict {
        Verdict::Refused(status, code) => {
            let refusal = reply.problem(reply.status);
            assert_eq!(
                (reply.status, &refusal["code"]),
                (status, &Value::from(code)),
                "{told}: {reply}"
            );
            None
        }
        Verdict::Nothing(status) => {
            assert_eq!(reply.status, status, "{told}: {reply}");
            assert!(
                !reply.is_replayed(),
                "{told}: what changes nothing is not kept: {reply}"
            );
            None
        }
        Verdict::Done(status) => {
            assert_eq!(reply.status, status, "{told}: {reply}");
            let answer = reply.value();
            let mut model = model.lock().unwrap();
            model.happen(by, act, &answer);
            if let Some(room) = answer["room_id"].as_str().and_then(|room| model.room(room)) {
                assert_eq!(number(&answer["version"]), room.version(), "{told}: {reply}");
            }
            Some(Done {
                by,
                call,
                status,
                answer,
            })
        }
    }
}

/// Everybody walks until the time is up and enough has happened.
pub(crate) async fn everybody_sees_what_the_rules_say(ground: &dyn Ground) {
    let seed = setting("COCOTALK_MODEL_SEED").unwrap_or_else(rand::random);
    let time = Duration::from_secs(setting("COCOTALK_MODEL_SECONDS").unwrap_or(SECONDS));
    let mut walk = Walk {
        rng: StdRng::seed_from_u64(seed),
        diary: Arc::new(Diary::new(seed)),
        tally: Arc::new(Tally::new(seed)),
        until: Instant::now() + time,
        faults: 0,
        in_storms: 0,
        resumed: 0,
    };
    while !walk.is_over() {
        walk.chapter(ground).await;
    }
    let Walk {
        diary,
        tally,
        faults,
        in_storms,
        resumed,
        ..
    } = walk;
    let steps = diary.steps();
    eprintln!(
        "{steps} steps, {in_storms} more acts in {faults} storms; {tally}; {resumed} sockets taken up again\n{diary}"
    );
}

struct Walk {
    rng: StdRng,
    diary: Arc<Diary>,
    tally: Arc<Tally>,
    until: Instant,
    faults: usize,
    in_storms: usize,
    resumed: usize,
}

impl Walk {
    /// Whether the time is up and enough has happened. Fails when it has not and will not.
    fn is_over(&self) -> bool {
        if Instant::now() < self.until {
            return false;
        }
        let (missing, steps) = (self.missing(), self.diary.steps());
        assert!(
            missing.is_empty() || steps < MOST_STEPS,
            "too little in {steps} steps: {missing:?}\n{}",
            self.diary
        );
        missing.is_empty()
    }

    /// What has not happened often enough yet.
    fn missing(&self) -> Vec<String> {
        let floors = [
            ("steps", self.diary.steps(), FEWEST_STEPS),
            ("faults", self.faults, FEWEST_FAULTS),
            ("answers lost", self.tally.lost(), FEWEST_LOST),
            ("sockets taken up again", self.resumed, FEWEST_RESUMED),
            ("kinds of acts", self.diary.kinds_done(FEWEST_OF_EACH), KINDS),
            ("refusals", self.diary.refused(), FEWEST_REFUSED),
        ];
        let below = floors.iter().filter(|(_, there, fewest)| there < fewest);
        below
            .map(|(what, there, fewest)| format!("{there} of {fewest} {what}"))
            .collect()
    }

    /// New people walk from no room at all.
    async fn chapter(&mut self, ground: &dyn Ground) {
        let mut people = ground.api().people(PEOPLE).await;
        people.sort_by(|one, other| one.id.cmp(&other.id));
        let people = Arc::new(people);
        let ears = people
            .iter()
            .cloned()
            .enumerate()
            .map(|(who, person)| Ears::open(who, person, StdRng::seed_from_u64(self.rng.random())));
        let mut ears = join_all(ears).await;
        let mut silences = ground.silences();
        let mut shared = Arc::new(Mutex::new(Model::of(&people)));
        let (mut learned, mut done) = (Learned::default(), VecDeque::new());
        for step in 1..=CHAPTER {
            let room = self.step(&people, &shared, &mut done).await;
            let is_stormy = step % STORM == 0;
            if is_stormy {
                let watched = (&self.tally, &self.diary);
                self.in_storms += rage(ground, &people, &shared, watched, &mut self.rng).await;
                self.faults += 1;
            }
            let model = Arc::get_mut(&mut shared).expect("storms are over").get_mut().unwrap();
            let mut look = Look {
                people: &people,
                model,
                learned: &mut learned,
                tally: &self.tally,
                rng: &mut self.rng,
            };
            if !is_stormy {
                look.at_lists().await;
                look.at_somebody_in(room).await;
                continue;
            }
            look.at_everything().await;
            let before = std::mem::replace(&mut silences, ground.silences());
            for ears in &mut ears {
                ears.catch_up(model, &mut learned, || ground.silences() > before).await;
                self.resumed += std::mem::take(&mut ears.resumed);
            }
            if self.is_over() {
                break;
            }
        }
    }

    /// One act, or one of those before once more. The room it was in, if it was in one.
    async fn step(&mut self, people: &[Person], model: &Mutex<Model>, done: &mut VecDeque<Done>) -> Option<usize> {
        self.diary.next_step();
        if self.rng.random_ratio(1, 15) && !done.is_empty() {
            let which = self.rng.random_range(0..done.len());
            self.again(&done[which]).await;
            return None;
        }
        let (by, act) = model.lock().unwrap().anything(&mut self.rng);
        let room = act.room();
        let watched = (&*self.tally, &*self.diary);
        done.extend(carry_out(people, model, watched, by, act).await);
        if done.len() > REPEATABLE {
            done.pop_front();
        }
        room
    }

    /// A command that was carried out is answered as before, whatever is true now, and nothing happens.
    async fn again(&self, done: &Done) {
        self.diary.note(&format!("once more {}", done.answer));
        let reply = insist(done.by, &done.call, &self.tally).await;
        assert_eq!((reply.status, &reply.value()), (done.status, &done.answer), "{reply}");
        assert!(reply.is_replayed(), "{reply}");
    }
}
