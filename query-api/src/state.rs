//! What the handlers of this crate share.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::FromRef;
use cocotalk_application::error::StoreError;
use cocotalk_application::port::event_log::EventLog;
use cocotalk_application::port::read_model::ReadModel;
use cocotalk_application::position::Position;
use cocotalk_application::row::{RoomRow, UserRoomRow};
use cocotalk_application::sealing::Sealing;
use cocotalk_domain::id::{RoomId, UserId};
use cocotalk_domain::number::Seq;
use cocotalk_edge::door::Door;
use cocotalk_edge::problem::{Code, Problem};
use cocotalk_edge::settings::RateSettings;

use crate::checkpoints::{Behind, Checkpoints, Projection};

/// What queries are answered from.
#[derive(Clone)]
pub struct QueryState {
    /// Who asks, what time it is, and how much may be asked for.
    pub door: Arc<Door>,
    /// What queries see.
    pub model: Arc<dyn ReadModel>,
    /// The log, for the changes of a room.
    pub log: Arc<dyn EventLog>,
    /// What opens what people wrote.
    pub sealing: Arc<Sealing>,
    /// How far the projections have come.
    pub checkpoints: Arc<Checkpoints>,
    /// How often somebody may ask, to be shown.
    pub rates: RateSettings,
}

impl QueryState {
    /// Over these ports.
    pub fn new(
        door: Arc<Door>,
        model: Arc<dyn ReadModel>,
        log: Arc<dyn EventLog>,
        sealing: Arc<Sealing>,
        rates: RateSettings,
    ) -> Self {
        let checkpoints = Arc::new(Checkpoints::new(Arc::clone(&model)));
        Self {
            door,
            model,
            log,
            sealing,
            checkpoints,
            rates,
        }
    }

    /// Waits until what a query reads is as new as its client asks.
    pub(crate) async fn reach(&self, position: &Position, projections: &[Projection]) -> Result<(), Problem> {
        self.checkpoints
            .reach(position, projections)
            .await
            .map_err(|behind| match behind {
                Behind::ReadModel => Problem::new(Code::ReadModelBehind),
                Behind::Store(error) => error.into(),
            })
    }

    /// The place of a person in a room that they are in. For everybody else there is no such room.
    pub(crate) async fn seat(&self, user: UserId, room: RoomId) -> Result<UserRoomRow, Problem> {
        let seat = self.model.user_room(user, room).await?;
        seat.filter(|seat| seat.present).ok_or_else(no_such_room)
    }

    /// What a person has hidden of a room they are in, from an item on. Most have hidden nothing, and then nothing is asked.
    pub(crate) async fn hidden(&self, seat: &UserRoomRow, from: Seq) -> Result<BTreeSet<Seq>, StoreError> {
        if seat.last_hidden < from.max(Seq(1)) {
            return Ok(BTreeSet::new());
        }
        let mut hidden = self.model.hidden(seat.user_id, &[(seat.room_id, from)]).await?;
        Ok(hidden.remove(&seat.room_id).unwrap_or_default())
    }

    /// The head of a room.
    pub(crate) async fn room(&self, room: RoomId) -> Result<RoomRow, Problem> {
        let mut rooms = self.model.rooms(&[room]).await?;
        rooms.remove(&room).ok_or_else(no_such_room)
    }
}

/// What a stranger is told, whether there is such a room or not.
pub(crate) fn no_such_room() -> Problem {
    Problem::new(Code::RoomNotFound)
}

impl FromRef<QueryState> for Arc<Door> {
    fn from_ref(state: &QueryState) -> Self {
        Self::clone(&state.door)
    }
}
