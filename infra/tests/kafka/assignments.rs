//! What a member of the group does beyond the promises of the port.

use std::sync::Arc;
use std::time::{Duration, Instant};

use cocotalk_application::contract::Process;
use cocotalk_application::contract::assignment::Follower;
use cocotalk_application::contract::publisher::{publish, records};
use cocotalk_application::contract::support::{eventually, room_in};
use cocotalk_application::port::assignment::Assignment;
use cocotalk_domain::stream::{SLICES, Slice};
use cocotalk_infra::kafka::{KafkaAssignments, Settings};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::opened::{self, Opened, PATIENCE};

fn slice() -> Slice {
    Slice::new(11).expect("it is below 64")
}

fn join(settings: &Settings, tasks: &TaskTracker) -> Process {
    let stop = CancellationToken::new();
    let assignments = KafkaAssignments::open(settings, tasks, stop.clone());
    Process {
        assignments: Arc::new(assignments.expect("the settings are taken")),
        stop,
    }
}

/// The slice that the tests look at; the others are taken by nobody.
async fn assigned(process: &Process) -> Assignment {
    loop {
        let next = tokio::time::timeout(PATIENCE, process.assignments.next()).await;
        let next = next.expect("slices are assigned").expect("nobody has stopped it");
        if next.slice == slice() {
            return next;
        }
    }
}

/// Takes so many events, and acknowledges the first ones of them.
async fn take(assignment: &mut Assignment, count: usize, acknowledged: usize) -> Vec<u64> {
    let mut positions = Vec::new();
    for i in 0..count {
        let next = tokio::time::timeout(PATIENCE, assignment.deliveries.recv()).await;
        let next = next.expect("it is delivered").expect("the slice is still assigned");
        positions.push(next.event.slice_pos);
        if i < acknowledged {
            assignment.acknowledge.done(next.offset);
        }
    }
    positions
}

/// Stops a process and waits until it has left.
async fn leave(process: Process, assignment: Assignment, tasks: TaskTracker) {
    process.stop.cancel();
    drop(assignment);
    tasks.close();
    let left = tokio::time::timeout(PATIENCE, tasks.wait()).await;
    left.expect("the process leaves");
}

#[tokio::test]
async fn a_new_process_begins_where_the_last_one_acknowledged() {
    let opened = Opened::fresh().await;
    publish(&opened.publisher(), records(room_in(slice()), 1..=10)).await;
    let tasks = TaskTracker::new();
    let process = join(&opened.settings, &tasks);
    let mut assignment = assigned(&process).await;
    assert_eq!(take(&mut assignment, 7, 5).await, [1, 2, 3, 4, 5, 6, 7]);
    leave(process, assignment, tasks).await;

    let process = join(&opened.settings, &opened.tasks);
    let mut assignment = assigned(&process).await;
    assert_eq!(take(&mut assignment, 5, 0).await, [6, 7, 8, 9, 10]);
}

#[tokio::test]
async fn what_nobody_acknowledged_comes_again() {
    let opened = Opened::fresh().await;
    publish(&opened.publisher(), records(room_in(slice()), 1..=3)).await;
    for _ in 0..2 {
        let tasks = TaskTracker::new();
        let process = join(&opened.settings, &tasks);
        let mut assignment = assigned(&process).await;
        assert_eq!(take(&mut assignment, 3, 0).await, [1, 2, 3]);
        leave(process, assignment, tasks).await;
    }
}

#[tokio::test]
async fn what_is_none_of_ours_is_skipped() {
    let opened = Opened::fresh().await;
    let (publisher, topic) = (opened.publisher(), &opened.settings.events_topic);
    let partition = slice().index() as i32;
    opened.write(topic, partition, b"garbage", &[]).await;
    publish(&publisher, records(room_in(slice()), [1])).await;
    opened
        .write(topic, partition, &[0xff; 100], &[("slice", b"11"), ("slice_pos", b"2")])
        .await;
    opened.write(topic, partition, b"", &[("slice", &[0xff])]).await;
    publish(&publisher, records(room_in(slice()), [2])).await;
    let process = join(&opened.settings, &opened.tasks);
    let mut assignment = assigned(&process).await;
    assert_eq!(take(&mut assignment, 2, 2).await, [1, 2]);
}

#[tokio::test]
async fn a_named_process_gets_its_slices_back_and_disturbs_nobody() {
    let opened = Opened::fresh().await;
    let named = |name: &str| Settings {
        instance: name.to_owned(),
        ..opened.settings.clone()
    };
    let tasks = TaskTracker::new();
    let one = Follower::of(join(&named("one"), &tasks));
    eventually("the first has everything", async || one.assigned().len() == SLICES).await;
    let two = Follower::of(join(&named("two"), &opened.tasks));
    eventually("they share", async || {
        let (one, two) = (one.assigned().len(), two.assigned().len());
        one > 0 && two > 0 && one + two == SLICES
    })
    .await;
    let (had, others) = (one.assigned(), two.assigned());
    one.leave().await;
    tasks.close();
    tokio::time::timeout(PATIENCE, tasks.wait())
        .await
        .expect("it comes to its end");
    let again = Follower::of(join(&named("one"), &opened.tasks));
    eventually("it has its slices again", async || again.assigned() == had).await;
    assert_eq!(two.ever_assigned(), others, "nothing moved meanwhile");
}

#[tokio::test]
async fn two_processes_of_one_name_are_told() {
    let opened = Opened::fresh().await;
    let settings = Settings {
        instance: "one".to_owned(),
        ..opened.settings.clone()
    };
    let first = Follower::of(join(&settings, &opened.tasks));
    eventually("it has everything", async || first.assigned().len() == SLICES).await;
    let _second = Follower::of(join(&settings, &opened.tasks));
    eventually("the first one is put out", async || {
        first
            .assignments()
            .fault()
            .is_some_and(|fault| fault.contains("has put us out"))
    })
    .await;
    eventually("and has nothing to follow", async || first.assigned().is_empty()).await;
}

#[tokio::test]
async fn a_process_that_is_dropped_leaves() {
    let opened = Opened::fresh().await;
    let tasks = TaskTracker::new();
    let process = join(&opened.settings, &tasks);
    let assignment = assigned(&process).await;
    drop((process, assignment));
    tasks.close();
    tokio::time::timeout(PATIENCE, tasks.wait()).await.expect("it leaves");
    let next = Follower::of(join(&opened.settings, &opened.tasks));
    let waited = Instant::now();
    eventually("another one gets everything", async || next.assigned().len() == SLICES).await;
    assert!(
        waited.elapsed() < Duration::from_secs(5),
        "nobody waits for the session to end"
    );
}

#[tokio::test]
async fn a_bus_that_is_away_is_told_and_holds_nobody_up() {
    let settings = opened::settings("127.0.0.1:1".to_owned());
    let tasks = TaskTracker::new();
    let process = join(&settings, &tasks);
    eventually("it is told", async || {
        let fault = process.assignments.fault().unwrap_or_default();
        fault.starts_with("kafka: cannot be reached: 127.0.0.1:1")
    })
    .await;
    process.stop.cancel();
    assert!(process.assignments.next().await.is_none());
    assert_eq!(process.assignments.lag().await.expect("nothing is assigned"), 0);
    tasks.close();
    tokio::time::timeout(PATIENCE, tasks.wait()).await.expect("it ends");
}
