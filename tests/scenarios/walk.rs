//! A random walk: people open rooms, talk, read, invite, kick, leave, come back and give each other roles in any order, beside a model of the rules that
//! is small enough to be read; after every step everybody's list is compared with it, and now and then everything.

use std::collections::BTreeMap;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};

use tokio::time::Instant;

use crate::harness::client::{Api, PATIENCE, list, number, text};
use crate::harness::person::Person;
use crate::harness::socket::{Arrival, Socket};

const PEOPLE: usize = 6;
const STEPS: usize = 300;
/// Everything is compared every so many steps.
const FULL_LOOK: usize = 15;

/// What somebody may do in a group, the highest last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Role {
    Member,
    Admin,
    Owner,
}

impl Role {
    const fn word(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Admin => "admin",
            Self::Owner => "owner",
        }
    }
}

/// One person's place in a room: what they may do, the first item they may see (in a group the line that let them in), and
/// how far they have read.
#[derive(Clone, Copy)]
struct Seat {
    role: Role,
    first: u64,
    read: u64,
}

impl Seat {
    /// That of a member who is let in by the item at `first`.
    const fn new(first: u64, read: u64) -> Self {
        let role = Role::Member;
        Self { role, first, read }
    }
}

/// An item: by whom, and whether it is a message, which is what unread numbers count.
#[derive(Clone, Copy)]
struct Item {
    author: usize,
    counted: bool,
}

/// A room as the rules have it. A direct room keeps its seats for ever.
struct Room {
    id: String,
    direct: bool,
    seats: BTreeMap<usize, Seat>,
    items: Vec<Item>,
}

impl Room {
    fn last_seq(&self) -> u64 {
        self.items.len() as u64
    }

    fn push(&mut self, author: usize, counted: bool) -> u64 {
        self.items.push(Item { author, counted });
        self.last_seq()
    }

    /// The messages, with their seq.
    fn messages(&self) -> impl Iterator<Item = (u64, Item)> {
        (1..).zip(self.items.iter().copied()).filter(|(_, item)| item.counted)
    }

    fn unread(&self, who: usize) -> u64 {
        let seat = self.seats[&who];
        let unread = |(seq, item): &(u64, Item)| item.author != who && *seq > seat.read && *seq >= seat.first;
        self.messages().filter(unread).count() as u64
    }

    fn unread_members(&self, seq: u64, item: Item) -> u64 {
        let late = |(who, seat): &(&usize, &Seat)| **who != item.author && seat.read < seq;
        u64::from(item.counted) * self.seats.iter().filter(late).count() as u64
    }

    fn is_listed(&self, who: usize) -> bool {
        let Some(seat) = self.seats.get(&who) else { return false };
        !self.direct || self.last_seq() >= seat.first.max(1)
    }
}

struct Walk {
    people: Vec<Person>,
    rooms: Vec<Room>,
    rng: StdRng,
}

impl Walk {
    async fn step(&mut self) -> String {
        match self.rng.random_range(0..100) {
            0..5 => self.open_group().await,
            5..12 => self.open_direct().await,
            12..54 => self.say().await,
            54..58 => self.kick().await,
            58..64 => self.give_role().await,
            64..78 => self.read().await,
            78..85 => self.invite().await,
            85..92 => self.leave().await,
            92..96 => self.rename().await,
            _ => self.intrude().await,
        }
    }

    fn anybody(&mut self) -> usize {
        self.rng.random_range(0..PEOPLE)
    }

    /// A room and somebody in it, if there is any.
    fn somewhere(&mut self, groups_only: bool) -> Option<(usize, usize)> {
        let fits = |room: &usize| !groups_only || !self.rooms[*room].direct;
        let rooms: Vec<usize> = (0..self.rooms.len()).filter(fits).collect();
        let room = *rooms.choose(&mut self.rng)?;
        let members: Vec<usize> = self.rooms[room].seats.keys().copied().collect();
        Some((room, *members.choose(&mut self.rng)?))
    }

