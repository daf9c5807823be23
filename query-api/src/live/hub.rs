//! The hub: takes committed events from the feed, in order and without gaps, and tells the sockets they are for.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::extract::ws::Utf8Bytes;
use cocotalk_application::error::{StoreError, chain};
use cocotalk_application::port::clock::Clock;
use cocotalk_application::port::event_log::{EventLog, PAGE_EVENTS, RecordedEvent};
use cocotalk_application::port::live::{Committed, Ephemeral, EventFeed, Typing};
use cocotalk_application::port::read_model::ReadModel;
use cocotalk_application::position::{Cursor, Position};
use cocotalk_application::row::RoomRow;
use cocotalk_application::sealing::{Keys, Sealing};
use cocotalk_domain::event::AnyEvent;
use cocotalk_domain::id::{CommandId, RoomId, UserId};
use cocotalk_domain::limits::READS_SHOWN_MEMBERS;
use cocotalk_domain::number::{Cnt, Seq};
use cocotalk_domain::room::RoomKind;
use cocotalk_domain::seat::SeatEvent;
use cocotalk_domain::seat::event::{FloorRaised, PreferencesSet, ReadAdvanced};
use cocotalk_domain::stream::Slice;
use futures_channel::mpsc;
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::Serialize;
use tokio::sync::{broadcast, watch};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::rendered::{Rendered, text};
use super::settings::LiveSettings;
use super::sockets::{Outgoing, SocketId};
use super::tables::{Admission, Tables};
use super::window::{Window, room_of};
use crate::frame::{Data, Frame, Op, Type, Unread, subjects_of};

/// How long a hello waits for the hub to reach what the read model shows.
const CATCH_UP: Duration = Duration::from_secs(2);
/// Commits told together at most, when several wait.
const COMMITS_AT_ONCE: usize = 16;
/// Slices whose newest events are fetched at once at the start: fewer than a small store has readers.
const SLICES_AT_ONCE: usize = 2;
/// Events replayed at most; whoever missed more fetches anew.
const REPLAY_EVENTS: usize = 20_000;
/// Heartbeats are spread over this many turns of a heartbeat's length.
const TURNS: u64 = 30;

/// What the hub needs.
pub struct HubPorts {
    /// The log, to fill gaps.
    pub log: Arc<dyn EventLog>,
    /// What is committed.
    pub feed: Arc<dyn EventFeed>,
    /// Who is typing.
    pub ephemeral: Arc<dyn Ephemeral>,
    /// Who is in which room.
    pub reads: Arc<dyn ReadModel>,
    /// The keys that open what is shown.
    pub sealing: Arc<Sealing>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
}

/// How a connection resumes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Resumed {
    New,
    Replayed,
    Reset,
}

impl Resumed {
    /// Its word.
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Replayed => "replayed",
            Self::Reset => "reset",
        }
    }
}

/// A socket that was let in.
pub(super) struct Joined {
    pub(super) id: SocketId,
    pub(super) outbox: mpsc::Receiver<Outgoing>,
    pub(super) resumed: Resumed,
    /// Before it, queries show everything; after it, frames tell everything.
    pub(super) cursor: Cursor,
    /// What was missed after `cursor`, as frames.
    pub(super) missed: Vec<Utf8Bytes>,
    /// Where the client stands once it has what was missed.
    pub(super) now: Cursor,
}

/// Why a socket is not let in.
#[derive(Debug, thiserror::Error)]
pub(super) enum JoinError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the live feed is behind the read model")]
    Behind,
    #[error("the server goes away")]
    Closed,
}

/// One a process. Sockets join it; one task feeds it.
pub struct Hub {
    ports: HubPorts,
    pub(super) settings: LiveSettings,
    tables: Mutex<Tables>,
    /// Rises with everything told: whoever waits for a position looks again.
    told: watch::Sender<u64>,
    /// Whether the window holds what came before the start.
    filled: watch::Sender<bool>,
}

impl Hub {
    /// Opens the hub at the present end of the log, and returns it with the feed that [`Hub::run`] goes on with.
    pub async fn open(
        ports: HubPorts,
        settings: LiveSettings,
    ) -> Result<(Arc<Self>, broadcast::Receiver<Committed>), StoreError> {
        super::metrics::describe();
        let feed = ports.feed.subscribe();
        let heads = ports.log.heads().await?;
        let window = Window::new(&heads, settings.window_s * 1_000_000, settings.window_bytes);
        let tables = Mutex::new(Tables::new(window));
        let (told, filled) = (watch::Sender::new(0), watch::Sender::new(false));
        Ok((
            Arc::new(Self {
                ports,
                settings,
                tables,
                told,
                filled,
            }),
            feed,
        ))
    }

