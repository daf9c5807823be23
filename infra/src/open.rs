//! The one place that knows which backend this is.

use std::sync::Arc;

use cocotalk_application::port::clock::Clock;
use cocotalk_application::port::event_log::EventLog;
use cocotalk_application::port::key_vault::KeyVault;
use cocotalk_application::port::live::{Ephemeral, EventFeed};
use cocotalk_application::port::read_model::ReadModel;
use cocotalk_application::projection::Projection;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::SystemClock;
use crate::embedded::{self, EmbeddedStore};
use crate::live::LocalEphemeral;

pub use crate::embedded::OpenError;

/// Where everything is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Backend {
    /// In one file in a folder of this machine.
    #[default]
    Embedded,
}

/// Settings of the backend: which one, and a section for each.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BackendSettings {
    /// Which one (`embedded`: it needs nothing but a folder).
    pub kind: Backend,
    /// Settings of the embedded one.
    pub embedded: embedded::Settings,
}

impl BackendSettings {
    /// Whether it can be opened with them.
    ///
    /// # Errors
    /// [`OpenError::Setting`] names the setting and what is wrong with it.
    pub fn validate(&self) -> Result<(), OpenError> {
        match self.kind {
            Backend::Embedded => self.embedded.validate(),
        }
    }
}

/// The ports of a backend.
#[derive(Clone)]
pub struct Ports {
    /// The event log.
    pub log: Arc<dyn EventLog>,
    /// What is committed, as it is committed.
    pub feed: Arc<dyn EventFeed>,
    /// What is never stored.
    pub ephemeral: Arc<dyn Ephemeral>,
    /// The read model.
    pub reads: Arc<dyn ReadModel>,
    /// The keys.
    pub keys: Arc<dyn KeyVault>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
}

/// Opens the backend. Its tasks run on `tasks` and end after `stop`, when what waits already is durable.
///
/// # Errors
/// [`OpenError`] says what is wrong with which file or setting.
pub async fn open(
    settings: &BackendSettings,
    projections: Vec<Arc<dyn Projection>>,
    tasks: &TaskTracker,
    stop: CancellationToken,
) -> Result<Ports, OpenError> {
    match settings.kind {
        Backend::Embedded => {
            let store = EmbeddedStore::open(&settings.embedded, projections, tasks, stop).await?;
            let keys = store.key_vault();
            let store = Arc::new(store);
            Ok(Ports {
                log: Arc::<EmbeddedStore>::clone(&store),
                feed: Arc::<EmbeddedStore>::clone(&store),
                ephemeral: Arc::new(LocalEphemeral::default()),
                reads: store,
                keys,
                clock: Arc::new(SystemClock),
            })
        }
    }
}
