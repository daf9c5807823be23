//! The sections `[http]` and `[limits]` of the configuration.

use std::fmt;
use std::time::Duration;

use cocotalk_domain::limits::Limits;
use ipnet::IpNet;
use serde::de::value::MapDeserializer;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// How requests are taken: the section `[http]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HttpSettings {
    /// Longest that a request may take, milliseconds (10,000: clients give up at about that time anyway). Its body must have
    /// arrived after three quarters of that: see [`HttpSettings::body_timeout`].
    pub request_timeout_ms: u64,
    /// Requests being answered at once before more are told to come back (2,048: a second and a half of work at the rate
    /// this server sees on a laptop, while each holds at most its body).
    pub max_in_flight: usize,
    /// Longest that a connection is kept until the head of its next request is there, milliseconds (75,000: longer than the
    /// minute for which proxies keep theirs, so that they close first).
    pub keep_alive_ms: u64,
    /// Longest from the first byte of a request's head to its last, and from a connection to the head of its first request,
    /// milliseconds (10,000: a head is one packet, or a few). At most `keep_alive_ms`.
    pub head_timeout_ms: u64,
    /// Connections of one client network (one IPv4 address, or a /64 of IPv6) at once (15,000: three quarters of
    /// `max_connections`, so that many people may be behind one address and nobody takes the last place). Further ones are answered 503 `busy`. A live socket is
    /// none of them, and neither are those of `trusted_proxies`, which stand for everybody.
    pub max_connections_per_network: usize,
    /// The proxies whose word about the client's address is taken, as CIDR ranges (none: the peer is the client).
    pub trusted_proxies: Vec<IpNet>,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            request_timeout_ms: 10_000,
            max_in_flight: 2_048,
            keep_alive_ms: 75_000,
            head_timeout_ms: 10_000,
            max_connections_per_network: 15_000,
            trusted_proxies: Vec::new(),
        }
    }
}

impl HttpSettings {
    /// Longest that a body may take to arrive: so much less than the whole that a client which is too slow is told so, and not
    /// that we were.
    pub fn body_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout_ms) * 3 / 4
    }

    /// What is wrong with them, each with the name of its setting.
    pub fn problems(&self) -> Vec<String> {
        let positive = [
            ("request_timeout_ms", self.request_timeout_ms),
            ("max_in_flight", self.max_in_flight as u64),
            ("keep_alive_ms", self.keep_alive_ms),
            ("head_timeout_ms", self.head_timeout_ms),
            ("max_connections_per_network", self.max_connections_per_network as u64),
        ];
        let zero = positive.into_iter().filter(|(_, value)| *value == 0);
        let zero = zero.map(|(name, _)| format!("http.{name} must be more than zero"));
        let never_over = (self.head_timeout_ms > self.keep_alive_ms).then(|| {
            "http.head_timeout_ms must be at most http.keep_alive_ms: no connection is kept longer for a head"
                .to_owned()
        });
        zero.chain(never_over).collect()
    }
}

/// How often somebody may ask: the section `[limits.rate]`. 0 = no limit. The whole period's worth may come in one burst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RateSettings {
    /// Commands of one account in a minute (1,200: 20 a second, far more than anybody types).
    pub commands_per_minute: u32,
    /// Queries of one account in a minute (6,000: several devices that all start at once).
    pub queries_per_minute: u32,
    /// Frames of one account on its live sockets in a minute (6,000).
    pub frames_per_minute: u32,
    /// Accounts made from one network in an hour (60: a school behind one address).
    pub sign_ups_per_hour: u32,
    /// Failed sign-ins of one handle from one network in 15 minutes, and ten times as many of one handle (10).
    pub sign_in_failures: u32,
    /// Verifications of one address in a day (10).
    pub verifications_per_day: u32,
    /// Seconds between two verifications of one address (60).
    pub verification_interval_s: u32,
}

impl Default for RateSettings {
    fn default() -> Self {
        Self {
            commands_per_minute: 1_200,
            queries_per_minute: 6_000,
            frames_per_minute: 6_000,
            sign_ups_per_hour: 60,
            sign_in_failures: 10,
            verifications_per_day: 10,
            verification_interval_s: 60,
        }
    }
}

