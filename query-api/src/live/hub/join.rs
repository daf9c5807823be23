//! How a socket is let in.
//!
//! Three things move at their own speed: the log, what of it was told here, and the read model. A socket is let in at one
//! position such that the read model shows everything before it and frames tell everything after it.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use axum::extract::ws::Utf8Bytes;
use cocotalk_application::error::StoreError;
use cocotalk_application::port::event_log::RecordedEvent;
use cocotalk_application::position::{Cursor, Position};
use cocotalk_domain::event::AnyEvent;
use cocotalk_domain::id::{RoomId, UserId};
use cocotalk_domain::number::Seq;
use cocotalk_domain::seat::SeatEvent;
use cocotalk_domain::seat::event::{FloorRaised, MessageHidden, PreferencesSet};
use futures_channel::mpsc;
use serde::Serialize;
use utoipa::ToSchema;

use super::super::marks::{Asked, mark_of};
use super::super::rendered::Rendered;
use super::super::sockets::{Outgoing, SocketId};
use super::super::tables::{Admission, Hidden, Tables, joined_seq};
use super::super::window::{Membership, membership, room_of};
use super::Hub;
use crate::checkpoints::{Behind, Projection};
use crate::frame::{Gone, subjects_of};
use crate::viewer::Viewer;

/// How long a hello waits for each thing that is behind another.
const CATCH_UP: Duration = Duration::from_secs(2);
/// Events replayed at most; whoever missed more fetches anew.
const REPLAY_EVENTS: usize = 20_000;

/// How a connection resumes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in super::super) enum Resumed {
    /// There was no cursor.
    New,
    /// Everything that was missed follows.
    Replayed,
    /// The cursor is too old or not one of ours: everything is to be fetched anew.
    Reset,
}

impl Resumed {
    /// Its word.
    pub(in super::super) const fn label(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Replayed => "replayed",
            Self::Reset => "reset",
        }
    }
}

/// A socket that was let in.
#[derive(Debug)]
pub(in super::super) struct Joined {
    pub(in super::super) id: SocketId,
    pub(in super::super) outbox: mpsc::Receiver<Outgoing>,
    pub(in super::super) resumed: Resumed,
    /// Before it, queries show everything; after it, frames tell everything.
    pub(in super::super) cursor: Cursor,
    /// What was missed after `cursor`, as frames.
    pub(in super::super) missed: Vec<Utf8Bytes>,
    /// Where the client stands once it has what was missed.
    pub(in super::super) now: Cursor,
}

/// Why a socket is not let in.
#[derive(Debug, thiserror::Error)]
pub(in super::super) enum JoinError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the read model is behind the live feed")]
    ModelBehind,
    #[error("the live feed is behind the read model")]
    FeedBehind,
    #[error("the server goes away")]
    Closed,
}

impl From<Behind> for JoinError {
    fn from(behind: Behind) -> Self {
        match behind {
            Behind::ReadModel => Self::ModelBehind,
            Behind::Store(error) => Self::Store(error),
        }
    }
}

