//! The seqs of a room's uncounted items (membership lines, withheld messages): few beside the counted ones.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::number::{Cnt, Seq};

/// A rising set of seqs. In memory it is sorted and searched by halving; in snapshots it is delta-coded, so that a long
/// life of a room costs a byte or two a line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SeqSet(Vec<u64>);

impl SeqSet {
    /// Adds a seq that is larger than every one in the set; a seq already passed changes nothing.
    pub fn push(&mut self, seq: Seq) {
        if self.0.last().is_none_or(|last| *last < seq.0) {
            self.0.push(seq.0);
        }
    }

    /// How many counted items stand at or before `seq`, given that this set names the uncounted ones.
    pub fn cnt_at(&self, seq: Seq) -> Cnt {
        let uncounted = self.0.partition_point(|s| *s <= seq.0) as u64;
        Cnt(seq.0 - uncounted.min(seq.0))
    }

    /// Number of seqs in the set.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether the set has no seq.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for SeqSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut before = 0;
        serializer.collect_seq(self.0.iter().map(|seq| {
            let delta = seq - before;
            before = *seq;
            delta
        }))
    }
}

impl<'de> Deserialize<'de> for SeqSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut seqs = Vec::<u64>::deserialize(deserializer)?;
        let mut before = 0_u64;
        for seq in &mut seqs {
            before = before
                .checked_add(*seq)
                .ok_or_else(|| serde::de::Error::custom("seq out of range"))?;
            *seq = before;
        }
        Ok(Self(seqs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_what_is_not_in_it() {
        let mut set = SeqSet::default();
        set.push(Seq(1));
        set.push(Seq(4));
        let counts: Vec<u64> = (0..=6).map(|seq| set.cnt_at(Seq(seq)).0).collect();
        assert_eq!(counts, [0, 0, 1, 2, 2, 3, 4]);
    }

    #[test]
    fn survives_its_own_coding() {
        let mut set = SeqSet::default();
        for seq in [1, 2, 1000, 70_000] {
            set.push(Seq(seq));
        }
        let json = serde_json::to_string(&set).expect("a set serialises");
        assert_eq!(json, "[1,1,998,69000]");
        assert_eq!(serde_json::from_str::<SeqSet>(&json).expect("and back"), set);
    }
}
