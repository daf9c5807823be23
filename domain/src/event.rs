//! Any event of any stream, and how stored ones are read.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::account::AccountEvent;
use crate::claim::ClaimEvent;
use crate::room::RoomEvent;
use crate::seat::SeatEvent;

/// An event of one of the aggregates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnyEvent {
    /// Of a room.
    Room(RoomEvent),
    /// Of a seat.
    Seat(SeatEvent),
    /// Of an account.
    Account(AccountEvent),
    /// Of a claim.
    Claim(ClaimEvent),
}

/// A stored event that this build cannot read: written by a later one, or damaged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("event {event_type} v{event_version} of a {aggregate_type} cannot be read: {why}")]
pub struct DecodeError {
    /// The aggregate's type.
    pub aggregate_type: String,
    /// The event's wire name.
    pub event_type: String,
    /// Its version.
    pub event_version: String,
    /// What is wrong with it.
    pub why: String,
}

/// One step from an older wire version to the next.
pub struct Upcast {
    /// The event's wire name.
    pub event_type: &'static str,
    /// The version it reads.
    pub from: &'static str,
    /// The version it makes.
    pub to: &'static str,
    /// The change, on what stands under the wire name in the payload.
    pub step: fn(Value) -> Value,
}

impl AnyEvent {
    /// The wire name.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Room(event) => event.name(),
            Self::Seat(event) => event.name(),
            Self::Account(event) => event.name(),
            Self::Claim(event) => event.name(),
        }
    }

    /// The wire version of what this build writes.
    pub const fn version(&self) -> &'static str {
        match self {
            Self::Room(_) => RoomEvent::VERSION,
            Self::Seat(_) => SeatEvent::VERSION,
            Self::Account(_) => AccountEvent::VERSION,
            Self::Claim(_) => ClaimEvent::VERSION,
        }
    }

    /// The payload as it is stored: `{"<wire name>": {...}}`, the form that `cqrs-es` reads and writes too.
    pub fn payload(&self) -> String {
        match self {
            Self::Room(event) => to_json(event),
            Self::Seat(event) => to_json(event),
            Self::Account(event) => to_json(event),
            Self::Claim(event) => to_json(event),
        }
    }

    /// Reads a stored event, through the steps that its version needs. A payload that holds another event than the one its
    /// row names is damaged.
    pub fn decode(
        aggregate_type: &str,
        event_type: &str,
        event_version: &str,
        payload: &str,
    ) -> Result<Self, DecodeError> {
        let failed = |why: String| DecodeError {
            aggregate_type: aggregate_type.to_owned(),
            event_type: event_type.to_owned(),
            event_version: event_version.to_owned(),
            why,
        };
        let stored = Stored {
            event_type,
            event_version,
            payload,
        };
        match aggregate_type {
            "room" => stored
                .read(RoomEvent::VERSION, crate::room::upcast::STEPS)
                .map(Self::Room),
            "seat" => stored.read(SeatEvent::VERSION, &[]).map(Self::Seat),
            "account" => stored.read(AccountEvent::VERSION, &[]).map(Self::Account),
            "claim" => stored.read(ClaimEvent::VERSION, &[]).map(Self::Claim),
            _ => Err("unknown aggregate".to_owned()),
        }
        .and_then(|event| event.called(event_type))
        .map_err(failed)
    }

    /// Itself, if this is its wire name.
    fn called(self, event_type: &str) -> Result<Self, String> {
        if self.name() == event_type {
            Ok(self)
        } else {
            Err(format!("the payload holds {}", self.name()))
        }
    }
}

/// The names of everything above are plain strings and numbers, so this cannot fail.
fn to_json<T: Serialize>(event: &T) -> String {
    serde_json::to_string(event).expect("events are plain data")
}

/// An event as it lies in the log.
pub struct Stored<'a> {
    /// Its wire name.
    pub event_type: &'a str,
    /// Its wire version.
    pub event_version: &'a str,
    /// Its payload.
    pub payload: &'a str,
}

