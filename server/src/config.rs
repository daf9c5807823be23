//! The configuration: everybody's settings joined, `defaults < file < COCOTALK__SECTION__KEY < flags`.
//!
//! The only place that reads the environment. Everything is checked before any port is bound.

use std::net::SocketAddr;
use std::path::PathBuf;

use cocotalk_application::command_bus::BusSettings;
use cocotalk_application::sealing::KEY_TTL;
use cocotalk_edge::settings::{HttpSettings, LimitsSection};
use cocotalk_infra::open::BackendSettings;
use cocotalk_infra::telemetry::{LogSettings, OtlpSettings};
use cocotalk_query_api::live::LiveSettings;
use figment::Figment;
use figment::providers::{Env, Format, Serialized, Toml};
use serde::{Deserialize, Serialize};

use crate::cli::{Common, Listening};
use crate::role::Role;

/// Everything that can be configured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where clients connect (127.0.0.1:8080). Port 0 picks a free one.
    pub listen: SocketAddr,
    /// Where operators connect (127.0.0.1:9090); never public. Port 0 picks a free one.
    pub admin_listen: SocketAddr,
    /// Milliseconds that a stop may take before it is forced (15,000).
    pub stop_timeout_ms: u64,
    /// Connections at once (20,000); further ones wait.
    pub max_connections: usize,
    /// Threads that answer requests; 0 is one per core (0).
    pub worker_threads: usize,
    /// How requests are taken.
    pub http: HttpSettings,
    /// Every bound that a user can meet.
    pub limits: LimitsSection,
    /// Access tokens.
    pub auth: AuthSettings,
    /// The keys of what people wrote.
    pub keys: KeySettings,
    /// The command bus.
    pub bus: BusSettings,
    /// The live socket.
    pub live: LiveSettings,
    /// Where everything is stored.
    pub backend: BackendSettings,
    /// What is logged, and how.
    pub log: LogSettings,
    /// Where spans of commands are sent.
    pub otlp: OtlpSettings,
}

/// The section `[auth]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AuthSettings {
    /// Seconds that the token of an account made for development is good for (86,400): there is no refresh for them.
    pub dev_token_ttl_s: u64,
}

impl Default for AuthSettings {
    fn default() -> Self {
        Self {
            dev_token_ttl_s: 86_400,
        }
    }
}

/// The section `[keys]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KeySettings {
    /// Seconds that a process keeps the key of a person it has asked for (60): so long it opens what they wrote while the keys
    /// are away, and after their key was destroyed. At most 60: who is forgotten is so within a minute.
    pub kept_s: u64,
}

impl Default for KeySettings {
    fn default() -> Self {
        Self {
            kept_s: KEY_TTL.as_secs(),
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            admin_listen: SocketAddr::from(([127, 0, 0, 1], 9090)),
            stop_timeout_ms: 15_000,
            max_connections: 20_000,
            worker_threads: 0,
            http: HttpSettings::default(),
            limits: LimitsSection::default(),
            auth: AuthSettings::default(),
            keys: KeySettings::default(),
            bus: BusSettings::default(),
            live: LiveSettings::default(),
            backend: BackendSettings::default(),
            log: LogSettings::default(),
            otlp: OtlpSettings::default(),
        }
    }
}

/// A configuration that cannot be used, and why.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The named file is not there.
    #[error("there is no configuration file {0}")]
    NoFile(PathBuf),
    /// Something in it is not understood.
    #[error("the configuration is not understood: {0}")]
    NotUnderstood(Box<figment::Error>),
    /// What is understood makes no sense.
    #[error("{}", .0.join("; "))]
    Wrong(Vec<String>),
}

impl Config {
    /// The configuration that these options, the environment and the file give.
    pub fn load(common: &Common) -> Result<Self, ConfigError> {
        let mut figment = Figment::from(Serialized::defaults(Self::default()));
        if let Some(file) = &common.config {
            if !file.is_file() {
                return Err(ConfigError::NoFile(file.clone()));
            }
            figment = figment.merge(Toml::file_exact(file));
        }
        figment = figment.merge(Env::prefixed("COCOTALK__").split("__"));
        let mut config: Self = figment
            .extract()
            .map_err(|error| ConfigError::NotUnderstood(Box::new(error)))?;
        if let Some(folder) = &common.data {
            config.backend.embedded.folder.clone_from(folder);
        }
        Ok(config)
    }

    /// The configuration to serve with: the flags of the command line win.
    pub fn for_serving(role: Role, common: &Common, listening: Listening) -> Result<Self, ConfigError> {
        let mut config = Self::load(common)?;
        config.listen = listening.listen.unwrap_or(config.listen);
        config.admin_listen = listening.admin_listen.unwrap_or(config.admin_listen);
        config.validate_for(role)?;
        Ok(config)
    }

