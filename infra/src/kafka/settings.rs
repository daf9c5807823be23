//! The settings of Kafka.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How to reach and use Kafka.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Where to begin: `host:port`, several joined by commas (`127.0.0.1:9092`). The rest of the cluster is learnt from it.
    pub brokers: String,
    /// What the brokers' logs call us (`cocotalk`).
    pub client_id: String,
    /// The topic of events (`cocotalk.events.v1`).
    pub events_topic: String,
    /// The topic of what is never stored (`cocotalk.ephemeral.v1`).
    pub ephemeral_topic: String,
    /// The group whose members share the slices (`cocotalk-projectors`).
    pub group: String,
    /// The name of this process in the group, one of its own for each; empty takes a new one at each start (empty). With a
    /// name a process that restarts within the session gets its slices back, and nobody else is disturbed; but when it leaves
    /// for good, its slices wait for the end of the session.
    pub instance: String,
    /// Copies of each partition that a new topic gets (1, which is all that one broker can hold; 3 in production). With two
    /// or more, an event counts as published when all copies but one have it.
    pub replication: u16,
    /// How long a new topic keeps events, hours (168, a week: who was away for longer reads the log).
    pub retention_h: u32,
    /// How long a question to the cluster may take, milliseconds (5,000).
    pub request_ms: u64,
    /// How long publishing may take, milliseconds (20,000: longer than it takes the cluster to choose another leader, so that
    /// a broker that dies costs a wait and no repetition).
    pub delivery_ms: u64,
    /// How long a member of the group may be silent before its slices are given to others, milliseconds (15,000: longer than
    /// a pause of a busy machine). The brokers refuse less than 6,000 unless told otherwise.
    pub session_ms: u64,
    /// How long a slice that is taken away may take to come to an end, milliseconds (5,000: one flush and then some).
    pub handover_ms: u64,
    /// How often the group is told how far it has come, milliseconds (5,000: it is a hint).
    pub acknowledge_ms: u64,
    /// Events of one slice that may wait for whoever follows it (1,000: two flushes of 500).
    pub queue_events: usize,
    /// Records that may be under way to the bus, KiB (131,072: many rounds of the relay; what is more waits in the log).
    pub publish_kib: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            brokers: "127.0.0.1:9092".to_owned(),
            client_id: "cocotalk".to_owned(),
            events_topic: "cocotalk.events.v1".to_owned(),
            ephemeral_topic: "cocotalk.ephemeral.v1".to_owned(),
            group: "cocotalk-projectors".to_owned(),
            instance: String::new(),
            replication: 1,
            retention_h: 7 * 24,
            request_ms: 5_000,
            delivery_ms: 20_000,
            session_ms: 15_000,
            handover_ms: 5_000,
            acknowledge_ms: 5_000,
            queue_events: 1_000,
            publish_kib: 131_072,
        }
    }
}

/// A setting that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("kafka.{setting} {why}")]
pub struct InvalidSetting {
    /// Which.
    pub setting: &'static str,
    /// What is wrong with it.
    pub why: &'static str,
}

/// Longest time that any setting may name: the driver counts milliseconds in 32 bits, and nobody waits for an hour.
const LONGEST_MS: u64 = 3_600_000;
/// Longest that a member of the group may go without asking for more. The handover of a slice has to fit in.
pub(super) const POLL_INTERVAL_MS: u64 = 60_000;

