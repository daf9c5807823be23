//! The member of the group: a consumer on its own thread, and what happens when slices are given and taken away.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use cocotalk_application::error::{StoreError, chain};
use cocotalk_application::port::assignment::Delivery;
use cocotalk_domain::stream::Slice;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::{ClientContext, Offset, TopicPartitionList};
use tokio_util::sync::CancellationToken;

use super::Offered;
use crate::kafka::client::{self, NAP, Skipped};
use crate::kafka::health::Health;
use crate::kafka::lanes::{Lanes, Progress};
use crate::kafka::settings::POLL_INTERVAL_MS;
use crate::kafka::watch::{self, Positions, Watch};
use crate::kafka::worker::{self, Retired};
use crate::kafka::{Settings, metrics, record, unavailable};

/// How long the thread sleeps while something waits for room in a queue.
const PRESSED: Duration = Duration::from_millis(5);
/// How long a member may take to leave. Then the others wait for the end of its session.
const LEAVING: Duration = Duration::from_secs(3);
/// How often the driver tells where the member stands, milliseconds.
const FIGURES_MS: &str = "500";
/// Pauses before a member that cannot go on is made anew: the first and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(30));

/// What the thread, the driver's callbacks and the port share.
pub(super) struct Group {
    pub(super) settings: Arc<Settings>,
    pub(super) health: Arc<Health>,
    pub(super) offered: Offered,
    lanes: Mutex<Lanes>,
    pub(super) positions: Arc<Positions>,
    /// What the group calls this process.
    name: String,
    /// Whether the driver has said that this process is in no group.
    is_out: AtomicBool,
}

impl Group {
    pub(super) fn new(settings: &Settings) -> Self {
        let name = match settings.instance.as_str() {
            "" => format!("{}-{:032x}", settings.client_id, rand::random::<u128>()),
            name => name.to_owned(),
        };
        Self {
            name,
            settings: Arc::new(settings.clone()),
            health: Arc::new(Health::new("assignments")),
            offered: Offered::default(),
            lanes: Mutex::new(Lanes::new(settings.queue_events)),
            positions: Arc::default(),
            is_out: AtomicBool::new(true),
        }
    }

    /// What has to be kept beside the member.
    pub(super) fn watch(&self) -> Watch {
        Watch {
            settings: Arc::clone(&self.settings),
            topic: self.settings.events_topic.clone(),
            health: Arc::clone(&self.health),
            positions: Arc::clone(&self.positions),
        }
    }

    pub(super) fn lanes(&self) -> MutexGuard<'_, Lanes> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Slices are given to this process.
    fn give(&self, slices: &[Slice]) {
        for slice in slices {
            let assignment = self.lanes().open(*slice);
            self.positions.begin(*slice);
            self.offered.offer(assignment);
        }
        self.count();
    }

    /// Slices are taken from this process: those who follow them get time to come to an end.
    fn take_away(&self, slices: &[Slice]) -> Vec<Progress> {
        let closed = self.lanes().close(slices);
        slices.iter().for_each(|slice| self.positions.end(*slice));
        self.offered.withdraw(slices);
        self.count();
        closed
    }

    fn wait_for(&self, closed: &[Progress]) {
        let deadline = Instant::now() + self.settings.handover();
        let late: Vec<_> = self.positions.while_busy(|| {
            let late = closed.iter().filter(|progress| !progress.is_dropped_by(deadline));
            late.map(|progress| progress.slice.index()).collect()
        });
        if !late.is_empty() {
            tracing::warn!("slices {late:?} were taken away before what was delivered of them was done");
        }
    }

    fn count(&self) {
        ::metrics::gauge!(metrics::ASSIGNED).set(self.lanes().len() as f64);
    }
}

/// What the driver calls back.
pub(super) struct Member {
    group: Arc<Group>,
    /// Whether another one has taken its place: what it says does not count any more.
    is_retired: AtomicBool,
}

impl Member {
    fn retire(&self) {
        self.is_retired.store(true, Ordering::Release);
    }

    fn group(&self) -> Option<&Group> {
        (!self.is_retired.load(Ordering::Acquire)).then_some(&self.group)
    }
}

impl ClientContext for Member {
    fn log(&self, level: RDKafkaLogLevel, fac: &str, log_message: &str) {
        if let Some(group) = self.group() {
            group.health.log(level, fac, log_message);
        } else {
            // The group refuses whatever it still had under way.
            tracing::debug!("a member that was replaced says {fac}: {log_message}");
        }
    }