/// Every bound that a user can meet: the section `[limits]`, with the rates in `[limits.rate]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LimitsSection {
    /// How much.
    #[serde(flatten)]
    pub limits: Limits,
    /// How often.
    pub rate: RateSettings,
}

/// By hand, since a flattened field would let unknown names pass: `rate` is taken out, the rest must be a [`Limits`].
impl<'de> Deserialize<'de> for LimitsSection {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Section;

        impl<'de> Visitor<'de> for Section {
            type Value = LimitsSection;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the limits and their table `rate`")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<LimitsSection, A::Error> {
                let mut rate = RateSettings::default();
                let mut limits: Vec<(String, u64)> = Vec::new();
                while let Some(name) = map.next_key::<String>()? {
                    if name == "rate" {
                        rate = map.next_value()?;
                    } else {
                        limits.push((name, map.next_value()?));
                    }
                }
                let limits = Limits::deserialize(MapDeserializer::new(limits.into_iter()));
                Ok(LimitsSection {
                    limits: limits.map_err(|error: serde::de::value::Error| A::Error::custom(error))?,
                    rate,
                })
            }
        }

        deserializer.deserialize_map(Section)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn limits_and_rates_stand_in_one_section() {
        let section: LimitsSection =
            serde_json::from_value(json!({"mentions": 7, "rate": {"commands_per_minute": 0}})).unwrap();
        assert_eq!(
            section.limits,
            Limits {
                mentions: 7,
                ..Limits::default()
            }
        );
        assert_eq!(
            section.rate,
            RateSettings {
                commands_per_minute: 0,
                ..RateSettings::default()
            }
        );
    }

    #[test]
    fn the_section_is_read_back_as_it_is_shown() {
        let section = LimitsSection::default();
        let shown = serde_json::to_value(&section).unwrap();
        assert_eq!(shown["text_chars"], 10_000);
        assert_eq!(serde_json::from_value::<LimitsSection>(shown).unwrap(), section);
    }

    #[test]
    fn an_unknown_limit_is_refused_by_name() {
        for unknown in [json!({"mention": 7}), json!({"rate": {"mention": 7}})] {
            let error = serde_json::from_value::<LimitsSection>(unknown).unwrap_err();
            assert!(error.to_string().contains("unknown field `mention`"), "{error}");
        }
    }

    #[test]
    fn proxies_are_ranges() {
        let settings: HttpSettings = serde_json::from_value(json!({"trusted_proxies": ["10.0.0.0/8"]})).unwrap();
        assert_eq!(settings.trusted_proxies, ["10.0.0.0/8".parse::<IpNet>().unwrap()]);
        assert!(serde_json::from_value::<HttpSettings>(json!({"trusted_proxies": ["ten"]})).is_err());
    }

    #[test]
    fn a_bound_of_zero_is_a_mistake() {
        assert_eq!(HttpSettings::default().problems(), [""; 0]);
        let settings = HttpSettings {
            max_in_flight: 0,
            ..HttpSettings::default()
        };
        assert_eq!(settings.problems(), ["http.max_in_flight must be more than zero"]);
        let settings = HttpSettings {
            max_connections_per_network: 0,
            ..HttpSettings::default()
        };
        assert_eq!(
            settings.problems(),
            ["http.max_connections_per_network must be more than zero"]
        );
    }

    #[test]
    fn a_time_for_heads_that_never_ends_is_a_mistake() {
        let with = |head_timeout_ms, keep_alive_ms| HttpSettings {
            keep_alive_ms,
            head_timeout_ms,
            ..HttpSettings::default()
        };
        assert_eq!(with(5_000, 5_000).problems(), [""; 0]);
        let [problem] = &with(5_001, 5_000).problems()[..] else {
            panic!("it is one mistake")
        };
        assert!(
            problem.starts_with("http.head_timeout_ms must be at most http.keep_alive_ms"),
            "{problem}"
        );
    }
}
