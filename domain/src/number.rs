//! The numbers of a room: where an item stands, how many messages count up to it, which event made it.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl $name {
            /// The number after this one.
            #[must_use]
            pub const fn next(self) -> Self {
                Self(self.0 + 1)
            }

            /// The bare number.
            pub const fn get(self) -> u64 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number!(
    /// The dense number of a timeline item in its room: 1, 2, 3 ... for messages and membership lines alike.
    Seq
);
number!(
    /// How many counted items (messages of people) a room has up to and including an item.
    Cnt
);
number!(
    /// The number of an event in its own stream; of a `Room` stream also the room's version, as clients see it.
    Version
);
