//! The window: the newest events of every slice, kept so that a client that was away for a moment is replayed what it missed.
//!
//! Bounded by age and by bytes. A cursor inside it in every slice can be replayed whole; any other is a reset, for the whole
//! connection and never for a part of it.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use cocotalk_application::port::event_log::RecordedEvent;
use cocotalk_application::position::Cursor;
use cocotalk_domain::event::AnyEvent;
use cocotalk_domain::id::{RoomId, UserId};
use cocotalk_domain::number::Seq;
use cocotalk_domain::room::RoomEvent;
use cocotalk_domain::stream::{SLICES, Slice, StreamId};

use super::facts::Facts;

/// Bytes that an event takes in memory beside what was sealed in it, roughly.
const EVENT_BYTES: usize = 600;

/// The newest events of every slice.
pub(super) struct Window {
    slices: Vec<Tail>,
    /// The slices of all kept events in the order in which they came, so that the oldest goes first.
    order: VecDeque<Slice>,
    facts: Facts,
    bytes: usize,
    max_bytes: usize,
    max_age_us: i64,
}

/// The newest events of one slice: positions `head - events.len() + 1 ..= head`, without gaps.
#[derive(Default)]
struct Tail {
    head: u64,
    events: VecDeque<Arc<RecordedEvent>>,
}

impl Tail {
    fn after(&self, pos: u64) -> impl Iterator<Item = &Arc<RecordedEvent>> {
        let kept_after = self.head - self.events.len() as u64;
        self.events.iter().skip(pos.saturating_sub(kept_after) as usize)
    }
}

/// What an event does to who is in a room.
pub(super) enum Membership<'a> {
    /// These people are in it from this event on.
    Joined(RoomId, &'a [UserId]),
    /// This person is not, after this event.
    Left(RoomId, UserId),
}

/// What an event does to who is in a room, if it does.
pub(super) fn membership(event: &RecordedEvent) -> Option<Membership<'_>> {
    match event.event.as_ref().ok()? {
        AnyEvent::Room(RoomEvent::Opened(e)) => Some(Membership::Joined(e.room_id, &e.user_ids)),
        AnyEvent::Room(RoomEvent::MembersInvited(e)) => Some(Membership::Joined(e.room_id, &e.user_ids)),
        AnyEvent::Room(RoomEvent::MemberLeft(e)) => Some(Membership::Left(e.room_id, e.user_id)),
        AnyEvent::Room(RoomEvent::MemberKicked(e)) => Some(Membership::Left(e.room_id, e.user_id)),
        AnyEvent::Room(_) | AnyEvent::Seat(_) | AnyEvent::Account(_) | AnyEvent::Claim(_) => None,
    }
}

/// The room that an event is of.
pub(super) const fn room_of(event: &RecordedEvent) -> Option<RoomId> {
    match event.stream {
        StreamId::Room(room) | StreamId::Seat(room, _) => Some(room),
        StreamId::Account(_) | StreamId::Claim(_) => None,
    }
}

fn bytes_of(event: &RecordedEvent) -> usize {
    let sealed = match &event.event {
        Ok(AnyEvent::Room(RoomEvent::MessageSent(sent))) => sent.body.bytes.len(),
        Ok(AnyEvent::Room(RoomEvent::MessageEdited(edited))) => edited.body.bytes.len(),
        Ok(AnyEvent::Room(RoomEvent::Opened(opened))) => opened.user_ids.len() * 16,
        Ok(_) | Err(_) => 0,
    };
    EVENT_BYTES + sealed
}

impl Window {
    /// An empty window that begins at these heads.
    pub(super) fn new(heads: &[u64; SLICES], max_age_us: i64, max_bytes: usize) -> Self {
        let slices = heads
            .iter()
            .map(|head| Tail {
                head: *head,
                events: VecDeque::new(),
            })
            .collect();
        Self {
            slices,
            order: VecDeque::new(),
            facts: Facts::default(),
            bytes: 0,
            max_bytes,
            max_age_us,
        }
    }

    /// The position of the newest event of a slice.
    pub(super) fn head(&self, slice: Slice) -> u64 {
        self.slices[slice.index()].head
    }