    async fn open_group(&mut self) -> String {
        let owner = self.anybody();
        let mut members: Vec<usize> = (0..3).map(|_| self.anybody()).chain([owner]).collect();
        members.sort_unstable();
        members.dedup();
        if members.len() < 3 {
            return "nobody to open a group with".to_owned();
        }
        let others: Vec<_> = members.iter().map(|who| &self.people[*who]).collect();
        let id = self.people[owner].group(&others).await;
        let mut seats: BTreeMap<usize, Seat> = members.into_iter().map(|who| (who, Seat::new(1, 1))).collect();
        seats.get_mut(&owner).unwrap().role = Role::Owner;
        let items = vec![Item {
            author: owner,
            counted: false,
        }];
        self.rooms.push(Room {
            id,
            direct: false,
            seats,
            items,
        });
        format!("{owner} opened a group")
    }

    async fn open_direct(&mut self) -> String {
        let (one, other) = (self.anybody(), self.anybody());
        let id = self.people[one].direct(&self.people[other]).await;
        if self.rooms.iter().all(|room| room.id != id) {
            let seats = [one, other].map(|who| (who, Seat::new(1, 0))).into();
            self.rooms.push(Room {
                id,
                direct: true,
                seats,
                items: Vec::new(),
            });
        }
        format!("{one} opened the room with {other}")
    }

    async fn say(&mut self) -> String {
        let Some((room, who)) = self.somewhere(false) else {
            return String::new();
        };
        let room = &mut self.rooms[room];
        let seq = room.push(who, true);
        assert_eq!(self.people[who].say_seq(&room.id, &format!("{seq}")).await, seq);
        let seat = room.seats.get_mut(&who).unwrap();
        seat.read = seq;
        format!("{who} said {seq} in {}", room.id)
    }

    async fn read(&mut self) -> String {
        let Some((room, who)) = self.somewhere(false) else {
            return String::new();
        };
        let wanted = self.rng.random_range(0..=self.rooms[room].last_seq() + 2);
        let room = &mut self.rooms[room];
        self.people[who].read(&room.id, wanted).await;
        let last = room.last_seq();
        let seat = room.seats.get_mut(&who).unwrap();
        seat.read = seat.read.max(wanted.min(last));
        format!("{who} read up to {wanted} of {last} in {}", room.id)
    }

    async fn invite(&mut self) -> String {
        let Some((room, who)) = self.somewhere(true) else {
            return String::new();
        };
        let guests = [self.anybody(), self.anybody()];
        let room = &mut self.rooms[room];
        let named = guests.map(|guest| &self.people[guest]);
        self.people[who].inviting(&room.id, &named).await.is(200);
        if guests.iter().any(|guest| !room.seats.contains_key(guest)) {
            let seq = room.push(who, false);
            for guest in guests {
                room.seats.entry(guest).or_insert(Seat::new(seq, seq));
            }
        }
        format!("{who} invited {guests:?} into {}", room.id)
    }

    async fn leave(&mut self) -> String {
        let Some((place, who)) = self.somewhere(false) else {
            return String::new();
        };
        let room = &mut self.rooms[place];
        let told = format!("{who} left {}", room.id);
        self.people[who].leaving(&room.id).await.accepted();
        if room.direct {
            let floor = room.last_seq() + 1;
            room.seats.get_mut(&who).unwrap().first = floor;
            return told;
        }
        room.push(who, false);
        let gone = room.seats.remove(&who).unwrap();
        if gone.role == Role::Owner {
            let rank =
                |(who, seat): &(&usize, &mut Seat)| (seat.role != Role::Admin, seat.first, &self.people[**who].id);
            if let Some((_, heir)) = room.seats.iter_mut().min_by_key(rank) {
                heir.role = Role::Owner;
            }
        }
        if room.seats.is_empty() {
            self.rooms.remove(place);
        }
        told
    }

    /// A group, its owner or anybody else in it, and whom they name, in it or not.
    fn someone_and_another(&mut self) -> Option<(usize, usize, usize)> {
        let (room, who) = self.somewhere(true)?;
        let owner = self.rooms[room].seats.iter().find(|(_, seat)| seat.role == Role::Owner);
        let owner = *owner.expect("a group has an owner").0;
        let by = if self.rng.random_bool(0.5) { owner } else { who };
        Some((room, by, self.anybody()))
    }

