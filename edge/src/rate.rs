//! How often one account (or one network) may ask: keyed limits by the generic cell rate algorithm, a burst of the whole
//! period allowed.

use std::hash::Hash;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName};
use governor::clock::{Clock as _, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};

use crate::problem::{Code, Problem};

const LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("ratelimit-reset");

/// Checks between two looks at how many keys are kept.
const CHECKS_A_LOOK: usize = 1_024;
/// Keys that are kept before anybody looks for those to forget.
const FEW_KEYS: usize = 4_096;

type Keyed<K> = RateLimiter<K, DashMapStateStore<K>, DefaultClock, StateInformationMiddleware>;

/// How somebody stands with their limit, for the headers of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Requests allowed in the period.
    pub limit: u32,
    /// Requests that could be made right now.
    pub remaining: u32,
    /// Seconds until all of them can be made again.
    pub reset_s: u32,
}

impl Standing {
    /// Puts it on an answer.
    pub(crate) fn write(self, headers: &mut HeaderMap) {
        headers.insert(LIMIT, self.limit.into());
        headers.insert(REMAINING, self.remaining.into());
        headers.insert(RESET, self.reset_s.into());
    }
}

/// Somebody asked too often.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("at most {} of these in {} seconds", .standing.limit, .period_s)]
pub struct TooMany {
    /// How they stand.
    pub standing: Standing,
    /// Seconds after which one more is allowed.
    pub retry_after_s: u32,
    period_s: u32,
}

impl From<TooMany> for Problem {
    fn from(error: TooMany) -> Self {
        Self::new(Code::RateLimited)
            .detail(error.to_string())
            .retry_after_s(error.retry_after_s)
    }
}

/// A limit for each key. Forgets the keys that have their whole burst again whenever they have doubled, so it holds at most
/// about twice those that asked within the last period.
pub struct Limiter<K: Hash + Eq + Clone>(Option<Limit<K>>);

struct Limit<K: Hash + Eq + Clone> {
    keyed: Keyed<K>,
    clock: DefaultClock,
    times: NonZeroU32,
    period_s: u32,
    checks: AtomicUsize,
    sweep_at: AtomicUsize,
}

impl<K: Hash + Eq + Clone> Limiter<K> {
    /// So many times a minute; 0 = no limit.
    pub fn per_minute(times: u32) -> Self {
        Self::new(times, 60)
    }

    /// So many times an hour; 0 = no limit.
    pub fn per_hour(times: u32) -> Self {
        Self::new(times, 3_600)
    }

    fn new(times: u32, period_s: u32) -> Self {
        let limit = NonZeroU32::new(times).and_then(|times| {
            let quota = Quota::with_period(Duration::from_secs(period_s.into()) / times.get())?.allow_burst(times);
            let clock = DefaultClock::default();
            Some(Limit {
                keyed: Keyed::new(quota, DashMapStateStore::default(), clock.clone()),
                clock,
                times,
                period_s,
                checks: AtomicUsize::new(0),
                sweep_at: AtomicUsize::new(FEW_KEYS),
            })
        });
        Self(limit)
    }

    /// Counts one more of `key`; `None` where there is no limit.
    pub fn check(&self, key: &K) -> Result<Option<Standing>, TooMany> {
        self.0.as_ref().map(|limit| limit.check(key)).transpose()
    }

    /// Keys that are kept.
    pub fn keys(&self) -> usize {
        self.0.as_ref().map_or(0, |limit| limit.keyed.len())
    }
}

impl<K: Hash + Eq + Clone> Limit<K> {
    fn check(&self, key: &K) -> Result<Standing, TooMany> {
        self.sweep_now_and_then();
        match self.keyed.check_key(key) {
            Ok(snapshot) => Ok(self.standing(snapshot.remaining_burst_capacity())),
            Err(not_until) => {
                let wait = not_until.wait_time_from(self.clock.now());
                Err(TooMany {
                    standing: self.standing(0),
                    retry_after_s: u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).saturating_add(1),
                    period_s: self.period_s,
                })
            }
        }
    }

    fn standing(&self, remaining: u32) -> Standing {
        let (times, used) = (
            u64::from(self.times.get()),
            u64::from(self.times.get().saturating_sub(remaining)),
        );
        Standing {
            limit: self.times.get(),
            remaining,
            reset_s: (used * u64::from(self.period_s)).div_ceil(times) as u32,
        }
    }

    /// Forgets whoever has their whole burst again, once the keys have doubled since the last time: the cost is spread over
    /// the requests that brought new keys.
    fn sweep_now_and_then(&self) {
        if !self
            .checks
            .fetch_add(1, Ordering::Relaxed)
            .is_multiple_of(CHECKS_A_LOOK)
            || self.keyed.len() < self.sweep_at.load(Ordering::Relaxed)
        {
            return;
        }
        self.keyed.retain_recent();
        self.keyed.shrink_to_fit();
        self.sweep_at
            .store((self.keyed.len() * 2).max(FEW_KEYS), Ordering::Relaxed);
    }
}
