//! Somebody who is invited at one node, writes at the other at once, and leaves again, over and over, whatever dies meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::harness::client::{Api, Call, Reply, new_key};
use crate::harness::person::Person;
use crate::stage::{Stage, recovered};

/// A guest and their host at work.
pub(crate) struct Guests {
    rounds: watch::Receiver<usize>,
    ends: Arc<AtomicBool>,
    task: JoinSet<()>,
}

impl Guests {
    /// Begins, with a room of their own.
    pub(crate) async fn begin(stage: &Stage) -> Self {
        let [host, guest, other] = stage.api().three().await;
        let extra = stage.api().person("dahee").await;
        let room = host.group(&[&other, &extra]).await;
        let nodes = [0, 1].map(|index| Api::at(stage.doors_of(index)));
        let (counter, rounds) = watch::channel(0);
        let ends = Arc::new(AtomicBool::new(false));
        let (mut task, ended) = (JoinSet::new(), Arc::clone(&ends));
        task.spawn(async move {
            while !ended.load(Ordering::SeqCst) {
                let round = *counter.borrow();
                let [here, there] = [round % 2, (round + 1) % 2].map(|index| &nodes[index]);
                visit(&host.at(here), &guest, [here, there], &room).await;
                counter.send_replace(round + 1);
            }
        });
        Self { rounds, ends, task }
    }

    /// Waits for so many more visits, and ends. A guest who was refused has failed.
    pub(crate) async fn end_after(mut self, more: usize) {
        let goal = *self.rounds.borrow() + more;
        let reached = self.rounds.wait_for(|rounds| *rounds >= goal).await.is_ok();
        self.ends.store(true, Ordering::SeqCst);
        self.task.join_all().await;
        assert!(reached, "the visits ended by themselves");
        eprintln!("{} visits", *self.rounds.borrow());
    }
}

/// One visit: no node may think of the guest as they were before.
async fn visit(host: &Person, guest: &Person, [here, there]: [&Api; 2], room: &str) {
    answered(host.inviting(room, &[guest])).await.is(200);
    answered(guest.at(there).sending(room, "들어왔어요")).await.is(201);
    answered(guest.at(here).leaving(room)).await.accepted();
    answered(guest.at(there).sending(room, "아직 있나요"))
        .await
        .problem(404);
}

/// Makes the call until it is answered: its node may be dead for a moment, or have no database.
async fn answered(call: Call) -> Reply {
    let call = call.key(&new_key());
    recovered("an answer", || async {
        let reply = call.attempt().await.ok()?;
        (reply.status != 503).then_some(reply)
    })
    .await
}
