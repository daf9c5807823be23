//! Which items of a timeline a page has. `seq` has no holes, so a page is known by arithmetic before anything is read.

use std::ops::RangeInclusive;

use cocotalk_application::port::read_model::{From, Page};
use cocotalk_domain::number::Seq;

/// Where a page lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// At the end of the timeline.
    Newest,
    /// Right before this item.
    Before(Seq),
    /// Right after this item.
    After(Seq),
    /// With this item in its middle.
    Around(Seq),
}

/// A page of what somebody may see of a timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    /// Its first item.
    pub(crate) start: Seq,
    /// Its last item; before `start` if it is empty.
    pub(crate) end: Seq,
    /// Whether there is something to see before it.
    pub(crate) has_before: bool,
    /// Whether there is something to see after it.
    pub(crate) has_after: bool,
}

impl Window {
    /// The page at `place`, of at most `limit` items, where `visible` is all that may be seen.
    pub(crate) fn new(place: Place, limit: u64, visible: &RangeInclusive<u64>) -> Self {
        let (first, last) = (*visible.start(), *visible.end());
        let (start, end) = match place {
            Place::Newest => ending_at(last, limit, first),
            Place::Before(seq) => ending_at(last.min(seq.0.saturating_sub(1)), limit, first),
            Place::After(seq) => {
                let start = first.max(seq.0.saturating_add(1));
                (start, last.min(start.saturating_add(limit - 1)))
            }
            Place::Around(seq) => {
                let start = seq.0.min(last).saturating_sub(limit / 2).max(first);
                ending_at(last.min(start.saturating_add(limit - 1)), limit, first)
            }
        };
        // What lies on either side of an empty page is asked from where the page would be.
        let (below, above) = if start <= end {
            (start, end)
        } else {
            match place {
                Place::After(_) => (start, start),
                Place::Newest | Place::Before(_) | Place::Around(_) => (end.saturating_add(1), end),
            }
        };
        Self {
            start: Seq(start),
            end: Seq(end),
            has_before: first <= last && first < below,
            has_after: first <= last && above < last,
        }
    }

    /// What to ask the read model for; nothing if the page is empty.
    pub(crate) fn page(&self) -> Option<Page> {
        (self.start <= self.end).then(|| Page {
            from: From::Before(self.end.next()),
            floor: self.start,
            limit: (self.end.0 - self.start.0 + 1) as usize,
        })
    }
}

/// At most `limit` items up to `end`, none of them before `first`.
fn ending_at(end: u64, limit: u64, first: u64) -> (u64, u64) {
    ((end + 1).saturating_sub(limit).max(first), end)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn place() -> impl Strategy<Value = Place> {
        (0..4_u8, 0_u64..40).prop_map(|(kind, seq)| match kind {
            0 => Place::Newest,
            1 => Place::Before(Seq(seq)),
            2 => Place::After(Seq(seq)),
            _ => Place::Around(Seq(seq)),
        })
    }

    /// The page found the long way.
    fn searched(place: Place, limit: usize, visible: &RangeInclusive<u64>) -> (Vec<u64>, bool, bool) {
        let all: Vec<u64> = visible.clone().collect();
        let at = |seq: u64| all.partition_point(|other| *other < seq);
        let (from, to) = match place {
            Place::Newest => (all.len().saturating_sub(limit), all.len()),
            Place::Before(seq) => (at(seq.0).saturating_sub(limit), at(seq.0)),
            Place::After(seq) => (at(seq.0 + 1), all.len().min(at(seq.0 + 1) + limit)),
            Place::Around(seq) => {
                let centre = at(seq.0).min(all.len().saturating_sub(1));
                let to = all.len().min(centre.saturating_sub(limit / 2) + limit);
                (to.saturating_sub(limit), to)
            }
        };
        (all[from..to].to_vec(), from > 0, to < all.len())
    }

    proptest! {
        #[test]
        fn a_window_is_what_a_search_finds(place in place(), limit in 1_u64..12, first in 1_u64..20, length in 0_u64..20) {
            let visible = first..=first + length - 1;
            let window = Window::new(place, limit, &visible);
            let items: Vec<u64> = (window.start.0..=window.end.0).collect();
            let found = (items, window.has_before, window.has_after);
            prop_assert_eq!(found, searched(place, limit as usize, &visible));
        }

        #[test]
        fn the_read_model_is_asked_for_exactly_the_window(place in place(), limit in 1_u64..12, last in 0_u64..40) {
            let window = Window::new(place, limit, &(1..=last));
            match window.page() {
                None => prop_assert!(window.end < window.start),
                Some(page) => {
                    prop_assert_eq!(page.from, From::Before(Seq(window.end.0 + 1)));
                    prop_assert!(page.limit as u64 <= limit && page.floor.0 >= 1);
                    prop_assert_eq!(page.floor.0 + page.limit as u64, window.end.0 + 1);
                }
            }
        }

        /// A place in a room may be newer than its head.
        #[test]
        fn of_nothing_visible_there_is_no_page(place in place(), limit in 1_u64..12, last in 0_u64..40, beyond in 1_u64..9) {
            let window = Window::new(place, limit, &(last + beyond..=last));
            prop_assert_eq!(window.page(), None);
            prop_assert!(!window.has_before && !window.has_after);
        }

        #[test]
        fn around_has_its_item_if_that_may_be_seen(seq in 1_u64..40, limit in 1_u64..12, last in 1_u64..40) {
            let window = Window::new(Place::Around(Seq(seq)), limit, &(1..=last));
            let shown = seq.min(last);
            prop_assert!((window.start.0..=window.end.0).contains(&shown));
        }
    }
}
