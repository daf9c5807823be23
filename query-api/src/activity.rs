//! The order of the room list. The cursor is a place in it, not a number of rooms: what is said meanwhile moves rooms to the
//! top, and neither repeats nor shifts what comes after the cursor.

use std::cmp::Reverse;

use cocotalk_domain::id::RoomId;
use cocotalk_domain::time::Instant;
use serde::{Deserialize, Serialize};

/// A room's place in the list: the newest activity first, and of the same instant the larger id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Activity(Reverse<(Instant, RoomId)>);

impl Activity {
    /// The place of a room whose newest item is of this instant.
    pub(crate) const fn new(at: Instant, room: RoomId) -> Self {
        Self(Reverse((at, room)))
    }
}

#[cfg(test)]
mod tests {
    use cocotalk_edge::page::{decode_cursor, encode_cursor};
    use proptest::prelude::*;

    use super::*;

    fn activity() -> impl Strategy<Value = Activity> {
        (0..4_i64, 0..4_u128).prop_map(|(at, room)| Activity::new(Instant::from_millis(at), RoomId::from_u128(room)))
    }

    #[test]
    fn the_newest_comes_first() {
        let at = |millis, room| Activity::new(Instant::from_millis(millis), RoomId::from_u128(room));
        let mut order = vec![at(1, 1), at(2, 1), at(2, 2), at(3, 1)];
        order.sort();
        assert_eq!(order, [at(3, 1), at(2, 2), at(2, 1), at(1, 1)]);
    }

    proptest! {
        #[test]
        fn a_cursor_is_read_back(millis in 0..4_000_000_000_000_i64, room in any::<u128>()) {
            let activity = Activity::new(Instant::from_millis(millis), RoomId::from_u128(room));
            prop_assert_eq!(decode_cursor::<Activity>(&encode_cursor(&activity)).unwrap(), activity);
        }

        #[test]
        fn pages_behind_cursors_are_the_whole_list_once(
            mut rooms in proptest::collection::vec(activity(), 0..12),
            limit in 1_usize..5,
        ) {
            rooms.sort();
            rooms.dedup();
            let mut found: Vec<Activity> = Vec::new();
            loop {
                let cursor = found.last().copied();
                let rest = rooms.iter().filter(|room| cursor.is_none_or(|cursor| **room > cursor));
                let page: Vec<Activity> = rest.take(limit).copied().collect();
                if page.is_empty() {
                    break;
                }
                found.extend(page);
            }
            prop_assert_eq!(found, rooms);
        }
    }
}
