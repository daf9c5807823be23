//! The settings of PostgreSQL.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::secret::Secret;

/// How to reach and use PostgreSQL.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Where it is: `postgres://user:password@host:port/database?sslmode=...` (`postgres://cocotalk@127.0.0.1:5432/cocotalk`).
    pub url: Secret,
    /// The role that connections act as (`cocotalk_app`, which can append events and never change one); empty keeps the user's own.
    pub role: String,
    /// Connections of this process (10: a batch holds one for the time of a commit, and the server's cores are few).
    pub connections: u32,
    /// How long to wait for a connection, milliseconds (2,000: then the caller is told to come back).
    pub connect_ms: u64,
    /// How long a statement may take, milliseconds (5,000: more than a batch of 512 events takes on a busy server).
    pub statement_ms: u64,
    /// How long a lock of slices may be held, milliseconds (5,000: nobody else can append there meanwhile).
    pub lock_ms: u64,
    /// How often the relay looks for new events when nobody rings, milliseconds (50: what a lost wake-up costs).
    pub poll_ms: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            url: "postgres://cocotalk@127.0.0.1:5432/cocotalk".into(),
            role: "cocotalk_app".to_owned(),
            connections: 10,
            connect_ms: 2_000,
            statement_ms: 5_000,
            lock_ms: 5_000,
            poll_ms: 50,
        }
    }
}

impl Settings {
    /// What makes no sense.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if let Err(error) = self.url.expose().parse::<sqlx::postgres::PgConnectOptions>() {
            problems.push(format!("postgres.url is no address of a database: {error}"));
        }
        if self.connections == 0 {
            problems.push("postgres.connections must be at least 1".to_owned());
        }
        if !self
            .role
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        {
            problems.push("postgres.role may have letters, digits and underscores only".to_owned());
        }
        let times = [
            ("connect_ms", self.connect_ms),
            ("statement_ms", self.statement_ms),
            ("lock_ms", self.lock_ms),
            ("poll_ms", self.poll_ms),
        ];
        let zero = times.iter().filter(|(_, ms)| *ms == 0);
        problems.extend(zero.map(|(name, _)| format!("postgres.{name} must be at least 1")));
        problems
    }

    pub(super) const fn connect(&self) -> Duration {
        Duration::from_millis(self.connect_ms)
    }

    pub(super) const fn statement(&self) -> Duration {
        Duration::from_millis(self.statement_ms)
    }

    pub(super) const fn lock(&self) -> Duration {
        Duration::from_millis(self.lock_ms)
    }

    pub(super) const fn poll(&self) -> Duration {
        Duration::from_millis(self.poll_ms)
    }
}
