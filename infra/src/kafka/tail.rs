//! How far a partition is surely complete, from the records at its end.
//!
//! # What can be at the end of a partition
//! A publisher starts right after a position up to which the partition is complete, and publishes what follows in order, at
//! most [`ROUND`] records of a slice at a time; it goes on only after all of them are acknowledged. When one is not, it asks
//! anew how far the partition is complete, and starts there. So a failure can leave a hole with later records behind it; it
//! is filled by whoever publishes next. A publisher that was replaced and does not know it yet may repeat what is there.
//!
//! # Why this is sure
//! Let `hole` be the lowest position that is missing from all that was ever published. Nobody ever started behind it, so
//! whatever was published beyond it was published by a call that contained it, in the same round: all records beyond it are
//! below `hole + ROUND`. Hence everything up to `highest - ROUND` is there, for the highest position that is seen anywhere,
//! and only the `ROUND` positions up to it have to be looked at, in any order, with any repetitions.

use std::collections::BTreeSet;

/// Most records of one slice that are under way at a time. It must never be made smaller than any release had it that may
/// have written to the bus: the proof above would not hold for what that release left.
pub(super) const ROUND: usize = 128;

/// How far a partition is complete, as far as these records tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tail {
    /// Everything up to here is there.
    pub(super) complete: u64,
    /// Whether records further back might say more.
    pub(super) is_short: bool,
}

/// The tail of a partition in which these positions were seen; nothing where none was.
pub(super) fn tail(seen: &BTreeSet<u64>) -> Option<Tail> {
    let highest = *seen.last()?;
    let sure = highest.saturating_sub(ROUND as u64);
    let mut complete = sure;
    for position in seen.range(sure + 1..) {
        if *position != complete + 1 {
            break;
        }
        complete = *position;
    }
    let is_short = complete < highest;
    Some(Tail { complete, is_short })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(positions: impl IntoIterator<Item = u64>) -> Option<Tail> {
        tail(&positions.into_iter().collect())
    }

    const fn whole(complete: u64) -> Tail {
        Tail {
            complete,
            is_short: false,
        }
    }

    const fn short(complete: u64) -> Tail {
        Tail {
            complete,
            is_short: true,
        }
    }

    #[test]
    fn nothing_says_nothing() {
        assert_eq!(of([]), None);
    }

    #[test]
    fn from_the_beginning_on_it_is_as_it_looks() {
        assert_eq!(of([1]), Some(whole(1)));
        assert_eq!(of([1, 2, 3]), Some(whole(3)));
        assert_eq!(of([2, 3]), Some(short(0)));
        assert_eq!(of([1, 2, 4, 5]), Some(short(2)));
    }

    #[test]
    fn repetitions_change_nothing() {
        assert_eq!(of([1, 2, 4, 5, 3, 4, 5, 6]), Some(whole(6)));
        assert_eq!(of([1, 2, 3, 4, 2, 3]), Some(whole(4)));
    }

    #[test]
    fn what_is_a_round_back_is_sure() {
        let round = ROUND as u64;
        assert_eq!(of([1_000]), Some(short(1_000 - round)));
        assert_eq!(of(1_001 - round..=1_000), Some(whole(1_000)));
        assert_eq!(of(1_002 - round..=1_000), Some(short(1_000 - round)));
    }

    /// What happens to a partition.
    #[derive(Clone, Copy, Debug)]
    enum Step {
        /// The newest publisher, or an older one that does not know yet, publishes so many. Those arrive whose bit is set; if
        /// that is not all, it asks where it stands, and the others may arrive later or never.
        Publish { back: usize, count: usize, arrive: u128 },
        /// Another publisher takes over.
        Replace,
        /// Some of what was given up arrives after all.
        Late { count: usize },
    }

    fn step() -> impl Strategy<Value = Step> {
        let back = prop_oneof![3 => Just(0), 1 => 1..3_usize];
        let arrive = prop_oneof![2 => Just(u128::MAX), 1 => any::<u128>()];
        prop_oneof![
            6 => (back, 1..=ROUND, arrive).prop_map(|(back, count, arrive)| Step::Publish { back, count, arrive }),
            1 => Just(Step::Replace),
            1 => (1..40_usize).prop_map(|count| Step::Late { count }),
        ]
    }

    /// A partition, and everyone who publishes to it: where each goes on.
    struct Model {
        partition: Vec<u64>,
        publishers: Vec<u64>,
        late: Vec<u64>,
        /// So many records at the end are looked at when somebody asks.
        looked_at: usize,
    }

    impl Model {
        fn complete(&self) -> u64 {
            let there: BTreeSet<u64> = self.partition.iter().copied().collect();
            let dense = there
                .iter()
                .zip(1..)
                .take_while(|(position, number)| *position == number);
            dense.last().map_or(0, |(_, number)| number)
        }

        fn tail(&self, records: usize) -> Option<Tail> {
            let from = self.partition.len().saturating_sub(records);
            of(self.partition[from..].iter().copied())
        }

        fn start(&self) -> u64 {
            self.tail(self.looked_at).map_or(0, |tail| tail.complete)
        }

        fn take(&mut self, step: Step) {
            match step {
                Step::Publish { back, count, arrive } => {
                    let publisher = (self.publishers.len() - 1).saturating_sub(back);
                    let after = self.publishers[publisher];
                    let arrives = |position: &u64| arrive >> (position - after - 1) & 1 == 1;
                    let (there, late): (Vec<_>, Vec<_>) = (after + 1..=after + count as u64).partition(arrives);
                    self.partition.extend(there);
                    self.publishers[publisher] = if late.is_empty() {
                        after + count as u64
                    } else {
                        self.start()
                    };
                    self.late.extend(late);
                }
                Step::Replace => self.publishers.push(self.start()),
                Step::Late { count } => {
                    let from = self.late.len().saturating_sub(count);
                    self.partition.extend(self.late.drain(from..));
                }
            }
        }
    }

    proptest! {
        #[test]
        fn it_never_says_more_than_there_is(steps in prop::collection::vec(step(), 1..40), looked_at in 1..600_usize) {
            let mut model = Model { partition: Vec::new(), publishers: vec![0], late: Vec::new(), looked_at };
            for step in steps {
                model.take(step);
                let complete = model.complete();
                if let Some(tail) = model.tail(looked_at) {
                    prop_assert!(tail.complete <= complete, "{tail:?} of {complete}");
                }
                let all = model.tail(usize::MAX);
                prop_assert_eq!(all.map_or(0, |tail| tail.complete), complete, "all records say all");
            }
        }
    }
}
