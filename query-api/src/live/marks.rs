//! What is told of read marks: who is told at all, and what is left to read at the mark's own place in the log.
//!
//! The numbers come from the events around the mark wherever these say them, which costs nothing. Only for a room in which
//! nothing has happened for as long as the window reaches back the read model is asked, and the log for what lies between the
//! row and the mark: the row may be older than the mark, and newer. Both are asked in haste: live sockets do not wait for a
//! number. One that cannot be had is not told, and no wrong one is.

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cocotalk_application::error::{StoreError, chain};
use cocotalk_application::port::event_log::{EventLog, PAGE_EVENTS, RecordedEvent};
use cocotalk_application::port::read_model::ReadModel;
use cocotalk_application::row::RoomRow;
use cocotalk_domain::event::AnyEvent;
use cocotalk_domain::id::{RoomId, UserId};
use cocotalk_domain::limits::READS_SHOWN_MEMBERS;
use cocotalk_domain::number::Cnt;
use cocotalk_domain::seat::SeatEvent;
use cocotalk_domain::seat::event::ReadAdvanced;
use cocotalk_domain::stream::StreamId;
use futures_util::{StreamExt, stream};
use tokio::time::Instant;

use super::facts::{Facts, RoomFacts, floor_of};

/// How long a server is given to answer.
const PATIENCE: Duration = Duration::from_millis(250);
/// How long one that failed is left alone.
const PAUSE: Duration = Duration::from_secs(1);
/// Questions about single marks that are asked at once.
const QUESTIONS_AT_ONCE: usize = 8;
/// Events of a room that are looked back over when its row is newer than the mark.
const LOOK_BACK: u64 = 100;
/// Pages of events between a row and a mark that are read at most.
const PAGES: usize = 3;

/// The mark that an event is, if it is one.
pub(super) const fn mark_of(event: &RecordedEvent) -> Option<&ReadAdvanced> {
    match &event.event {
        Ok(AnyEvent::Seat(SeatEvent::ReadAdvanced(mark))) => Some(mark),
        Ok(_) | Err(_) => None,
    }
}

/// A mark that is to be told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    /// Where it is among the events.
    pub(super) index: usize,
    /// Whether its owner is told what is left.
    pub(super) wants_number: bool,
}

/// What is told of a mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Telling {
    /// Whether the room is: it has few enough members, or it is not known how many.
    pub(super) to_room: bool,
    /// What is left for its owner, where that is wanted and known.
    pub(super) unread: Option<u64>,
}

/// What is known of the rooms of marks beside what the events around them say.
#[derive(Default)]
pub(super) struct Known {
    rooms: HashMap<RoomId, RoomFacts>,
    floors: HashMap<(UserId, RoomId), Cnt>,
}

impl Known {
    /// What the window knows of the rooms that are marked by some events.
    pub(super) fn of(events: &[Arc<RecordedEvent>], facts: &Facts) -> Self {
        let mut known = Self::default();
        for mark in events.iter().filter_map(|event| mark_of(event)) {
            let (user, room) = (mark.user_id, mark.room_id);
            known
                .rooms
                .extend(facts.room(room).map(|room_facts| (room, room_facts)));
            known
                .floors
                .extend(facts.floor(user, room).map(|floor| ((user, room), floor)));
        }
        known
    }
}

/// What is known of a mark.
struct Place<'a> {
    index: usize,
    wants_number: bool,
    mark: &'a ReadAdvanced,
    slice_pos: u64,
    cnt: Option<Cnt>,
    members: Option<u32>,
    floor: Option<Cnt>,
    /// Whether the room is left after it, and not known to be before it: then nobody knows the floor of then.
    is_left_later: bool,
}

impl Place<'_> {
    /// Whether the row of the room has to be asked for.
    const fn wants_row(&self) -> bool {
        self.members.is_none() || (self.wants_number && self.cnt.is_none())
    }
}

