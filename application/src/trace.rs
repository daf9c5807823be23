//! Which trace something belongs to, in the words of the W3C's Trace Context: one id from a request to all that it causes.
//!
//! A request may bring a `traceparent` along; it is kept in the metadata of its events. Of one that does not, the command's
//! own id is the id of the trace: every event carries that already, so a trace costs it neither bytes nor time, and a retry
//! belongs to the same trace as the first try.

use std::fmt;
use std::str::FromStr;

use cocotalk_domain::id::CommandId;
use serde::Serialize;

/// The id of a trace: 32 hexadecimal digits, never all zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TraceId(u128);

impl TraceId {
    /// All of its bits.
    pub const fn as_u128(self) -> u128 {
        self.0
    }

    /// The trace of a command whose request brought none along. None for the nil UUID, which is no id.
    pub fn of_command(command: CommandId) -> Option<Self> {
        Self::new(command.0.as_u128())
    }

    fn new(number: u128) -> Option<Self> {
        (number != 0).then_some(Self(number))
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// A place in a trace, `00-<trace id>-<span id>-<flags>`: the trace, and which step of it is the cause of what follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceParent {
    trace_id: TraceId,
    span_id: u64,
    flags: u8,
}

/// A text that is no `traceparent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a traceparent")]
pub struct NotATraceParent;

/// Where the four fields lie, and what is between them.
const DASHES: [usize; 3] = [2, 35, 52];
/// Bytes of version 00, and the least of any later one.
const LENGTH: usize = 55;

/// The flag that says that the trace is kept.
const SAMPLED: u8 = 1;

impl TraceParent {
    /// The trace.
    pub const fn trace_id(&self) -> TraceId {
        self.trace_id
    }

    /// The place of a command itself, from which everything goes on that it causes, in whichever process: `caller` is the
    /// step that its request brought along. The last half of the command's id is that of the step, so nobody has to tell it,
    /// and a command that is sent again is the same step again. None for an id that ends in zeros, which is none.
    pub fn of_command(command: CommandId, caller: Option<Self>) -> Option<Self> {
        let span_id = command.0.as_u128() as u64;
        let own = || {
            Some(Self {
                trace_id: TraceId::of_command(command)?,
                span_id,
                flags: SAMPLED,
            })
        };
        let place = caller.map(|caller| Self { span_id, ..caller }).or_else(own);
        place.filter(|place| place.span_id != 0)
    }

    /// The step in it.
    pub const fn span_id(&self) -> u64 {
        self.span_id
    }

    /// Whether the one who began the trace keeps it: steps of a trace that nobody keeps need not be told to anybody.
    pub const fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// The place of a step that this one causes. Its id is `random`, which the caller draws; 0 is no id and becomes 1.
    #[must_use]
    pub fn child(self, random: u64) -> Self {
        Self {
            span_id: random.max(1),
            ..self
        }
    }
}

impl FromStr for TraceParent {
    type Err = NotATraceParent;

    /// As the standard asks: lower-case digits only, no id of zeros, version ff is none, and of a version that is not known
    /// yet the fields of version 00 are read.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (known, rest) = text.as_bytes().split_at_checked(LENGTH).ok_or(NotATraceParent)?;
        let well_formed = known.iter().enumerate().all(|(place, byte)| match byte {
            b'-' => DASHES.contains(&place),
            b'0'..=b'9' | b'a'..=b'f' => !DASHES.contains(&place),
            _ => false,
        });
        let version = &known[..2];
        let may_go_on = version != b"00" && rest.first() == Some(&b'-');
        if !well_formed || version == b"ff" || !(rest.is_empty() || may_go_on) {
            return Err(NotATraceParent);
        }
        let digits = |from: usize, to: usize| u128::from_str_radix(&text[from..to], 16).map_err(|_| NotATraceParent);
        let trace_id = TraceId::new(digits(3, 35)?).ok_or(NotATraceParent)?;
        let span_id = digits(36, 52)? as u64;
        if span_id == 0 {
            return Err(NotATraceParent);
        }
        Ok(Self {
            trace_id,
            span_id,
            flags: digits(53, 55)? as u8,
        })
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{:016x}-{:02x}", self.trace_id, self.span_id, self.flags)
    }
}