impl Hub {
    /// Lets a socket in, with what it missed since its cursor if the window reaches that far back.
    ///
    /// Where it is let in is noted first. When the read model has passed that, the person's rooms are read, and when the
    /// hub has told what that reading may have shown already, the socket gets its seats: of the joins and leaves in between,
    /// each is either in the rows or in the window, and whatever comes later is told.
    pub(in super::super) async fn join(&self, user: UserId, cursor: Option<&str>) -> Result<Joined, JoinError> {
        let cursor = cursor.map(|text| text.parse::<Cursor>().ok());
        if let Some(Some(cursor)) = &cursor
            && !self.cover(cursor).await
            && self.is_of_the_log(cursor).await?
        {
            return Err(JoinError::FeedBehind);
        }
        let noted = self.tables().window.cursor();
        let checkpoints = &self.ports.checkpoints;
        checkpoints
            .reach_within(CATCH_UP, &Position::from(&noted), &Projection::ALL)
            .await?;
        let rows = self.ports.reads.user_rooms(user).await?;
        let withheld = rows.iter().filter(|row| row.last_hidden > Seq(0));
        let withheld: Vec<(RoomId, Seq)> = withheld.map(|row| (row.room_id, row.first_seq())).collect();
        let hidden = if withheld.is_empty() {
            HashMap::new()
        } else {
            self.ports.reads.hidden(user, &withheld).await?
        };
        let shown = Cursor(checkpoints.now(Projection::Rooms).await?);
        if !self.wait_until(|tables| !tables.window.is_before(&shown)).await {
            return Err(JoinError::FeedBehind);
        }
        let (outbox, receiver) = mpsc::channel(self.settings.outbox_items);
        let (admission, resumed, since) = {
            let mut tables = self.tables();
            if tables.is_closed() {
                return Err(JoinError::Closed);
            }
            if !tables.window.covers(&noted) {
                return Err(JoinError::ModelBehind);
            }
            let (since, resumed) = match cursor.map(|cursor| cursor.filter(|cursor| tables.window.covers(cursor))) {
                None => (noted, Resumed::New),
                Some(None) => (noted, Resumed::Reset),
                Some(Some(cursor)) => (cursor, Resumed::Replayed),
            };
            (
                tables.admit(user, outbox, (&rows, &hidden), &noted, &since),
                resumed,
                since,
            )
        };
        metrics::gauge!(super::super::metrics::SOCKETS).set(self.tables().len() as f64);
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

    /// Gives the window a moment to cover a cursor: it may still be filled with what was before the start, and a cursor of
    /// another node may be ahead of what has come through the feed here. Whether it was long enough to tell; if not, whoever
    /// comes again, here or elsewhere, may still be replayed what they missed.
    async fn cover(&self, cursor: &Cursor) -> bool {
        let settled = |tables: &Tables| {
            let is_filled = *self.filled.borrow();
            tables.window.covers(cursor) || (is_filled && !tables.window.is_before(cursor))
        };
        self.wait_until(settled).await
    }

    /// Whether a cursor can be of our log, and is not of another one or made up.
    async fn is_of_the_log(&self, cursor: &Cursor) -> Result<bool, StoreError> {
        let heads = self.ports.log.heads().await?;
        Ok(cursor.0.iter().zip(&heads).all(|(pos, head)| pos <= head))
    }

    /// Waits for a moment until something holds of what was told. Whether it does.
    async fn wait_until(&self, holds: impl Fn(&Tables) -> bool) -> bool {
        let mut told = self.told.subscribe();
        let come = async {
            while !holds(&self.tables()) {
                // The sender lives as long as the hub.
                drop(told.changed().await);
            }
        };
        tokio::time::timeout(CATCH_UP, come).await.is_ok()
    }

    /// What a person has hidden of their rooms and of those that they left meanwhile.
    async fn hidden_of(&self, user: UserId, left: &[RoomId], admission: &Admission) -> Result<Hidden, StoreError> {
        let mut hidden = admission.hidden.clone();
        if left.is_empty() {
            return Ok(hidden);
        }
        let from: Vec<(RoomId, Seq)> = left.iter().map(|room| (*room, Seq(1))).collect();
        hidden.extend(self.ports.reads.hidden(user, &from).await?);
        // What the read model does not show yet is in what was missed.
        for event in &admission.missed {
            if let Ok(AnyEvent::Seat(SeatEvent::MessageHidden(e))) = &event.event
                && e.user_id == user
            {
                hidden.entry(e.room_id).or_default().insert(e.seq);
            }
        }
        Ok(hidden)
    }

    /// The frames of what a socket missed, as it may see them.
    async fn frames(&self, user: UserId, admission: &Admission) -> Result<Vec<Utf8Bytes>, StoreError> {
        let missed = &admission.missed;
        let keys = self
            .ports
            .sealing
            .keys(missed.iter().flat_map(|event| subjects_of(event)))
            .await?;
        let asked = missed.iter().enumerate().filter_map(|(index, event)| {
            let wants_number = mark_of(event)?.user_id == user;
            Some(Asked { index, wants_number })
        });
        let asked: Vec<Asked> = asked.collect();
        let tellings = self.marks.tellings(missed, &asked, &admission.known).await;
        // What was missed ends at the head: what is deleted in it has no words in any of it.
        let gone = Gone::of(missed.iter().map(|event| &**event));
        let rendered = missed.iter().enumerate().filter_map(|(index, event)| {
            let rendered = Self::render(event, &gone, &keys, tellings.get(&index))?;
            Some((event, room_of(event)?, rendered))
        });
        let rendered: Vec<_> = rendered.collect();
        let left: HashSet<RoomId> = rendered.iter().map(|(_, room, _)| *room).collect();
        let left = left.into_iter().filter(|room| !admission.first_seqs.contains_key(room));
        let left: Vec<RoomId> = left.collect();
        let hidden = self.hidden_of(user, &left, admission).await?;
        let mut first_seqs: HashMap<RoomId, Seq> = admission.first_seqs.clone();
        let mut frames = Vec::with_capacity(missed.len());
        for (event, room, rendered) in rendered {
            if left.contains(&room) {
                stay(&mut first_seqs, room, user, event, rendered.line_seq());
            }
            if let Ok(AnyEvent::Seat(seat)) = &event.event {
                frames.extend(of_seat(seat, &rendered, user));
            } else {
                let first_seq = first_seqs.get(&room).copied().unwrap_or(Seq(u64::MAX));
                let viewer = Viewer::new(first_seq, hidden.get(&room));
                frames.push(rendered.for_viewer(viewer));
            }
        }
        Ok(frames)
    }
}

/// Of a room that was left meanwhile nothing is shown that is older than what was missed, or than the last time that this person
/// came to it.
fn stay(first_seqs: &mut HashMap<RoomId, Seq>, room: RoomId, user: UserId, event: &RecordedEvent, line: Option<Seq>) {
    match (membership(event), line) {
        (Some(Membership::Joined(_, users)), _) if users.contains(&user) => {
            first_seqs.insert(room, joined_seq(event));
        }
        (_, Some(seq)) => {
            first_seqs.entry(room).or_insert(seq);
        }
        (_, None) => {}
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
        | SeatEvent::MessageHidden(MessageHidden { user_id, .. })
        | SeatEvent::PreferencesSet(PreferencesSet { user_id, .. }) => {
            if *user_id == user {
                vec![rendered.whole.clone()]
            } else {
                Vec::new()
            }
        }
    }
}
