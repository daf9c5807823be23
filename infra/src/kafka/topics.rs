//! The two topics: made once, and checked.

use std::sync::Arc;
use std::time::Duration;

use cocotalk_application::error::StoreError;
use cocotalk_domain::stream::SLICES;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::metadata::MetadataTopic;
use tokio::time::Instant;

use super::client::{self, Plain, RECORD_BYTES};
use super::health::Health;
use super::{BUS, Settings, late, offsets, unavailable};

/// Between two looks at whether a new topic is there on all brokers.
const LOOK: Duration = Duration::from_millis(50);
/// How long signals are kept: nobody reads what was told before they came.
const EPHEMERAL_MS: u64 = 60_000;

/// What the bus is, for whoever operates it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Brokers that there are.
    pub brokers: usize,
    /// The topics of the settings, as far as they are there.
    pub topics: Vec<TopicStanding>,
    /// What is not as it should be, in words.
    pub problems: Vec<String>,
}

/// What a topic is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicStanding {
    /// Its name.
    pub name: String,
    /// How many partitions it has.
    pub partitions: usize,
    /// How many copies its partitions have, at least.
    pub replication: usize,
    /// Where the next record of each partition will be; empty where that cannot be asked.
    pub ends: Vec<i64>,
}

/// Makes the topics that are missing, and waits until they are there.
///
/// # Errors
/// `Unavailable` where the bus cannot be reached, `Corrupt` where a topic is there and is not what it should be.
pub async fn ensure(settings: &Settings) -> Result<(), StoreError> {
    let deadline = Instant::now() + settings.request() * 4;
    let mut standing = check(settings).await?;
    if standing.topics.len() < 2 {
        create(settings, &standing).await?;
    }
    while standing.topics.len() < 2 || standing.topics.iter().any(|topic| topic.ends.is_empty()) {
        if Instant::now() > deadline {
            return Err(late("making the topics"));
        }
        standing = check(settings).await?;
        if standing.topics.iter().any(|topic| topic.partitions != SLICES) {
            break;
        }
        tokio::time::sleep(LOOK).await;
    }
    let wrong = standing.topics.iter().find_map(wrong_partitions);
    wrong.map_or(Ok(()), |why| Err(StoreError::corrupt(BUS, why)))
}

/// What there is.
///
/// # Errors
/// `Unavailable` where the bus cannot be reached.
pub async fn check(settings: &Settings) -> Result<Standing, StoreError> {
    let settings = settings.clone();
    let checking = tokio::task::spawn_blocking(move || look(&settings));
    checking.await.map_err(|error| StoreError::unavailable(BUS, error))?
}

async fn create(settings: &Settings, standing: &Standing) -> Result<(), StoreError> {
    let health = Arc::new(Health::new("topics"));
    let admin: AdminClient<Plain> = client::config(settings, &health)
        .create_with_context(Plain(health))
        .map_err(unavailable)?;
    let retention_ms = (u64::from(settings.retention_h) * 3_600_000).to_string();
    let (ephemeral_ms, in_sync) = (EPHEMERAL_MS.to_string(), settings.in_sync().to_string());
    let topic = |name| {
        let copies = TopicReplication::Fixed(settings.replication.into());
        NewTopic::new(name, SLICES as i32, copies).set("cleanup.policy", "delete")
    };
    let events = topic(&settings.events_topic)
        .set("retention.ms", &retention_ms)
        .set("min.insync.replicas", &in_sync)
        .set("max.message.bytes", RECORD_BYTES);
    let ephemeral = topic(&settings.ephemeral_topic)
        .set("retention.ms", &ephemeral_ms)
        // Deleted are whole segments, and only those that nothing is written to any more.
        .set("segment.ms", &ephemeral_ms);
    let missing = [events, ephemeral];
    let missing = missing.iter().filter(|topic| !standing.has(topic.name));
    let options = AdminOptions::new()
        .request_timeout(Some(settings.request()))
        .operation_timeout(Some(settings.request()));
    let created = admin.create_topics(missing, &options).await.map_err(unavailable)?;
    // The destructor waits for a thread.
    drop(tokio::task::spawn_blocking(move || drop(admin)));
    for outcome in created {
        match outcome {
            // Of several processes one makes it.
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((name, code)) => {
                let why = format!("the topic {name} cannot be made: {code}");
                return Err(StoreError::unavailable(BUS, why));
            }
        }
    }
    Ok(())
}

