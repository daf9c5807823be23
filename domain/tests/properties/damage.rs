//! Damaged payloads: whatever lies in the log, reading it is an event or an error, never a panic.

use cocotalk_domain::account::{AccountEvent, Registered};
use cocotalk_domain::claim::{ClaimEvent, ClaimKind, Taken};
use cocotalk_domain::event::AnyEvent;
use cocotalk_domain::id::UserId;
use cocotalk_domain::sealed::Sealed;
use cocotalk_domain::stream::ClaimId;
use cocotalk_domain::time::Instant;
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::Value;

use crate::story::story;
use crate::{config, room_event, seat_event, thawed, told};

/// What happened to the text of a payload.
#[derive(Clone, Debug)]
enum Damage {
    /// It ends early.
    Cut(Index),
    /// A few characters are gone.
    Lose(Index, usize),
    /// A few characters came in.
    Gain(Index, String),
    /// One of its values is another one.
    Replace(Index, Value),
    /// One of its values is gone, with its key if it had one.
    Remove(Index),
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_damaged_payload_is_an_event_or_an_error(
        story in story(),
        which in any::<Index>(),
        damages in prop::collection::vec(damage(), 1..4),
        event_version in prop_oneof![9 => Just("1".to_owned()), 1 => "\\PC{0,3}"],
    ) {
        let world = told(&story);
        let mut events: Vec<AnyEvent> = world.log.into_iter().map(|(_, event)| event).collect();
        events.extend(others());
        let event = which.get(&events);
        let payload = damages.iter().fold(event.payload(), |payload, damage| damage.to(&payload));
        for aggregate_type in ["room", "seat", "account", "claim"] {
            let read = AnyEvent::decode(aggregate_type, event.name(), &event_version, &payload);
            let Ok(read) = read else { continue };
            prop_assert_eq!(read.name(), event.name());
            let again = AnyEvent::decode(aggregate_type, read.name(), read.version(), &read.payload());
            prop_assert_eq!(again.as_ref(), Ok(&read), "what is read can be written and read again");
            // What was written happened, however unlikely: it is taken in, and the state can be kept.
            let (mut room, seat) = (world.room.clone(), world.seats.values().next().cloned());
            let mut seat = seat.unwrap_or_default();
            room_event(&read).inspect(|event| room.evolve(event));
            seat_event(&read).inspect(|event| seat.evolve(event));
            prop_assert_eq!(&thawed(&room), &room);
            prop_assert_eq!(&thawed(&seat), &seat);
        }
    }

    #[test]
    fn a_payload_under_the_name_of_another_event_is_an_error(story in story(), which in any::<(Index, Index)>()) {
        let mut events: Vec<AnyEvent> = told(&story).log.into_iter().map(|(_, event)| event).collect();
        events.extend(others());
        let (event, other) = (which.0.get(&events), which.1.get(&events));
        let (aggregate_type, _) = event.name().split_once('.').expect("a wire name has a dot");
        let read = AnyEvent::decode(aggregate_type, other.name(), event.version(), &event.payload());
        prop_assert_eq!(read.is_ok(), event.name() == other.name());
    }
}

impl Damage {
    fn to(&self, payload: &str) -> String {
        let chars: Vec<char> = payload.chars().collect();
        match self {
            Self::Cut(at) => chars[..at.index(chars.len() + 1)].iter().collect(),
            Self::Lose(at, few) => {
                let at = at.index(chars.len() + 1);
                let rest = chars.iter().skip(at + few);
                chars[..at].iter().chain(rest).collect()
            }
            Self::Gain(at, text) => {
                let (before, after) = chars.split_at(at.index(chars.len() + 1));
                before
                    .iter()
                    .copied()
                    .chain(text.chars())
                    .chain(after.iter().copied())
                    .collect()
            }
            Self::Replace(at, value) => edited(payload, *at, &mut |node| *node = value.clone()),
            Self::Remove(at) => edited(payload, *at, &mut |node| match node {
                Value::Object(fields) => drop(fields.keys().next().cloned().and_then(|key| fields.remove(&key))),
                Value::Array(items) => drop(items.pop()),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => *node = Value::Null,
            }),
        }
    }
}

/// The payload with one of its values edited, if it is still JSON.
fn edited(payload: &str, at: Index, edit: &mut dyn FnMut(&mut Value)) -> String {
    let Ok(mut value) = serde_json::from_str::<Value>(payload) else {
        return payload.to_owned();
    };
    let mut left = at.index(count(&value));
    walk(&mut value, &mut left, edit);
    value.to_string()
}

fn count(value: &Value) -> usize {
    1 + match value {
        Value::Object(fields) => fields.values().map(count).sum(),
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0_usize,
    }
}

/// Edits the value that comes after `left` others, and says whether it was found.
fn walk(value: &mut Value, left: &mut usize, edit: &mut dyn FnMut(&mut Value)) -> bool {
    if *left == 0 {
        edit(value);
        return true;
    }
    *left -= 1;
    match value {
        Value::Object(fields) => fields.values_mut().any(|value| walk(value, left, edit)),
        Value::Array(items) => items.iter_mut().any(|value| walk(value, left, edit)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        1 => any::<Index>().prop_map(Damage::Cut),
        2 => (any::<Index>(), 1..9_usize).prop_map(|(at, few)| Damage::Lose(at, few)),
        2 => (any::<Index>(), ".{1,4}").prop_map(|(at, text)| Damage::Gain(at, text)),
        4 => (any::<Index>(), value()).prop_map(|(at, value)| Damage::Replace(at, value)),
        2 => any::<Index>().prop_map(Damage::Remove),
    ]
}

/// Any JSON, and what looks like the values of our events but is at their edges.
fn value() -> impl Strategy<Value = Value> {
    let edge = prop::sample::select(vec![
        Value::from(u64::MAX),
        Value::from(i64::MIN),
        Value::from(u32::MAX),
        Value::from(-1),
        Value::from(1e300),
        Value::from(""),
        Value::from("admins"),
        Value::from("9999-12-31T23:59:59.999999999Z"),
        Value::from("2016-12-31T23:59:60.999Z"),
        Value::from("1969-12-31T23:59:59.999+14:00"),
        Value::from("+262142-12-31T23:59:59.999Z"),
        Value::from("-262143-01-01T00:00:00Z"),
        Value::from("urn:uuid:00000000-0000-0000-0000-000000000001"),
        Value::from("{00000000-0000-0000-0000-000000000001}"),
        Value::from("ffffffffffffffffffffffffffffffff"),
        Value::from("+f"),
        Value::from("AA=="),
        Value::from("\u{0}"),
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
        edge.clone(),
    ];
    let nested = leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map("[a-z_]{1,8}", inner, 0..4).prop_map(|fields| fields.into_iter().collect()),
        ]
    });
    prop_oneof![edge, nested]
}

/// Events of the aggregates that no story is about.
fn others() -> Vec<AnyEvent> {
    let (owner, at) = (UserId::from_u128(1), Instant::from_millis(7));
    let (subject, bytes) = (owner, vec![1, 2, 3]);
    let registered = AccountEvent::Registered(Registered {
        user_id: owner,
        profile: Sealed { subject, bytes },
        claims: vec![ClaimId([7; 16])],
        at,
    });
    let kind = ClaimKind::Handle;
    vec![registered.into(), ClaimEvent::Taken(Taken { kind, owner, at }).into()]
}
