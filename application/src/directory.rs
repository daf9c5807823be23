//! Who exists: asked of the log, never of a view, since a view may lag behind a sign-up of a moment ago.

use std::collections::HashSet;
use std::num::NonZeroUsize;
use std::sync::Mutex;

use cocotalk_domain::claim::Claim;
use cocotalk_domain::event::AnyEvent;
use cocotalk_domain::id::UserId;
use cocotalk_domain::stream::{ClaimId, StreamId};
use lru::LruCache;

use crate::error::StoreError;
use crate::port::event_log::LogReader;

/// People remembered to exist. That they do not is never remembered.
const CACHED_PEOPLE: usize = 50_000;

/// The directory of people.
pub struct Directory {
    known: Mutex<LruCache<UserId, ()>>,
}

impl Default for Directory {
    fn default() -> Self {
        let capacity = NonZeroUsize::new(CACHED_PEOPLE).expect("the capacity is not zero");
        Self {
            known: Mutex::new(LruCache::new(capacity)),
        }
    }
}

/// Whose a claimed name is, if it is anybody's.
pub async fn owner(log: &dyn LogReader, claim: ClaimId) -> Result<Option<UserId>, StoreError> {
    let mut state = Claim::default();
    for recorded in log.load(&StreamId::Claim(claim), 0).await? {
        if let AnyEvent::Claim(event) = recorded.event? {
            state.evolve(&event);
        }
    }
    Ok(state.owner())
}

impl Directory {
    /// Those of `users` who exist, with at most one question to the log.
    pub async fn present(&self, log: &dyn LogReader, users: &[UserId]) -> Result<HashSet<UserId>, StoreError> {
        let mut present = HashSet::new();
        let mut unknown = Vec::new();
        {
            let mut known = self.known.lock().expect("nothing panics while it holds the cache");
            for user in users {
                match known.get(user) {
                    Some(()) => drop(present.insert(*user)),
                    None if !unknown.contains(&StreamId::Account(*user)) => unknown.push(StreamId::Account(*user)),
                    None => {}
                }
            }
        }
        if unknown.is_empty() {
            return Ok(present);
        }
        let probe = log.probe(None, &unknown, &[]).await?;
        let mut known = self.known.lock().expect("nothing panics while it holds the cache");
        for (stream, version) in unknown.into_iter().zip(probe.versions) {
            if let (StreamId::Account(user), 1..) = (stream, version) {
                known.put(user, ());
                present.insert(user);
            }
        }
        Ok(present)
    }
}
