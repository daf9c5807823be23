//! The state of any aggregate, as the bus loads, caches and snapshots it.

use cocotalk_domain::account::Account;
use cocotalk_domain::claim::Claim;
use cocotalk_domain::event::AnyEvent;
use cocotalk_domain::room::Room;
use cocotalk_domain::seat::Seat;
use cocotalk_domain::stream::StreamId;

/// The state of one aggregate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnyState {
    /// Of a room.
    Room(Room),
    /// Of a seat.
    Seat(Seat),
    /// Of an account.
    Account(Account),
    /// Of a claim.
    Claim(Claim),
}

/// A state and the version it stands at.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The state.
    pub state: AnyState,
    /// Number of events in it.
    pub version: u64,
    /// Number of events in the newest snapshot known.
    pub snapshot: u64,
}

impl AnyState {
    /// The state of a stream before its first event.
    pub fn new(stream: &StreamId) -> Self {
        match stream {
            StreamId::Room(_) => Self::Room(Room::default()),
            StreamId::Seat(..) => Self::Seat(Seat::default()),
            StreamId::Account(_) => Self::Account(Account::default()),
            StreamId::Claim(_) => Self::Claim(Claim::default()),
        }
    }

    /// The state after an event of its own stream; one of another kind changes nothing.
    pub fn evolve(&mut self, event: &AnyEvent) {
        match (self, event) {
            (Self::Room(state), AnyEvent::Room(event)) => state.evolve(event),
            (Self::Seat(state), AnyEvent::Seat(event)) => state.evolve(event),
            (Self::Account(state), AnyEvent::Account(event)) => state.evolve(event),
            (Self::Claim(state), AnyEvent::Claim(event)) => state.evolve(event),
            (state, event) => debug_assert!(false, "{} does not happen to {state:?}", event.name()),
        }
    }

    /// The shape of its bytes.
    pub const fn state_version(&self) -> u32 {
        match self {
            Self::Room(_) => Room::STATE_VERSION,
            Self::Seat(_) => Seat::STATE_VERSION,
            Self::Account(_) => Account::STATE_VERSION,
            Self::Claim(_) => Claim::STATE_VERSION,
        }
    }

    /// Its bytes in a snapshot.
    pub fn to_bytes(&self) -> Vec<u8> {
        let bytes = match self {
            Self::Room(state) => postcard::to_stdvec(state),
            Self::Seat(state) => postcard::to_stdvec(state),
            Self::Account(state) => postcard::to_stdvec(state),
            Self::Claim(state) => postcard::to_stdvec(state),
        };
        bytes.expect("states are plain data")
    }

    /// The state of a stream from its bytes in a snapshot; `None` where they make no sense, and the stream is loaded whole.
    pub fn from_bytes(stream: &StreamId, bytes: &[u8]) -> Option<Self> {
        match stream {
            StreamId::Room(_) => postcard::from_bytes(bytes).ok().map(Self::Room),
            StreamId::Seat(..) => postcard::from_bytes(bytes).ok().map(Self::Seat),
            StreamId::Account(_) => postcard::from_bytes(bytes).ok().map(Self::Account),
            StreamId::Claim(_) => postcard::from_bytes(bytes).ok().map(Self::Claim),
        }
    }

    /// Roughly how many small things it holds: what a cache weighs it by.
    pub fn weight(&self) -> usize {
        match self {
            Self::Room(room) => 4 + room.members().len(),
            Self::Seat(seat) => 1 + seat.hidden(),
            Self::Account(_) | Self::Claim(_) => 1,
        }
    }
}