    async fn kick(&mut self) -> String {
        let Some((room, by, whom)) = self.someone_and_another() else {
            return String::new();
        };
        let room = &mut self.rooms[room];
        let theirs = room.seats.get(&whom).map(|seat| seat.role);
        let status = match (room.seats[&by].role, theirs) {
            (Role::Member, _) => 403,
            (Role::Admin | Role::Owner, None) => 404,
            (mine, Some(theirs)) if theirs < mine => 204,
            (Role::Admin | Role::Owner, Some(_)) => 403,
        };
        let reply = self.people[by].kicking(&room.id, &self.people[whom]).await;
        assert_eq!(reply.status, status, "{reply}");
        if status == 204 {
            room.push(by, false);
            room.seats.remove(&whom);
        }
        format!("{by} kicked {whom} from {}: {status}", room.id)
    }

    async fn give_role(&mut self) -> String {
        let Some((room, by, whom)) = self.someone_and_another() else {
            return String::new();
        };
        let role = *[Role::Member, Role::Admin, Role::Admin, Role::Owner]
            .choose(&mut self.rng)
            .unwrap();
        let room = &mut self.rooms[room];
        let theirs = room.seats.get(&whom).map(|seat| seat.role);
        let (status, happens) = match theirs {
            _ if room.seats[&by].role != Role::Owner => (403, false),
            None => (404, false),
            Some(theirs) if theirs == role => (200, false),
            Some(_) if by == whom => (409, false),
            Some(_) => (200, true),
        };
        let reply = self.people[by].giving(&room.id, &self.people[whom], role.word()).await;
        assert_eq!(reply.status, status, "{reply}");
        if happens {
            room.push(by, false);
            room.seats.get_mut(&whom).unwrap().role = role;
            if role == Role::Owner {
                room.seats.get_mut(&by).unwrap().role = Role::Admin;
            }
        }
        format!("{by} made {whom} {role:?} of {}: {status}", room.id)
    }

    async fn rename(&mut self) -> String {
        let Some((room, who)) = self.somewhere(true) else {
            return String::new();
        };
        let room = &mut self.rooms[room];
        let seq = room.push(who, false);
        let name = json!({"name": format!("이름 {seq}")});
        self.people[who]
            .patch(format!("/v1/rooms/{}", room.id), &name)
            .await
            .accepted();
        format!("{who} renamed {}", room.id)
    }

    /// Somebody who is not in a room tries all the same.
    async fn intrude(&mut self) -> String {
        let Some((room, _)) = self.somewhere(false) else {
            return String::new();
        };
        let who = self.anybody();
        let room = &self.rooms[room];
        if !room.seats.contains_key(&who) {
            self.people[who].sending(&room.id, "여기 있어도 돼?").await.problem(404);
            let path = format!("/v1/rooms/{}/messages", room.id);
            self.people[who].get(path).fresh().await.problem(404);
        }
        format!("{who} intruded into {}", room.id)
    }

    /// Everybody's list is what the model says.
    async fn compare_lists(&self, told: &str) {
        for (who, person) in self.people.iter().enumerate() {
            let shown = person.rooms().await;
            let mut items: BTreeMap<String, &Value> = BTreeMap::new();
            items.extend(list(&shown["items"]).iter().map(|item| (text(&item["room_id"]), item)));
            let mut total = 0;
            for room in self.rooms.iter().filter(|room| room.is_listed(who)) {
                let item = items
                    .remove(&room.id)
                    .unwrap_or_else(|| panic!("{told}: {who} misses {}", room.id));
                let facts = ["unread_count", "last_seq", "member_count"].map(|field| number(&item[field]));
                let expected = [room.unread(who), room.last_seq(), room.seats.len() as u64];
                assert_eq!(facts, expected, "{told}: unread, last and members of {who} in {item}");
                assert_eq!(item["last_item"]["seq"], room.last_seq(), "{told}: {who}");
                if !room.direct {
                    assert_eq!(
                        number(&item["read_seq"]),
                        room.seats[&who].read,
                        "{told}: {who} in {item}"
                    );
                }
                total += room.unread(who);
            }
            assert!(items.is_empty(), "{told}: {who} should not see {items:?}");
            assert_eq!(number(&shown["total_unread"]), total, "{told}: {who}");
            let times = list(&shown["items"])
                .iter()
                .map(|item| text(&item["last_item"]["sent_at"]));
            assert!(times.rev().is_sorted(), "{told}: the newest first, for {who}: {shown}");
        }
    }

