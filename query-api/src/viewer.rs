//! What somebody may see of a room's timeline.

use std::collections::BTreeSet;

use cocotalk_domain::number::Seq;

/// From which item on somebody sees a room, and what they have hidden from themselves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Viewer<'a> {
    first_seq: Seq,
    hidden: Option<&'a BTreeSet<Seq>>,
}

impl<'a> Viewer<'a> {
    /// Somebody whose first visible item is `first_seq`, with what they have hidden, if anything.
    pub(crate) const fn new(first_seq: Seq, hidden: Option<&'a BTreeSet<Seq>>) -> Self {
        Self { first_seq, hidden }
    }

    /// The first item that they may see.
    pub(crate) const fn first_seq(&self) -> Seq {
        self.first_seq
    }

    /// Whether they have hidden an item.
    pub(crate) fn hides(&self, seq: Seq) -> bool {
        self.hidden.is_some_and(|hidden| hidden.contains(&seq))
    }

    /// Whether they may see an item.
    pub(crate) fn sees(&self, seq: Seq) -> bool {
        seq >= self.first_seq && !self.hides(seq)
    }
}

impl From<Seq> for Viewer<'_> {
    fn from(first_seq: Seq) -> Self {
        Self::new(first_seq, None)
    }
}
