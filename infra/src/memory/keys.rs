//! Keys in memory.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use cocotalk_application::error::StoreError;
use cocotalk_application::port::key_vault::{KeyBytes, KeyVault};
use cocotalk_domain::id::UserId;
use zeroize::Zeroizing;

/// A key vault in memory. There is nothing at rest, so nothing is wrapped.
#[derive(Default)]
pub struct MemoryKeyVault(Mutex<State>);

#[derive(Default)]
struct State {
    keys: HashMap<UserId, KeyBytes>,
    destroyed: HashSet<UserId>,
    secrets: HashMap<String, KeyBytes>,
}

impl MemoryKeyVault {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn new_key() -> KeyBytes {
    Zeroizing::new(rand::random())
}

#[async_trait]
impl KeyVault for MemoryKeyVault {
    async fn create(&self, user: UserId) -> Result<KeyBytes, StoreError> {
        let mut state = self.state();
        if state.destroyed.contains(&user) {
            return Err(StoreError::unavailable("the key", "it is destroyed for ever"));
        }
        Ok(state.keys.entry(user).or_insert_with(new_key).clone())
    }

    async fn keys(&self, users: &[UserId]) -> Result<Vec<Option<KeyBytes>>, StoreError> {
        let state = self.state();
        Ok(users.iter().map(|user| state.keys.get(user).cloned()).collect())
    }

    async fn destroy(&self, user: UserId) -> Result<(), StoreError> {
        let mut state = self.state();
        state.keys.remove(&user);
        state.destroyed.insert(user);
        Ok(())
    }

    async fn secret(&self, name: &str) -> Result<KeyBytes, StoreError> {
        Ok(self
            .state()
            .secrets
            .entry(name.to_owned())
            .or_insert_with(new_key)
            .clone())
    }
}
