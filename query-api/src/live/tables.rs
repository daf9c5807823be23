//! Who is connected and what they are told: the part of the hub behind one lock, all of it in memory and quick.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::num::NonZeroUsize;
use std::sync::Arc;

use axum::extract::ws::Utf8Bytes;
use cocotalk_application::port::event_log::RecordedEvent;
use cocotalk_application::position::Cursor;
use cocotalk_application::row::UserRoomRow;
use cocotalk_domain::event::AnyEvent;
use cocotalk_domain::id::{CommandId, RoomId, UserId};
use cocotalk_domain::number::Seq;
use cocotalk_domain::room::RoomEvent;
use cocotalk_domain::seat::SeatEvent;
use futures_channel::mpsc;
use lru::LruCache;

use super::marks::Known;
use super::rendered::{ReadsOfRoom, Rendered};
use super::sockets::{Outgoing, Socket, SocketId, Sockets};
use super::window::{Membership, Window, membership, room_of};
use crate::viewer::Viewer;

/// Commands whose sockets are remembered: many more than can be under way from sockets at once.
const REMEMBERED_ORIGINS: NonZeroUsize = NonZeroUsize::new(8_192).expect("it is not zero");

/// A socket in a room.
struct Seat {
    socket: SocketId,
    user: UserId,
    first_seq: Seq,
}

/// What a person has hidden of their rooms.
pub(super) type Hidden = HashMap<RoomId, BTreeSet<Seq>>;

/// What a socket is told when it joins.
pub(super) struct Admission {
    /// Who it is known as from now on.
    pub(super) id: SocketId,
    /// How far everything was told when it joined: what comes later comes through its outbox.
    pub(super) now: Cursor,
    /// What it missed, in order per room.
    pub(super) missed: Vec<Arc<RecordedEvent>>,
    /// The first visible item of each of its rooms.
    pub(super) first_seqs: HashMap<RoomId, Seq>,
    /// What its person has hidden of them.
    pub(super) hidden: Hidden,
    /// What is known of the rooms in which it missed read marks.
    pub(super) known: Known,
}

/// The routing tables.
pub(super) struct Tables {
    pub(super) window: Window,
    sockets: Sockets,
    users: HashMap<UserId, Vec<SocketId>>,
    rooms: HashMap<RoomId, Vec<Seat>>,
    /// What people who are here have hidden, by room: few have, in few rooms.
    hidden: HashMap<RoomId, HashMap<UserId, BTreeSet<Seq>>>,
    next_id: SocketId,
    /// Which socket a command of a moment ago came from.
    origins: LruCache<CommandId, SocketId>,
    /// Whether everybody was asked to come back later: nobody is let in any more.
    closed: bool,
}

impl Tables {
    pub(super) fn new(window: Window) -> Self {
        Self {
            window,
            sockets: Sockets::default(),
            users: HashMap::new(),
            rooms: HashMap::new(),
            hidden: HashMap::new(),
            next_id: 0,
            origins: LruCache::new(REMEMBERED_ORIGINS),
            closed: false,
        }
    }

    /// Number of sockets.
    pub(super) fn len(&self) -> usize {
        self.sockets.len()
    }

    /// Lets a socket in. `rows` are the person's rooms, and what they have hidden there, as the read model showed them when it
    /// had passed `read_at`; what the window tells since then is taken into account. `since` is where its replay begins.
    pub(super) fn admit(
        &mut self,
        user: UserId,
        outbox: mpsc::Sender<Outgoing>,
        (rows, hidden): (&[UserRoomRow], &Hidden),
        read_at: &Cursor,
        since: &Cursor,
    ) -> Admission {
        // A row may be of a join that nobody here was told of yet. It is told when it comes, and nothing before it is.
        let is_told = |row: &&UserRoomRow| self.window.reaches(row.room_id, row.joined_seq);
        let told = rows.iter().filter(is_told);
        let mut first_seqs: HashMap<RoomId, Seq> = told.map(|row| (row.room_id, row.first_seq())).collect();
        let mut hidden = hidden.clone();
        let rooms_then: HashSet<RoomId> = first_seqs.keys().copied().collect();
        for event in self.window.missed(read_at, user, &rooms_then) {
            match membership(&event) {
                Some(Membership::Joined(room, users)) if users.contains(&user) => {
                    first_seqs.insert(room, joined_seq(&event));
                }
                Some(Membership::Left(room, left)) if left == user => drop(first_seqs.remove(&room)),
                Some(_) | None => withhold(&mut first_seqs, &mut hidden, &event, user),
            }
        }
        let rooms_now = first_seqs.keys().copied().collect();
        let missed = self.window.missed(since, user, &rooms_now);
        let id = self.next_id;
        self.next_id += 1;
        for (room, first_seq) in &first_seqs {
            self.rooms.entry(*room).or_default().push(Seat {
                socket: id,
                user,
                first_seq: *first_seq,
            });
        }
        for (room, seqs) in hidden.iter().filter(|(room, _)| first_seqs.contains_key(room)) {
            self.hide(*room, user, seqs.iter().copied());
        }
        self.users.entry(user).or_default().push(id);
        let mut rooms: Vec<RoomId> = rooms_now.into_iter().collect();
        rooms.shrink_to_fit();
        self.sockets.insert(id, Socket { user, outbox, rooms });
        Admission {
            id,
            now: self.window.cursor(),
            known: Known::of(&missed, self.window.facts()),
            missed,
            first_seqs,
            hidden,
        }
    }

