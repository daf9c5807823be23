//! The people, rooms and first messages that a load starts from.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context as _, Result};
use futures_util::future::try_join_all;
use hyper::Uri;
use uuid::Builder;

use crate::api::{self, Account, Standing};
use crate::http::HttpClient;
use crate::keys::KeySource;
use crate::load::{Target, send_one};

/// Connections that build a world.
const BUILDERS: usize = 64;
/// Messages in every room before anything is timed, on both sides of every comparison.
pub(crate) const FIRST_MESSAGES: usize = 100;

/// A room of the load.
#[derive(Debug, Clone)]
pub(crate) struct Room {
    /// Its id.
    pub(crate) id: String,
    /// Where its messages are sent.
    pub(crate) messages: Uri,
    /// Who is in it, the creator first.
    pub(crate) members: Vec<Account>,
}

impl Room {
    fn new(id: String, members: Vec<Account>) -> Result<Self> {
        let messages = format!("/v1/rooms/{id}/messages")
            .parse()
            .context("a room id that fits no path")?;
        Ok(Self { id, messages, members })
    }

    /// What member number `member` needs in order to send here.
    pub(crate) fn target(&self, member: usize) -> Target {
        let account = self.members.get(member % self.members.len().max(1));
        Target {
            uri: self.messages.clone(),
            authorization: account.map(|account| account.authorization.clone()),
        }
    }
}

/// Connections to one server, used by one task: building a world is not timed, so one thread is enough.
#[derive(Debug)]
pub(crate) struct World {
    clients: Vec<HttpClient>,
    accounts: AtomicUsize,
}

impl World {
    /// Of the server at `address`.
    pub(crate) fn of(address: SocketAddr) -> Result<Self> {
        let clients = (0..BUILDERS).map(|_| HttpClient::new(address)).collect::<Result<_>>()?;
        Ok(Self {
            clients,
            accounts: AtomicUsize::new(0),
        })
    }

    /// Does `work` for 0..count over all connections; the results come in the order of their numbers.
    pub(crate) async fn each<T>(
        &mut self,
        count: usize,
        work: impl AsyncFn(&mut HttpClient, usize) -> Result<T>,
    ) -> Result<Vec<T>> {
        let next = AtomicUsize::new(0);
        let workers = self.clients.iter_mut().map(async |client| {
            let mut done = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return Ok::<_, anyhow::Error>(done);
                }
                done.push((number, work(client, number).await?));
            }
        });
        let mut done: Vec<(usize, T)> = try_join_all(workers).await?.into_iter().flatten().collect();
        done.sort_by_key(|(number, _)| *number);
        Ok(done.into_iter().map(|(_, result)| result).collect())
    }

    /// Makes accounts nobody else has.
    pub(crate) async fn accounts(&mut self, count: usize) -> Result<Vec<Account>> {
        let first = self.accounts.fetch_add(count, Ordering::Relaxed);
        self.each(count, async |client, number| {
            api::create_account(client, first + number).await
        })
        .await
    }

    /// Makes one group of each set of people.
    pub(crate) async fn groups(&mut self, people: Vec<Vec<Account>>) -> Result<Vec<Room>> {
        let people = &people;
        let ids = self
            .each(people.len(), async |client, number| {
                let (creator, others) = people[number].split_first().context("a group of nobody")?;
                let others: Vec<&str> = others.iter().map(|account| account.user_id.as_str()).collect();
                api::create_group(client, creator, &others).await
            })
            .await?;
        ids.into_iter()
            .zip(people)
            .map(|(id, members)| Room::new(id, members.clone()))
            .collect()
    }

    /// Makes `count` groups of `members` new people each.
    pub(crate) async fn rooms(&mut self, count: usize, members: usize) -> Result<Vec<Room>> {
        let accounts = self.accounts(count * members).await?;
        self.groups(accounts.chunks(members).map(<[Account]>::to_vec).collect())
            .await
    }

    /// Sends `count` messages in each room, one after another within a room.
    pub(crate) async fn fill(&mut self, rooms: &[Room], count: usize) -> Result<()> {
        self.each(rooms.len(), async |client, number| {
            let target = rooms[number].target(0);
            let mut keys = KeySource::new(1_000_000 + number);
            for message in 0..count {
                send_one(client, &target, &mut keys, message as u64).await?;
            }
            Ok(())
        })
        .await
        .map(|_| ())
    }

    /// Where each room stands, asked as its creator.
    pub(crate) async fn standings(&mut self, rooms: &[Room]) -> Result<Vec<Standing>> {
        self.each(rooms.len(), async |client, number| {
            let room = &rooms[number];
            api::standing(client, room.members.first().context("a room of nobody")?, &room.id).await
        })
        .await
    }
}

/// Rooms for the baseline, which needs no accounts: any id is a room.
pub(crate) fn baseline_rooms(count: usize) -> Result<Vec<Room>> {
    let mut keys = KeySource::new(2_000_000);
    let mut room = || {
        let bits = (u128::from(keys.next_number()) << 64) | u128::from(keys.next_number());
        Room::new(
            Builder::from_random_bytes(bits.to_be_bytes()).into_uuid().to_string(),
            Vec::new(),
        )
    };
    (0..count).map(|_| room()).collect()
}
