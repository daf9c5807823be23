//! The topics, made and checked.

use cocotalk_application::error::StoreError;
use cocotalk_infra::kafka::topics::{check, ensure};
use rdkafka::admin::{AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};

use crate::opened::{self, Opened};

#[tokio::test]
async fn what_is_there_stays_as_it_is() {
    let opened = Opened::fresh().await;
    ensure(&opened.settings).await.expect("topics are there");
    let standing = check(&opened.settings).await.expect("the bus can be asked");
    assert_eq!(standing.problems, Vec::<String>::new());
    assert!(standing.brokers >= 1);
    assert_eq!(standing.topics.len(), 2);
    for (topic, name) in standing
        .topics
        .iter()
        .zip([&opened.settings.events_topic, &opened.settings.ephemeral_topic])
    {
        assert_eq!((&topic.name, topic.partitions), (name, 64));
        assert!(topic.replication >= 1);
        assert_eq!(topic.ends, vec![0; 64]);
    }
}

#[tokio::test]
async fn ends_are_where_records_are() {
    let opened = Opened::fresh().await;
    opened.write(&opened.settings.events_topic, 7, b"x", &[]).await;
    let standing = check(&opened.settings).await.expect("the bus can be asked");
    let mut expected = vec![0; 64];
    expected[7] = 1;
    assert_eq!(standing.topics[0].ends, expected);
}

#[tokio::test]
async fn several_processes_may_make_them_at_once() {
    let mut opened = Opened::fresh().await;
    let first = std::mem::replace(&mut opened.settings, opened::settings(opened::server()));
    let made = futures_util::future::join_all((0..3).map(|_| ensure(&opened.settings))).await;
    for outcome in made {
        outcome.expect("topics are made");
    }
    // Both pairs go.
    drop(Opened {
        settings: first,
        tasks: opened.tasks.clone(),
    });
}

#[tokio::test]
async fn they_are_made_as_the_settings_say() {
    let mut opened = Opened::fresh().await;
    let first = std::mem::replace(&mut opened.settings, opened::settings(opened::server()));
    drop(Opened {
        settings: first,
        tasks: opened.tasks.clone(),
    });
    opened.settings.retention_h = 5;
    ensure(&opened.settings).await.expect("topics are made");
    let of = |name| ResourceSpecifier::Topic(name);
    let topics = [of(&opened.settings.events_topic), of(&opened.settings.ephemeral_topic)];
    let described = opened.admin().describe_configs(&topics, &AdminOptions::new()).await;
    let described: Vec<_> = described.expect("the bus can be asked");
    let value = |topic: usize, name| {
        let config = described[topic].as_ref().expect("it is described");
        config
            .get(name)
            .and_then(|entry| entry.value.clone())
            .unwrap_or_default()
    };
    for (topic, retention) in [(0, "18000000"), (1, "60000")] {
        assert_eq!(value(topic, "retention.ms"), retention);
        assert_eq!(value(topic, "cleanup.policy"), "delete");
    }
    assert_eq!(value(0, "min.insync.replicas"), "1");
    assert_eq!(value(0, "max.message.bytes"), "4194304");
}

#[tokio::test]
async fn what_is_missing_or_wrong_is_said() {
    let opened = Opened {
        settings: opened::settings(opened::server()),
        tasks: tokio_util::task::TaskTracker::new(),
    };
    let standing = check(&opened.settings).await.expect("the bus can be asked");
    assert_eq!(standing.topics, []);
    assert_eq!(standing.problems.len(), 2);
    assert!(
        standing.problems[0].contains("cocotalk migrate"),
        "{:?}",
        standing.problems
    );

    let narrow = NewTopic::new(&opened.settings.events_topic, 3, TopicReplication::Fixed(1));
    let made = opened.admin().create_topics([&narrow], &AdminOptions::new()).await;
    made.expect("the bus can be asked")[0].as_ref().expect("it is made");
    let refused = ensure(&opened.settings).await;
    let Err(StoreError::Corrupt { why, .. }) = refused else {
        panic!("{refused:?}")
    };
    assert!(why.contains("has 3 partitions, not 64"), "{why}");
    let standing = check(&opened.settings).await.expect("the bus can be asked");
    assert!(standing.problems.contains(&why), "{:?}", standing.problems);
}

#[tokio::test]
async fn a_bus_that_is_away_is_told() {
    let mut settings = opened::settings("127.0.0.1:1".to_owned());
    settings.request_ms = 300;
    assert!(matches!(ensure(&settings).await, Err(StoreError::Unavailable { .. })));
    assert!(matches!(check(&settings).await, Err(StoreError::Unavailable { .. })));
}
