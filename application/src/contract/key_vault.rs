//! What the key vault promises.

use std::collections::HashSet;
use std::sync::Arc;

use cocotalk_domain::id::UserId;
use futures_util::future::join_all;

use super::support::id;
use crate::port::key_vault::KeyVault;

async fn key(vault: &dyn KeyVault, user: UserId) -> Option<[u8; 32]> {
    let keys = vault.keys(&[user]).await.expect("the vault can be read");
    keys[0].as_deref().copied()
}

/// `create` returns the same key when repeated, another for another person, and `keys` finds it.
pub async fn a_key_is_made_once(vault: Arc<dyn KeyVault>) {
    let (one, other) = (UserId(id()), UserId(id()));
    let made = *vault.create(one).await.expect("the vault can be written");
    assert_eq!(*vault.create(one).await.expect("the vault can be written"), made);
    assert_eq!(key(&*vault, one).await, Some(made));
    assert_ne!(*vault.create(other).await.expect("the vault can be written"), made);
}

/// Absent ones are `None`, doubles are answered twice, many are no trouble.
pub async fn keys_come_in_the_order_asked(vault: Arc<dyn KeyVault>) {
    let users: Vec<UserId> = (0..150).map(|_| UserId(id())).collect();
    let made = join_all(users.iter().map(|user| vault.create(*user))).await;
    let stranger = UserId(id());
    let mut asked: Vec<UserId> = users.iter().rev().copied().collect();
    asked.push(stranger);
    asked.push(users[3]);
    let found = vault.keys(&asked).await.expect("the vault can be read");
    assert_eq!(found.len(), asked.len());
    for (index, user) in asked.iter().enumerate() {
        let place = users.iter().position(|known| known == user);
        let expected = place.map(|place| **made[place].as_ref().expect("the vault can be written"));
        assert_eq!(found[index].as_deref().copied(), expected, "key {index}");
    }
    assert!(vault.keys(&[]).await.expect("the vault can be read").is_empty());
}

/// Not by reading, not by making it again, not by destroying it twice.
pub async fn a_destroyed_key_does_not_come_back(vault: Arc<dyn KeyVault>) {
    let (gone, stays, never) = (UserId(id()), UserId(id()), UserId(id()));
    vault.create(gone).await.expect("the vault can be written");
    let kept = *vault.create(stays).await.expect("the vault can be written");
    for user in [gone, gone, never] {
        vault.destroy(user).await.expect("the vault can be written");
        assert_eq!(key(&*vault, user).await, None);
        assert!(vault.create(user).await.is_err(), "a destroyed key was made again");
        assert_eq!(key(&*vault, user).await, None);
    }
    assert_eq!(key(&*vault, stays).await, Some(kept));
}

/// A secret is made on first use and never changes; each name has its own.
pub async fn secrets_are_made_once(vault: Arc<dyn KeyVault>) {
    let pepper = *vault.secret("pepper").await.expect("the vault can be written");
    assert_eq!(*vault.secret("pepper").await.expect("the vault can be read"), pepper);
    assert_ne!(*vault.secret("tokens").await.expect("the vault can be written"), pepper);
}

/// Two makers never seal with different keys.
pub async fn of_many_makers_at_the_same_time_all_get_one_key(vault: Arc<dyn KeyVault>) {
    let user = UserId(id());
    let keys = join_all((0..20).map(|_| vault.create(user))).await;
    let keys: HashSet<[u8; 32]> = keys
        .into_iter()
        .map(|key| *key.expect("the vault can be written"))
        .collect();
    let secrets = join_all((0..20).map(|_| vault.secret("one"))).await;
    let secrets: HashSet<[u8; 32]> = secrets
        .into_iter()
        .map(|key| *key.expect("the vault can be written"))
        .collect();
    assert_eq!((keys.len(), secrets.len()), (1, 1));
}
