//! What sockets tell, held against the model: nothing missing, nothing twice, in the order of versions, over every restart.

use std::collections::{BTreeMap, BTreeSet};

use rand::rngs::StdRng;
use serde_json::Value;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use crate::harness::client::{PATIENCE, list, number, positions, text};
use crate::harness::person::Person;
use crate::harness::socket::{Arrival, Socket, hello_frame};
use crate::model::Model;
use crate::model::insist::pause;
use crate::model::learned::Learned;
use crate::model::room::{Mark, Room, Sight, Who};
use crate::model::shown::Gone;

const ALL_GONE: [Gone; 3] = [Gone::Nothing, Gone::Answered, Gone::Everything];

/// What somebody's connection brings.
enum Heard {
    /// It begins, where the last cursor stands.
    Ready(Value),
    /// A frame.
    Frame(Value),
    /// A new cursor: it is behind everything so far.
    Cursor,
}

/// What one person hears, on one connection after the other.
pub(crate) struct Ears {
    who: Who,
    heard: UnboundedReceiver<Heard>,
    /// How far they were told of each room, when the cursor was given, and on this connection.
    told: BTreeMap<usize, u64>,
    behind_cursor: BTreeMap<usize, u64>,
    on_this: BTreeMap<usize, u64>,
    /// What they were told of their own side of rooms, by its place in the log, and the last one on this connection.
    own: BTreeMap<(u64, u64), (usize, Value)>,
    own_on_this: BTreeMap<usize, (u64, u64)>,
    /// How far they were told that others have read.
    reads: BTreeMap<(usize, Who), u64>,
    /// Of which of their own marks they were told what was left, by room.
    unread: BTreeSet<(usize, u64)>,
    /// How often a lost connection was taken up again.
    pub(crate) resumed: usize,
    /// Ends with them.
    _listening: JoinSet<()>,
}

impl Ears {
    /// Begins to listen; everything that happens from now on is heard. How soon a lost connection is taken up again is by chance.
    pub(crate) async fn open(who: Who, person: Person, pauses: StdRng) -> Self {
        let (tell, heard) = unbounded_channel();
        let mut listening = JoinSet::new();
        listening.spawn(listen(person, tell, pauses));
        let mut ears = Self {
            who,
            heard,
            told: BTreeMap::new(),
            behind_cursor: BTreeMap::new(),
            on_this: BTreeMap::new(),
            own: BTreeMap::new(),
            own_on_this: BTreeMap::new(),
            reads: BTreeMap::new(),
            unread: BTreeSet::new(),
            resumed: 0,
            _listening: listening,
        };
        let first = ears.next(Instant::now() + PATIENCE * 3).await;
        assert!(matches!(first, Some(Heard::Ready(ready)) if ready["resumed"] == "new"));
        ears
    }

    async fn next(&mut self, deadline: Instant) -> Option<Heard> {
        let heard = timeout_at(deadline, self.heard.recv()).await.ok()?;
        Some(heard.expect("somebody listens for as long as there are ears"))
    }

    /// Takes what was told until it is all there is, and holds each of it against the model. What was left after a mark may be
    /// missing where somebody has said that they could not tell.
    pub(crate) async fn catch_up(&mut self, model: &Model, learned: &mut Learned, said_so: impl Fn() -> bool) {
        let deadline = Instant::now() + PATIENCE * 3;
        loop {
            let missing = match (self.missing(model), self.untold(model)) {
                (Some(missing), _) => missing,
                (None, Some(untold)) if said_so() => {
                    self.unread.insert(untold);
                    continue;
                }
                (None, Some((place, read))) => format!("what is left after {read} in {}", model.rooms[place].id),
                (None, None) => break,
            };
            match self.next(deadline).await {
                Some(heard) => self.take(heard, model, learned),
                None => panic!("{} was not told of {missing}", model.name(self.who)),
            }
        }
        while let Ok(heard) = self.heard.try_recv() {
            self.take(heard, model, learned);
        }
        for room in &model.rooms {
            let own = self.own_of(room);
            let (expected, name) = (room.own(self.who).told, model.name(self.who));
            assert!(
                own.iter().copied().eq(&expected),
                "{name} of {}: {own:?}, not {expected:?}",
                room.id
            );
        }
    }