/// The marks that are asked for, each with what the events before it say, else those after it, else what was known.
///
/// `known` is what was known either before all of the events or after them: in a room that none of them is of, that is the
/// same.
fn places<'a>(events: &'a [Arc<RecordedEvent>], asked: &[Asked], known: &Known) -> Vec<Place<'a>> {
    let wanted: HashMap<usize, bool> = asked.iter().map(|asked| (asked.index, asked.wants_number)).collect();
    let mut rooms: HashMap<RoomId, RoomFacts> = HashMap::new();
    let mut floors: HashMap<(UserId, RoomId), Cnt> = HashMap::new();
    let mut places = Vec::with_capacity(asked.len());
    for (index, event) in events.iter().enumerate() {
        if let StreamId::Room(room) = event.stream {
            let after = RoomFacts::after(event, rooms.get(&room).copied());
            rooms.extend(after.map(|facts| (room, facts)));
        } else if let Some(floor) = floor_of(event) {
            floors.insert((floor.user_id, floor.room_id), floor.floor_cnt);
        } else if let (Some(mark), Some(&wants_number)) = (mark_of(event), wanted.get(&index)) {
            let said = rooms.get(&mark.room_id);
            let before = known.rooms.get(&mark.room_id);
            places.push(Place {
                index,
                wants_number,
                mark,
                slice_pos: event.slice_pos,
                cnt: said.and_then(|facts| facts.cnt),
                members: said.or(before).and_then(|facts| facts.members),
                floor: floors.get(&(mark.user_id, mark.room_id)).copied(),
                is_left_later: false,
            });
        }
    }
    let mut later: HashMap<RoomId, RoomFacts> = HashMap::new();
    let mut left: HashSet<(UserId, RoomId)> = HashSet::new();
    let mut rest = places.iter_mut().rev().peekable();
    for (index, event) in events.iter().enumerate().rev() {
        if let StreamId::Room(room) = event.stream {
            later.extend(RoomFacts::before(event).map(|facts| (room, facts)));
        } else if let Some(floor) = floor_of(event) {
            left.insert((floor.user_id, floor.room_id));
        } else if let Some(place) = rest.next_if(|place| place.index == index) {
            let room = place.mark.room_id;
            let elsewhere = || match later.get(&room) {
                Some(facts) => facts.cnt,
                None if rooms.contains_key(&room) => None,
                None => known.rooms.get(&room).and_then(|facts| facts.cnt),
            };
            place.cnt = place.cnt.or_else(elsewhere);
            let seat = (place.mark.user_id, room);
            place.is_left_later = place.floor.is_none() && left.contains(&seat);
            place.floor = place.floor.or_else(|| known.floors.get(&seat).copied());
        }
    }
    places
}

/// Answers what is asked about marks.
pub(super) struct Marks {
    log: Arc<dyn EventLog>,
    model: Arc<dyn ReadModel>,
    log_haste: Haste,
    model_haste: Haste,
}

impl Marks {
    pub(super) fn new(log: Arc<dyn EventLog>, model: Arc<dyn ReadModel>) -> Self {
        let (log_haste, model_haste) = (Haste::default(), Haste::default());
        Self {
            log,
            model,
            log_haste,
            model_haste,
        }
    }

    /// What is told of the marks that are asked for, by their index.
    pub(super) async fn tellings(
        &self,
        events: &[Arc<RecordedEvent>],
        asked: &[Asked],
        known: &Known,
    ) -> HashMap<usize, Telling> {
        if asked.is_empty() {
            return HashMap::new();
        }
        let places = places(events, asked, known);
        let rooms: HashSet<RoomId> = places
            .iter()
            .filter(|place| place.wants_row())
            .map(|place| place.mark.room_id)
            .collect();
        let rooms: Vec<RoomId> = rooms.into_iter().collect();
        let rows = if rooms.is_empty() {
            Some(HashMap::new())
        } else {
            self.model_haste.ask(self.model.rooms(&rooms)).await
        };
        let rows = rows.as_ref();
        let tellings = places.iter().map(|place| async move {
            let row = rows.and_then(|rows| rows.get(&place.mark.room_id));
            let members = place.members.or_else(|| row.map(|row| row.member_count));
            let to_room = members.is_none_or(|members| members <= READS_SHOWN_MEMBERS);
            let unread = if place.wants_number && !place.is_left_later {
                self.unread(place, rows).await
            } else {
                None
            };
            (place.index, Telling { to_room, unread })
        });
        // Collected first: a stream over the borrowing iterator itself would not be `Send`.
        let tellings: Vec<_> = tellings.collect();
        stream::iter(tellings)
            .buffer_unordered(QUESTIONS_AT_ONCE)
            .collect()
            .await
    }

