//! Sealed at the door, opened at the window: the only place where data keys are used.
//!
//! The edge seals what it parsed right away; query API and live open what they show. Between the two there is only
//! [`Sealed`]. Keys are kept for a minute at most in a bounded cache; when one is gone, what it sealed reads as absent.

mod cipher;

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cocotalk_domain::id::UserId;
use cocotalk_domain::sealed::Sealed;
use hmac::{Hmac, Mac};
use lru::LruCache;
use sha2::Sha256;
use tokio::time::Instant;
use zeroize::Zeroizing;

use crate::error::StoreError;
use crate::port::key_vault::{KeyBytes, KeyVault};

/// How long a key is used at most without asking the vault again: a destroyed key stops opening at most this much later.
pub const KEY_TTL: Duration = Duration::from_mins(1);
/// Keys kept at most; beyond it the least recently used one goes.
const CACHED_KEYS: usize = 10_000;

/// HMAC-SHA-256 of `message`.
pub fn hmac(key: &[u8; 32], message: &[u8]) -> [u8; 32] {
    let mut mac = <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(message);
    mac.finalize().into_bytes().into()
}

/// One person's data key.
pub struct DataKey {
    subject: UserId,
    key: KeyBytes,
    mac_key: KeyBytes,
}

impl DataKey {
    /// The key of `subject` with these bytes.
    pub fn new(subject: UserId, key: KeyBytes) -> Self {
        let mac_key = Zeroizing::new(hmac(&key, b"cocotalk request fingerprint v1"));
        Self { subject, key, mac_key }
    }

    /// Seals a text.
    pub fn seal(&self, text: &str) -> Sealed {
        let bytes = cipher::seal(&self.key, self.subject.0.as_bytes(), text.as_bytes());
        Sealed {
            subject: self.subject,
            bytes,
        }
    }

    /// Opens what this key sealed.
    pub fn open(&self, sealed: &Sealed) -> Option<String> {
        let plain = cipher::open(&self.key, sealed.subject.0.as_bytes(), &sealed.bytes)?;
        String::from_utf8(plain).ok()
    }

    /// The fingerprint of a request: keyed, so that it dies with the person's key.
    pub fn request_mac(&self, fingerprint: &[u8]) -> [u8; 32] {
        hmac(&self.mac_key, fingerprint)
    }
}

/// Wraps data keys and secrets, so that the file they lie in is worth nothing alone.
pub struct MasterKey(KeyBytes);

impl MasterKey {
    /// The master key with these bytes.
    pub fn new(key: [u8; 32]) -> Self {
        Self(Zeroizing::new(key))
    }

    /// Wraps a key; `label` says whose it is and must be given again.
    pub fn wrap(&self, label: &str, key: &[u8; 32]) -> Vec<u8> {
        cipher::seal(&self.0, label.as_bytes(), key)
    }

    /// The wrapped key, if this master key wrapped it under this label.
    pub fn unwrap(&self, label: &str, wrapped: &[u8]) -> Option<KeyBytes> {
        let plain = Zeroizing::new(cipher::open(&self.0, label.as_bytes(), wrapped)?);
        let key: [u8; 32] = plain.as_slice().try_into().ok()?;
        Some(Zeroizing::new(key))
    }
}

/// The keys of some people, at hand.
#[derive(Clone, Default)]
pub struct Keys(HashMap<UserId, Arc<DataKey>>);

impl Keys {
    /// Opens a sealed text; `None` where its key is destroyed (or was not asked for).
    pub fn open(&self, sealed: &Sealed) -> Option<String> {
        self.0.get(&sealed.subject)?.open(sealed)
    }
}

/// The key vault with its cache.
pub struct Sealing {
    vault: Arc<dyn KeyVault>,
    ttl: Duration,
    cache: Mutex<LruCache<UserId, (Arc<DataKey>, Instant)>>,
}

impl Sealing {
    /// Over this vault, whose keys are kept for [`KEY_TTL`].
    pub fn new(vault: Arc<dyn KeyVault>) -> Self {
        Self::keeping(vault, KEY_TTL)
    }

