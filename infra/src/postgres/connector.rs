//! How connections are opened: what the session is set to, how long it may take, and how often it is tried.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cocotalk_application::error::{StoreError, chain};
use sqlx::ConnectOptions as _;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use tokio::time::Instant;

use super::error::late;
use super::settings::Settings;
use crate::metrics::POSTGRES_CONNECTIONS_OPENED;
use crate::secret::Secret;

/// How long nobody tries again after a connection could not be opened: at first, and at most.
const FIRST_REST: Duration = Duration::from_millis(50);
const LONGEST_REST: Duration = Duration::from_secs(1);

/// Opens connections. When it could not, nobody tries for a while, so that a server that comes back is not run over.
pub(super) struct Connector {
    options: PgConnectOptions,
    wait: Duration,
    gate: Mutex<Gate>,
}

#[derive(Default)]
struct Gate {
    failures: u32,
    closed_until: Option<Instant>,
    why: String,
}

impl Connector {
    pub(super) fn new(settings: &Settings) -> Result<Self, StoreError> {
        let wrong = |why: String| StoreError::corrupt("the address of PostgreSQL", why);
        Ok(Self {
            options: session(parse(&settings.url).map_err(wrong)?, settings),
            wait: settings.connect(),
            gate: Mutex::default(),
        })
    }

    /// What connections are opened with.
    pub(super) const fn options(&self) -> &PgConnectOptions {
        &self.options
    }

    /// Opens one; `purpose` is for the metrics.
    pub(super) async fn open(&self, purpose: &'static str) -> Result<PgConnection, sqlx::Error> {
        self.check()?;
        let opening = tokio::time::timeout(self.wait, self.options.connect());
        let opened = opening.await.unwrap_or_else(|_| Err(late("connecting")));
        match &opened {
            Ok(_) => {
                *self.gate() = Gate::default();
                metrics::counter!(POSTGRES_CONNECTIONS_OPENED, "purpose" => purpose).increment(1);
            }
            Err(error) => self.gate().shut(error),
        }
        opened
    }

    fn check(&self) -> Result<(), sqlx::Error> {
        let gate = self.gate();
        match gate.closed_until {
            Some(until) if Instant::now() < until => {
                Err(io::Error::new(io::ErrorKind::NotConnected, gate.why.clone()).into())
            }
            Some(_) | None => Ok(()),
        }
    }

    fn gate(&self) -> MutexGuard<'_, Gate> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Gate {
    fn shut(&mut self, error: &sqlx::Error) {
        let rest = FIRST_REST.saturating_mul(1 << self.failures.min(10)).min(LONGEST_REST);
        self.failures += 1;
        self.closed_until = Some(Instant::now() + rest.mul_f64(rand::random_range(0.5..1.0)));
        self.why = format!("it could not be reached a moment ago: {}", chain(error));
    }
}

/// The address as the driver takes it. What is wrong with it is said without repeating it.
pub(super) fn parse(url: &Secret) -> Result<PgConnectOptions, String> {
    let url = url.expose();
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        return Err("it does not begin with postgres://".to_owned());
    }
    url.parse::<PgConnectOptions>().map_err(|error| error.to_string())
}

/// The settings of a session. Statements are many and the same, so plans are made once for a log of any size, and nothing
/// that we ask is better answered by reading a whole table. A peer that is gone is noticed before its locks hurt.
fn session(options: PgConnectOptions, settings: &Settings) -> PgConnectOptions {
    let ms = |ms: u64| ms.to_string();
    let options = options
        .application_name("cocotalk")
        .statement_cache_capacity(64)
        .options([
            ("statement_timeout", ms(settings.statement_ms)),
            ("lock_timeout", ms(settings.lock_ms)),
            ("idle_in_transaction_session_timeout", ms(settings.held_ms)),
            ("idle_session_timeout", "0".to_owned()),
            ("tcp_keepalives_idle", "5".to_owned()),
            ("tcp_keepalives_interval", "2".to_owned()),
            ("tcp_keepalives_count", "3".to_owned()),
            ("tcp_user_timeout", ms(10_000)),
            ("plan_cache_mode", "force_generic_plan".to_owned()),
            ("enable_seqscan", "off".to_owned()),
            ("jit", "off".to_owned()),
            ("default_transaction_isolation", "read\\ committed".to_owned()),
        ])
        .disable_statement_logging();
    if settings.role.is_empty() {
        options
    } else {
        options.options([("role", settings.role.as_str())])
    }
}
