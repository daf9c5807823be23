//! Use cases: one a file. Each says which streams it writes and reads, and decides over their states without doing I/O.

pub mod change_room;
pub mod delete_message;
pub mod edit_message;
pub mod give_role;
pub mod hide_message;
pub mod invite;
pub mod kick;
pub mod leave;
pub mod mark_read;
pub mod open_direct;
pub mod open_group;
pub mod react;
pub mod register;
pub mod send_message;
pub mod set_preferences;
mod state;

use std::collections::{HashMap, HashSet};

use cocotalk_domain::account::AccountError;
use cocotalk_domain::claim::ClaimError;
use cocotalk_domain::event::AnyEvent;
use cocotalk_domain::id::{MessageId, RoomId, UserId};
use cocotalk_domain::room::{MessageFacts, Room, RoomError};
use cocotalk_domain::seat::{Seat, SeatError};
use cocotalk_domain::stream::StreamId;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
pub use state::{AnyState, Loaded};

/// One thing that can be done. Decided possibly more than once, so `decide` changes nothing.
pub trait UseCase: Send + Sync + 'static {
    /// Its name in metrics and traces.
    fn name(&self) -> &'static str;
    /// The stream it contends for: its slice is the lane in which it waits its turn.
    fn home(&self) -> StreamId;
    /// The streams it may write: its home, unless it says otherwise. Commands that share one are decided in order and commit
    /// together.
    fn writes(&self) -> Vec<StreamId> {
        vec![self.home()]
    }
    /// The streams it only reads, as committed.
    fn reads(&self) -> Vec<StreamId> {
        Vec::new()
    }
    /// The people whose existence it asks about.
    fn people(&self) -> &[UserId] {
        &[]
    }
    /// The message whose facts it needs, in the room that is its home.
    fn message(&self) -> Option<MessageId> {
        None
    }
    /// What happens: events and an answer, the same answer and no events where there is nothing to do, or a refusal.
    fn decide(&self, on: &States<'_>) -> Result<Decision, Refusal>;
}

/// The states that a use case declared, and what else it asked for.
pub struct States<'a> {
    pub(crate) loaded: &'a HashMap<StreamId, Loaded>,
    pub(crate) present: &'a HashSet<UserId>,
    pub(crate) facts: Option<&'a MessageFacts>,
}

impl<'a> States<'a> {
    fn loaded(&self, stream: StreamId) -> &'a Loaded {
        self.loaded
            .get(&stream)
            .expect("a use case asks only for streams that it declared")
    }

    /// The state of any declared stream.
    pub fn state(&self, stream: StreamId) -> &'a AnyState {
        &self.loaded(stream).state
    }

    /// How many events a declared stream has.
    pub fn version(&self, stream: StreamId) -> u64 {
        self.loaded(stream).version
    }

    /// The state of a declared room.
    pub fn room(&self, stream: StreamId) -> &'a Room {
        match self.state(stream) {
            AnyState::Room(room) => room,
            AnyState::Seat(_) | AnyState::Account(_) | AnyState::Claim(_) => unreachable!("{stream} is no room"),
        }
    }

    /// The state of a declared seat.
    pub fn seat(&self, stream: StreamId) -> &'a Seat {
        match self.state(stream) {
            AnyState::Seat(seat) => seat,
            AnyState::Room(_) | AnyState::Account(_) | AnyState::Claim(_) => unreachable!("{stream} is no seat"),
        }
    }

    /// Whether a person that was asked about exists.
    pub fn exists(&self, user: UserId) -> bool {
        self.present.contains(&user)
    }

    /// The facts of the message that was asked about, if there is such a message in the room and `by` may see it: whose seat
    /// and room are declared.
    ///
    /// # Errors
    /// That there is no such room or message, which is all that others learn.
    pub fn visible_message(&self, room_id: RoomId, by: UserId) -> Result<&'a MessageFacts, RoomError> {
        let room = self.room(StreamId::Room(room_id));
        room.member(by)?;
        let facts = self.facts.ok_or(RoomError::NoSuchMessage)?;
        room.may_see(by, facts)?;
        if self.seat(StreamId::Seat(room_id, by)).sees(facts.seq) {
            Ok(facts)
        } else {
            Err(RoomError::NoSuchMessage)
        }
    }
}

/// What was decided.
#[derive(Debug)]
pub struct Decision {
    /// What happened, in order, each in a declared stream.
    pub events: Vec<(StreamId, AnyEvent)>,
    /// What the caller is told.
    pub answer: Answer,
}

impl Decision {
    /// What happened in one stream.
    pub fn of(stream: StreamId, events: Vec<impl Into<AnyEvent>>, answer: Answer) -> Self {
        let events = events.into_iter().map(|event| (stream, event.into())).collect();
        Self { events, answer }
    }
}

/// What a caller is told: ids, numbers, times and codes only, since it is kept with the first event.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body; `null` where there is none.
    pub body: Box<RawValue>,
}

impl Answer {
    /// An answer with this status and body.
    pub fn new(status: u16, body: &impl Serialize) -> Self {
        Self {
            status,
            body: serde_json::value::to_raw_value(body).expect("answers are plain data"),
        }
    }
}

/// What most commands about a room answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomAnswer {
    /// The room.
    pub room_id: RoomId,
    /// Its version after the command.
    pub version: u64,
}

/// What a command about a message answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageAnswer {
    /// The room.
    pub room_id: RoomId,
    /// The message.
    pub message_id: MessageId,
    /// Its place in the room.
    pub seq: u64,
    /// The room's version after the command.
    pub version: u64,
}

/// A rule said no.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A room's rule.
    #[error(transparent)]
    Room(#[from] RoomError),
    /// A seat's rule.
    #[error(transparent)]
    Seat(#[from] SeatError),
    /// An account's rule.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// A claim's rule.
    #[error(transparent)]
    Claim(#[from] ClaimError),
    /// Nobody has this id.
    #[error("there is no such person")]
    NoSuchPerson(UserId),
}

impl Refusal {
    /// The stable word for it, as clients see it.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Room(error) => error.code(),
            Self::Seat(error) => error.code(),
            Self::Account(error) => error.code(),
            Self::Claim(error) => error.code(),
            Self::NoSuchPerson(_) => "user_not_found",
        }
    }
}