    /// Over this vault, whose keys are kept for this long, and not longer than [`KEY_TTL`].
    pub fn keeping(vault: Arc<dyn KeyVault>, ttl: Duration) -> Self {
        let capacity = NonZeroUsize::new(CACHED_KEYS).expect("the capacity is not zero");
        Self {
            vault,
            ttl: ttl.min(KEY_TTL),
            cache: Mutex::new(LruCache::new(capacity)),
        }
    }

    /// The key of one person; `None` if they never had one or it is destroyed.
    pub async fn key(&self, user: UserId) -> Result<Option<Arc<DataKey>>, StoreError> {
        if let Some(key) = self.cached(user) {
            return Ok(Some(key));
        }
        Ok(self.keys([user]).await?.0.remove(&user))
    }

    /// The keys of some people, with at most one question to the vault.
    pub async fn keys(&self, users: impl IntoIterator<Item = UserId>) -> Result<Keys, StoreError> {
        let mut keys = HashMap::new();
        let mut missing = Vec::new();
        for user in users {
            if keys.contains_key(&user) || missing.contains(&user) {
                continue;
            }
            match self.cached(user) {
                Some(key) => drop(keys.insert(user, key)),
                None => missing.push(user),
            }
        }
        if missing.is_empty() {
            return Ok(Keys(keys));
        }
        let found = self.vault.keys(&missing).await?;
        for (user, key) in missing.into_iter().zip(found) {
            if let Some(key) = key {
                keys.insert(user, self.keep(user, key));
            }
        }
        Ok(Keys(keys))
    }

    /// Makes a person's key, durably, before the first event that needs it.
    pub async fn create(&self, user: UserId) -> Result<Arc<DataKey>, StoreError> {
        let key = self.vault.create(user).await?;
        Ok(self.keep(user, key))
    }

    /// Forgets a cached key: its person is forgotten.
    pub fn evict(&self, user: UserId) {
        self.lock().pop(&user);
    }

    fn cached(&self, user: UserId) -> Option<Arc<DataKey>> {
        let mut cache = self.lock();
        let (key, since) = cache.get(&user)?;
        if since.elapsed() < self.ttl {
            return Some(Arc::clone(key));
        }
        cache.pop(&user);
        None
    }

    fn keep(&self, user: UserId, key: KeyBytes) -> Arc<DataKey> {
        let key = Arc::new(DataKey::new(user, key));
        self.lock().put(user, (Arc::clone(&key), Instant::now()));
        key
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, LruCache<UserId, (Arc<DataKey>, Instant)>> {
        self.cache.lock().expect("nothing panics while it holds the cache")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> DataKey {
        DataKey::new(UserId::from_u128(1), Zeroizing::new([byte; 32]))
    }

    #[test]
    fn what_was_sealed_is_opened_by_its_key_alone() {
        let sealed = key(1).seal("안녕");
        assert_eq!(key(1).open(&sealed).as_deref(), Some("안녕"));
        assert_eq!(key(2).open(&sealed), None);
    }

    #[test]
    fn a_sealed_text_cannot_be_passed_off_as_somebody_elses() {
        let mut sealed = key(1).seal("hi");
        sealed.subject = UserId::from_u128(2);
        assert_eq!(key(1).open(&sealed), None);
    }

    #[test]
    fn a_damaged_text_is_not_opened() {
        let mut sealed = key(1).seal("hi");
        sealed.bytes[30] ^= 1;
        assert_eq!(key(1).open(&sealed), None);
        sealed.bytes.truncate(5);
        assert_eq!(key(1).open(&sealed), None);
    }

    #[test]
    fn a_wrapped_key_needs_its_label() {
        let master = MasterKey::new([7; 32]);
        let wrapped = master.wrap("a", &[1; 32]);
        assert_eq!(master.unwrap("a", &wrapped).map(|key| *key), Some([1; 32]));
        assert_eq!(master.unwrap("b", &wrapped), None);
    }
}