impl Settings {
    /// Whether a bus can be used with them.
    ///
    /// # Errors
    /// The first one that makes no sense.
    pub fn validate(&self) -> Result<(), InvalidSetting> {
        let wrong = |setting, why| Err(InvalidSetting { setting, why });
        if !self.brokers.split(',').all(is_address) {
            return wrong("brokers", "must be `host:port`, several joined by commas");
        }
        let topics = [
            ("events_topic", &self.events_topic),
            ("ephemeral_topic", &self.ephemeral_topic),
        ];
        for (setting, topic) in topics {
            if !is_name(topic, 249) {
                return wrong(
                    setting,
                    "must be 1 to 249 letters, digits, dots, hyphens and underscores",
                );
            }
        }
        if self.events_topic == self.ephemeral_topic {
            return wrong("ephemeral_topic", "must not be the topic of events");
        }
        if self.group.is_empty() {
            return wrong("group", "must not be empty");
        }
        if !is_name(&self.client_id, 200) {
            return wrong(
                "client_id",
                "must be 1 to 200 letters, digits, dots, hyphens and underscores",
            );
        }
        if !self.instance.is_empty() && !is_name(&self.instance, 249) {
            return wrong(
                "instance",
                "may have 249 letters, digits, dots, hyphens and underscores",
            );
        }
        if self.replication == 0 || self.replication > 9 {
            return wrong("replication", "must be 1 to 9");
        }
        if self.retention_h == 0 {
            return wrong("retention_h", "must be at least 1");
        }
        if self.queue_events == 0 {
            return wrong("queue_events", "must be at least 1");
        }
        if !(64..=2_000_000).contains(&self.publish_kib) {
            return wrong("publish_kib", "must be 64 to 2,000,000");
        }
        let times = [
            ("request_ms", self.request_ms),
            ("delivery_ms", self.delivery_ms),
            ("session_ms", self.session_ms),
            ("handover_ms", self.handover_ms),
            ("acknowledge_ms", self.acknowledge_ms),
        ];
        for (setting, ms) in times {
            if !(1..=LONGEST_MS).contains(&ms) {
                return wrong(setting, "must be 1 to 3,600,000");
            }
        }
        if self.handover_ms * 2 > POLL_INTERVAL_MS {
            return wrong(
                "handover_ms",
                "must be at most 30,000: longer, and the group gives up on us",
            );
        }
        if self.session_ms > POLL_INTERVAL_MS {
            return wrong("session_ms", "must be at most 60,000");
        }
        Ok(())
    }

    pub(super) const fn request(&self) -> Duration {
        Duration::from_millis(self.request_ms)
    }

    pub(super) const fn delivery(&self) -> Duration {
        Duration::from_millis(self.delivery_ms)
    }

    pub(super) const fn handover(&self) -> Duration {
        Duration::from_millis(self.handover_ms)
    }

    pub(super) const fn acknowledge(&self) -> Duration {
        Duration::from_millis(self.acknowledge_ms)
    }
}

fn is_address(broker: &str) -> bool {
    let port = broker.trim().rsplit_once(':').filter(|(host, _)| !host.is_empty());
    port.is_some_and(|(_, port)| port.parse::<u16>().is_ok_and(|port| port > 0))
}

/// Whether the brokers take it as a name, of a topic or of a member of a group.
fn is_name(name: &str, most: usize) -> bool {
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    (1..=most).contains(&name.len()) && name.bytes().all(is_legal) && name != "." && name != ".."
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_make_sense() {
        assert_eq!(Settings::default().validate(), Ok(()));
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        type Wrong = (fn(&mut Settings), &'static str);
        let wrong: [Wrong; 15] = [
            (|s| s.brokers = String::new(), "brokers"),
            (|s| "kafka:9092,elsewhere".clone_into(&mut s.brokers), "brokers"),
            (|s| "kafka:0".clone_into(&mut s.brokers), "brokers"),
            (|s| "all events".clone_into(&mut s.events_topic), "events_topic"),
            (|s| s.ephemeral_topic.clone_from(&s.events_topic), "ephemeral_topic"),
            (|s| s.group.clear(), "group"),
            (|s| s.client_id.clear(), "client_id"),
            (|s| "node 1".clone_into(&mut s.instance), "instance"),
            (|s| s.replication = 0, "replication"),
            (|s| s.retention_h = 0, "retention_h"),
            (|s| s.queue_events = 0, "queue_events"),
            (|s| s.publish_kib = 0, "publish_kib"),
            (|s| s.request_ms = 0, "request_ms"),
            (|s| s.handover_ms = 31_000, "handover_ms"),
            (|s| s.session_ms = 61_000, "session_ms"),
        ];
        for (spoil, setting) in wrong {
            let mut settings = Settings::default();
            spoil(&mut settings);
            assert_eq!(settings.validate().map_err(|error| error.setting), Err(setting));
        }
    }

    #[test]
    fn several_brokers_may_be_named() {
        let brokers = "one:9092, two.example:9093,[::1]:9094".to_owned();
        let settings = Settings {
            brokers,
            ..Settings::default()
        };
        assert_eq!(settings.validate(), Ok(()));
    }
}
