//! The settings of PostgreSQL.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::connector;
use crate::secret::Secret;

/// How much longer than the server we wait for a statement: its own answer that it took too long says more than ours.
const GRACE: Duration = Duration::from_millis(500);

/// How to reach and use PostgreSQL.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Where it is: `postgres://user:password@host:port/database?sslmode=...` (none: a secret has no default, it has to be set).
    pub url: Secret,
    /// The role that connections act as (`cocotalk_app`, which can append events and never change one); empty keeps the user's own.
    pub role: String,
    /// Connections of this process that read (10: more than that wait for one another on the server's cores).
    pub connections: usize,
    /// Connections of this process that decide under lock (4: whoever lost a race; the rest waits here and not at the server).
    pub lockers: usize,
    /// Connections of this process that append, each for a part of the slices (2: while one commits, the other works; more make
    /// smaller batches).
    pub writers: usize,
    /// Events after which a batch goes although more wait (512: larger ones win nothing and make everybody wait longer).
    pub batch_events: usize,
    /// Bytes of payload after which a batch goes although more wait (1 MiB).
    pub batch_bytes: usize,
    /// Calls that may wait for each of them (1,024: 64 lanes with one batch each, and room for everything else).
    pub queue_calls: usize,
    /// How long to wait for a connection, milliseconds (2,000: then the caller is told to come back).
    pub connect_ms: u64,
    /// How long a statement may take, milliseconds (5,000: more than a batch of 512 events takes on a busy server).
    pub statement_ms: u64,
    /// How long a statement waits for somebody else's lock, milliseconds (4,000: longer than one may be held).
    pub lock_ms: u64,
    /// How long a lock may be held, milliseconds (3,000: nobody else can append there meanwhile). Then it is lost.
    pub held_ms: u64,
    /// How often the relay looks for new events when nobody rings, milliseconds (50: what a lost wake-up costs).
    pub poll_ms: u64,
    /// How long a relay that leads may be silent until others may lead, milliseconds (15,000: it says something every second,
    /// and a busy machine makes it late). At least 10,000.
    pub silence_ms: u64,
}

/// Shorter, and a leader that only waits for an answer would be taken for dead.
const LEAST_SILENCE_MS: u64 = 10_000;

impl Default for Settings {
    fn default() -> Self {
        Self {
            url: Secret::default(),
            role: "cocotalk_app".to_owned(),
            connections: 10,
            lockers: 4,
            writers: 2,
            batch_events: 512,
            batch_bytes: 1 << 20,
            queue_calls: 1_024,
            connect_ms: 2_000,
            statement_ms: 5_000,
            lock_ms: 4_000,
            held_ms: 3_000,
            poll_ms: 50,
            silence_ms: 15_000,
        }
    }
}

impl Settings {
    /// What makes no sense.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if let Err(why) = connector::parse(&self.url) {
            problems.push(format!("postgres.url is no address of a database: {why}"));
        }
        let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if !self.role.bytes().all(is_plain) {
            problems.push("postgres.role may have lowercase letters, digits and underscores only".to_owned());
        }
        let numbers = [
            ("connections", self.connections as u64, 100),
            ("lockers", self.lockers as u64, 100),
            ("writers", self.writers as u64, 100),
            ("batch_events", self.batch_events as u64, 1 << 16),
            ("batch_bytes", self.batch_bytes as u64, 1 << 28),
            ("queue_calls", self.queue_calls as u64, 1 << 20),
            ("connect_ms", self.connect_ms, 600_000),
            ("statement_ms", self.statement_ms, 600_000),
            ("lock_ms", self.lock_ms, 600_000),
            ("held_ms", self.held_ms, 600_000),
            ("poll_ms", self.poll_ms, 600_000),
            ("silence_ms", self.silence_ms, 600_000),
        ];
        let wrong = numbers.iter().filter(|(_, value, most)| !(1..=*most).contains(value));
        problems.extend(wrong.map(|(name, _, most)| format!("postgres.{name} must be 1 to {most}")));
        if (1..LEAST_SILENCE_MS).contains(&self.silence_ms) {
            problems.push(format!("postgres.silence_ms must be at least {LEAST_SILENCE_MS}"));
        }
        if self.lock_ms > self.statement_ms {
            problems.push("postgres.lock_ms must be at most postgres.statement_ms".to_owned());
        }
        problems
    }

    pub(super) const fn connect(&self) -> Duration {
        Duration::from_millis(self.connect_ms)
    }

    /// How long we wait for a statement.
    pub(super) fn statement(&self) -> Duration {
        Duration::from_millis(self.statement_ms) + GRACE
    }

    pub(super) const fn held(&self) -> Duration {
        Duration::from_millis(self.held_ms)
    }

    pub(super) const fn poll(&self) -> Duration {
        Duration::from_millis(self.poll_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_can_be_used_with_an_address() {
        assert_eq!(somewhere().problems(), Vec::<String>::new());
        assert!(Settings::default().problems()[0].starts_with("postgres.url"));
    }

    fn somewhere() -> Settings {
        Settings {
            url: Secret::from("postgres://cocotalk@127.0.0.1:5432/cocotalk"),
            ..Settings::default()
        }
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        let problem = |change: fn(&mut Settings)| {
            let mut settings = somewhere();
            change(&mut settings);
            settings.problems().join("; ")
        };
        for (name, change) in [
            (
                "postgres.url",
                (|s| s.url = Secret::from("mysql://a/b")) as fn(&mut Settings),
            ),
            ("postgres.role", |s| s.role = "app -c x=y".to_owned()),
            ("postgres.connections", |s| s.connections = 0),
            ("postgres.batch_events", |s| s.batch_events = 0),
            ("postgres.connect_ms", |s| s.connect_ms = 0),
            ("postgres.lock_ms", |s| s.lock_ms = 60_000),
            ("postgres.silence_ms", |s| s.silence_ms = 9_999),
        ] {
            assert!(problem(change).starts_with(name), "{}", problem(change));
        }
    }

    #[test]
    fn the_address_is_not_shown() {
        let settings = Settings {
            url: Secret::from("postgres://a:hunter2@b/c"),
            ..Settings::default()
        };
        assert!(
            !serde_json::to_string(&settings)
                .expect("it is text")
                .contains("hunter2")
        );
        assert!(!format!("{settings:?}").contains("hunter2"));
    }
}
