//! Order, drop, heal: from what a bus delivers to what the log says.
//!
//! A bus may repeat, reorder a suffix, and leave holes. A slice's positions have none, so that a reader who knows the last
//! one it has taken can tell each of the three.

/// Where a reader of one slice stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SliceReader {
    last: u64,
}

/// What to do with a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is the next one: take it.
    Next,
    /// It was taken before: drop it.
    Repeated,
    /// Something before it is missing: fetch what comes after this position from the log, up to the one delivered.
    Hole {
        /// The last position taken.
        after: u64,
    },
}

impl SliceReader {
    /// A reader that has taken everything up to `last`.
    pub const fn after(last: u64) -> Self {
        Self { last }
    }

    /// The last position taken.
    pub const fn last(self) -> u64 {
        self.last
    }

    /// Looks at a position, and takes it where it is the next.
    pub const fn offer(&mut self, position: u64) -> Verdict {
        if position <= self.last {
            Verdict::Repeated
        } else if position == self.last + 1 {
            self.last = position;
            Verdict::Next
        } else {
            Verdict::Hole { after: self.last }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What a reader takes of a delivery, with a log of `end` events behind it.
    fn read(delivered: &[u64]) -> Vec<u64> {
        let mut reader = SliceReader::after(0);
        let mut taken = Vec::new();
        for position in delivered {
            if let Verdict::Hole { after } = reader.offer(*position) {
                for missing in after + 1..=*position {
                    assert_eq!(reader.offer(missing), Verdict::Next);
                    taken.push(missing);
                }
            } else if reader.last() == *position && taken.last() != Some(position) {
                taken.push(*position);
            }
        }
        taken
    }

    #[test]
    fn what_comes_next_is_taken_and_what_came_is_dropped() {
        let mut reader = SliceReader::after(4);
        assert_eq!(reader.offer(5), Verdict::Next);
        assert_eq!(reader.offer(5), Verdict::Repeated);
        assert_eq!(reader.offer(7), Verdict::Hole { after: 5 });
        assert_eq!(reader.offer(6), Verdict::Next);
        assert_eq!(reader.last(), 6);
    }

    proptest! {
        #[test]
        fn any_delivery_is_taken_once_in_order_without_holes(delivered in proptest::collection::vec(1_u64..40, 0..120)) {
            let taken = read(&delivered);
            let end = delivered.iter().copied().max().unwrap_or(0);
            prop_assert_eq!(taken, (1..=end).collect::<Vec<_>>());
        }
    }
}