    /// Fills the window with what came before the start, and tells what the feed brings, until `stop`; then asks every
    /// socket to come back later.
    pub async fn run(self: Arc<Self>, feed: broadcast::Receiver<Committed>, stop: CancellationToken) {
        let fill = async {
            if let Some(Err(error)) = stop.run_until_cancelled(self.fill()).await {
                tracing::warn!(
                    "the window begins at the start, nobody is replayed what was before: {}",
                    chain(&error)
                );
            }
            self.filled.send_replace(true);
        };
        tokio::join!(fill, self.follow(feed, &stop));
        self.tables().say_goodbye();
    }

    /// Fetches the newest events of every slice into the window, beside what comes in meanwhile.
    async fn fill(&self) -> Result<(), StoreError> {
        let heads = self.tables().window.cursor();
        let full = Slice::all().filter(|slice| heads.0[slice.index()] > 0);
        let tails = full.map(|slice| self.tail(slice, heads.0[slice.index()]));
        let mut tails = stream::iter(tails).buffer_unordered(SLICES_AT_ONCE);
        while let Some(tail) = tails.try_next().await? {
            self.tables().window.prepend(tail);
        }
        self.tables().window.put_in_order();
        Ok(())
    }

    /// The newest events of a slice up to a position, as far as they are young enough for the window.
    async fn tail(&self, slice: Slice, head: u64) -> Result<Vec<Arc<RecordedEvent>>, StoreError> {
        let since_us = (self.ports.clock.now().millis() - self.settings.window_s * 1_000) * 1_000;
        let mut tail = Vec::new();
        let mut after = head.saturating_sub(self.settings.refill_events as u64);
        while after < head {
            let page = self.ports.log.read_slice(slice, after).await?;
            let Some(last) = page.last() else { break };
            after = last.slice_pos;
            let young = |event: &RecordedEvent| event.slice_pos <= head && event.ts_us >= since_us;
            tail.extend(page.into_iter().filter(young).map(Arc::new));
        }
        Ok(tail)
    }

