//! Clients that send as fast as they are answered.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use hyper::header::HeaderValue;
use hyper::{StatusCode, Uri};
use tokio::task::JoinSet;

use crate::http::{Answer, Call, HttpClient};
use crate::keys::KeySource;
use crate::world::Room;

/// A send that is refused as busy this often in a row fails the run.
const TRIES: u32 = 100_000;

/// Where and as whom a client sends.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// The messages of a room.
    pub(crate) uri: Uri,
    /// The sender; the baseline has none.
    pub(crate) authorization: Option<HeaderValue>,
}

/// What a load is bounded by: both a time and a number of messages.
#[derive(Debug, Clone)]
pub(crate) struct Bound {
    /// No send starts after this.
    pub(crate) until: Instant,
    tickets: Arc<AtomicI64>,
}

impl Bound {
    /// As many messages as go until then.
    pub(crate) fn time(length: Duration) -> Self {
        Self {
            until: Instant::now() + length,
            tickets: Arc::new(AtomicI64::new(i64::MAX)),
        }
    }

    /// So many messages, and at most `length`.
    pub(crate) fn count(messages: u64, length: Duration) -> Self {
        let tickets = i64::try_from(messages).unwrap_or(i64::MAX);
        Self {
            until: Instant::now() + length,
            tickets: Arc::new(AtomicI64::new(tickets)),
        }
    }

    fn next(&self) -> bool {
        Instant::now() < self.until && self.tickets.fetch_sub(1, Ordering::Relaxed) > 0
    }
}

/// What came of a load.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sent {
    /// Acknowledged messages by room, in the order of the rooms given.
    pub(crate) by_room: Vec<u64>,
    /// Acknowledged before the bound in time.
    pub(crate) in_time: u64,
    /// Answers that said "try again".
    pub(crate) retries: u64,
    /// From the first send to the last answer, or to the bound in time if that came first.
    pub(crate) elapsed: Duration,
}

impl Sent {
    /// All acknowledged messages.
    pub(crate) fn acked(&self) -> u64 {
        self.by_room.iter().sum()
    }

    /// Acknowledged sends a second, successes only.
    pub(crate) fn per_s(&self) -> f64 {
        self.in_time as f64 / self.elapsed.as_secs_f64()
    }
}

/// Sends over `connections` connections into `rooms`: connection i sends in room i modulo their number, as that room's
/// next member. Every message carries its own key, and one that is refused as busy is sent again until it succeeds or,
/// not being acknowledged, time is up.
pub(crate) async fn send(address: SocketAddr, rooms: &[Room], connections: usize, bound: &Bound) -> Result<Sent> {
    let start = Instant::now();
    let mut clients = JoinSet::new();
    for connection in 0..connections {
        let room = connection % rooms.len();
        let target = rooms[room].target(connection / rooms.len());
        let client = HttpClient::new(address)?;
        let bound = bound.clone();
        clients.spawn(async move { (room, send_until(client, target, connection, bound).await) });
    }
    let mut sent = Sent {
        by_room: vec![0; rooms.len()],
        in_time: 0,
        retries: 0,
        elapsed: Duration::ZERO,
    };
    while let Some(ended) = clients.join_next().await {
        let (room, part) = ended.context("a client panicked")?;
        let part = part?;
        sent.by_room[room] += part.acked;
        sent.in_time += part.in_time;
        sent.retries += part.retries;
    }
    sent.elapsed = Instant::now().min(bound.until).duration_since(start);
    Ok(sent)
}

#[derive(Debug, Default)]
struct Part {
    acked: u64,
    in_time: u64,
    retries: u64,
}

async fn send_until(mut client: HttpClient, target: Target, connection: usize, bound: Bound) -> Result<Part> {
    let mut keys = KeySource::new(connection);
    let mut part = Part::default();
    while bound.next() {
        let call = message(&target, &mut keys, part.acked);
        loop {
            match client.call(&call).await?.status {
                StatusCode::CREATED => {
                    part.acked += 1;
                    part.in_time += u64::from(Instant::now() < bound.until);
                    break;
                }
                StatusCode::CONFLICT | StatusCode::SERVICE_UNAVAILABLE => part.retries += 1,
                status => bail!("a send was answered {status}"),
            }
            if Instant::now() >= bound.until {
                return Ok(part);
            }
        }
    }
    Ok(part)
}

/// Sends one message until it is accepted; answers with the acceptance.
pub(crate) async fn send_one(
    client: &mut HttpClient,
    target: &Target,
    keys: &mut KeySource,
    number: u64,
) -> Result<Answer> {
    let call = message(target, keys, number);
    for _ in 0..TRIES {
        let answer = client.call(&call).await?;
        match answer.status {
            StatusCode::CREATED => return Ok(answer),
            StatusCode::CONFLICT | StatusCode::SERVICE_UNAVAILABLE => {}
            status => bail!(
                "a send was answered {status}: {}",
                String::from_utf8_lossy(&answer.body)
            ),
        }
    }
    bail!("a send was refused as busy {TRIES} times")
}

/// A text of about sixty characters that starts with `number`, under a key of its own.
pub(crate) fn message(target: &Target, keys: &mut KeySource, number: u64) -> Call {
    let body = format!(r#"{{"kind":"text","text":"t={number:016} see you at seven in front of the station"}}"#);
    let mut call = Call::post(target.uri.clone(), target.authorization.clone(), body);
    let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
    let key = keys.next_key().hyphenated().encode_lower(&mut text);
    call.key = HeaderValue::from_str(key).ok();
    call
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_have_sixty_characters_and_their_own_key() {
        let target = Target {
            uri: Uri::from_static("/x"),
            authorization: None,
        };
        let mut keys = KeySource::new(0);
        let (first, second) = (message(&target, &mut keys, 7), message(&target, &mut keys, 8));
        let body: serde_json::Value = serde_json::from_slice(&first.body).unwrap();
        let text = body["text"].as_str().unwrap();
        assert!((58..=62).contains(&text.len()), "{}", text.len());
        assert_eq!(crate::scan::number_after(text.as_bytes(), b"t="), Some(7));
        assert_ne!(first.key.unwrap(), second.key.unwrap());
    }

    #[test]
    fn a_bound_in_count_ends() {
        let bound = Bound::count(2, Duration::from_mins(1));
        assert_eq!([bound.next(), bound.next(), bound.next()], [true, true, false]);
        assert!(!Bound::time(Duration::ZERO).next());
    }
}
