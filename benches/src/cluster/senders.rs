//! Senders: tasks that each send one message after another until the time is up, and only count successes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use cocotalk_domain::id::{MessageId, RoomId, UserId};
use cocotalk_domain::sealed::Sealed;
use cocotalk_domain::time::Instant as At;
use tokio::task::JoinSet;
use uuid::Uuid;

/// What sending came to.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    /// Messages that are durable.
    pub(crate) messages: u64,
    /// Tries that came to nothing and were made again.
    pub(crate) retried: u64,
    /// Tries that were refused for good.
    pub(crate) refused: u64,
    /// How long each success took, with its retries, microseconds.
    pub(crate) took_us: Vec<u32>,
}

impl Sent {
    /// Successes a second.
    pub(crate) fn rate(&self, length: Duration) -> f64 {
        self.messages as f64 / length.as_secs_f64()
    }

    fn add(&mut self, other: Self) {
        self.messages += other.messages;
        self.retried += other.retried;
        self.refused += other.refused;
        self.took_us.extend(other.took_us);
    }
}

/// How one try went.
pub(crate) enum Try {
    /// It is durable.
    Done,
    /// Somebody else was first: to be tried again.
    Again,
    /// It will not be done.
    Refused,
}

/// Somewhere to send to.
pub(crate) trait Target: Send + Sync + 'static {
    /// Tries to send one message.
    fn send(&self, room: RoomId, by: UserId) -> impl Future<Output = Result<Try>> + Send;
}

/// So many senders, spread over the rooms, for a time. The rooms' first member sends.
pub(crate) async fn send_for<T: Target>(
    target: &Arc<T>,
    rooms: &[(RoomId, UserId)],
    senders: usize,
    length: Duration,
) -> Result<Sent> {
    let until = Instant::now() + length;
    let mut tasks = JoinSet::new();
    for sender in 0..senders {
        let target = Arc::clone(target);
        // Each sender walks over rooms of its own, so that all rooms are used.
        let mine: Vec<_> = rooms
            .iter()
            .skip(sender % rooms.len())
            .step_by(senders)
            .copied()
            .collect();
        tasks.spawn(async move {
            let mut sent = Sent::default();
            for (room, by) in mine.iter().cycle() {
                let begun = Instant::now();
                if begun >= until {
                    break;
                }
                loop {
                    match target.send(*room, *by).await? {
                        Try::Done => break,
                        Try::Again => sent.retried += 1,
                        Try::Refused => {
                            sent.refused += 1;
                            break;
                        }
                    }
                    if Instant::now() >= until {
                        return Ok(sent);
                    }
                }
                if Instant::now() < until {
                    sent.messages += 1;
                    sent.took_us.push(begun.elapsed().as_micros() as u32);
                }
            }
            anyhow::Ok(sent)
        });
    }
    let mut all = Sent::default();
    while let Some(sent) = tasks.join_next().await {
        all.add(sent??);
    }
    Ok(all)
}

/// A new random id.
pub(crate) fn id() -> Uuid {
    Uuid::from_u128(rand::random())
}

/// A new message's id.
pub(crate) fn message_id() -> MessageId {
    MessageId(id())
}

/// A text of about sixty characters as its author sealed it.
pub(crate) fn body(by: UserId) -> Sealed {
    Sealed {
        subject: by,
        bytes: vec![0xa5; 100],
    }
}

/// Now.
pub(crate) fn now() -> At {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    At::from_millis(since.as_millis() as i64)
}