    /// The positions of all slices.
    pub(super) fn cursor(&self) -> Cursor {
        let mut heads = [0; SLICES];
        heads
            .iter_mut()
            .zip(&self.slices)
            .for_each(|(head, tail)| *head = tail.head);
        Cursor(heads)
    }

    /// Takes in the event after the slice's head; any other would be a gap or a repetition, and is refused.
    pub(super) fn push(&mut self, event: Arc<RecordedEvent>) -> bool {
        let tail = &mut self.slices[event.slice.index()];
        if event.slice_pos != tail.head + 1 {
            return false;
        }
        tail.head = event.slice_pos;
        self.bytes += bytes_of(&event);
        self.facts.take_in(&event);
        self.order.push_back(event.slice);
        tail.events.push_back(event);
        while self.bytes > self.max_bytes {
            self.pop();
        }
        true
    }

    /// Takes in events of one slice that end right before those that are kept, as far as there is room for them.
    pub(super) fn prepend(&mut self, events: Vec<Arc<RecordedEvent>>) {
        for event in events.into_iter().rev() {
            let tail = &mut self.slices[event.slice.index()];
            let bytes = bytes_of(&event);
            if event.slice_pos != tail.head - tail.events.len() as u64 || self.bytes + bytes > self.max_bytes {
                return;
            }
            self.bytes += bytes;
            self.order.push_front(event.slice);
            tail.events.push_front(event);
        }
    }

    /// Puts what was prepended slice by slice in the order of time, so that the oldest goes first, and learns what it says.
    pub(super) fn put_in_order(&mut self) {
        self.facts = Facts::default();
        let kept = self.slices.iter().flat_map(|tail| &tail.events);
        kept.for_each(|event| self.facts.take_in(event));
        let kept = self.slices.iter().flat_map(|tail| &tail.events);
        let mut order: Vec<(i64, u64, Slice)> = kept.map(|event| (event.ts_us, event.slice_pos, event.slice)).collect();
        order.sort_unstable();
        self.order = order.into_iter().map(|(_, _, slice)| slice).collect();
    }

    /// Lets go what is older than the window.
    pub(super) fn expire(&mut self, now_us: i64) {
        while let Some(slice) = self.order.front() {
            let oldest = self.slices[slice.index()].events.front();
            if oldest.is_some_and(|event| event.ts_us >= now_us - self.max_age_us) {
                return;
            }
            self.pop();
        }
    }

    fn pop(&mut self) {
        let Some(slice) = self.order.pop_front() else { return };
        if let Some(event) = self.slices[slice.index()].events.pop_front() {
            self.bytes -= bytes_of(&event);
            self.facts.let_go(&event);
        }
    }

    /// What the kept events say.
    pub(super) const fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Whether the timeline of a room had come as far as this item when the window ended, as far as the window can tell: it
    /// cannot of a room in which nothing was added for as long as it goes back.
    pub(super) fn reaches(&self, room: RoomId, seq: Seq) -> bool {
        let last = self.facts.room(room).and_then(|facts| facts.last_seq);
        last.is_none_or(|last| last >= seq)
    }

    /// Whether the cursor is ahead of the window in some slice.
    pub(super) fn is_before(&self, cursor: &Cursor) -> bool {
        cursor.0.iter().zip(&self.slices).any(|(pos, tail)| *pos > tail.head)
    }

    /// Whether everything after the cursor is kept.
    pub(super) fn covers(&self, cursor: &Cursor) -> bool {
        cursor.0.iter().zip(&self.slices).all(|(pos, tail)| {
            let oldest = tail.head - tail.events.len() as u64;
            (oldest..=tail.head).contains(pos)
        })
    }

