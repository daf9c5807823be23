//! Topics of a test's own, on the broker that the environment names.

use std::time::Duration;

use cocotalk_infra::kafka::{KafkaPublisher, Settings, topics};
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{Header, OwnedHeaders, OwnedMessage};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::{Offset, TopicPartitionList};
use tokio_util::task::TaskTracker;

/// Longest time that anything may take before a test gives up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Two topics and a group, which are gone with it.
pub(crate) struct Opened {
    pub(crate) settings: Settings,
    pub(crate) tasks: TaskTracker,
}

/// The broker of the tests.
pub(crate) fn server() -> String {
    #[expect(
        clippy::disallowed_methods,
        reason = "tests are told by the environment where the servers are"
    )]
    let server = std::env::var("COCOTALK_TEST_KAFKA");
    server.expect("COCOTALK_TEST_KAFKA names a broker: run `cargo xtask test`, or `cargo xtask up --servers-only`")
}

/// Settings of names that nobody else has.
pub(crate) fn settings(brokers: String) -> Settings {
    let name = format!("test-{:032x}", rand::random::<u128>());
    Settings {
        brokers,
        events_topic: format!("{name}-events"),
        ephemeral_topic: format!("{name}-ephemeral"),
        group: name,
        session_ms: 6_000,
        acknowledge_ms: 100,
        queue_events: 100,
        ..Settings::default()
    }
}

impl Opened {
    pub(crate) async fn fresh() -> Self {
        let settings = settings(server());
        topics::ensure(&settings).await.expect("topics are made");
        let tasks = TaskTracker::new();
        Self { settings, tasks }
    }

    pub(crate) fn publisher(&self) -> KafkaPublisher {
        KafkaPublisher::open(&self.settings).expect("the settings are taken")
    }

    /// Writes something that no publisher of ours would write.
    pub(crate) async fn write(&self, topic: &str, partition: i32, value: &[u8], headers: &[(&str, &[u8])]) {
        self.write_at(topic, partition, value, headers, None).await;
    }

    /// The same, as if it were written at that instant, milliseconds since the epoch.
    pub(crate) async fn write_at(
        &self,
        topic: &str,
        partition: i32,
        value: &[u8],
        headers: &[(&str, &[u8])],
        at_ms: Option<i64>,
    ) {
        let producer: FutureProducer = client(&self.settings.brokers).create().expect("a producer");
        let mut all = OwnedHeaders::new();
        for (key, value) in headers {
            all = all.insert(Header {
                key,
                value: Some(*value),
            });
        }
        let mut record = FutureRecord::<(), _>::to(topic)
            .partition(partition)
            .payload(value)
            .headers(all);
        record.timestamp = at_ms;
        producer.send(record, PATIENCE).await.expect("it is written");
    }

    /// The first records of a partition as they lie there.
    pub(crate) async fn read(&self, partition: i32, count: usize) -> Vec<OwnedMessage> {
        let settings = self.settings.clone();
        let read = tokio::task::spawn_blocking(move || {
            let consumer: BaseConsumer = client(&settings.brokers)
                .set("group.id", "nobody")
                .create()
                .expect("a consumer");
            let mut list = TopicPartitionList::new();
            list.add_partition_offset(&settings.events_topic, partition, Offset::Beginning)
                .expect("an offset");
            consumer.assign(&list).expect("it is assigned");
            let polled = || {
                consumer
                    .poll(PATIENCE)
                    .expect("there is another")
                    .expect("it is consumed")
            };
            (0..count).map(|_| polled().detach()).collect()
        });
        read.await.expect("it is read")
    }

    pub(crate) fn admin(&self) -> AdminClient<DefaultClientContext> {
        client(&self.settings.brokers).create().expect("an admin client")
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        let settings = self.settings.clone();
        // A broker with thousands of partitions of tests that are over would be slow for the others.
        let delete = std::thread::spawn(move || {
            let admin: AdminClient<DefaultClientContext> = client(&settings.brokers).create().expect("an admin client");
            let topics = [settings.events_topic.as_str(), settings.ephemeral_topic.as_str()];
            let runtime = tokio::runtime::Builder::new_current_thread()
                .build()
                .expect("a runtime");
            runtime.block_on(admin.delete_topics(&topics, &AdminOptions::new()))
        });
        // The test has passed or failed already.
        drop(delete.join());
    }
}

fn client(brokers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers);
    config
}
