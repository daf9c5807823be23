//! The keys that open what people wrote, and the few secrets of the installation.

use async_trait::async_trait;
use cocotalk_domain::id::UserId;
use zeroize::Zeroizing;

use crate::error::StoreError;

/// Raw key material; wiped from memory when dropped.
pub type KeyBytes = Zeroizing<[u8; 32]>;

/// Where data keys live: apart from the event log, so that destroying one forgets a person everywhere at once.
///
/// - `create` MUST have made the key durable when it returns, and MUST return the same key when repeated.
/// - `keys` answers in the order asked; a key that never was or is destroyed is `None`.
/// - A destroyed key MUST NOT come back, not even by `create`.
/// - Keys at rest MUST be wrapped by a master key that is not in the same file.
/// - `secret` makes the secret of that name on first use; it never changes afterwards.
#[async_trait]
pub trait KeyVault: Send + Sync + 'static {
    /// Makes a person's data key.
    async fn create(&self, user: UserId) -> Result<KeyBytes, StoreError>;
    /// The data keys of these people.
    async fn keys(&self, users: &[UserId]) -> Result<Vec<Option<KeyBytes>>, StoreError>;
    /// Destroys a person's data key.
    async fn destroy(&self, user: UserId) -> Result<(), StoreError>;
    /// A secret of the installation: the pepper of claims, the key of access tokens.
    async fn secret(&self, name: &str) -> Result<KeyBytes, StoreError>;
}