    /// Everything after the cursor that was addressed to a person, in order per room, given the rooms they are in now. Who was
    /// where when follows from the joins and leaves inside the window, not from today.
    pub(super) fn missed(&self, cursor: &Cursor, user: UserId, rooms_now: &HashSet<RoomId>) -> Vec<Arc<RecordedEvent>> {
        let mut present = self.rooms_at(cursor, user);
        let changed: Vec<RoomId> = present.keys().copied().collect();
        let slices: HashSet<usize> = changed
            .iter()
            .chain(rooms_now)
            .map(|room| StreamId::Room(*room).slice().index())
            .collect();
        let mut missed = Vec::new();
        for slice in slices {
            for event in self.slices[slice].after(cursor.0[slice]) {
                let Some(room) = room_of(event) else { continue };
                let is_present = present.get(&room).copied().unwrap_or_else(|| rooms_now.contains(&room));
                let is_named = match membership(event) {
                    Some(Membership::Joined(_, users)) if users.contains(&user) => {
                        present.insert(room, true);
                        true
                    }
                    Some(Membership::Left(_, left)) if left == user => {
                        present.insert(room, false);
                        true
                    }
                    Some(_) | None => false,
                };
                if is_present || is_named {
                    missed.push(Arc::clone(event));
                }
            }
        }
        missed
    }

