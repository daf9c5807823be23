//! A room at its limits, 3,000 members and 1,000,000 messages, beside rooms of three members and 100 messages: what one
//! member waits for its pages, its view, its changes and a send.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use hyper::Uri;
use hyper::header::HeaderValue;
use serde_json::Value;

use super::write_amplification::large_room;
use crate::api::{self, Standing};
use crate::bench::Bench;
use crate::http::{Call, HttpClient};
use crate::keys::KeySource;
use crate::load::{self, Bound, send_one};
use crate::readers::{self, PAGE};
use crate::report::Row;
use crate::turns::Turns;
use crate::world::{FIRST_MESSAGES, Room, World};

const FIGURE: &str = "full-room";
/// The full room may take this much longer.
const BAR: f64 = 1.2;
/// Small rooms that share the turns, so that none of them grows long.
const SMALL_ROOMS: usize = 64;
const SMALL_MEMBERS: usize = 3;
/// Versions that a client catches up with: a page's worth.
const CHANGES: u64 = PAGE;
/// Pages whose numbers of unread members are counted again from the list of members.
const RECOUNTED: usize = 5;
/// Filling the room fails if it takes longer.
const FILL_DEADLINE: Duration = Duration::from_hours(1);

/// What is timed.
#[derive(Debug, Clone, Copy)]
enum Ask {
    Newest,
    Page,
    Oldest,
    View,
    Changes,
    Send,
}

/// With what it is called, and how much longer the full room may take. On the oldest page, which nearly everybody has read,
/// everybody's position must be looked at.
const ASKS: [(Ask, &str, Option<f64>); 6] = [
    (Ask::Newest, "the newest page of 50", Some(BAR)),
    (Ask::Page, "a page of 50 anywhere", Some(BAR)),
    (Ask::Oldest, "the oldest page of 50", None),
    (Ask::View, "the room's view", Some(BAR)),
    (Ask::Changes, "changes of the last 50 versions", Some(BAR)),
    (Ask::Send, "ack of a send", Some(BAR)),
];

/// One client, one request at a time, by turns in the full room and in small ones.
pub(crate) async fn measure(bench: &mut Bench) -> Result<Vec<Row>> {
    let members = bench.arguments.members as usize;
    let messages = bench.arguments.full_messages;
    let site = bench.site()?;
    let server = bench.server(&site).await?;
    let mut world = World::of(server.http)?;
    let full = large_room(&mut world, server.http, members).await?;
    let rooms = std::slice::from_ref(&full);
    let sent = load::send(server.http, rooms, 64, &Bound::count(messages, FILL_DEADLINE)).await?;
    ensure!(
        sent.acked() == messages,
        "{} of {messages} messages were written",
        sent.acked()
    );
    let read_at = read_to_places_of_their_own(&mut world, &full).await?;
    eprintln!("  {members} members, {messages} messages at {:.0}/s", sent.per_s());
    let mut client = HttpClient::new(server.http)?;
    let faults = recount(&mut client, &full, read_at).await?;
    let mut turns = ASKS.map(|_| Turns::<2>::new());
    for run in 0..bench.runs() {
        let small = world.rooms(SMALL_ROOMS, SMALL_MEMBERS).await?;
        world.fill(&small, FIRST_MESSAGES).await?;
        for ((ask, what, _), turns) in ASKS.into_iter().zip(&mut turns) {
            eprint!("  {what}:");
            let mut timed = Timed::new(&mut world, &small, &full, run).await?;
            turns
                .run(bench.length() / ASKS.len() as u32, async |load| {
                    timed.once(&mut client, ask, load).await
                })
                .await?;
        }
    }
    server.stop().await?;
    let names = [
        "3 members, 100 messages".to_owned(),
        format!("{members} members, {messages} messages"),
    ];
    let names = names.each_ref().map(String::as_str);
    let rows = ASKS.iter().zip(&turns);
    let mut rows: Vec<Row> = rows
        .flat_map(|((_, what, bar), turns)| turns.rows(FIGURE, what, names, *bar))
        .collect();
    rows.push(unread_members(&faults));
    Ok(rows)
}

fn unread_members(faults: &[String]) -> Row {
    let wrong = vec![faults.len() as f64];
    let what = format!("pages, of {RECOUNTED}, whose unread members are not what the list of members gives");
    Row::at_most(FIGURE, what, "", wrong, 0.0).with_faults(faults)
}

/// The rooms of a run, where they stand, and what comes next.
struct Timed<'a> {
    small: &'a [Room],
    full: &'a Room,
    standings: Vec<Standing>,
    random: KeySource,
    turn: usize,
}

