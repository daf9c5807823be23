//! The aggregates that a lane keeps in memory: taken while a batch works on them, put back once what happened is durable.

use cocotalk_domain::stream::StreamId;
use lru::LruCache;

use crate::use_case::Loaded;

/// Bounded by weight; the least recently used go first.
pub(super) struct StateCache {
    states: LruCache<StreamId, Loaded>,
    weight: usize,
    max_weight: usize,
}

impl StateCache {
    pub(super) fn new(max_weight: usize) -> Self {
        Self {
            states: LruCache::unbounded(),
            weight: 0,
            max_weight,
        }
    }

    /// Takes a state out: whoever owns it puts it back, or drops it if what it became was not written.
    pub(super) fn take(&mut self, stream: &StreamId) -> Option<Loaded> {
        let loaded = self.states.pop(stream)?;
        self.weight -= loaded.state.weight();
        Some(loaded)
    }

    pub(super) fn put(&mut self, stream: StreamId, loaded: Loaded) {
        self.weight += loaded.state.weight();
        if let Some((_, old)) = self.states.push(stream, loaded) {
            self.weight -= old.state.weight();
        }
        while self.weight > self.max_weight && self.states.len() > 1 {
            if let Some((_, old)) = self.states.pop_lru() {
                self.weight -= old.state.weight();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use cocotalk_domain::id::RoomId;

    use super::*;
    use crate::use_case::AnyState;

    fn stream(n: u128) -> StreamId {
        StreamId::Room(RoomId::from_u128(n))
    }

    fn loaded(version: u64) -> Loaded {
        Loaded {
            state: AnyState::new(&stream(1)),
            version,
            snapshot: 0,
        }
    }

    #[test]
    fn the_oldest_go_when_it_is_full() {
        let mut cache = StateCache::new(8);
        (1..=3).for_each(|n| cache.put(stream(n), loaded(0)));
        assert!(cache.take(&stream(1)).is_none());
        assert!(cache.take(&stream(3)).is_some());
    }

    #[test]
    fn a_state_put_twice_weighs_once() {
        let mut cache = StateCache::new(8);
        (1..=9).for_each(|version| cache.put(stream(1), loaded(version)));
        assert_eq!(cache.weight, 4);
        assert_eq!(cache.take(&stream(1)).map(|loaded| loaded.version), Some(9));
        assert_eq!(cache.weight, 0);
    }
}