    /// Lets a socket go.
    pub(super) fn remove(&mut self, id: SocketId) {
        let Some(socket) = self.sockets.remove(id) else { return };
        for room in socket.rooms {
            self.take_seats(room, |seat| seat.socket == id);
        }
        if let Some(ids) = self.users.get_mut(&socket.user) {
            ids.retain(|other| *other != id);
            if ids.is_empty() {
                self.users.remove(&socket.user);
                self.hidden.retain(|_, people| {
                    people.remove(&socket.user);
                    !people.is_empty()
                });
            }
        }
    }

    /// Keeps in mind what somebody who is here has hidden.
    fn hide(&mut self, room: RoomId, user: UserId, seqs: impl IntoIterator<Item = Seq>) {
        let people = self.hidden.entry(room).or_default();
        people.entry(user).or_default().extend(seqs);
    }

    /// Whether the socket is in the room.
    pub(super) fn is_in(&self, id: SocketId, room: RoomId) -> bool {
        self.rooms
            .get(&room)
            .is_some_and(|seats| seats.iter().any(|seat| seat.socket == id))
    }

    /// Whether nobody is let in any more.
    pub(super) const fn is_closed(&self) -> bool {
        self.closed
    }

    /// Which of these events somebody here is told of: those of rooms that somebody is in, from the event on that lets
    /// somebody in, and a leave of somebody who is here.
    pub(super) fn wanted(&self, events: &[Arc<RecordedEvent>]) -> Vec<bool> {
        let mut joined: HashSet<RoomId> = HashSet::new();
        let wanted = events.iter().map(|event| {
            let Some(room) = room_of(event) else { return false };
            let is_left = match membership(event) {
                Some(Membership::Joined(_, users)) => {
                    if users.iter().any(|user| self.users.contains_key(user)) {
                        joined.insert(room);
                    }
                    false
                }
                Some(Membership::Left(_, user)) => self.users.contains_key(&user),
                None => false,
            };
            is_left || self.rooms.contains_key(&room) || joined.contains(&room)
        });
        wanted.collect()
    }

    /// Whether the person has a socket other than the one that an event comes from.
    pub(super) fn has_other_sockets(&self, user: UserId, event: &RecordedEvent) -> bool {
        let origin = self.origin_of(event);
        self.users
            .get(&user)
            .into_iter()
            .flatten()
            .any(|id| Some(*id) != origin)
    }

    /// Remembers which socket a command comes from, for a while: it is not told what it said itself.
    pub(super) fn remember(&mut self, command: CommandId, id: SocketId) {
        self.origins.put(command, id);
    }

    fn origin_of(&self, event: &RecordedEvent) -> Option<SocketId> {
        self.origins.peek(&event.metadata.command_id.parse().ok()?).copied()
    }

    /// Takes events in and tells everybody, as one step: whoever joins before it is told of them, whoever joins after it
    /// has them behind their cursor. `rendered[i]` is there wherever `wanted(events)[i]`.
    pub(super) fn tell(&mut self, events: &[Arc<RecordedEvent>], rendered: &[Option<Rendered>]) {
        let mut by_room: Vec<(RoomId, Vec<usize>)> = Vec::new();
        let mut index_of: HashMap<RoomId, usize> = HashMap::new();
        for (i, event) in events.iter().enumerate() {
            if !self.window.push(Arc::clone(event)) {
                continue;
            }
            if let (Some(room), Some(_)) = (room_of(event), &rendered[i]) {
                let at = *index_of.entry(room).or_insert_with(|| {
                    by_room.push((room, Vec::new()));
                    by_room.len() - 1
                });
                by_room[at].1.push(i);
            }
        }
        for (room, indices) in by_room {
            match self.one_for_all(room, &indices, events, rendered) {
                Some(frames) => self.send_to_room(room, &Outgoing::Frames(frames)),
                None => self.tell_one_by_one(room, &indices, events, rendered),
            }
        }
        self.cut();
    }

