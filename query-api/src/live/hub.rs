//! The hub: takes committed events from the feed, in order and without gaps, and tells the sockets they are for.
//!
//! - `follow`: from the feed to the sockets; what the feed loses is fetched from the log.
//! - `join`: lets a socket in, so that it misses nothing and is told nothing that is not for it.
//! - `fill`: what was committed before the start.

mod fill;
mod follow;
mod join;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::extract::ws::Utf8Bytes;
use cocotalk_application::error::StoreError;
use cocotalk_application::port::clock::Clock;
use cocotalk_application::port::event_log::{EventLog, RecordedEvent};
use cocotalk_application::port::live::{Committed, Ephemeral, EventFeed, Typing};
use cocotalk_application::port::read_model::ReadModel;
use cocotalk_application::position::Cursor;
use cocotalk_application::sealing::{Keys, Sealing};
use cocotalk_domain::id::{CommandId, RoomId, UserId};
use cocotalk_domain::stream::SLICES;
use tokio::sync::{broadcast, watch};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::marks::{Marks, Telling, mark_of};
use super::rendered::{Rendered, text};
use super::server_frame::{self, ServerFrame};
use super::settings::LiveSettings;
use super::sockets::SocketId;
use super::tables::Tables;
use super::window::Window;
use crate::checkpoints::Checkpoints;
use crate::frame::{Gone, unread_changed};
pub(super) use join::{JoinError, Joined, Resumed};

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
    /// How far the read model has come: the same that queries wait with.
    pub checkpoints: Arc<Checkpoints>,
    /// The keys that open what is shown.
    pub sealing: Arc<Sealing>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
}

/// One a process. Sockets join it; one task feeds it.
pub struct Hub {
    ports: HubPorts,
    pub(super) settings: LiveSettings,
    tables: Mutex<Tables>,
    marks: Marks,
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
        let marks = Marks::new(Arc::clone(&ports.log), Arc::clone(&ports.reads));
        let (told, filled) = (watch::Sender::new(0), watch::Sender::new(false));
        Ok((
            Arc::new(Self {
                ports,
                settings,
                tables,
                marks,
                told,
                filled,
            }),
            feed,
        ))
    }

    /// Fills the window with what came before the start, and tells what the feed brings, until `stop`; then asks every
    /// socket to come back later. While what is to be told waits for a store, hearts beat on.
    pub async fn run(self: Arc<Self>, feed: broadcast::Receiver<Committed>, stop: CancellationToken) {
        let fill = async {
            if self.fill(&stop).await.is_some() {
                self.filled.send_replace(true);
                self.told.send_modify(|told| *told += 1);
            }
        };
        let tell = async {
            tokio::select! {
                () = self.follow(feed, &stop) => {}
                () = self.beat() => {}
            }
        };
        tokio::join!(fill, tell);
        self.tables().say_goodbye();
    }

    /// How far everything was told, by slice: behind the log's heads by what has not come through the feed yet.
    pub fn told(&self) -> [u64; SLICES] {
        self.tables().window.cursor().0
    }

    pub(super) fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().expect("nothing panics while it holds the tables")
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

    /// Heartbeats, and who is typing. Has no end.
    async fn beat(&self) {
        let mut typing = self.ports.ephemeral.subscribe();
        let mut beat = tokio::time::interval(Duration::from_millis(self.settings.heartbeat_ms.max(TURNS) / TURNS));
        // After a stall one beat is due, not all that were missed: they would look like so many silences.
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut turn = 0;
        loop {
            tokio::select! {
                Ok(typing) = typing.recv() => self.tell_typing(typing),
                _ = beat.tick() => {
                    self.heartbeat(turn);
                    turn = (turn + 1) % TURNS;
                }
            }
        }
    }

    fn render(event: &RecordedEvent, gone: &Gone, keys: &Keys, telling: Option<&Telling>) -> Option<Rendered> {
        let mut rendered = Rendered::new(event, gone, keys)?;
        if let (Some(mark), Some(telling)) = (mark_of(event), telling) {
            rendered.tells_reads = telling.to_room;
            rendered.private = telling
                .unread
                .map(|unread_count| text(&unread_changed(event, mark, unread_count)));
        }
        Some(rendered)
    }

    fn tell_typing(&self, typing: Typing) {
        let frame = server_frame::Typing::new(typing.room_id, typing.user_id, self.ports.clock.now());
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

/// The heartbeat with how far everything was told.
pub(super) fn heartbeat_frame(cursor: &Cursor) -> Utf8Bytes {
    ServerFrame::Heartbeat {
        cursor: cursor.to_string(),
    }
    .text()
}
