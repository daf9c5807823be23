//! Sockets that watch a load from the receiving side: every message once, in the order of its room's version.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use futures_util::StreamExt as _;
use futures_util::stream;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::api::Standing;
use crate::scan;
use crate::socket::LiveSocket;
use crate::world::Room;

/// Handshakes at a time: enough to be quick, few enough not to overflow the listener's queue.
const OPENING: usize = 64;
/// How long the last deliveries may take after the last acknowledgement.
const SETTLE_DEADLINE: Duration = Duration::from_mins(1);
/// How often deliveries are counted while they settle.
const SETTLE_POLL: Duration = Duration::from_millis(20);

/// Which members watch, and how.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Watching {
    /// What one read of a socket may bring, in bytes.
    pub(crate) buffer_bytes: usize,
    /// The instant that the numbers in the texts count microseconds from, where latency is wanted.
    pub(crate) epoch: Option<Instant>,
}

/// The sockets of all members of all rooms, each with a task that counts.
#[derive(Debug)]
pub(crate) struct Watchers {
    tasks: JoinSet<Outcome>,
    counts: Vec<(usize, Arc<AtomicU64>)>,
    stop: watch::Sender<bool>,
    started: Instant,
}

/// What all sockets saw together.
#[derive(Debug, Default)]
pub(crate) struct Delivered {
    /// Messages over all sockets.
    pub(crate) messages: u64,
    /// From the start of the load until the last of them was there.
    pub(crate) elapsed: Duration,
    /// Send to delivery in microseconds, of members other than the sender, where latency was wanted.
    pub(crate) latencies_us: Vec<u32>,
    /// What was not as the contract says, at most a few of each kind.
    pub(crate) faults: Vec<String>,
}

#[derive(Debug, Default)]
struct Outcome {
    room: usize,
    expected_version: u64,
    messages: u64,
    out_of_order: u64,
    strays: u64,
    latencies_us: Vec<u32>,
    broke: Option<String>,
}

impl Watchers {
    /// Opens a socket for every member of `rooms`, which stand where `standings` says.
    pub(crate) async fn open(
        address: SocketAddr,
        rooms: &[Room],
        standings: &[Standing],
        watching: Watching,
    ) -> Result<Self> {
        ensure!(rooms.len() == standings.len(), "a standing for every room");
        let (stop, stopped) = watch::channel(false);
        let members = rooms.iter().enumerate().flat_map(|(room, of)| {
            of.members
                .iter()
                .enumerate()
                .map(move |(member, account)| (room, member, account))
        });
        let sockets: Vec<Result<_>> = stream::iter(members)
            .map(async |(room, member, account)| {
                let socket = LiveSocket::open(address, &account.token, watching.buffer_bytes).await;
                Ok((
                    room,
                    member,
                    socket.with_context(|| format!("socket of member {member} of room {room}"))?,
                ))
            })
            .buffer_unordered(OPENING)
            .collect()
            .await;
        let mut watchers = Self {
            tasks: JoinSet::new(),
            counts: Vec::new(),
            stop,
            started: Instant::now(),
        };
        for opened in sockets {
            let (room, member, socket) = opened?;
            let count = Arc::new(AtomicU64::new(0));
            watchers.counts.push((room, Arc::clone(&count)));
            let watcher = Watcher {
                socket,
                room_id: rooms[room].id.clone(),
                // Member 0 is the one who sends where latency is measured; it is not a receiver of its own messages.
                epoch: watching.epoch.filter(|_| member > 0),
                count,
                seen: Outcome {
                    room,
                    expected_version: standings[room].version + 1,
                    ..Outcome::default()
                },
            };
            watchers.tasks.spawn(watcher.run(stopped.clone()));
        }
        Ok(watchers)
    }

    /// Says that the load starts now.
    pub(crate) fn mark_start(&mut self) {
        self.started = Instant::now();
    }

    /// Waits until every socket has the messages of its room, `expected` by room, then closes all and tells.
    pub(crate) async fn settle(mut self, expected: &[u64]) -> Result<Delivered> {
        let deadline = Instant::now() + SETTLE_DEADLINE;
        let missing = || {
            let behind = self
                .counts
                .iter()
                .filter(|(room, count)| count.load(Ordering::Relaxed) < expected[*room]);
            behind.count()
        };
        while missing() > 0 && Instant::now() < deadline {
            tokio::time::sleep(SETTLE_POLL).await;
        }
        let mut delivered = Delivered {
            elapsed: self.started.elapsed(),
            ..Delivered::default()
        };
        // The receivers are gone only if every task ended, which the join below reports.
        let _ = self.stop.send(true);
        let (mut incomplete, mut out_of_order, mut strays) = (0_u64, 0_u64, 0_u64);
        while let Some(outcome) = self.tasks.join_next().await {
            let outcome = outcome.context("a watcher panicked")?;
            delivered.messages += outcome.messages;
            incomplete += u64::from(outcome.messages != expected[outcome.room]);
            out_of_order += outcome.out_of_order;
            strays += outcome.strays;
            delivered.latencies_us.extend(outcome.latencies_us);
            if let Some(reason) = outcome.broke.filter(|_| delivered.faults.len() < 3) {
                delivered.faults.push(format!("a socket broke: {reason}"));
            }
        }
        for (count, what) in [
            (incomplete, "sockets did not receive exactly the messages of their room"),
            (out_of_order, "frames did not continue the version of their room"),
            (strays, "messages reached a socket of another room"),
        ] {
            if count > 0 {
                delivered.faults.push(format!("{count} {what}"));
            }
        }
        Ok(delivered)
    }
}

