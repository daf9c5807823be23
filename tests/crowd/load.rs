//! The senders: each has one command on its way and repeats it with the same key until it is answered.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};
use tokio::sync::{Notify, watch};

use crate::harness::client::{Api, Call, PATIENCE, new_key, number};
use crate::harness::person::Person;

/// A message that was acknowledged.
pub(crate) struct Sent {
    pub(crate) author: Person,
    pub(crate) room: String,
    pub(crate) words: String,
    pub(crate) key: String,
    /// The body of the 201.
    pub(crate) ack: Value,
}

/// What is going on, in numbers; the end of the load is a number too.
#[derive(Clone, Default)]
pub(crate) struct Tally(Arc<Numbers>);

#[derive(Default)]
struct Numbers {
    in_flight: AtomicUsize,
    acknowledged: AtomicUsize,
    lost_answers: AtomicUsize,
    put_off: AtomicUsize,
    replayed: AtomicUsize,
    stopped: AtomicBool,
    progress: Notify,
}

impl Tally {
    /// Waits until so much is acknowledged and so many commands are on their way.
    pub(crate) async fn reach(&self, acknowledged: usize, in_flight: usize) {
        let reached = async {
            while self.acknowledged() < acknowledged || self.in_flight() < in_flight {
                self.0.progress.notified().await;
            }
        };
        tokio::time::timeout(PATIENCE * 3, reached)
            .await
            .unwrap_or_else(|_| panic!("the load stands still: {self}"));
    }

    /// Lets every sender finish what it is about.
    pub(crate) fn stop(&self) {
        self.0.stopped.store(true, Ordering::SeqCst);
    }

    pub(crate) fn acknowledged(&self) -> usize {
        self.0.acknowledged.load(Ordering::SeqCst)
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.0.in_flight.load(Ordering::SeqCst)
    }

    pub(crate) fn lost_answers(&self) -> usize {
        self.0.lost_answers.load(Ordering::SeqCst)
    }

    pub(crate) fn put_off(&self) -> usize {
        self.0.put_off.load(Ordering::SeqCst)
    }

    pub(crate) fn replayed(&self) -> usize {
        self.0.replayed.load(Ordering::SeqCst)
    }

    fn started(&self) {
        self.0.in_flight.fetch_add(1, Ordering::SeqCst);
        self.0.progress.notify_one();
    }

    fn ended(&self, outcome: &AtomicUsize) {
        self.0.in_flight.fetch_sub(1, Ordering::SeqCst);
        outcome.fetch_add(1, Ordering::SeqCst);
        self.0.progress.notify_one();
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [acknowledged, in_flight] = [self.acknowledged(), self.in_flight()];
        let [lost, put_off, replayed] = [self.lost_answers(), self.put_off(), self.replayed()];
        write!(
            out,
            "{acknowledged} acknowledged, {in_flight} in flight, {lost} answers lost, {put_off} put off, {replayed} replayed"
        )
    }
}

/// Posts into the rooms in turn, marks them read now and then, and gives everything that was acknowledged.
pub(crate) async fn post_until_stopped(
    author: Person,
    rooms: [String; 2],
    mut here: watch::Receiver<Option<Api>>,
    tally: Tally,
    seed: u64,
) -> Vec<Sent> {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut sent = Vec::new();
    while !tally.0.stopped.load(Ordering::SeqCst) {
        let room = rooms[rng.random_range(0..rooms.len())].clone();
        let words = format!(
            "{} 의 {}번째 글, {}",
            author.name,
            sent.len(),
            "ㅋ".repeat(rng.random_range(0..200))
        );
        let key = new_key();
        let call = |api: &Api| author.at(api).sending(&room, &words).key(&key);
        let ack = insist(call, 201, &mut here, &tally).await;
        if rng.random_ratio(1, 8) {
            let (path, body) = (
                format!("/v1/rooms/{room}/read-marker"),
                json!({"seq": number(&ack["seq"]) + 3}),
            );
            let key = new_key();
            insist(|api| author.at(api).put(&path, &body).key(&key), 204, &mut here, &tally).await;
        }
        sent.push(Sent {
            author: author.clone(),
            room,
            words,
            key,
            ack,
        });
    }
    sent
}

/// Makes the call, at whichever server there is, until it is answered.
async fn insist(
    call: impl Fn(&Api) -> Call,
    success: u16,
    here: &mut watch::Receiver<Option<Api>>,
    tally: &Tally,
) -> Value {
    loop {
        let api = here.wait_for(Option::is_some).await.unwrap().clone().unwrap();
        tally.started();
        match call(&api).attempt().await {
            Ok(reply) if reply.status == success => {
                tally
                    .0
                    .replayed
                    .fetch_add(usize::from(reply.is_replayed()), Ordering::SeqCst);
                tally.ended(&tally.0.acknowledged);
                return reply.value();
            }
            Ok(reply) if reply.status == 503 => {
                tally.ended(&tally.0.put_off);
                // Whoever was told to come back does not stand in the door.
                tokio::time::sleep(Duration::from_millis(rand::random_range(20..200))).await;
            }
            Ok(reply) => panic!("{reply}"),
            Err(_) => {
                tally.ended(&tally.0.lost_answers);
                if api.has_several_nodes() {
                    // The next one is asked, after a moment: it may be that none is there.
                    tokio::time::sleep(Duration::from_millis(rand::random_range(5..50))).await;
                } else {
                    // Only a kill breaks a connection, so there will be another server.
                    here.changed().await.unwrap();
                }
            }
        }
    }
}