    fn own_of(&self, room: &Room) -> Vec<&Value> {
        let own = self.own.values().filter(|(place, _)| *place == room.place);
        own.map(|(_, data)| data).collect()
    }

    /// Something that they must still be told.
    fn missing(&self, model: &Model) -> Option<String> {
        model.rooms.iter().find_map(|room| {
            let told = self.told.get(&room.place).copied().unwrap_or_default();
            if let Some(version) = self.following(room, told) {
                return Some(format!("{} {}: {:?}", room.id, version, room.event(version)));
            }
            let (told, own) = (self.own_of(room).len(), room.own(self.who).told);
            if let Some(next) = own.get(told) {
                return Some(format!("their side of {}: {next}", room.id));
            }
            let mark = room.marks.iter().rev().find(|mark| {
                let told = self.reads.get(&(room.place, mark.whose)).copied().unwrap_or_default();
                mark.audience.contains(&self.who) && mark.read > told
            });
            mark.map(|mark| format!("reads of {}: {mark:?}", room.id))
        })
    }

    /// A mark of theirs that was not told with what was left after it. What was left before they left nobody knows any more.
    fn untold(&self, model: &Model) -> Option<(usize, u64)> {
        let mine = |mark: &&Mark| mark.whose == self.who && !mark.is_left_behind;
        let marks = model.rooms.iter().flat_map(|room| {
            let marks = room.marks.iter().filter(mine);
            marks.map(|mark| (room.place, mark.read))
        });
        marks.into_iter().find(|mark| !self.unread.contains(mark))
    }

    /// The first event after a version that they are told of.
    fn following(&self, room: &Room, version: u64) -> Option<u64> {
        (version + 1..=room.version()).find(|next| room.event(*next).audience.contains_key(&self.who))
    }

    fn take(&mut self, heard: Heard, model: &Model, learned: &mut Learned) {
        match heard {
            Heard::Cursor => self.behind_cursor.clone_from(&self.told),
            Heard::Ready(ready) => {
                assert_eq!(ready["resumed"], "replayed", "a cursor of a moment ago: {ready}");
                self.resumed += 1;
                self.on_this.clone_from(&self.behind_cursor);
                self.own_on_this.clear();
            }
            Heard::Frame(frame) => {
                let room = model.room(&text(&frame["room_id"]));
                let room = room.unwrap_or_else(|| panic!("of no room: {frame}"));
                match frame["type"].as_str().unwrap_or_default() {
                    "seat.changed" => self.take_own(room, &frame),
                    "read.advanced" => self.take_reads(room, &frame, model),
                    "unread.changed" => self.take_unread(room, &frame),
                    _ => self.take_event(room, &frame, model, learned),
                }
            }
        }
    }

    /// The next event of a room.
    fn take_event(&mut self, room: &Room, frame: &Value, model: &Model, learned: &mut Learned) {
        let (name, version) = (model.name(self.who), number(&frame["version"]));
        let before = self.on_this.insert(room.place, version).unwrap_or_default();
        let following = self.following(room, before);
        assert_eq!(Some(version), following, "{name} was told {frame} after {before}");
        let told = self.told.entry(room.place).or_default();
        *told = version.max(*told);
        // Whoever is told later is told less: of what they have hidden or left behind since, and of what was deleted.
        let then = room.event(version).audience[&self.who];
        let now = self.sight_now(room, version);
        let sights = [Sight::Whole, Sight::WithoutAnswered, Sight::Version];
        let possible = sights
            .into_iter()
            .filter(|sight| *sight <= then && *sight >= now.min(then));
        let mut expected = possible.flat_map(|sight| ALL_GONE.map(|gone| (sight, gone)));
        let fits = expected.any(|(sight, gone)| learned.fits(&room.frame(version, sight, gone), frame));
        let whole = || learned.filled(&room.frame(version, then, Gone::Nothing));
        assert!(
            fits,
            "{name} was told {frame}\n not {}\n or less ({then:?}, now {now:?})",
            whole()
        );
    }