    async fn follow(&self, mut feed: broadcast::Receiver<Committed>, stop: &CancellationToken) {
        let mut typing = self.ports.ephemeral.subscribe();
        let mut beat = tokio::time::interval(Duration::from_millis(self.settings.heartbeat_ms.max(TURNS) / TURNS));
        // After a stall one beat is due, not all that were missed: they would look like so many silences.
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut turn = 0;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                received = feed.recv() => match received {
                    Ok(committed) => self.take(committed, &mut feed, stop).await,
                    Err(broadcast::error::RecvError::Lagged(_)) => self.heal_all(stop).await,
                    Err(broadcast::error::RecvError::Closed) => return,
                },
                Ok(typing) = typing.recv() => self.tell_typing(typing),
                _ = beat.tick() => {
                    self.heartbeat(turn);
                    turn = (turn + 1) % TURNS;
                }
            }
        }
    }

    pub(super) fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().expect("nothing panics while it holds the tables")
    }

    /// Lets a socket in, with what it missed since its cursor if the window reaches that far back.
    pub(super) async fn join(&self, user: UserId, cursor: Option<&str>) -> Result<Joined, JoinError> {
        let read_at = self.tables().window.cursor();
        let rows = self.ports.reads.user_rooms(user).await?;
        let shown = self.ports.reads.checkpoints("rooms").await?;
        self.reach(&shown).await?;
        let cursor = cursor.map(|text| text.parse::<Cursor>().ok());
        if let Some(Some(cursor)) = &cursor {
            self.reach_back(cursor).await;
        }
        let (outbox, receiver) = mpsc::channel(self.settings.outbox_items);
        let (admission, resumed, since) = {
            let mut tables = self.tables();
            if tables.is_closed() {
                return Err(JoinError::Closed);
            }
            if !tables.window.covers(&read_at) {
                return Err(JoinError::Behind);
            }
            let (since, resumed) = match cursor.map(|cursor| cursor.filter(|cursor| tables.window.covers(cursor))) {
                None => (read_at, Resumed::New),
                Some(None) => (read_at, Resumed::Reset),
                Some(Some(cursor)) => (cursor, Resumed::Replayed),
            };
            (tables.admit(user, outbox, &rows, &read_at, &since), resumed, since)
        };
        metrics::gauge!(super::metrics::SOCKETS).set(self.tables().len() as f64);
        if admission.missed.len() > REPLAY_EVENTS {
            self.leave(admission.id);
            return Box::pin(self.join(user, Some(""))).await;
        }
        let missed = match self.frames(user, &admission).await {
            Ok(missed) => missed,
            Err(error) => {
                self.leave(admission.id);
                return Err(error.into());
            }
        };
        Ok(Joined {
            id: admission.id,
            outbox: receiver,
            resumed,
            cursor: since,
            missed,
            now: admission.now,
        })
    }

    /// Lets a socket go.
    pub(super) fn leave(&self, id: SocketId) {
        let mut tables = self.tables();
        tables.remove(id);
        metrics::gauge!(super::metrics::SOCKETS).set(tables.len() as f64);
    }

    /// Remembers which socket a command comes from: it is not told what it said itself.
    pub(super) fn remember(&self, command: CommandId, id: SocketId) {
        self.tables().remember(command, id);
    }

    /// Passes on that somebody types, if they are in that room.
    pub(super) fn typing(&self, id: SocketId, room_id: RoomId, user_id: UserId) -> bool {
        let is_in = self.is_in(id, room_id);
        if is_in {
            self.ports.ephemeral.typing(Typing { room_id, user_id });
        }
        is_in
    }

    /// Whether the socket is told of that room.
    pub(super) fn is_in(&self, id: SocketId, room_id: RoomId) -> bool {
        self.tables().is_in(id, room_id)
    }

    /// Gives the window a moment to reach back to a cursor, if it is being filled still.
    async fn reach_back(&self, cursor: &Cursor) {
        if !self.tables().window.covers(cursor) {
            let mut filled = self.filled.subscribe();
            // Too late is a reset, and so is a hub that ends.
            drop(tokio::time::timeout(CATCH_UP, filled.wait_for(|filled| *filled)).await);
        }
    }

    async fn reach(&self, checkpoints: &[u64; cocotalk_domain::stream::SLICES]) -> Result<(), JoinError> {
        let mut told = self.told.subscribe();
        let reached = async {
            loop {
                let now = self.tables().window.cursor();
                if now.0.iter().zip(checkpoints).all(|(now, shown)| now >= shown) {
                    return;
                }
                // The sender lives as long as the hub.
                drop(told.changed().await);
            }
        };
        tokio::time::timeout(CATCH_UP, reached)
            .await
            .map_err(|_| JoinError::Behind)
    }

    /// The frames of what a socket missed, as it may see them.
    async fn frames(&self, user: UserId, admission: &Admission) -> Result<Vec<Utf8Bytes>, StoreError> {
        let keys = self
            .ports
            .sealing
            .keys(admission.missed.iter().flat_map(|event| subjects_of(event)))
            .await?;
        let marks = self.marks(&admission.missed).await?;
        let mut first_seqs = admission.first_seqs.clone();
        let mut frames = Vec::with_capacity(admission.missed.len());
        for event in &admission.missed {
            let (Some(room), Some(rendered)) = (room_of(event), self.render(event, &keys, &marks)) else {
                continue;
            };
            if let Ok(AnyEvent::Seat(seat)) = &event.event {
                frames.extend(of_seat(seat, &rendered, user));
            } else {
                // Of a room that was left meanwhile nothing older than what was missed is shown.
                let first_seq = *first_seqs
                    .entry(room)
                    .or_insert_with(|| rendered.item_seq().unwrap_or(Seq(1)));
                frames.push(rendered.for_viewer(first_seq));
            }
        }
        Ok(frames)
    }

    /// Takes what the feed brought, with whatever else waits there already.
    async fn take(&self, committed: Committed, feed: &mut broadcast::Receiver<Committed>, stop: &CancellationToken) {
        let mut events: Vec<Arc<RecordedEvent>> = committed.to_vec();
        for _ in 1..COMMITS_AT_ONCE {
            match feed.try_recv() {
                Ok(committed) => events.extend(committed.iter().map(Arc::clone)),
                Err(broadcast::error::TryRecvError::Lagged(_)) => return self.heal_all(stop).await,
                Err(broadcast::error::TryRecvError::Empty | broadcast::error::TryRecvError::Closed) => break,
            }
        }
        let mut heads: HashMap<Slice, u64> = HashMap::new();
        for event in &events {
            let head = heads
                .entry(event.slice)
                .or_insert_with(|| self.tables().window.head(event.slice));
            if event.slice_pos > *head + 1 {
                return self.heal_all(stop).await;
            }
            *head = event.slice_pos.max(*head);
        }
        self.tell(&events, stop).await;
    }

    /// Fetches from the log what the feed has lost.
    async fn heal_all(&self, stop: &CancellationToken) {
        for slice in Slice::all() {
            loop {
                let head = self.tables().window.head(slice);
                let events = until_done(stop, || self.ports.log.read_slice(slice, head)).await;
                let Some(events) = events else { return };
                let more = events.len() == PAGE_EVENTS;
                metrics::counter!(super::metrics::HEALED).increment(events.len() as u64);
                let events: Vec<_> = events.into_iter().map(Arc::new).collect();
                self.tell(&events, stop).await;
                if !more {
                    break;
                }
            }
        }
    }

    /// Tells events that follow on each other. What somebody here is told is rendered first, outside the lock; whoever joins
    /// meanwhile makes us look again.
    async fn tell(&self, events: &[Arc<RecordedEvent>], stop: &CancellationToken) {
        let mut rendered: Vec<Option<Rendered>> = events.iter().map(|_| None).collect();
        let mut done = HashSet::new();
        loop {
            let missing: Vec<usize> = {
                let mut tables = self.tables();
                let wanted = tables.wanted(events).into_iter().enumerate();
                let missing: Vec<usize> = wanted
                    .filter(|(i, wanted)| *wanted && !done.contains(i))
                    .map(|(i, _)| i)
                    .collect();
                if missing.is_empty() {
                    tables.tell(events, &rendered);
                    break;
                }
                missing
            };
            let wanted: Vec<_> = missing.iter().map(|i| Arc::clone(&events[*i])).collect();
            let made = until_done(stop, || async {
                let keys = self
                    .ports
                    .sealing
                    .keys(wanted.iter().flat_map(|event| subjects_of(event)))
                    .await?;
                Ok((keys, self.marks(&wanted).await?))
            });
            let Some((keys, marks)) = made.await else { return };
            for i in missing {
                rendered[i] = self.render(&events[i], &keys, &marks);
                done.insert(i);
            }
        }
        self.told.send_modify(|told| *told += 1);
    }

    /// What is to be known of the rooms in which somebody marked what they have read.
    async fn marks(&self, events: &[Arc<RecordedEvent>]) -> Result<Marks, StoreError> {
        let marked: HashSet<RoomId> = events
            .iter()
            .filter_map(|event| mark_of(event))
            .map(|mark| mark.room_id)
            .collect();
        let mut marks = Marks::default();
        if marked.is_empty() {
            return Ok(marks);
        }
        marks.rooms = self.ports.reads.rooms(&marked.into_iter().collect::<Vec<_>>()).await?;
        for mark in events.iter().filter_map(|event| mark_of(event)) {
            // Only a direct room can have been left and still be marked.
            let is_direct = marks
                .rooms
                .get(&mark.room_id)
                .is_some_and(|room| room.kind == RoomKind::Direct);
            if is_direct && let Some(row) = self.ports.reads.user_room(mark.user_id, mark.room_id).await? {
                marks.first_cnts.insert((mark.user_id, mark.room_id), row.first_cnt());
            }
        }
        Ok(marks)
    }

    fn render(&self, event: &RecordedEvent, keys: &Keys, marks: &Marks) -> Option<Rendered> {
        let mut rendered = Rendered::new(event, keys)?;
        if let Some(mark) = mark_of(event) {
            rendered.tells_reads = marks.members(mark.room_id) <= READS_SHOWN_MEMBERS;
            if self.tables().has_other_sockets(mark.user_id, event) {
                rendered.private = Some(text(&unread_changed(event, mark, marks.unread(mark))));
            }
        }
        Some(rendered)
    }

    fn tell_typing(&self, typing: Typing) {
        let frame = TypingFrame {
            op: Op::Event,
            r#type: "typing",
            room_id: typing.room_id,
            at: self.ports.clock.now(),
            data: TypingData {
                user_id: typing.user_id,
            },
        };
        self.tables().tell_typing(typing.room_id, typing.user_id, &text(&frame));
    }

    fn heartbeat(&self, turn: u64) {
        let now_us = self.ports.clock.now().millis() * 1_000;
        let mut tables = self.tables();
        tables.window.expire(now_us);
        let frame = heartbeat_frame(&tables.window.cursor());
        tables.heartbeat(&frame, turn, TURNS);
    }
}