impl Stored<'_> {
    /// Reads it as `current` version of `T`; an older one goes through `steps` first.
    ///
    /// ```
    /// use cocotalk_domain::event::{Stored, Upcast};
    /// use serde_json::Value;
    ///
    /// #[derive(Debug, PartialEq, serde::Deserialize)]
    /// enum BellEvent {
    ///     #[serde(rename = "bell.rung")]
    ///     Rung { times: u32 },
    /// }
    ///
    /// // Version 1 had no number: a bell rang once.
    /// fn once(mut body: Value) -> Value {
    ///     body["times"] = 1.into();
    ///     body
    /// }
    /// let steps = [Upcast { event_type: "bell.rung", from: "1", to: "2", step: once }];
    ///
    /// let stored = Stored { event_type: "bell.rung", event_version: "1", payload: r#"{"bell.rung":{}}"# };
    /// assert_eq!(stored.read("2", &steps), Ok(BellEvent::Rung { times: 1 }));
    /// ```
    pub fn read<T: DeserializeOwned>(&self, current: &str, steps: &[Upcast]) -> Result<T, String> {
        if self.event_version == current {
            return serde_json::from_str(self.payload).map_err(|e| e.to_string());
        }
        let mut payload: Value = serde_json::from_str(self.payload).map_err(|e| e.to_string())?;
        let mut version = self.event_version;
        while version != current {
            let step = steps
                .iter()
                .find(|step| step.event_type == self.event_type && step.from == version);
            let step = step.ok_or_else(|| format!("no step from version {version} to {current}"))?;
            if let Some(body) = payload.get_mut(self.event_type) {
                *body = (step.step)(body.take());
            }
            version = step.to;
        }
        serde_json::from_value(payload).map_err(|e| e.to_string())
    }
}

impl From<RoomEvent> for AnyEvent {
    fn from(event: RoomEvent) -> Self {
        Self::Room(event)
    }
}

impl From<SeatEvent> for AnyEvent {
    fn from(event: SeatEvent) -> Self {
        Self::Seat(event)
    }
}

impl From<AccountEvent> for AnyEvent {
    fn from(event: AccountEvent) -> Self {
        Self::Account(event)
    }
}

impl From<ClaimEvent> for AnyEvent {
    fn from(event: ClaimEvent) -> Self {
        Self::Claim(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, serde::Deserialize)]
    enum Invented {
        #[serde(rename = "room.invented")]
        Invented { text: String, loud: bool },
    }

    fn add_loud(mut body: Value) -> Value {
        body["loud"] = Value::Bool(false);
        body
    }

    fn rename_text(mut body: Value) -> Value {
        body["text"] = body["words"].take();
        body
    }

    const STEPS: &[Upcast] = &[
        Upcast {
            event_type: "room.invented",
            from: "2",
            to: "3",
            step: add_loud,
        },
        Upcast {
            event_type: "room.invented",
            from: "1",
            to: "2",
            step: rename_text,
        },
    ];

    fn read(event_version: &str, payload: &str) -> Result<Invented, String> {
        Stored {
            event_type: "room.invented",
            event_version,
            payload,
        }
        .read("3", STEPS)
    }

    #[test]
    fn an_invented_older_version_is_read_through_every_step() {
        let expected = Invented::Invented {
            text: "hi".to_owned(),
            loud: false,
        };
        assert_eq!(read("1", r#"{"room.invented":{"words":"hi"}}"#), Ok(expected));
    }

    #[test]
    fn a_version_from_the_future_is_an_error_not_a_guess() {
        let refused = read("4", r#"{"room.invented":{"text":"hi","loud":true}}"#);
        assert_eq!(refused, Err("no step from version 4 to 3".to_owned()));
    }

    #[test]
    fn an_unknown_aggregate_is_an_error() {
        assert!(AnyEvent::decode("teapot", "teapot.boiled", "1", "{}").is_err());
    }
}
