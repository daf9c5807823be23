//! Who is typing, on every node.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use cocotalk_application::contract::support::id;
use cocotalk_application::port::live::{Ephemeral as _, Typing};
use cocotalk_domain::id::{RoomId, UserId};
use cocotalk_domain::stream::StreamId;
use cocotalk_infra::kafka::{KafkaEphemeral, Settings};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::TryRecvError;
use tokio_util::sync::CancellationToken;

use crate::opened::{Opened, PATIENCE};

async fn open(opened: &Opened) -> KafkaEphemeral {
    let node = KafkaEphemeral::open(&opened.settings, &opened.tasks, CancellationToken::new()).await;
    node.expect("the bus is there")
}

fn typing() -> Typing {
    Typing {
        room_id: RoomId(id()),
        user_id: UserId(id()),
    }
}

async fn heard(listener: &mut Receiver<Typing>) -> Typing {
    let heard = tokio::time::timeout(PATIENCE, listener.recv()).await;
    heard.expect("it is heard").expect("nobody is behind")
}

#[tokio::test]
async fn a_signal_is_heard_once_on_every_node() {
    let opened = Opened::fresh().await;
    let (one, two) = (open(&opened).await, open(&opened).await);
    let (mut at_one, mut at_two) = (one.subscribe(), two.subscribe());
    let (first, second) = (typing(), typing());
    one.typing(first);
    assert_eq!(heard(&mut at_one).await, first);
    assert_eq!(heard(&mut at_two).await, first);
    // What comes next is the next one: nothing is told twice.
    two.typing(second);
    assert_eq!(heard(&mut at_one).await, second);
    assert_eq!(heard(&mut at_two).await, second);
}

#[tokio::test]
async fn who_comes_later_hears_nothing_of_before() {
    let opened = Opened::fresh().await;
    let (one, two) = (open(&opened).await, open(&opened).await);
    let (mut at_two, before, after) = (two.subscribe(), typing(), typing());
    one.typing(before);
    assert_eq!(heard(&mut at_two).await, before, "it is on the bus");
    let late = open(&opened).await;
    let mut at_late = late.subscribe();
    one.typing(after);
    assert_eq!(heard(&mut at_late).await, after);
}

#[tokio::test]
async fn what_is_old_or_none_of_ours_is_dropped() {
    let opened = Opened::fresh().await;
    let node = open(&opened).await;
    let mut listener = node.subscribe();
    let (old, young) = (typing(), typing());
    let value = |typing: Typing| {
        let Typing { room_id, user_id } = typing;
        format!(
            r#"{{"type":"typing","node":"{}","room_id":"{room_id}","user_id":"{user_id}"}}"#,
            id()
        )
    };
    let now_ms = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("it is after 1970")
        .as_millis() as i64;
    let partition = StreamId::Room(young.room_id).slice().index() as i32;
    let topic = &opened.settings.ephemeral_topic;
    opened.write(topic, partition, b"garbage", &[]).await;
    opened.write(topic, partition, br#"{"type":"dancing"}"#, &[]).await;
    opened
        .write_at(topic, partition, value(old).as_bytes(), &[], Some(now_ms - 11_000))
        .await;
    opened
        .write_at(topic, partition, value(young).as_bytes(), &[], Some(now_ms - 2_000))
        .await;
    assert_eq!(heard(&mut listener).await, young);
    assert_eq!(listener.try_recv(), Err(TryRecvError::Empty));
}

#[tokio::test]
async fn nobody_waits_while_the_bus_is_away() {
    let opened = Opened::fresh().await;
    let node = open(&opened).await;
    let mut listener = node.subscribe();
    // A node whose bus has gone.
    let lost = Settings {
        brokers: "127.0.0.1:1".to_owned(),
        request_ms: 300,
        ..opened.settings.clone()
    };
    let away = KafkaEphemeral::open(&lost, &opened.tasks, CancellationToken::new()).await;
    assert!(away.is_err());
    let started = Instant::now();
    let signals: Vec<_> = (0..1_000).map(|_| typing()).collect();
    for signal in &signals {
        node.typing(*signal);
    }
    assert!(started.elapsed() < Duration::from_secs(1), "telling never waits");
    for signal in signals {
        assert_eq!(heard(&mut listener).await, signal, "its own node hears it at once");
    }
}