    /// Every timeline is what the model says, for everybody who may see it.
    async fn compare_timelines(&self, told: &str) {
        for room in &self.rooms {
            for (who, seat) in &room.seats {
                let person = &self.people[*who];
                let shown = person.whole_history(&room.id).await;
                let visible = (1..).zip(&room.items).filter(|(seq, _)| *seq >= seat.first);
                let expected: Vec<_> = visible
                    .map(|(seq, item)| self.expected_item(room, seq, *item))
                    .collect();
                let facts = |item: &Value| {
                    let fields = ["seq", "author_id", "unread_member_count"].map(|field| item[field].clone());
                    json!([fields, item["kind"] == "text"])
                };
                assert_eq!(
                    shown.iter().map(facts).collect::<Vec<_>>(),
                    expected,
                    "{told}: {who} in {}",
                    room.id
                );
                let seen = person.room(&room.id).await;
                let place = (&seen["joined_seq"], &seen["my_role"]);
                let expected = (&json!(seat.first), &json!(seat.role.word()));
                assert_eq!(place, expected, "{told}: {who} in {}", room.id);
            }
        }
    }

    fn expected_item(&self, room: &Room, seq: u64, item: Item) -> Value {
        let author = &self.people[item.author].id;
        json!([[seq, author, room.unread_members(seq, item)], item.counted])
    }

    /// What a socket was told of each room has no hole but between my leaving and my coming back, and ends at the head.
    async fn compare_frames(&self, who: usize, socket: &mut Socket) {
        let me = &self.people[who];
        let (mut heads, mut told) = (BTreeMap::new(), BTreeMap::new());
        for room in self.rooms.iter().filter(|room| room.seats.contains_key(&who)) {
            heads.insert(room.id.clone(), number(&me.room(&room.id).await["version"]));
        }
        let deadline = Instant::now() + PATIENCE;
        while told != heads {
            let frame = match socket.next(deadline).await {
                Some(Arrival::Frame(frame)) => frame,
                other => panic!("{who}: {other:?} at {told:?} of {heads:?}"),
            };
            if frame["version"].is_u64() {
                follow(&mut told, &frame, &me.id);
            }
        }
    }
}

fn follow(told: &mut BTreeMap<String, u64>, frame: &Value, me: &str) {
    let (room, version) = (text(&frame["room_id"]), number(&frame["version"]));
    let about_me = frame["data"]["user_ids"].to_string().contains(me);
    match told.get(&room) {
        Some(before) => assert_eq!(version, before + 1, "no hole before {frame}"),
        None => assert!(about_me, "a room is first heard of by my joining: {frame}"),
    }
    let is_end = frame["type"] == "member.left" || frame["type"] == "member.kicked";
    if is_end && about_me {
        told.remove(&room);
    } else {
        told.insert(room, version);
    }
}

#[tokio::test]
async fn everybody_sees_what_the_rules_say_after_every_step_of_a_random_walk() {
    let seed: u64 = rand::random();
    eprintln!("seed {seed}");
    let people = Api::shared().people(PEOPLE).await;
    let mut sockets = Vec::new();
    for person in &people {
        sockets.push(Socket::open(person).await);
    }
    let mut walk = Walk {
        people,
        rooms: Vec::new(),
        rng: StdRng::seed_from_u64(seed),
    };
    for step in 1..=STEPS {
        let told = format!("step {step}: {}", walk.step().await);
        walk.compare_lists(&told).await;
        if step % FULL_LOOK == 0 {
            walk.compare_timelines(&told).await;
        }
    }
    for (who, socket) in sockets.iter_mut().enumerate() {
        walk.compare_frames(who, socket).await;
    }
}