impl Serialize for TraceParent {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::port::event_log::Metadata;

    const GIVEN: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn what_is_well_formed_is_read_and_written_alike() {
        let parent: TraceParent = GIVEN.parse().expect("it is one");
        assert_eq!(parent.trace_id().to_string(), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(parent.to_string(), GIVEN);
        assert_eq!(
            serde_json::to_value(parent).expect("it is a string"),
            serde_json::json!(GIVEN)
        );
    }

    #[test]
    fn what_is_not_is_none() {
        for bad in [
            "",
            "00",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0-",
            "000-af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-00",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01x",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c80319é-b7ad6b7169203331-0",
        ] {
            assert_eq!(bad.parse::<TraceParent>(), Err(NotATraceParent), "{bad}");
        }
    }

    #[test]
    fn of_a_later_version_the_known_fields_are_read() {
        for later in [GIVEN.replacen("00", "01", 1), format!("cc{}-what-is-new", &GIVEN[2..])] {
            let parent: TraceParent = later.parse().expect("it is one");
            assert_eq!(parent.to_string(), GIVEN, "{later}");
        }
    }

    #[test]
    fn a_child_is_another_step_of_the_same_trace() {
        let parent: TraceParent = GIVEN.parse().expect("it is one");
        let child = parent.child(255);
        assert_eq!(
            child.to_string(),
            "00-0af7651916cd43dd8448eb211c80319c-00000000000000ff-01"
        );
        assert!(
            parent.child(0).to_string().parse::<TraceParent>().is_ok(),
            "no id is all zeros"
        );
    }

    #[test]
    fn an_event_belongs_to_the_trace_of_its_request_else_to_that_of_its_command() {
        let command_id = "0198c0de-7a1c-7000-8000-00000000000a".to_owned();
        let own = "0198c0de7a1c7000800000000000000a";
        for (traceparent, expected) in [(Some(GIVEN), &GIVEN[3..35]), (None, own), (Some("00-nonsense"), own)] {
            let metadata = Metadata {
                command_id: command_id.clone(),
                traceparent: traceparent.map(str::to_owned),
                ..Metadata::default()
            };
            let trace = metadata.trace_id().map(|trace| trace.to_string());
            assert_eq!(trace.as_deref(), Some(expected), "{traceparent:?}");
        }
        assert_eq!(Metadata::default().trace_id(), None);
    }

    #[test]
    fn a_command_is_a_step_of_the_trace_that_it_belongs_to() {
        let command: CommandId = "0198c0de-7a1c-7000-8000-00000000000a".parse().unwrap();
        let place = |caller| TraceParent::of_command(command, caller).map(|place| place.to_string());
        let own = "00-0198c0de7a1c7000800000000000000a-800000000000000a-01";
        assert_eq!(place(None).as_deref(), Some(own));
        let of_caller = format!("{}-800000000000000a-01", &GIVEN[..35]);
        assert_eq!(place(GIVEN.parse().ok()), Some(of_caller));
        let dropped: TraceParent = format!("{}00", &GIVEN[..53]).parse().unwrap();
        assert!(!dropped.is_sampled());
        assert!(!TraceParent::of_command(command, Some(dropped)).unwrap().is_sampled());
        let zeros: CommandId = "0198c0de-7a1c-7000-0000-000000000000".parse().unwrap();
        assert_eq!(TraceParent::of_command(zeros, None), None);
    }

    #[test]
    fn a_command_is_a_trace_of_its_own() {
        let command: CommandId = "0198c0de-7a1c-7000-8000-00000000000a".parse().expect("it is one");
        let trace = TraceId::of_command(command).map(|trace| trace.to_string());
        assert_eq!(trace.as_deref(), Some("0198c0de7a1c7000800000000000000a"));
        assert_eq!(TraceId::of_command(CommandId::from_u128(0)), None);
    }

    proptest! {
        #[test]
        fn any_text_is_one_or_is_refused(text in "[0-9a-f-]{50,60}|.{0,80}") {
            if let Ok(parent) = text.parse::<TraceParent>() {
                prop_assert_eq!(parent.to_string().parse::<TraceParent>(), Ok(parent));
            }
        }
    }
}