    /// Messages of others after a mark, from the first one on that its owner may see. There are no `rows` where the read
    /// model cannot be asked.
    async fn unread(&self, place: &Place<'_>, rows: Option<&HashMap<RoomId, RoomRow>>) -> Option<u64> {
        let mark = place.mark;
        let cnt = if let Some(cnt) = place.cnt {
            cnt
        } else {
            let row = rows?.get(&mark.room_id);
            self.counted(mark.room_id, row, place.slice_pos).await?
        };
        let floor = match place.floor {
            // Only a direct room can have been left and still be marked.
            None if is_direct(mark.room_id) => {
                let seat = self.model.user_room(mark.user_id, mark.room_id);
                self.model_haste.ask(seat).await?.map(|seat| seat.first_cnt())
            }
            floor => floor,
        };
        let unread = cnt.0.saturating_sub(mark.read_cnt.max(floor.unwrap_or_default()).0);
        Some(unread.saturating_sub(mark.hidden))
    }

    /// Counted items of a room before a position of its slice: what the row says, corrected by the events between the two.
    async fn counted(&self, room: RoomId, row: Option<&RoomRow>, before: u64) -> Option<Cnt> {
        let mut cnt = row.map(|row| row.last.as_ref().map_or(Cnt(0), |last| last.cnt));
        // From the newest event on that the row shows: its position tells whether the row is newer than the mark.
        let mut after = row.map_or(0, |row| row.version.0.saturating_sub(1));
        let mut is_newer = false;
        for _ in 0..PAGES {
            let events = self.log_haste.ask(self.log.load(&StreamId::Room(room), after)).await;
            let Some(events) = events else { return cnt };
            if !is_newer && after > 0 && events.first().is_some_and(|event| event.slice_pos > before) {
                (is_newer, cnt) = (true, None);
                after = after.saturating_sub(LOOK_BACK);
                continue;
            }
            let earlier = events.iter().take_while(|event| event.slice_pos < before);
            cnt = earlier
                .filter_map(|event| RoomFacts::after(event, None)?.cnt)
                .last()
                .or(cnt);
            match events.last() {
                Some(last) if events.len() == PAGE_EVENTS && last.slice_pos < before => after = last.sequence,
                Some(_) | None => return cnt,
            }
        }
        None
    }
}

/// Whether it is the room of a pair: their ids alone are UUIDs of version 5, since they follow from the pair.
fn is_direct(room: RoomId) -> bool {
    room.uuid().get_version_num() == 5
}

/// Asks a server for what would be good to know: not for long, and not again for a moment after it could not say.
#[derive(Default)]
struct Haste {
    alone_until: Mutex<Option<Instant>>,
}

impl Haste {
    async fn ask<T>(&self, answer: impl Future<Output = Result<T, StoreError>>) -> Option<T> {
        if self.alone_until().is_some_and(|until| Instant::now() < until) {
            return None;
        }
        let why = match tokio::time::timeout(PATIENCE, answer).await {
            Ok(Ok(answer)) => return Some(answer),
            Ok(Err(error)) => chain(&error),
            Err(_) => format!("no answer in {PATIENCE:?}"),
        };
        tracing::warn!("read marks are told without what is left to read: {why}");
        *self.alone_until() = Some(Instant::now() + PAUSE);
        None
    }

    fn alone_until(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.alone_until.lock().expect("nothing panics while it holds this")
    }
}