impl<'a> Timed<'a> {
    async fn new(world: &mut World, small: &'a [Room], full: &'a Room, run: usize) -> Result<Self> {
        let mut standings = world.standings(small).await?;
        standings.extend(world.standings(std::slice::from_ref(full)).await?);
        Ok(Self {
            small,
            full,
            standings,
            random: KeySource::new(run),
            turn: 0,
        })
    }

    /// Microseconds of one request, in the full room where `load` is 1.
    async fn once(&mut self, client: &mut HttpClient, ask: Ask, load: usize) -> Result<u32> {
        self.turn += 1;
        let (room, standing) = if load == 1 {
            (self.full, self.standings[self.small.len()])
        } else {
            let room = self.turn % self.small.len();
            (&self.small[room], self.standings[room])
        };
        let path = match ask {
            Ask::Newest => format!("{}?limit={PAGE}", room.messages),
            Ask::Page => {
                let before = PAGE + 1 + self.random.next_number() % (standing.last_seq - PAGE);
                format!("{}?before={before}&limit={PAGE}", room.messages)
            }
            Ask::Oldest => format!("{}?after=0&limit={PAGE}", room.messages),
            Ask::View => format!("/v1/rooms/{}", room.id),
            Ask::Changes => {
                let after = standing.version - CHANGES;
                format!("/v1/rooms/{}/changes?after_version={after}", room.id)
            }
            Ask::Send => {
                let target = room.target(0);
                let start = Instant::now();
                send_one(client, &target, &mut self.random, 0).await?;
                return Ok(u32::try_from(start.elapsed().as_micros()).unwrap_or(u32::MAX));
            }
        };
        let uri: Uri = path.parse().context("not a path")?;
        // Whoever came last: no owner, and somebody who sees all but the first lines.
        let reader = room.members.last().context("a room of nobody")?;
        readers::timed(client, &Call::get(uri, Some(reader.authorization.clone()))).await
    }
}

/// Every member but the first has read up to a place of their own, so that the numbers of the items differ; answers where the
/// mark of the last of them landed.
async fn read_to_places_of_their_own(world: &mut World, room: &Room) -> Result<Option<HeaderValue>> {
    let last_seq = world.standings(std::slice::from_ref(room)).await?[0].last_seq;
    let places = world
        .each(room.members.len() - 1, async |client, number| {
            let seq = 1 + KeySource::new(number).next_number() % last_seq;
            api::mark_read(client, &room.members[number + 1], &room.id, seq).await
        })
        .await?;
    Ok(places.into_iter().next_back())
}

/// What is wrong in the numbers of unread members of a few pages, counted again from how far each member has read.
async fn recount(client: &mut HttpClient, room: &Room, read_at: Option<HeaderValue>) -> Result<Vec<String>> {
    let reader = room.members.last().context("a room of nobody")?;
    let members = api::get_at(client, &format!("/v1/rooms/{}/members", room.id), reader, read_at).await?;
    let members = members["items"].as_array().context("a list of no members")?;
    ensure!(
        members.len() == room.members.len(),
        "{} members are listed",
        members.len()
    );
    let last_seq = api::standing(client, reader, &room.id).await?.last_seq;
    let mut faults = Vec::new();
    for number in 0..RECOUNTED {
        // From the newest page back to one near the beginning, where everybody has read everything.
        let before = last_seq + 1 - (last_seq - PAGE) * number as u64 / RECOUNTED as u64;
        let path = format!("{}?before={before}&limit={PAGE}", room.messages);
        let page = api::get(client, &path, reader).await?;
        let items = page["items"].as_array().context("a page without items")?;
        ensure!(items.len() as u64 == PAGE, "a page of {} items", items.len());
        let wrong = items
            .iter()
            .filter(|item| item["unread_member_count"] != unread(item, members))
            .count();
        if wrong > 0 {
            faults.push(format!("{wrong} numbers before {before} are wrong"));
        }
    }
    Ok(faults)
}

/// Members who have not read an item, its author aside; nobody counts beyond 99.
fn unread(item: &Value, members: &[Value]) -> u64 {
    let behind =
        |member: &&Value| member["user_id"] != item["author_id"] && member["read_seq"].as_u64() < item["seq"].as_u64();
    (members.iter().filter(behind).count() as u64).min(99)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_author_and_who_has_read_do_not_count() {
        let item = json!({"seq": 5, "author_id": "a"});
        let member = |user_id: &str, read_seq: u64| json!({"user_id": user_id, "read_seq": read_seq});
        assert_eq!(unread(&item, &[member("a", 1), member("b", 5), member("c", 4)]), 1);
        let many: Vec<Value> = (0..200).map(|_| member("c", 4)).collect();
        assert_eq!(unread(&item, &many), 99);
    }
}
