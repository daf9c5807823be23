//! The key vault: wrapped keys in a database file of their own, and the master key that wraps them in another file.

use std::collections::HashMap;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use cocotalk_application::error::StoreError;
use cocotalk_application::port::key_vault::{KeyBytes, KeyVault};
use cocotalk_application::sealing::MasterKey;
use cocotalk_domain::id::UserId;
use sqlx::sqlite::{SqliteArguments, SqliteConnectOptions, SqliteRow};
use sqlx::{Arguments as _, ConnectOptions as _, Row as _, SqliteConnection};
use tokio::sync::Mutex;

use super::connect;
use super::error::{OpenError, of_store};
use super::folder::{Folder, KEYS, MASTER_KEY};
use super::script::Value;
use super::texts::{list, list_size};
use crate::clock::now_us;
use crate::master_key::{self, Wrapping, label_of, label_of_secret};

/// The key vault of a data folder.
pub struct EmbeddedKeyVault {
    wrapping: Wrapping,
    options: SqliteConnectOptions,
    /// One connection: keys are asked for once a minute and person, and made once a person.
    connection: Mutex<Option<SqliteConnection>>,
    _folder: Arc<Folder>,
}

impl EmbeddedKeyVault {
    pub(super) async fn open(folder: Arc<Folder>) -> Result<Self, OpenError> {
        let keys = folder.file(KEYS);
        let is_new = !keys.exists();
        let master = master_key(&folder.file(MASTER_KEY), is_new)?;
        let options = connect::vault(&keys);
        let connection = Mutex::new(Some(connect::open(&keys, &options, &connect::KEYS).await?));
        if is_new {
            let own_only = std::fs::Permissions::from_mode(0o600);
            std::fs::set_permissions(&keys, own_only).map_err(|error| OpenError::unavailable(&keys, error))?;
        }
        Ok(Self {
            wrapping: Wrapping::by(master),
            options,
            connection,
            _folder: folder,
        })
    }

    /// The rows of a query. A connection on which something failed, or whose caller has gone in the middle, is not used
    /// again: what was begun on it ends with it.
    async fn fetch(&self, text: &str, values: Vec<Value<'_>>) -> Result<Vec<SqliteRow>, StoreError> {
        let mut arguments = SqliteArguments::default();
        for value in values {
            arguments
                .add(value)
                .map_err(|error| of_store(sqlx::Error::Encode(error)))?;
        }
        let mut held = self.connection.lock().await;
        let mut connection = match held.take() {
            Some(connection) => connection,
            None => self.options.connect().await.map_err(of_store)?,
        };
        let fetched = sqlx::query_with(text, arguments).fetch_all(&mut connection).await;
        if fetched.is_ok() {
            *held = Some(connection);
        }
        fetched.map_err(of_store)
    }

    fn unwrap(&self, label: &str, row: &SqliteRow, index: usize) -> Result<KeyBytes, StoreError> {
        self.wrapping.open(label, row.try_get(index).map_err(of_store)?)
    }
}

#[async_trait]
impl KeyVault for EmbeddedKeyVault {
    async fn create(&self, user: UserId) -> Result<KeyBytes, StoreError> {
        let label = label_of(user);
        let wrapped = self.wrapping.new_key(&label);
        // One statement, so that of two at the same time both get the key of the first.
        let text = "INSERT INTO subject_keys (subject, wrapped_key, created_at) SELECT ?, ?, ? \
             WHERE NOT EXISTS (SELECT 1 FROM destroyed_subjects WHERE subject = ?) \
             ON CONFLICT (subject) DO UPDATE SET created_at = created_at RETURNING wrapped_key";
        let id = || Value::id(&user.0);
        let rows = self
            .fetch(text, vec![id(), Value::blob(wrapped), Value::int(now_ms()), id()])
            .await?;
        let row = rows
            .first()
            .ok_or_else(|| StoreError::unavailable("the key", "it is destroyed for ever"))?;
        self.unwrap(&label, row, 0)
    }

    async fn keys(&self, users: &[UserId]) -> Result<Vec<Option<KeyBytes>>, StoreError> {
        if users.is_empty() {
            return Ok(Vec::new());
        }
        let size = list_size(users.len());
        let text = format!(
            "SELECT subject, wrapped_key FROM subject_keys WHERE subject IN ({})",
            list(size)
        );
        let mut ids: Vec<_> = users.iter().map(|user| Value::id(&user.0)).collect();
        ids.resize(size, Value::NULL);
        let mut found = HashMap::new();
        for row in self.fetch(&text, ids).await? {
            let subject: &[u8] = row.try_get(0).map_err(of_store)?;
            let user = uuid::Uuid::from_slice(subject).map_err(|error| StoreError::corrupt("the key vault", error))?;
            found.insert(UserId(user), self.unwrap(&label_of(UserId(user)), &row, 1)?);
        }
        Ok(users.iter().map(|user| found.get(user).cloned()).collect())
    }

    async fn destroy(&self, user: UserId) -> Result<(), StoreError> {
        let text = "BEGIN IMMEDIATE; \
             INSERT INTO destroyed_subjects (subject, destroyed_at) VALUES (?, ?) ON CONFLICT DO NOTHING; \
             DELETE FROM subject_keys WHERE subject = ?; \
             COMMIT";
        let values = vec![Value::id(&user.0), Value::int(now_ms()), Value::id(&user.0)];
        self.fetch(text, values).await?;
        // The old page still lies in the log: copy and empty it, or the key can be found there.
        self.fetch("PRAGMA wal_checkpoint(TRUNCATE)", Vec::new())
            .await
            .map(drop)
    }

    async fn secret(&self, name: &str) -> Result<KeyBytes, StoreError> {
        let label = label_of_secret(name);
        let wrapped = self.wrapping.new_key(&label);
        let text = "INSERT INTO secrets (name, wrapped_key, created_at) VALUES (?, ?, ?) \
             ON CONFLICT (name) DO UPDATE SET created_at = created_at RETURNING wrapped_key";
        let rows = self
            .fetch(
                text,
                vec![Value::text(name), Value::blob(wrapped), Value::int(now_ms())],
            )
            .await?;
        let row = rows
            .first()
            .ok_or_else(|| StoreError::corrupt("the key vault", "a secret was not kept"))?;
        self.unwrap(&label, row, 0)
    }
}

fn now_ms() -> i64 {
    now_us() / 1_000
}

/// The master key in this file; made on first use. Without it nobody can read what was ever written, so a vault with keys
/// but without it is refused instead of given a new one.
fn master_key(path: &Path, is_new: bool) -> Result<MasterKey, OpenError> {
    let unavailable = |error| OpenError::unavailable(path, error);
    let found = master_key::read(path).map_err(|error| match error.kind() {
        io::ErrorKind::InvalidData => OpenError::unreadable(path, error),
        _ => unavailable(error),
    })?;
    match found {
        Some(key) => Ok(key),
        None if is_new => master_key::make(path).map_err(unavailable),
        None => Err(OpenError::unreadable(
            path,
            "it is missing, and there are keys that only it opens",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_master_key_is_not_replaced() {
        let folder = tempfile::tempdir().expect("a folder");
        assert!(matches!(
            master_key(&folder.path().join(MASTER_KEY), false),
            Err(OpenError::Unreadable { .. })
        ));
    }

    #[test]
    fn half_a_master_key_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(MASTER_KEY);
        std::fs::write(&path, "00ff").expect("it is written");
        assert!(matches!(master_key(&path, true), Err(OpenError::Unreadable { .. })));
    }
}
