//! One who misbehaves costs the others of the lane nothing.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use cocotalk_application::command_bus::{BusSettings, Command, CommandBus as _, CommandError};
use cocotalk_application::contract::support::key;
use cocotalk_application::metrics::QUEUE_DEPTH;
use cocotalk_application::use_case::{Decision, Refusal, States, UseCase};
use cocotalk_domain::id::RoomId;
use cocotalk_domain::stream::StreamId;
use futures_util::future::join_all;
use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::sync::oneshot;

use crate::stage::{Ground, Node, Outcome, command, keyed, leave, said, send};
use crate::watched::Step;

type Running = Pin<Box<dyn Future<Output = Outcome> + Send>>;

fn running(node: &Node, command: Command) -> Running {
    let bus = Arc::clone(&node.bus);
    Box::pin(async move { bus.execute(command).await })
}

/// Whether it is answered at once; if not, it waits now.
async fn answered(running: &mut Running) -> Option<Outcome> {
    poll_fn(|context| {
        Poll::Ready(match running.as_mut().poll(context) {
            Poll::Ready(outcome) => Some(outcome),
            Poll::Pending => None,
        })
    })
    .await
}

struct Panics(RoomId);

impl UseCase for Panics {
    fn name(&self) -> &'static str {
        "panics"
    }

    fn home(&self) -> StreamId {
        StreamId::Room(self.0)
    }

    fn writes(&self) -> Vec<StreamId> {
        vec![self.home()]
    }

    fn decide(&self, _on: &States<'_>) -> Result<Decision, Refusal> {
        panic!("this use case has a bug")
    }
}

/// Its lane goes on.
pub(crate) async fn a_use_case_that_panics_stops_nobody_else(fresh: impl AsyncFn() -> Ground) {
    let ground = fresh().await;
    let node = ground.node();
    let people = node.people(2).await;
    let room_id = node.group(&people).await;
    assert!(node.run(command(Panics(room_id))).await.is_err());
    node.accepted(command(send(room_id, people[0]))).await;
}

/// They are found in one go.
pub(crate) async fn one_key_many_times_costs_one_lock(fresh: impl AsyncFn() -> Ground) {
    let ground = fresh().await;
    let node = ground.node();
    let people = node.people(2).await;
    let room_id = node.group(&people).await;
    let key = key();
    let copies = (0..32).map(|_| keyed(key, send(room_id, people[0]))).collect();
    let outcomes = node.together(room_id, copies).await;
    assert!(outcomes.iter().all(Result::is_ok));
    assert_eq!(said(&*ground.log, room_id).await.len(), 1);
    let appends = node.log.appends();
    assert!(node.log.locked() <= 1, "{} locks, {appends} appends", node.log.locked());
}

/// Those that a batch had no room for count among those that wait.
pub(crate) async fn what_waits_in_a_lane_is_bounded(fresh: impl AsyncFn() -> Ground) {
    let ground = fresh().await;
    let node = ground.node_with(BusSettings {
        lane_queue: 4,
        batch_events: 1,
        ..BusSettings::default()
    });
    let people = [node.people(1).await, node.people(1).await].concat();
    let room_id = node.group(&people).await;
    let start = || {
        let command = command(send(room_id, people[0]));
        running(&node, command)
    };
    let (mut waiting, mut busy) = (vec![start()], 0);
    let before = node.log.appends();
    let (gates, steps): (Vec<_>, Vec<_>) = (0..8)
        .map(|_| {
            let (go, going) = oneshot::channel::<()>();
            (go, Step::After(Box::pin(async { drop(going.await) })))
        })
        .unzip();
    node.log.next(steps);
    assert!(answered(&mut waiting[0]).await.is_none());
    for (round, go) in (1..).zip(gates) {
        // One append stands still while four more commands come; then it goes on.
        node.log.entered(before + round).await;
        for _ in 0..4 {
            let mut next = start();
            match answered(&mut next).await {
                Some(outcome) => {
                    assert!(matches!(outcome, Err(CommandError::Busy)), "{outcome:?}");
                    busy += 1;
                }
                None => waiting.push(next),
            }
        }
        drop(go);
    }
    let outcomes = join_all(waiting).await;
    assert!(outcomes.iter().all(Result::is_ok));
    assert!(busy > 0, "{} wait in a lane for four", outcomes.len());
}

/// Nobody refused in a batch makes the log stand still, when nobody else has written.
pub(crate) async fn a_refusal_within_a_batch_takes_no_lock(fresh: impl AsyncFn() -> Ground) {
    let ground = fresh().await;
    let node = ground.node();
    let people = node.people(3).await;
    let room_id = node.group(&people[..2]).await;
    let commands = vec![
        command(send(room_id, people[0])),
        command(leave(room_id, people[2])),
        command(send(room_id, people[1])),
    ];
    let outcomes = node.together(room_id, commands).await;
    assert!(matches!(outcomes[1], Err(CommandError::Refused(_))), "{outcomes:?}");
    assert_eq!(node.log.locked(), 0);
}

/// Whoever asked has gone, and waits no more.
#[test]
fn whoever_has_gone_does_not_wait() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    metrics::with_local_recorder(&recorder, || {
        runtime.block_on(async {
            let node = crate::in_memory().await.node();
            let people = node.people(2).await;
            let room_id = node.group(&people).await;
            node.log.hold();
            let mut gone = running(&node, command(send(room_id, people[0])));
            assert!(answered(&mut gone).await.is_none());
            drop(gone);
            node.log.release();
            node.accepted(command(send(room_id, people[1]))).await;
        });
    });
    let shown = recorder.handle().render();
    let line = format!("{QUEUE_DEPTH} 0\n");
    assert!(shown.contains(&line), "{shown}");
}
