//! A place in a room, as clients name it.

use cocotalk_domain::limits::SEQ_MAX;
use cocotalk_domain::number::Seq;
use serde::{Deserialize, Serialize};

/// A place in a room that somebody sent: below 2^53, so that every client can count up to it. It may be beyond the newest item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u64")]
pub struct GivenSeq(Seq);

impl GivenSeq {
    /// The place.
    pub const fn seq(self) -> Seq {
        self.0
    }
}

/// A number that is no place in any room.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("a seq is less than 2^53")]
pub struct SeqTooLarge;

impl TryFrom<u64> for GivenSeq {
    type Error = SeqTooLarge;

    fn try_from(number: u64) -> Result<Self, SeqTooLarge> {
        if number > SEQ_MAX {
            return Err(SeqTooLarge);
        }
        Ok(Self(Seq(number)))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_place_is_below_2_to_the_53() {
        let parsed = |number: u64| serde_json::from_value::<GivenSeq>(json!(number));
        for number in [0, 7, SEQ_MAX] {
            let given = parsed(number).unwrap();
            assert_eq!((given.seq(), json!(given)), (Seq(number), json!(number)));
        }
        for number in [SEQ_MAX + 1, u64::MAX] {
            assert_eq!(parsed(number).unwrap_err().to_string(), "a seq is less than 2^53");
        }
    }
}