    /// The frames of a room, if everybody in it sees the same ones.
    fn one_for_all(
        &self,
        room: RoomId,
        indices: &[usize],
        events: &[Arc<RecordedEvent>],
        rendered: &[Option<Rendered>],
    ) -> Option<Arc<[Utf8Bytes]>> {
        if self.hidden.contains_key(&room) {
            return None;
        }
        let last_to_come = self.rooms.get(&room)?.iter().map(|seat| seat.first_seq).max()?;
        let whole = |i: &usize| {
            let is_message = matches!(events[*i].event, Ok(AnyEvent::Room(RoomEvent::MessageSent(_))));
            rendered[*i]
                .as_ref()
                .filter(|_| is_message)?
                .whole_for(last_to_come.into())
        };
        indices.iter().map(whole).collect()
    }

    fn tell_one_by_one(
        &mut self,
        room: RoomId,
        indices: &[usize],
        events: &[Arc<RecordedEvent>],
        rendered: &[Option<Rendered>],
    ) {
        let mut reads = ReadsOfRoom::default();
        for &i in indices {
            let (event, Some(rendered)) = (&events[i], &rendered[i]) else {
                continue;
            };
            // They are for whoever was there: not for who comes now, and still for who goes.
            if membership(event).is_some() {
                self.tell_reads(room, std::mem::take(&mut reads));
            }
            match &event.event {
                Ok(AnyEvent::Seat(seat)) => self.tell_seat(room, event, seat, rendered, &mut reads),
                Ok(_) | Err(_) => self.tell_room(room, event, rendered),
            }
        }
        self.tell_reads(room, reads);
    }

    fn tell_reads(&mut self, room: RoomId, reads: ReadsOfRoom<'_>) {
        if let Some(frame) = reads.into_frame(room) {
            self.send_to_room(room, &Outgoing::Frame(frame));
        }
    }

    fn tell_room(&mut self, room: RoomId, event: &RecordedEvent, rendered: &Rendered) {
        if let Some(Membership::Joined(_, users)) = membership(event) {
            let first_seq = joined_seq(event);
            users.iter().for_each(|user| self.take_seat(room, *user, first_seq));
        }
        let hidden = self.hidden.get(&room);
        for seat in self.rooms.get(&room).into_iter().flatten() {
            let viewer = Viewer::new(seat.first_seq, hidden.and_then(|people| people.get(&seat.user)));
            self.sockets
                .send(seat.socket, Outgoing::Frame(rendered.for_viewer(viewer)));
        }
        if let Some(Membership::Left(_, user)) = membership(event) {
            self.tell_unseated(room, user, rendered);
            self.take_seats(room, |seat| seat.user == user);
            for id in self.users.get(&user).into_iter().flatten() {
                if let Some(socket) = self.sockets.get_mut(*id) {
                    socket.rooms.retain(|other| *other != room);
                }
            }
        }
    }

    /// Tells somebody of their own leave who was let in when the read model showed it already: they have no seat there, and
    /// what they knew before they came has the room still.
    fn tell_unseated(&mut self, room: RoomId, user: UserId, rendered: &Rendered) {
        let seats = self.rooms.get(&room).map(Vec::as_slice).unwrap_or_default();
        for id in self.users.get(&user).into_iter().flatten() {
            if !seats.iter().any(|seat| seat.socket == *id) {
                self.sockets.send(*id, Outgoing::Frame(rendered.whole.clone()));
            }
        }
    }