    /// Of the rooms that the person joined or left after the cursor: whether they were in them at the cursor.
    fn rooms_at(&self, cursor: &Cursor, user: UserId) -> BTreeMap<RoomId, bool> {
        let mut first: HashMap<RoomId, bool> = HashMap::new();
        for (slice, tail) in self.slices.iter().enumerate() {
            for event in tail.after(cursor.0[slice]) {
                match membership(event) {
                    Some(Membership::Joined(room, users)) if users.contains(&user) => {
                        first.entry(room).or_insert(false);
                    }
                    Some(Membership::Left(room, left)) if left == user => {
                        first.entry(room).or_insert(true);
                    }
                    Some(_) | None => {}
                }
            }
        }
        first.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use cocotalk_domain::number::Cnt;
    use cocotalk_domain::room::event::{Closed, MemberLeft, MembersInvited};
    use cocotalk_domain::time::Instant;

    use super::*;

    const ROOM: RoomId = RoomId::from_u128(7);

    fn slice() -> Slice {
        StreamId::Room(ROOM).slice()
    }

    fn recorded(pos: u64, event: RoomEvent) -> Arc<RecordedEvent> {
        Arc::new(RecordedEvent {
            stream: StreamId::Room(ROOM),
            sequence: pos,
            slice: slice(),
            slice_pos: pos,
            ts_us: pos as i64,
            event: Ok(event.into()),
            metadata: Arc::default(),
        })
    }

    fn something(pos: u64) -> Arc<RecordedEvent> {
        recorded(
            pos,
            RoomEvent::Closed(Closed {
                room_id: ROOM,
                at: Instant::default(),
            }),
        )
    }

    fn joined(pos: u64, user: UserId) -> Arc<RecordedEvent> {
        recorded(
            pos,
            RoomEvent::MembersInvited(MembersInvited {
                room_id: ROOM,
                by: UserId::from_u128(99),
                user_ids: vec![user],
                seq: Seq(pos),
                cnt: Cnt(0),
                at: Instant::default(),
                member_count: 2,
                sample: Vec::new(),
            }),
        )
    }

    fn left(pos: u64, user_id: UserId) -> Arc<RecordedEvent> {
        let (seq, cnt, at) = (Seq(pos), Cnt(0), Instant::default());
        let sample = Vec::new();
        recorded(
            pos,
            RoomEvent::MemberLeft(MemberLeft {
                room_id: ROOM,
                user_id,
                seq,
                cnt,
                at,
                member_count: 1,
                sample,
            }),
        )
    }

    fn at(pos: u64) -> Cursor {
        let mut heads = [0; SLICES];
        heads[slice().index()] = pos;
        Cursor(heads)
    }

    fn window(events: impl IntoIterator<Item = Arc<RecordedEvent>>) -> Window {
        let mut window = Window::new(&[0; SLICES], 1_000, 1 << 20);
        events.into_iter().for_each(|event| assert!(window.push(event)));
        window
    }

    fn missed(window: &Window, pos: u64, user: UserId, is_in: bool) -> Vec<u64> {
        let rooms = if is_in { HashSet::from([ROOM]) } else { HashSet::new() };
        window
            .missed(&at(pos), user, &rooms)
            .iter()
            .map(|event| event.slice_pos)
            .collect()
    }

    #[test]
    fn a_gap_or_a_repetition_is_refused() {
        let mut window = window([something(1)]);
        assert!(!window.push(something(1)));
        assert!(!window.push(something(3)));
        assert_eq!(window.head(slice()), 1);
    }

    #[test]
    fn a_member_misses_everything_after_the_cursor() {
        let window = window([something(1), something(2), something(3)]);
        assert_eq!(missed(&window, 1, UserId::from_u128(1), true), [2, 3]);
        assert_eq!(missed(&window, 3, UserId::from_u128(1), true), [0; 0]);
        assert_eq!(missed(&window, 0, UserId::from_u128(1), false), [0; 0]);
    }

    #[test]
    fn who_joined_meanwhile_misses_nothing_from_before() {
        let user = UserId::from_u128(1);
        let window = window([something(1), joined(2, user), something(3)]);
        assert_eq!(missed(&window, 0, user, true), [2, 3]);
    }

    #[test]
    fn who_left_meanwhile_is_told_up_to_that() {
        let user = UserId::from_u128(1);
        let window = window([something(1), left(2, user), something(3)]);
        assert_eq!(missed(&window, 0, user, false), [1, 2]);
    }

    #[test]
    fn who_left_and_came_back_is_not_told_what_was_between() {
        let user = UserId::from_u128(1);
        let window = window([something(1), left(2, user), something(3), joined(4, user), something(5)]);
        assert_eq!(missed(&window, 0, user, true), [1, 2, 4, 5]);
    }

    #[test]
    fn what_is_too_old_or_from_the_future_is_not_covered() {
        let mut window = window([something(1), something(2), something(3)]);
        assert!(window.covers(&at(0)));
        assert!(!window.covers(&at(4)));
        window.expire(1_002);
        assert!(!window.covers(&at(0)));
        assert!(window.covers(&at(1)));
        window.expire(9_999);
        assert!(window.covers(&at(3)));
        assert!(!window.covers(&at(2)));
    }

    #[test]
    fn what_came_before_the_start_is_put_before_the_rest() {
        let mut window = Window::new(&at(3).0, 1_000, EVENT_BYTES * 3);
        assert!(window.push(something(4)));
        window.prepend(vec![something(1), something(2), something(3)]);
        assert!(window.covers(&at(1)));
        assert!(!window.covers(&at(0)));
        assert_eq!(missed(&window, 1, UserId::from_u128(1), true), [2, 3, 4]);
        window.prepend(vec![something(3)]);
        assert_eq!(missed(&window, 1, UserId::from_u128(1), true), [2, 3, 4]);
    }

    #[test]
    fn what_is_known_of_a_room_is_kept_as_long_as_an_event_of_it() {
        let known = |window: &Window| window.facts().room(ROOM).map(|facts| (facts.cnt, facts.members));
        let user = UserId::from_u128(1);
        let mut window = Window::new(&at(1).0, 1_000, 1 << 20);
        assert_eq!(known(&window), None);
        assert!(window.push(joined(2, user)));
        assert!(window.push(left(3, user)));
        assert!(window.push(something(4)));
        assert_eq!(known(&window), Some((Some(Cnt(0)), Some(1))));
        window.expire(1_004);
        assert_eq!(
            known(&window),
            Some((Some(Cnt(0)), Some(1))),
            "nothing has changed since"
        );
        window.expire(1_005);
        assert_eq!(known(&window), None);
        window.put_in_order();
        assert_eq!(known(&window), None);
        window.prepend(vec![joined(4, user)]);
        window.put_in_order();
        assert_eq!(known(&window), Some((Some(Cnt(0)), Some(2))));
    }

    #[test]
    fn bytes_are_bounded() {
        let mut window = Window::new(&[0; SLICES], i64::MAX / 2, EVENT_BYTES * 2);
        (1..=5).for_each(|pos| assert!(window.push(something(pos))));
        assert!(!window.covers(&at(2)));
        assert!(window.covers(&at(3)));
    }
}