impl Standing {
    fn has(&self, name: &str) -> bool {
        self.topics.iter().any(|topic| topic.name == name)
    }
}

impl Settings {
    /// How many copies an event must have before it counts as published: all but one, so that one broker may be gone.
    const fn in_sync(&self) -> u16 {
        if self.replication > 2 { self.replication - 1 } else { 1 }
    }
}

fn look(settings: &Settings) -> Result<Standing, StoreError> {
    let health = Arc::new(Health::new("topics"));
    let consumer = client::asking(settings, &health)?;
    let mut standing = Standing {
        brokers: 0,
        topics: Vec::new(),
        problems: Vec::new(),
    };
    for name in [&settings.events_topic, &settings.ephemeral_topic] {
        let metadata = consumer
            .fetch_metadata(Some(name), settings.request())
            .map_err(unavailable)?;
        standing.brokers = metadata.brokers().len();
        let there = metadata.topics().iter().find(|topic| topic.error().is_none());
        if let Some(topic) = there.filter(|topic| !topic.partitions().is_empty()) {
            look_at(topic, settings, &consumer, &mut standing);
        } else {
            let problem = format!("the topic {name} is not there: run `cocotalk migrate`");
            standing.problems.push(problem);
        }
    }
    Ok(standing)
}

fn look_at(topic: &MetadataTopic, settings: &Settings, consumer: &BaseConsumer<Plain>, standing: &mut Standing) {
    let (name, partitions) = (topic.name(), topic.partitions());
    let replication = partitions.iter().map(|partition| partition.replicas().len()).min();
    let replication = replication.unwrap_or_default();
    let leaderless = partitions.iter().filter(|partition| partition.leader() < 0).count();
    let behind = partitions
        .iter()
        .filter(|partition| partition.isr().len() < partition.replicas().len())
        .count();
    if leaderless > 0 {
        let problem = format!("{leaderless} partitions of {name} have no leader: a broker is missing");
        standing.problems.push(problem);
    }
    if behind > 0 {
        let problem = format!("{behind} partitions of {name} have copies that are behind");
        standing.problems.push(problem);
    }
    if replication < usize::from(settings.replication) {
        let wanted = settings.replication;
        let problem = format!("{name} has {replication} copies, not {wanted}: add some, or lower kafka.replication");
        standing.problems.push(problem);
    }
    let mut found = TopicStanding {
        name: name.to_owned(),
        partitions: partitions.len(),
        replication,
        ends: Vec::new(),
    };
    standing.problems.extend(wrong_partitions(&found));
    if partitions.len() >= SLICES {
        match offsets::ends(consumer, settings, name) {
            Ok(ends) => found.ends = ends.to_vec(),
            Err(error) => {
                let error = cocotalk_application::error::chain(&error);
                standing
                    .problems
                    .push(format!("the ends of {name} are not known: {error}"));
            }
        }
    }
    standing.topics.push(found);
}

/// What is wrong with the number of a topic's partitions. It cannot be mended in place: a partition holds a slice, and a
/// topic never loses partitions.
fn wrong_partitions(topic: &TopicStanding) -> Option<String> {
    let TopicStanding { name, partitions, .. } = topic;
    (*partitions != SLICES).then(|| {
        format!(
            "the topic {name} has {partitions} partitions, not {SLICES}: delete it and run `cocotalk migrate`, or name \
             another one in the settings; the log has everything that was in it"
        )
    })
}