    fn sight_now(&self, room: &Room, version: u64) -> Sight {
        let event = room.event(version);
        match room.seats.get(&self.who) {
            Some(_) => room.sight(self.who, event.about, event.answered),
            None => Sight::Version,
        }
    }

    fn take_own(&mut self, room: &Room, frame: &Value) {
        let at = positions(&text(&frame["position"]))[0];
        let before = self.own_on_this.insert(room.place, at);
        assert!(before.is_none_or(|before| before < at), "in order and once: {frame}");
        let told = self
            .own
            .entry(at)
            .or_insert_with(|| (room.place, frame["data"].clone()));
        assert_eq!(
            told,
            &(room.place, frame["data"].clone()),
            "the same whenever it is told"
        );
    }

    fn take_reads(&mut self, room: &Room, frame: &Value, model: &Model) {
        for read in list(&frame["data"]["reads"]) {
            let whose = model.who(&text(&read["user_id"])).expect("one of them");
            let mut marks = room
                .marks
                .iter()
                .filter(|mark| mark.whose == whose && mark.audience.contains(&self.who));
            assert!(
                marks.any(|mark| mark.read == number(&read["read_seq"])),
                "nobody read that: {frame}"
            );
            let told = self.reads.entry((room.place, whose)).or_default();
            *told = number(&read["read_seq"]).max(*told);
        }
    }

    fn take_unread(&mut self, room: &Room, frame: &Value) {
        let told = ["read_seq", "unread_count"].map(|field| number(&frame["data"][field]));
        let mut mine = room.marks.iter().filter(|mark| mark.whose == self.who);
        assert!(
            mine.any(|mark| [mark.read, mark.unread] == told),
            "not what was left: {frame}"
        );
        self.unread.insert((room.place, told[0]));
    }
}

/// Listens for ever, on one connection after the other, each where the cursor stands.
async fn listen(person: Person, tell: UnboundedSender<Heard>, mut pauses: StdRng) {
    let mut cursor = None;
    loop {
        if let Some(socket) = connect(&person, cursor.as_deref()).await {
            follow(socket, &mut cursor, &tell).await;
        }
        // Whoever was cut off does not stand in the door.
        pause(&mut pauses).await;
    }
}

/// A new connection that says hello, if there is anybody.
async fn connect(person: &Person, cursor: Option<&str>) -> Option<Socket> {
    let mut socket = Socket::connect(person.api.query_address()).await.ok()?;
    let hello = hello_frame(&person.token, cursor);
    socket.try_say(hello.to_string()).await.ok()?;
    Some(socket)
}

/// Passes on what a connection brings, until it ends.
async fn follow(mut socket: Socket, cursor: &mut Option<String>, tell: &UnboundedSender<Heard>) {
    loop {
        let frame = match socket.next(Instant::now() + PATIENCE * 2).await {
            Some(Arrival::Frame(frame)) => frame,
            Some(Arrival::Closed(_)) => return,
            None => panic!("neither a frame nor the end"),
        };
        let heard = match frame["op"].as_str() {
            Some("ready") => {
                *cursor = Some(text(&frame["cursor"]));
                Heard::Ready(frame)
            }
            Some("heartbeat") => {
                *cursor = Some(text(&frame["cursor"]));
                Heard::Cursor
            }
            Some("event") => Heard::Frame(frame),
            Some("reconnect") => continue,
            _ => panic!("nobody asked for {frame}"),
        };
        if tell.send(heard).is_err() {
            return;
        }
    }
}
