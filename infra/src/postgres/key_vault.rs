//! The key vault: wrapped keys in the database, the master key in a file that every node has.

use std::collections::HashMap;
use std::path::Path;

use async_trait::async_trait;
use cocotalk_application::error::StoreError;
use cocotalk_application::port::key_vault::{KeyBytes, KeyVault};
use cocotalk_domain::id::UserId;
use uuid::Uuid;

use super::database::Database;
use crate::master_key::{self, Wrapping};

/// A secret that is used for nothing but to tell whether a master key is the one of this database.
const PROOF: &str = "proof of the master key";

/// The keys of a cluster.
pub struct PostgresKeyVault {
    database: Database,
    wrapping: Wrapping,
}

impl PostgresKeyVault {
    /// The vault of a database, with the master key in this file.
    ///
    /// # Errors
    /// `Corrupt` where there is no key in it: a node must not make one of its own.
    pub fn open(database: Database, master_key_file: &Path) -> Result<Self, StoreError> {
        let found = master_key::read(master_key_file).map_err(|error| wrong(master_key_file, error))?;
        let missing = "it is not there; `cocotalk migrate` makes the first one, nodes share it";
        let master = found.ok_or_else(|| wrong(master_key_file, missing))?;
        Ok(Self {
            database,
            wrapping: Wrapping::by(master),
        })
    }

    /// Makes the file of the master key, if it is not there and no key was ever wrapped in this database, and makes sure that
    /// it is the key of this database.
    ///
    /// # Errors
    /// `Corrupt` where it is lost or another one: there are keys that only the right one opens.
    pub async fn prepare(database: &Database, master_key_file: &Path) -> Result<(), StoreError> {
        if !is_there(master_key_file)? {
            // Looked for again, because another node may have made and used it meanwhile.
            if is_used(database).await? && !is_there(master_key_file)? {
                return Err(wrong(
                    master_key_file,
                    "it is missing, and there are keys that only it opens",
                ));
            }
            // Whoever made it meanwhile has made the one of both.
            master_key::make(master_key_file).map_err(|error| wrong(master_key_file, error))?;
        }
        let vault = Self::open(database.clone(), master_key_file)?;
        // Of two nodes that each made a file of their own, the one that comes second is told here.
        match vault.secret(PROOF).await {
            Err(StoreError::Corrupt { .. }) => Err(wrong(
                master_key_file,
                "it is not the one that wrapped the keys of this database",
            )),
            other => other.map(drop),
        }
    }
}

fn is_there(file: &Path) -> Result<bool, StoreError> {
    let found = master_key::read(file).map_err(|error| wrong(file, error))?;
    Ok(found.is_some())
}

fn wrong(file: &Path, why: impl std::fmt::Display) -> StoreError {
    StoreError::corrupt("the master key", format!("{}: {why}", file.display()))
}

/// Whether any key was ever wrapped.
async fn is_used(database: &Database) -> Result<bool, StoreError> {
    let text = "SELECT EXISTS (SELECT 1 FROM subject_keys) OR EXISTS (SELECT 1 FROM secrets)";
    database
        .run(async |connection| sqlx::query_scalar(text).fetch_one(connection).await)
        .await
}

#[async_trait]
impl KeyVault for PostgresKeyVault {
    async fn create(&self, user: UserId) -> Result<KeyBytes, StoreError> {
        let label = master_key::label_of(user);
        let wrapped = self.wrapping.new_key(&label);
        // One statement, so that of two at the same time both get the key of the first, and a destroyed one is met.
        let text = "INSERT INTO subject_keys (subject, wrapped_key) VALUES ($1, $2) \
             ON CONFLICT (subject) DO UPDATE SET created_at = subject_keys.created_at RETURNING wrapped_key";
        let kept: Option<Vec<u8>> = self
            .database
            .run(async |connection| {
                let making = sqlx::query_scalar(text).bind(user.0).bind(&wrapped);
                making.fetch_one(connection).await
            })
            .await?;
        let kept = kept.ok_or_else(|| StoreError::unavailable("the key", "it is destroyed for ever"))?;
        self.wrapping.open(&label, &kept)
    }

    async fn keys(&self, users: &[UserId]) -> Result<Vec<Option<KeyBytes>>, StoreError> {
        if users.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<Uuid> = users.iter().map(|user| user.0).collect();
        let text = "SELECT subject, wrapped_key FROM subject_keys WHERE subject = ANY($1) AND wrapped_key IS NOT NULL";
        let rows: Vec<(Uuid, Vec<u8>)> = self
            .database
            .run(async |connection| sqlx::query_as(text).bind(&ids).fetch_all(connection).await)
            .await?;
        let mut found = HashMap::new();
        for (subject, wrapped) in rows {
            let label = master_key::label_of(UserId(subject));
            found.insert(UserId(subject), self.wrapping.open(&label, &wrapped)?);
        }
        Ok(users.iter().map(|user| found.get(user).cloned()).collect())
    }

    async fn destroy(&self, user: UserId) -> Result<(), StoreError> {
        let text = "INSERT INTO subject_keys (subject, destroyed_at) VALUES ($1, now()) \
             ON CONFLICT (subject) DO UPDATE SET wrapped_key = NULL, destroyed_at = COALESCE(subject_keys.destroyed_at, now())";
        self.database
            .run(async |connection| sqlx::query(text).bind(user.0).execute(connection).await.map(drop))
            .await
    }

    async fn secret(&self, name: &str) -> Result<KeyBytes, StoreError> {
        let label = master_key::label_of_secret(name);
        let wrapped = self.wrapping.new_key(&label);
        let text = "INSERT INTO secrets (name, wrapped_key) VALUES ($1, $2) \
             ON CONFLICT (name) DO UPDATE SET created_at = secrets.created_at RETURNING wrapped_key";
        let kept: Vec<u8> = self
            .database
            .run(async |connection| {
                let making = sqlx::query_scalar(text).bind(name).bind(&wrapped);
                making.fetch_one(connection).await
            })
            .await?;
        self.wrapping.open(&label, &kept)
    }
}
