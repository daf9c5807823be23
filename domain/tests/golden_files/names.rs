//! The wire names of all events, as the event enums themselves tell them.

use std::collections::BTreeSet;

use cocotalk_domain::account::AccountEvent;
use cocotalk_domain::claim::ClaimEvent;
use cocotalk_domain::event::AnyEvent;
use cocotalk_domain::room::RoomEvent;
use cocotalk_domain::seat::SeatEvent;
use serde::de::{DeserializeOwned, Deserializer, Error as _, Visitor, value};

/// Every aggregate, once: a new one does not compile until it is named here, and then needs its golden files.
macro_rules! aggregates {
    ($($variant:ident($event:ty)),+) => {
        /// The wire names of all events of all aggregates.
        pub(crate) fn all_names() -> BTreeSet<&'static str> {
            [$(names::<$event>()),+].concat().into_iter().collect()
        }

        /// The wire names of the events of one aggregate.
        pub(crate) fn names_beside(event: &AnyEvent) -> &'static [&'static str] {
            match event {
                $(AnyEvent::$variant(_) => names::<$event>(),)+
            }
        }
    };
}
aggregates!(
    Room(RoomEvent),
    Seat(SeatEvent),
    Account(AccountEvent),
    Claim(ClaimEvent)
);

/// The wire names that an event enum reads, as its own `Deserialize` tells them.
fn names<E: DeserializeOwned>() -> &'static [&'static str] {
    struct Ask<'a>(&'a mut &'static [&'static str]);

    impl<'de> Deserializer<'de> for Ask<'_> {
        type Error = value::Error;

        fn deserialize_enum<V: Visitor<'de>>(
            self,
            _name: &'static str,
            variants: &'static [&'static str],
            _visitor: V,
        ) -> Result<V::Value, Self::Error> {
            *self.0 = variants;
            Err(value::Error::custom("only asked"))
        }

        fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Self::Error> {
            Err(value::Error::custom("an event is an enum"))
        }

        serde::forward_to_deserialize_any! {
            bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
            unit_struct newtype_struct seq tuple tuple_struct map struct identifier ignored_any
        }
    }

    let mut names: &'static [&'static str] = &[];
    let asked = E::deserialize(Ask(&mut names)).is_err();
    assert!(asked && !names.is_empty(), "an event enum has variants");
    names
}
