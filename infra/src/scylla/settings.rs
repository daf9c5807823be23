//! The settings of the CQL store.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::secret::Secret;

/// How to reach and use the CQL store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Where to begin: `host:port` of a few nodes (`["127.0.0.1:9042"]`). The rest of the cluster is learnt from them.
    pub nodes: Vec<String>,
    /// The keyspace (`cocotalk`): one per installation.
    pub keyspace: String,
    /// Copies of each row that a new keyspace gets in every data centre (1, which is all that one node can hold; 3 in production).
    pub replication_factor: u16,
    /// The data centre of this process, whose nodes are asked first (empty: any).
    pub datacenter: String,
    /// The user (empty: none is asked for).
    pub user: String,
    /// The user's password.
    pub password: Secret,
    /// How long connecting and preparing may take, milliseconds (5,000).
    pub connect_ms: u64,
    /// How long a read may take, milliseconds (1,000: somebody waits for it).
    pub read_ms: u64,
    /// How long a write may take, milliseconds (2,000; projectors try again).
    pub write_ms: u64,
    /// Reads of this process at a time, and writes of it at a time (192: enough to keep a node busy, too few to make it shed
    /// load). Others wait for their turn.
    pub in_flight: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            nodes: vec!["127.0.0.1:9042".to_owned()],
            keyspace: "cocotalk".to_owned(),
            replication_factor: 1,
            datacenter: String::new(),
            user: String::new(),
            password: Secret::default(),
            connect_ms: 5_000,
            read_ms: 1_000,
            write_ms: 2_000,
            in_flight: 192,
        }
    }
}

/// A setting that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cql.{setting} {why}")]
pub struct InvalidSetting {
    /// Which.
    pub setting: &'static str,
    /// What is wrong with it.
    pub why: &'static str,
}

impl Settings {
    /// Whether a store can be used with them.
    ///
    /// # Errors
    /// The first one that makes no sense.
    pub fn validate(&self) -> Result<(), InvalidSetting> {
        let wrong = |setting, why| Err(InvalidSetting { setting, why });
        let is_address = |node: &String| {
            node.rsplit_once(':')
                .is_some_and(|(_, port)| port.parse::<u16>().is_ok())
        };
        if self.nodes.is_empty() || !self.nodes.iter().all(is_address) {
            return wrong("nodes", "must be `host:port`, at least one");
        }
        let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        let begins = self
            .keyspace
            .bytes()
            .next()
            .is_some_and(|byte| byte.is_ascii_lowercase());
        if !begins || self.keyspace.len() > 48 || !self.keyspace.bytes().all(is_name) {
            return wrong("keyspace", "must be 1 to 48 of a-z, 0-9 and _, and begin with a letter");
        }
        if self.replication_factor == 0 {
            return wrong("replication_factor", "must be at least 1");
        }
        if self.connect_ms == 0 || self.read_ms == 0 || self.write_ms == 0 {
            return wrong("connect_ms, read_ms and write_ms", "must be at least 1");
        }
        if !(1..=1_024).contains(&self.in_flight) {
            return wrong("in_flight", "must be 1 to 1,024");
        }
        Ok(())
    }

    pub(super) const fn connect(&self) -> Duration {
        Duration::from_millis(self.connect_ms)
    }

    pub(super) const fn read(&self) -> Duration {
        Duration::from_millis(self.read_ms)
    }

    pub(super) const fn write(&self) -> Duration {
        Duration::from_millis(self.write_ms)
    }
}
