//! The streams of the event log and the slices they live in.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

use crate::id::{RoomId, UserId};

/// Number of slices of the log. Fixed for ever: it is also the number of partitions of the topic.
pub const SLICES: usize = 64;

/// One of the 64 parts of the log. Inside a slice positions are gapless and in commit order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Slice(u8);

impl Slice {
    /// The slice with this number, if there is one.
    pub fn new(number: usize) -> Option<Self> {
        (number < SLICES).then_some(Self(number as u8))
    }

    /// The slice of a key: the first byte of its SHA-256, modulo the number of slices.
    pub fn of_key(key: &str) -> Self {
        Self(Sha256::digest(key.as_bytes())[0] % SLICES as u8)
    }

    /// Its number, 0 to 63.
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// All slices in order.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..SLICES as u8).map(Self)
    }
}

impl fmt::Display for Slice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The id of a claim: an HMAC over kind and normalised value with the installation's pepper, never the value itself. In
/// events it is spelt as in the name of its stream: 32 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClaimId(pub [u8; 16]);

impl fmt::Display for ClaimId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl std::str::FromStr for ClaimId {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u128::from_str_radix(text, 16).map(|number| Self(number.to_be_bytes()))
    }
}

impl Serialize for ClaimId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            self.0.serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for ClaimId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let text = std::borrow::Cow::<'_, str>::deserialize(deserializer)?;
            text.parse().map_err(serde::de::Error::custom)
        } else {
            <[u8; 16]>::deserialize(deserializer).map(Self)
        }
    }
}

/// One stream of events: the history of one aggregate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StreamId {
    /// A room.
    Room(RoomId),
    /// One person's private side of one room.
    Seat(RoomId, UserId),
    /// A person.
    Account(UserId),
    /// A unique handle, email or phone.
    Claim(ClaimId),
}

impl StreamId {
    /// The aggregate's type, as the log names it.
    pub const fn aggregate_type(&self) -> &'static str {
        match self {
            Self::Room(_) => "room",
            Self::Seat(..) => "seat",
            Self::Account(_) => "account",
            Self::Claim(_) => "claim",
        }
    }

    /// The aggregate's id, as the log names it.
    pub fn aggregate_id(&self) -> String {
        match self {
            Self::Room(room) => room.to_string(),
            Self::Seat(room, user) => format!("{room}/{user}"),
            Self::Account(user) => user.to_string(),
            Self::Claim(claim) => claim.to_string(),
        }
    }

    /// The stream that the log calls by these names.
    pub fn parse(aggregate_type: &str, aggregate_id: &str) -> Option<Self> {
        match aggregate_type {
            "room" => aggregate_id.parse().ok().map(Self::Room),
            "seat" => {
                let (room, user) = aggregate_id.split_once('/')?;
                Some(Self::Seat(room.parse().ok()?, user.parse().ok()?))
            }
            "account" => aggregate_id.parse().ok().map(Self::Account),
            "claim" => aggregate_id.parse().ok().map(Self::Claim),
            _ => None,
        }
    }

    /// The slice it lives in. A room and everybody's seat in it share one slice: one order and one clock per room.
    pub fn slice(&self) -> Slice {
        match self {
            Self::Room(room) | Self::Seat(room, _) => Slice::of_key(&room.to_string()),
            Self::Account(user) => Slice::of_key(&user.to_string()),
            Self::Claim(claim) => Slice::of_key(&claim.to_string()),
        }
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.aggregate_type(), self.aggregate_id())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_are_where_they_always_were() {
        let vectors: Vec<usize> = (1..=8)
            .map(|n| StreamId::Room(RoomId::from_u128(n)).slice().index())
            .collect();
        insta::assert_json_snapshot!(vectors);
    }

    #[test]
    fn a_seat_lives_in_the_slice_of_its_room() {
        let (room, user) = (RoomId::from_u128(7), UserId::from_u128(9));
        assert_eq!(StreamId::Seat(room, user).slice(), StreamId::Room(room).slice());
    }

    #[test]
    fn names_are_read_back() {
        let streams = [
            StreamId::Room(RoomId::from_u128(1)),
            StreamId::Seat(RoomId::from_u128(1), UserId::from_u128(2)),
            StreamId::Account(UserId::from_u128(3)),
            StreamId::Claim(ClaimId([7; 16])),
        ];
        for stream in streams {
            assert_eq!(
                StreamId::parse(stream.aggregate_type(), &stream.aggregate_id()),
                Some(stream)
            );
        }
        assert_eq!(StreamId::parse("seat", "nonsense"), None);
    }
}