/// The rooms in which somebody marked what they have read, and what they may see of the direct ones.
#[derive(Default)]
struct Marks {
    rooms: HashMap<RoomId, RoomRow>,
    first_cnts: HashMap<(UserId, RoomId), Cnt>,
}

impl Marks {
    fn members(&self, room: RoomId) -> u32 {
        self.rooms.get(&room).map_or(u32::MAX, |room| room.member_count)
    }

    /// Messages of others after a mark, from the first one on that its owner may see.
    fn unread(&self, mark: &ReadAdvanced) -> u64 {
        let last_cnt = self
            .rooms
            .get(&mark.room_id)
            .and_then(|room| room.last.as_ref())
            .map_or(Cnt(0), |last| last.cnt);
        let first_cnt = self
            .first_cnts
            .get(&(mark.user_id, mark.room_id))
            .copied()
            .unwrap_or_default();
        last_cnt.0.saturating_sub(mark.read_cnt.max(first_cnt).0)
    }
}

const fn mark_of(event: &RecordedEvent) -> Option<&ReadAdvanced> {
    match &event.event {
        Ok(AnyEvent::Seat(SeatEvent::ReadAdvanced(mark))) => Some(mark),
        Ok(_) | Err(_) => None,
    }
}

/// What a person is replayed of a seat's event: their own, and of others how far they have read in a small room.
fn of_seat(seat: &SeatEvent, rendered: &Rendered, user: UserId) -> Vec<Utf8Bytes> {
    match seat {
        SeatEvent::ReadAdvanced(mark) => {
            let public = rendered.tells_reads.then(|| rendered.whole.clone());
            let private = rendered.private.clone().filter(|_| mark.user_id == user);
            public.into_iter().chain(private).collect()
        }
        SeatEvent::FloorRaised(FloorRaised { user_id, .. })
        | SeatEvent::PreferencesSet(PreferencesSet { user_id, .. }) => {
            if *user_id == user {
                vec![rendered.whole.clone()]
            } else {
                Vec::new()
            }
        }
    }
}

