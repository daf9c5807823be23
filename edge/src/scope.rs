//! What belongs to one request while it is answered: its id, and how its sender stands with their rate limit.
//!
//! Kept in a task-local, so that a problem made deep inside an extractor carries the id without anybody handing it down. A
//! task of its own, such as a live socket, has no scope: it names the id itself.

use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::http::HeaderValue;

use crate::rate::Standing;

tokio::task_local! {
    static SCOPE: Scope;
}

struct Scope {
    id: RequestId,
    standing: Cell<Option<Standing>>,
}

/// The id of a request: in `X-Request-Id`, in every problem and in the log. 32 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestId(u128);

impl RequestId {
    /// A new one. Not drawn from the `Clock` port: it is part of no state, and asking the system for random bytes for each
    /// request costs more than everything else in the layer.
    pub fn next() -> Self {
        /// Tells processes apart; the standard library seeds its hashers from the system's randomness.
        static SALTS: LazyLock<[u64; 2]> = LazyLock::new(|| [(); 2].map(|()| RandomState::new().hash_one(0)));
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let [high, low] = *SALTS;
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        Self((u128::from(high) << 64) | u128::from(scatter(low.wrapping_add(count))))
    }

    /// The id of the request that this task answers.
    pub fn current() -> Option<Self> {
        SCOPE.try_with(|scope| scope.id).ok()
    }

    /// As a header.
    pub fn to_header(self) -> HeaderValue {
        HeaderValue::try_from(self.to_string()).expect("hexadecimal digits are a header")
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// A permutation of the 64-bit numbers (the finaliser of splitmix64): ids stay unique without telling how many there were.
const fn scatter(mut number: u64) -> u64 {
    number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// Runs what answers the request with this id. Gives back how its sender stands with their rate limit, if that was asked.
pub(crate) async fn enter<F: Future>(id: RequestId, answer: F) -> (F::Output, Option<Standing>) {
    let scope = Scope {
        id,
        standing: Cell::new(None),
    };
    let with_standing = async {
        let output = answer.await;
        (output, SCOPE.with(|scope| scope.standing.get()))
    };
    SCOPE.scope(scope, with_standing).await
}

/// Keeps how the sender of this request stands with their rate limit, for the headers of its answer.
pub(crate) fn note_standing(standing: Standing) {
    // Outside of a request there is no answer to put it on.
    let _ = SCOPE.try_with(|scope| scope.standing.set(Some(standing)));
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_differ_and_are_32_digits() {
        let ids: HashSet<String> = (0..1_000).map(|_| RequestId::next().to_string()).collect();
        assert_eq!(ids.len(), 1_000);
        assert!(ids.iter().all(|id| id.len() == 32));
    }

    #[tokio::test]
    async fn a_task_without_a_request_has_no_id() {
        assert_eq!(RequestId::current(), None);
        let id = RequestId::next();
        let (current, standing) = enter(id, async { RequestId::current() }).await;
        assert_eq!((current, standing), (Some(id), None));
    }
}
