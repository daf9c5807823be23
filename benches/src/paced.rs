//! Sends at an even pace, whatever the answers take: what comes of a load that is not the server's limit.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use hyper::StatusCode;
use tokio::task::JoinSet;

use crate::http::HttpClient;
use crate::keys::KeySource;
use crate::load::{Target, message};
use crate::world::Room;

/// Message k is due k times `pace` after the start, in room k modulo their number, and its text begins with the microseconds
/// since `epoch`; answers what was acknowledged by room.
pub(crate) async fn send(
    address: SocketAddr,
    rooms: &[Room],
    pace: Duration,
    epoch: Instant,
    length: Duration,
) -> Result<Vec<u64>> {
    let start = tokio::time::Instant::now();
    let mut senders = JoinSet::new();
    for (number, room) in rooms.iter().enumerate() {
        let client = HttpClient::new(address)?;
        let target = room.target(0);
        let step = pace * u32::try_from(rooms.len()).context("too many rooms")?;
        let first = start + pace * u32::try_from(number).context("too many rooms")?;
        let sender = Paced {
            client,
            target,
            epoch,
            step,
            until: start + length,
        };
        senders.spawn(async move { (number, sender.run(first, number).await) });
    }
    let mut acked = vec![0; rooms.len()];
    while let Some(ended) = senders.join_next().await {
        let (number, count) = ended.context("a sender panicked")?;
        acked[number] = count?;
    }
    Ok(acked)
}

struct Paced {
    client: HttpClient,
    target: Target,
    epoch: Instant,
    step: Duration,
    until: tokio::time::Instant,
}

impl Paced {
    async fn run(mut self, mut due: tokio::time::Instant, lane: usize) -> Result<u64> {
        let mut keys = KeySource::new(lane);
        let mut acked = 0;
        while due < self.until {
            tokio::time::sleep_until(due).await;
            let call = message(&self.target, &mut keys, self.epoch.elapsed().as_micros() as u64);
            let status = self.client.call(&call).await?.status;
            ensure!(status == StatusCode::CREATED, "a send was answered {status}");
            acked += 1;
            due += self.step;
        }
        Ok(acked)
    }
}