fn unread_changed(event: &RecordedEvent, mark: &ReadAdvanced, unread_count: u64) -> Frame {
    Frame {
        op: Op::Event,
        r#type: Type::UnreadChanged,
        room_id: Some(mark.room_id),
        version: None,
        position: Position::at(event.slice, event.slice_pos).to_string(),
        at: mark.at,
        data: Data::Unread(Unread {
            read_seq: mark.read_seq,
            unread_count,
        }),
    }
}

/// The heartbeat with how far everything was told.
pub(super) fn heartbeat_frame(cursor: &Cursor) -> Utf8Bytes {
    #[derive(Serialize)]
    struct Heartbeat {
        op: &'static str,
        cursor: String,
    }
    text(&Heartbeat {
        op: "heartbeat",
        cursor: cursor.to_string(),
    })
}

#[derive(Serialize)]
struct TypingFrame {
    op: Op,
    r#type: &'static str,
    room_id: RoomId,
    at: cocotalk_domain::time::Instant,
    data: TypingData,
}

#[derive(Serialize)]
struct TypingData {
    user_id: UserId,
}

/// Tries until it works, with growing pauses: sockets wait rather than miss something. `None` when stopped.
async fn until_done<T, F: Future<Output = Result<T, StoreError>>>(
    stop: &CancellationToken,
    mut attempt: impl FnMut() -> F,
) -> Option<T> {
    let mut pause = Duration::from_millis(20);
    loop {
        match attempt().await {
            Ok(done) => return Some(done),
            Err(error) => tracing::warn!("live sockets wait for a store: {}", chain(&error)),
        }
        tokio::select! {
            () = stop.cancelled() => return None,
            () = tokio::time::sleep(pause) => pause = (pause * 2).min(Duration::from_secs(1)),
        }
    }
}
