//! One newtype per kind of thing that has an identity; never a bare `Uuid` in a signature.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// The id with this number, for tests and golden files.
            pub const fn from_u128(number: u128) -> Self {
                Self(Uuid::from_u128(number))
            }

            /// The underlying UUID.
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(text).map(Self)
            }
        }

        impl From<Uuid> for $name {
            fn from(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }
    };
}

id!(
    /// A person with an account.
    UserId
);
id!(
    /// A room: a direct room of two (or of one with oneself), or a group.
    RoomId
);
id!(
    /// A message that somebody wrote.
    MessageId
);
id!(
    /// The idempotency key of a command, scoped to its actor.
    CommandId
);
id!(
    /// A signed-in device.
    SessionId
);

/// The namespace of the ids of direct rooms. Fixed for ever: another value would give every pair a second room.
const DIRECT_ROOMS: Uuid = Uuid::from_u128(0x6f1d_2a70_93c4_4d0e_a1b5_c0c0_7a1c_0001);

impl RoomId {
    /// The one direct room of two people (or of one person with oneself): a UUID v5 over the 16 bytes of the smaller and
    /// the 16 bytes of the larger member id, so that both sides find it without asking and there can be no second.
    pub fn direct(a: UserId, b: UserId) -> Self {
        let (low, high) = if a <= b { (a, b) } else { (b, a) };
        let mut name = [0; 32];
        name[..16].copy_from_slice(low.0.as_bytes());
        name[16..].copy_from_slice(high.0.as_bytes());
        Self(Uuid::new_v5(&DIRECT_ROOMS, &name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_direct_room_has_one_id_whoever_asks() {
        let (a, b) = (UserId::from_u128(1), UserId::from_u128(2));
        assert_eq!(RoomId::direct(a, b), RoomId::direct(b, a));
        assert_ne!(RoomId::direct(a, b), RoomId::direct(a, a));
    }

    #[test]
    fn the_namespace_of_direct_rooms_never_changes() {
        let room = RoomId::direct(UserId::from_u128(1), UserId::from_u128(2));
        insta::assert_snapshot!(room);
    }
}
