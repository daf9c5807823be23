//! Idempotency keys, cheap ones: unique within a run, unpredictable to nobody.

use std::time::{SystemTime, UNIX_EPOCH};

use uuid::{Builder, Uuid};

/// A source of UUIDs of version 4 from `SplitMix64`. The load driver makes tens of thousands a second, so it does not ask
/// the system for randomness each time.
#[derive(Debug)]
pub(crate) struct KeySource {
    state: u64,
}

impl KeySource {
    /// A source whose keys no other `lane` of this or an earlier run makes.
    pub(crate) fn new(lane: usize) -> Self {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_nanos());
        // The low 64 bits of the nanoseconds are what differs between runs; the lane is spread over the word.
        Self {
            state: (now as u64) ^ (lane as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(17),
        }
    }

    /// The next number, uniform over all of them.
    pub(crate) fn next_number(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// The next key.
    pub(crate) fn next_key(&mut self) -> Uuid {
        let bits = (u128::from(self.next_number()) << 64) | u128::from(self.next_number());
        Builder::from_random_bytes(bits.to_be_bytes()).into_uuid()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn lanes_do_not_meet() {
        let keys: HashSet<Uuid> = (0..64)
            .flat_map(|lane| {
                let mut source = KeySource::new(lane);
                (0..100).map(move |_| source.next_key()).collect::<Vec<_>>()
            })
            .collect();
        assert_eq!(keys.len(), 6_400);
        assert!(keys.iter().all(|key| key.get_version_num() == 4));
    }
}