    fn tell_seat<'a>(
        &mut self,
        room: RoomId,
        event: &'a RecordedEvent,
        seat: &SeatEvent,
        rendered: &Rendered,
        reads: &mut ReadsOfRoom<'a>,
    ) {
        let (user, private) = match seat {
            SeatEvent::ReadAdvanced(e) => {
                if rendered.tells_reads {
                    reads.add(e, event);
                }
                (e.user_id, rendered.private.clone())
            }
            SeatEvent::FloorRaised(e) => {
                let seats = self
                    .rooms
                    .get_mut(&room)
                    .into_iter()
                    .flatten()
                    .filter(|seat| seat.user == e.user_id);
                seats.for_each(|seat| seat.first_seq = seat.first_seq.max(e.floor_seq));
                (e.user_id, Some(rendered.whole.clone()))
            }
            SeatEvent::MessageHidden(e) => {
                if self.users.contains_key(&e.user_id) {
                    self.hide(room, e.user_id, [e.seq]);
                }
                (e.user_id, Some(rendered.whole.clone()))
            }
            SeatEvent::PreferencesSet(e) => (e.user_id, Some(rendered.whole.clone())),
        };
        let Some(frame) = private else { return };
        let origin = self.origin_of(event);
        for id in self
            .users
            .get(&user)
            .into_iter()
            .flatten()
            .filter(|id| Some(**id) != origin)
        {
            self.sockets.send(*id, Outgoing::Frame(frame.clone()));
        }
    }

    /// Tells everybody else in a room that somebody is typing.
    pub(super) fn tell_typing(&mut self, room: RoomId, user: UserId, frame: &Utf8Bytes) {
        for seat in self
            .rooms
            .get(&room)
            .into_iter()
            .flatten()
            .filter(|seat| seat.user != user)
        {
            self.sockets.send(seat.socket, Outgoing::Frame(frame.clone()));
        }
        self.cut();
    }

    /// Sends the heartbeat to every socket whose turn it is: the `turn`-th of `turns` equal parts.
    pub(super) fn heartbeat(&mut self, frame: &Utf8Bytes, turn: u64, turns: u64) {
        self.sockets
            .send_to_part(&Outgoing::Heartbeat(frame.clone()), turn, turns);
        self.cut();
    }

    /// Tells every socket to come back later.
    pub(super) fn say_goodbye(&mut self) {
        self.closed = true;
        self.sockets.send_to_part(&Outgoing::Reconnect, 0, 1);
        self.cut();
    }

    fn send_to_room(&mut self, room: RoomId, what: &Outgoing) {
        for seat in self.rooms.get(&room).into_iter().flatten() {
            self.sockets.send(seat.socket, what.clone());
        }
    }

    /// Whoever cannot keep up is let go; with its outbox gone the socket closes, and its client may resume.
    fn cut(&mut self) {
        for id in self.sockets.take_slow() {
            metrics::counter!(super::metrics::CUT).increment(1);
            self.remove(id);
        }
    }

    fn take_seat(&mut self, room: RoomId, user: UserId, first_seq: Seq) {
        for id in self.users.get(&user).into_iter().flatten() {
            let seats = self.rooms.entry(room).or_default();
            if let Some(seat) = seats.iter_mut().find(|seat| seat.socket == *id) {
                seat.first_seq = first_seq;
                continue;
            }
            seats.push(Seat {
                socket: *id,
                user,
                first_seq,
            });
            if let Some(socket) = self.sockets.get_mut(*id) {
                socket.rooms.push(room);
            }
        }
    }

    fn take_seats(&mut self, room: RoomId, gone: impl Fn(&Seat) -> bool) {
        if let Some(seats) = self.rooms.get_mut(&room) {
            seats.retain(|seat| !gone(seat));
            if seats.is_empty() {
                self.rooms.remove(&room);
            }
        }
    }
}

/// Leaving a direct room hides what was before, and hiding a message hides that.
fn withhold(first_seqs: &mut HashMap<RoomId, Seq>, hidden: &mut Hidden, event: &RecordedEvent, user: UserId) {
    match &event.event {
        Ok(AnyEvent::Seat(SeatEvent::FloorRaised(e))) if e.user_id == user => {
            if let Some(first_seq) = first_seqs.get_mut(&e.room_id) {
                *first_seq = (*first_seq).max(e.floor_seq);
            }
        }
        Ok(AnyEvent::Seat(SeatEvent::MessageHidden(e))) if e.user_id == user => {
            hidden.entry(e.room_id).or_default().insert(e.seq);
        }
        Ok(_) | Err(_) => {}
    }
}

/// The first visible item of those whom a joining event names.
pub(super) fn joined_seq(event: &RecordedEvent) -> Seq {
    match &event.event {
        Ok(AnyEvent::Room(RoomEvent::MembersInvited(e))) => e.seq,
        Ok(_) | Err(_) => Seq(1),
    }
}