    /// What makes no sense, for a process of this role.
    pub fn validate_for(&self, role: Role) -> Result<(), ConfigError> {
        self.validate()?;
        if role != Role::All && !self.backend.is_shared() {
            let why = format!(
                "{} works on a backend that processes share: set backend.kind to cluster",
                role.name()
            );
            return Err(ConfigError::Wrong(vec![why]));
        }
        Ok(())
    }

    /// What makes no sense, all of it at once.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let mut wrong = self.http.problems();
        wrong.extend(self.backend.problems());
        wrong.extend(self.otlp.problems());
        if self.live.heartbeat_ms == 0 || self.live.hello_timeout_ms == 0 || self.live.write_timeout_ms == 0 {
            wrong.push("live: a time of 0 leaves nobody a chance".to_owned());
        }
        if self.keys.kept_s > KEY_TTL.as_secs() {
            wrong.push(format!("keys.kept_s must be at most {}", KEY_TTL.as_secs()));
        }
        let queues = [
            ("bus.lane_queue", self.bus.lane_queue),
            ("bus.batch_commands", self.bus.batch_commands),
            ("bus.batch_events", self.bus.batch_events),
            ("live.outbox_items", self.live.outbox_items),
            ("live.max_sockets", self.live.max_sockets),
            ("live.max_handshakes", self.live.max_handshakes),
            ("live.max_handshakes_per_network", self.live.max_handshakes_per_network),
            ("max_connections", self.max_connections),
        ];
        wrong.extend(
            queues
                .iter()
                .filter(|(_, size)| *size == 0)
                .map(|(name, _)| format!("{name} must be at least 1")),
        );
        if self.admin_listen.port() != 0 && self.admin_listen == self.listen {
            wrong.push("listen and admin_listen must differ".to_owned());
        }
        if wrong.is_empty() {
            Ok(())
        } else {
            Err(ConfigError::Wrong(wrong))
        }
    }

    /// The configuration as TOML; it has no secrets in it.
    pub fn to_toml(&self) -> anyhow::Result<String> {
        Ok(toml::to_string_pretty(self)?)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn load(text: &str) -> Result<Config, ConfigError> {
        let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
        file.write_all(text.as_bytes()).expect("it is written");
        Config::load(&Common {
            data: None,
            config: Some(file.path().to_owned()),
            json: false,
        })
    }

    #[test]
    fn a_bare_start_needs_no_file() {
        let config = Config::load(&Common {
            data: None,
            config: None,
            json: false,
        })
        .expect("defaults are right");
        assert!(config.validate().is_ok());
        assert_eq!(config, Config::default());
    }

    #[test]
    fn a_file_changes_what_it_names() {
        let config = load("listen = '127.0.0.1:1'\n[limits.rate]\ncommands_per_minute = 0\n").expect("it is right");
        assert_eq!(config.listen.port(), 1);
        assert_eq!(config.limits.rate.commands_per_minute, 0);
        assert_eq!(config.limits.limits, Config::default().limits.limits);
    }

    #[test]
    fn an_unknown_key_is_refused() {
        assert!(matches!(load("colour = 'red'"), Err(ConfigError::NotUnderstood(_))));
        assert!(matches!(
            load("[live]\ncolour = 'red'"),
            Err(ConfigError::NotUnderstood(_))
        ));
    }

    #[test]
    fn a_named_file_must_be_there() {
        let common = Common {
            data: None,
            config: Some("nowhere.toml".into()),
            json: false,
        };
        assert!(matches!(Config::load(&common), Err(ConfigError::NoFile(_))));
    }

    #[test]
    fn everything_that_makes_no_sense_is_said_at_once() {
        let config =
            load("max_connections = 0\n[bus]\nlane_queue = 0\n[keys]\nkept_s = 61\n").expect("it is understood");
        let Err(ConfigError::Wrong(wrong)) = config.validate() else {
            panic!("it is not right")
        };
        assert_eq!(wrong.len(), 3);
    }

    #[test]
    fn a_bound_of_zero_that_lets_nobody_in_is_refused_by_name() {
        for (section, name) in [
            ("http", "max_connections_per_network"),
            ("live", "max_sockets"),
            ("live", "max_handshakes"),
            ("live", "max_handshakes_per_network"),
        ] {
            let config = load(&format!("[{section}]\n{name} = 0\n")).expect("it is understood");
            let Err(ConfigError::Wrong(wrong)) = config.validate() else {
                panic!("{name} is not right")
            };
            assert!(
                wrong.len() == 1 && wrong[0].starts_with(&format!("{section}.{name} must be ")),
                "{wrong:?}"
            );
        }
    }

    #[test]
    fn what_is_dumped_is_read_back() {
        let dump = Config::default().to_toml().expect("it is plain data");
        assert_eq!(load(&dump).expect("it is right"), Config::default());
    }
}
