//! What a lane keeps in memory, states of aggregates and facts of messages: taken while a batch works on it, put back once
//! what happened is durable.

use std::hash::Hash;

use lru::LruCache;

use crate::use_case::Loaded;

/// Roughly how many small things something holds.
pub(super) trait Weigh {
    fn weight(&self) -> usize;
}

impl Weigh for Loaded {
    fn weight(&self) -> usize {
        self.state.weight()
    }
}

/// Bounded by weight; the least recently used go first.
pub(super) struct Cache<K: Hash + Eq, V> {
    kept: LruCache<K, V>,
    weight: usize,
    max_weight: usize,
}

impl<K: Hash + Eq, V: Weigh> Cache<K, V> {
    pub(super) fn new(max_weight: usize) -> Self {
        Self {
            kept: LruCache::unbounded(),
            weight: 0,
            max_weight,
        }
    }

    /// Takes something out: whoever owns it puts it back, or drops it if what it became was not written.
    pub(super) fn take(&mut self, key: &K) -> Option<V> {
        let value = self.kept.pop(key)?;
        self.weight -= value.weight();
        Some(value)
    }

    pub(super) fn put(&mut self, key: K, value: V) {
        self.weight += value.weight();
        if let Some((_, old)) = self.kept.push(key, value) {
            self.weight -= old.weight();
        }
        while self.weight > self.max_weight && self.kept.len() > 1 {
            if let Some((_, old)) = self.kept.pop_lru() {
                self.weight -= old.weight();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use cocotalk_domain::id::RoomId;
    use cocotalk_domain::stream::StreamId;

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
        let mut cache = Cache::new(8);
        (1..=3).for_each(|n| cache.put(stream(n), loaded(0)));
        assert!(cache.take(&stream(1)).is_none());
        assert!(cache.take(&stream(3)).is_some());
    }

    #[test]
    fn a_state_put_twice_weighs_once() {
        let mut cache = Cache::new(8);
        (1..=9).for_each(|version| cache.put(stream(1), loaded(version)));
        assert_eq!(cache.weight, 4);
        assert_eq!(cache.take(&stream(1)).map(|loaded| loaded.version), Some(9));
        assert_eq!(cache.weight, 0);
    }
}