    fn stats_raw(&self, statistics: &[u8]) {
        if let Some(group) = self.group() {
            let is_out = group.health.figures(statistics);
            group.is_out.store(is_out, Ordering::Release);
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if let Some(group) = self.group()
            && group.health.error(&error, reason)
        {
            group.positions.renew();
        }
    }
}

impl ConsumerContext for Member {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        let (Rebalance::Revoke(list), Some(group)) = (rebalance, self.group()) else {
            return;
        };
        let slices = slices(list);
        let is_lost = consumer.assignment_lost();
        tracing::info!("{} slices are taken away", slices.len());
        let mut closed = group.take_away(&slices);
        // What was lost is somebody else's already, and the group takes nothing more from us.
        if !is_lost {
            group.wait_for(&closed);
            let news: Vec<_> = closed.iter_mut().filter_map(Progress::news).collect();
            tell(consumer, &group.settings, &news);
        }
    }

    fn post_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match (rebalance, self.group()) {
            (Rebalance::Assign(list), Some(group)) => {
                let slices = slices(list);
                tracing::info!("{} slices are assigned", slices.len());
                group.give(&slices);
            }
            (Rebalance::Error(error), Some(_)) => tracing::warn!("the slices could not be shared: {error}"),
            (Rebalance::Assign(_) | Rebalance::Error(_), None) | (Rebalance::Revoke(_), _) => {}
        }
    }

    fn commit_callback(&self, result: KafkaResult<()>, _: &TopicPartitionList) {
        if let Err(error) = result {
            tracing::debug!("the group was not told how far it has come: {error}");
        }
    }
}

fn slices(list: &TopicPartitionList) -> Vec<Slice> {
    let elements = list.elements();
    let partitions = elements
        .iter()
        .map(rdkafka::topic_partition_list::TopicPartitionListElem::partition);
    partitions.filter_map(record::slice_of).collect()
}

/// Tells the group how far slices have been taken, without waiting for its answer.
fn tell(consumer: &BaseConsumer<Member>, settings: &Settings, news: &[(Slice, i64)]) {
    if news.is_empty() {
        return;
    }
    let mut list = TopicPartitionList::with_capacity(news.len());
    for (slice, done) in news {
        let next = Offset::Offset(done + 1);
        let added = list.add_partition_offset(&settings.events_topic, slice.index() as i32, next);
        added.expect("an acknowledged offset is an offset");
    }
    if let Err(error) = consumer.commit(&list, CommitMode::Async) {
        tracing::debug!("the group cannot be told how far it has come: {error}");
    }
}

/// A member of the group, which joins when it is polled.
fn join(group: &Arc<Group>) -> Result<BaseConsumer<Member>, StoreError> {
    let settings = &group.settings;
    let member = Member {
        group: Arc::clone(group),
        is_retired: AtomicBool::new(false),
    };
    let consumer: BaseConsumer<Member> = client::consumer(settings, &group.health)
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("group.instance.id", &group.name)
        .set("session.timeout.ms", settings.session_ms.to_string())
        .set(
            "heartbeat.interval.ms",
            (settings.session_ms / 10).clamp(100, 3_000).to_string(),
        )
        .set("max.poll.interval.ms", POLL_INTERVAL_MS.to_string())
        .set("statistics.interval.ms", FIGURES_MS)
        .create_with_context(member)
        .map_err(unavailable)?;
    consumer.subscribe(&[&settings.events_topic]).map_err(unavailable)?;
    Ok(consumer)
}

/// Serves the group until `stop`. A member that cannot go on is made anew, under the same name: the group gives it what it
/// had.
pub(super) fn serve(group: &Arc<Group>, stop: &CancellationToken) {
    let mut pause = PAUSES.0;
    while watch::until_led(&group.settings, &group.settings.events_topic, &group.health, stop) {
        let _old = group.positions.take_renewal();
        let consumer = match join(group) {
            Ok(consumer) => Retired::new(consumer),
            Err(error) => {
                group
                    .health
                    .fail(format!("kafka: cannot join the group: {}", chain(&error)));
                rest(&mut pause, stop);
                continue;
            }
        };
        let started = Instant::now();
        let end = poll(group, &consumer, stop);
        if let End::Stopped = end {
            leave(group, &consumer);
            // In this thread, so that whoever waits for it waits for the end.
            drop(consumer.into_inner());
            return;
        }
        consumer.context().retire();
        // At once: it must not fetch from a broker that comes back.
        drop(consumer);
        let slices: Vec<Slice> = Slice::all().collect();
        group.wait_for(&group.take_away(&slices));
        if started.elapsed() > PAUSES.1 {
            pause = PAUSES.0;
        }
        if let End::Fatal(error) = end {
            group.health.fail(format!("kafka: the group has put us out: {error}"));
            rest(&mut pause, stop);
        }
    }
}