struct Watcher {
    socket: LiveSocket,
    room_id: String,
    epoch: Option<Instant>,
    count: Arc<AtomicU64>,
    seen: Outcome,
}

impl Watcher {
    async fn run(mut self, mut stopped: watch::Receiver<bool>) -> Outcome {
        loop {
            // First what is here already: events may have come in one read with `ready`.
            if let Err(error) = self.take().await {
                self.seen.broke = Some(format!("{error:#}"));
                return self.seen;
            }
            tokio::select! {
                biased;
                filled = self.socket.fill() => if let Err(error) = filled {
                    self.seen.broke = Some(format!("{error:#}"));
                    return self.seen;
                },
                _ = stopped.changed() => return self.seen,
            }
        }
    }

    /// Everything that was read so far.
    async fn take(&mut self) -> Result<()> {
        while let Some(frame) = self.socket.next()? {
            if !self.socket.attend(&frame).await? {
                continue;
            }
            let text = self.socket.text(&frame);
            let head = scan::head(text);
            if head.op == b"heartbeat" {
                self.socket.ping().await?;
            } else if head.kind == b"message.sent" {
                self.seen.message(&head, &self.room_id);
                if let Some(epoch) = self.epoch {
                    let sent_us = scan::number_after(text, b"t=").context("a message without its time")?;
                    let us = (epoch.elapsed().as_micros() as u64).saturating_sub(sent_us);
                    self.seen.latencies_us.push(u32::try_from(us).unwrap_or(u32::MAX));
                }
            }
        }
        self.count.store(self.seen.messages, Ordering::Relaxed);
        Ok(())
    }
}

impl Outcome {
    fn message(&mut self, head: &scan::Head<'_>, room_id: &str) {
        if head.room_id != room_id.as_bytes() {
            self.strays += 1;
            return;
        }
        self.messages += 1;
        if head.version != Some(self.expected_version) {
            self.out_of_order += 1;
        }
        self.expected_version = head.version.map_or(self.expected_version, |version| version + 1);
    }
}

/// Sockets of people who only sit there; they answer heartbeats and count nothing.
#[derive(Debug)]
pub(crate) struct IdleSockets {
    tasks: JoinSet<Result<()>>,
}

impl IdleSockets {
    /// Opens one socket for each token.
    pub(crate) async fn open(address: SocketAddr, tokens: impl Iterator<Item = String>) -> Result<Self> {
        let sockets: Vec<Result<LiveSocket>> = stream::iter(tokens)
            .map(async |token| LiveSocket::open(address, &token, 1_024).await)
            .buffer_unordered(OPENING)
            .collect()
            .await;
        let mut tasks = JoinSet::new();
        for socket in sockets {
            tasks.spawn(sit(socket?));
        }
        Ok(Self { tasks })
    }

    /// Closes all; an error if one had been closed by the server meanwhile.
    pub(crate) async fn close(mut self) -> Result<()> {
        while let Some(ended) = self.tasks.try_join_next() {
            ended.context("an idle socket panicked")??;
        }
        self.tasks.shutdown().await;
        Ok(())
    }
}

async fn sit(mut socket: LiveSocket) -> Result<()> {
    loop {
        socket.fill().await.context("an idle socket broke")?;
        while let Some(frame) = socket.next()? {
            if socket.attend(&frame).await? && scan::head(socket.text(&frame)).op == b"heartbeat" {
                socket.ping().await?;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(room_id: &[u8], version: u64) -> scan::Head<'_> {
        scan::Head {
            op: b"event",
            kind: b"message.sent",
            room_id,
            version: Some(version),
        }
    }

    #[test]
    fn order_is_every_version_once() {
        let mut seen = Outcome {
            expected_version: 5,
            ..Outcome::default()
        };
        for version in [5, 6, 7] {
            seen.message(&head(b"r", version), "r");
        }
        assert_eq!((seen.messages, seen.out_of_order, seen.strays), (3, 0, 0));
        seen.message(&head(b"r", 7), "r");
        seen.message(&head(b"r", 10), "r");
        seen.message(&head(b"other", 1), "r");
        assert_eq!((seen.messages, seen.out_of_order, seen.strays), (5, 2, 1));
    }
}
