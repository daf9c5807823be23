//! The key vault: wrapped keys in the database, the master key in a file that every node has.

use std::collections::HashMap;
use std::path::Path;

use async_trait::async_trait;
use cocotalk_application::error::StoreError;
use cocotalk_application::port::key_vault::{KeyBytes, KeyVault};
use cocotalk_application::sealing::MasterKey;
use cocotalk_domain::id::UserId;
use uuid::Uuid;

use super::database::Database;
use crate::master_key;

/// The keys of a cluster.
pub struct PostgresKeyVault {
    database: Database,
    master: MasterKey,
}

impl PostgresKeyVault {
    /// The vault of a database, with the master key in this file.
    ///
    /// # Errors
    /// `Corrupt` where there is no key in it: a node must not make one of its own.
    pub fn open(database: Database, master_key_file: &Path) -> Result<Self, StoreError> {
        let no_key =
            |why: String| StoreError::corrupt("the master key", format!("{}: {why}", master_key_file.display()));
        let master = master_key::read(master_key_file)
            .map_err(|error| no_key(error.to_string()))?
            .ok_or_else(|| {
                no_key("it is not there; `cocotalk migrate` makes the first one, nodes share it".to_owned())
            })?;
        Ok(Self { database, master })
    }

    /// Makes the file of the master key, if it is not there and no key was ever wrapped in this database.
    ///
    /// # Errors
    /// `Corrupt` where it is lost: there are keys that only it opens.
    pub async fn prepare(database: &Database, master_key_file: &Path) -> Result<(), StoreError> {
        let wrong = |error: std::io::Error| {
            StoreError::corrupt("the master key", format!("{}: {error}", master_key_file.display()))
        };
        if master_key::read(master_key_file).map_err(wrong)?.is_some() {
            return Ok(());
        }
        let text = "SELECT EXISTS (SELECT 1 FROM subject_keys) OR EXISTS (SELECT 1 FROM secrets)";
        let used: bool = database
            .run(async |connection| sqlx::query_scalar(text).fetch_one(connection).await)
            .await?;
        if used {
            return Err(wrong(std::io::Error::other(
                "it is missing, and there are keys that only it opens",
            )));
        }
        master_key::make(master_key_file).map(drop).map_err(wrong)
    }

    fn unwrap(&self, label: &str, wrapped: &[u8]) -> Result<KeyBytes, StoreError> {
        let why = "a key was not wrapped by this master key";
        self.master
            .unwrap(label, wrapped)
            .ok_or_else(|| StoreError::corrupt("the key vault", why))
    }
}

fn label(user: UserId) -> String {
    format!("subject/{user}")
}

#[async_trait]
impl KeyVault for PostgresKeyVault {
    async fn create(&self, user: UserId) -> Result<KeyBytes, StoreError> {
        let label = label(user);
        let wrapped = self.master.wrap(&label, &rand::random());
        // One statement, so that of two at the same time both get the key of the first.
        let text = "INSERT INTO subject_keys (subject, wrapped_key) SELECT $1, $2 \
             WHERE NOT EXISTS (SELECT 1 FROM destroyed_subjects WHERE subject = $1) \
             ON CONFLICT (subject) DO UPDATE SET created_at = subject_keys.created_at RETURNING wrapped_key";
        let kept: Option<Vec<u8>> = self
            .database
            .run(async |connection| {
                sqlx::query_scalar(text)
                    .bind(user.0)
                    .bind(&wrapped)
                    .fetch_optional(connection)
                    .await
            })
            .await?;
        let kept = kept.ok_or_else(|| StoreError::unavailable("the key", "it is destroyed for ever"))?;
        self.unwrap(&label, &kept)
    }

    async fn keys(&self, users: &[UserId]) -> Result<Vec<Option<KeyBytes>>, StoreError> {
        if users.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<Uuid> = users.iter().map(|user| user.0).collect();
        let rows: Vec<(Uuid, Vec<u8>)> = self
            .database
            .run(async |connection| {
                sqlx::query_as("SELECT subject, wrapped_key FROM subject_keys WHERE subject = ANY($1)")
                    .bind(&ids)
                    .fetch_all(connection)
                    .await
            })
            .await?;
        let mut found = HashMap::new();
        for (subject, wrapped) in rows {
            found.insert(UserId(subject), self.unwrap(&label(UserId(subject)), &wrapped)?);
        }
        Ok(users.iter().map(|user| found.get(user).cloned()).collect())
    }

    async fn destroy(&self, user: UserId) -> Result<(), StoreError> {
        let text = "WITH gone AS (INSERT INTO destroyed_subjects (subject) VALUES ($1) ON CONFLICT DO NOTHING) \
             DELETE FROM subject_keys WHERE subject = $1";
        self.database
            .run(async |connection| sqlx::query(text).bind(user.0).execute(connection).await)
            .await
            .map(drop)
    }

    async fn secret(&self, name: &str) -> Result<KeyBytes, StoreError> {
        let label = format!("secret/{name}");
        let wrapped = self.master.wrap(&label, &rand::random());
        let text = "INSERT INTO secrets (name, wrapped_key) VALUES ($1, $2) \
             ON CONFLICT (name) DO UPDATE SET created_at = secrets.created_at RETURNING wrapped_key";
        let kept: Vec<u8> = self
            .database
            .run(async |connection| {
                sqlx::query_scalar(text)
                    .bind(name)
                    .bind(&wrapped)
                    .fetch_one(connection)
                    .await
            })
            .await?;
        self.unwrap(&label, &kept)
    }
}