/// Why a member does not go on.
enum End {
    Stopped,
    /// It has to begin anew.
    Renewed,
    /// The driver cannot get over an error.
    Fatal(KafkaError),
}

/// Passes on what the bus delivers, as long as it can.
fn poll(group: &Group, consumer: &BaseConsumer<Member>, stop: &CancellationToken) -> End {
    let mut skipped = Skipped::new(group.health.client());
    let mut told = Instant::now();
    let mut nap = NAP;
    while !stop.is_cancelled() {
        match consumer.poll(nap) {
            Some(Ok(message)) => take(group, &message, &mut skipped),
            Some(Err(error @ KafkaError::MessageConsumptionFatal(_))) => return End::Fatal(error),
            Some(Err(error)) => tracing::debug!("nothing was consumed: {error}"),
            None => {}
        }
        nap = relieve(group, consumer);
        if told.elapsed() >= group.settings.acknowledge() {
            told = Instant::now();
            let news = group.lanes().news();
            tell(consumer, &group.settings, &news);
        }
        if group.positions.take_renewal() {
            return End::Renewed;
        }
    }
    End::Stopped
}

fn take(group: &Group, message: &BorrowedMessage<'_>, skipped: &mut Skipped) {
    group.health.reached();
    let (partition, offset) = (message.partition(), message.offset());
    if let Some(slice) = record::slice_of(partition) {
        group.positions.reach(slice, offset + 1);
    }
    match record::event(message) {
        Ok(event) => {
            let slice = event.slice;
            let event = Arc::new(event);
            group.lanes().take(slice, Delivery { event, offset }, Instant::now());
        }
        Err(why) => skipped.skip(partition, offset, &why),
    }
}

/// Makes room where something waits, and says how long the thread may sleep now.
fn relieve(group: &Group, consumer: &BaseConsumer<Member>) -> Duration {
    let (pressure, is_pressed) = {
        let mut lanes = group.lanes();
        if !lanes.is_pressed() {
            return NAP;
        }
        (lanes.relieve(Instant::now()), lanes.is_pressed())
    };
    if !pressure.pause.is_empty() {
        ::metrics::counter!(metrics::PAUSES).increment(pressure.pause.len() as u64);
        pressure
            .pause
            .iter()
            .for_each(|slice| group.positions.pause(*slice, true));
        let list = partitions(&group.settings, &pressure.pause);
        if let Err(error) = consumer.pause(&list) {
            tracing::warn!("slow slices could not be paused: {error}");
        }
    }
    if !pressure.resume.is_empty() {
        let list = partitions(&group.settings, &pressure.resume);
        if let Err(error) = consumer.resume(&list) {
            tracing::error!("paused slices do not go on: {error}");
        }
        pressure
            .resume
            .iter()
            .for_each(|slice| group.positions.pause(*slice, false));
    }
    if is_pressed { PRESSED } else { NAP }
}

fn partitions(settings: &Settings, slices: &[Slice]) -> TopicPartitionList {
    let mut list = TopicPartitionList::with_capacity(slices.len());
    for slice in slices {
        list.add_partition(&settings.events_topic, slice.index() as i32);
    }
    list
}

/// Brings everything to an end and leaves the group, so that others need not wait for the end of the session. A process that
/// was given a name stays in it, to come back.
fn leave(group: &Group, consumer: &BaseConsumer<Member>) {
    let slices: Vec<Slice> = Slice::all().collect();
    let mut closed = group.take_away(&slices);
    group.wait_for(&closed);
    let news: Vec<_> = closed.iter_mut().filter_map(Progress::news).collect();
    tell(consumer, &group.settings, &news);
    if !group.settings.instance.is_empty() {
        return;
    }
    // A consumer that is closed before it has left, be it that it still waits for the answer to what it was told a moment ago,
    // forgets to say that it leaves.
    group.is_out.store(false, Ordering::Release);
    consumer.unsubscribe();
    let deadline = Instant::now() + LEAVING;
    while Instant::now() < deadline && !group.is_out.load(Ordering::Acquire) {
        drop(consumer.poll(PRESSED));
    }
}

/// Waits before another attempt, longer each time, with some chance in it so that processes do not move in step.
fn rest(pause: &mut Duration, stop: &CancellationToken) {
    let time = pause.mul_f64(rand::random_range(0.5..1.0));
    *pause = (*pause * 2).min(PAUSES.1);
    worker::wait(time, stop);
}
