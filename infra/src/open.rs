//! The one place that knows which backend this is.

use std::sync::Arc;

use cocotalk_application::error::{StoreError, chain};
#[cfg(feature = "cluster")]
use cocotalk_application::port::assignment::ProjectorPorts;
use cocotalk_application::port::clock::Clock;
use cocotalk_application::port::event_log::{EventLog, LogReader};
use cocotalk_application::port::key_vault::KeyVault;
use cocotalk_application::port::live::{Ephemeral, EventFeed};
use cocotalk_application::port::parking::Parking;
#[cfg(feature = "cluster")]
use cocotalk_application::port::publisher::RelayPorts;
use cocotalk_application::port::read_model::ReadModel;
use cocotalk_application::port::row_store::RowStore;
use cocotalk_application::projection::Projection;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::SystemClock;
#[cfg(feature = "cluster")]
use crate::cluster;
use crate::embedded::{self, EmbeddedStore};
use crate::live::LocalEphemeral;

/// A backend cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The embedded store cannot.
    #[error(transparent)]
    Embedded(#[from] embedded::OpenError),
    /// One of the servers cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl OpenError {
    /// Whether it is worth another try: the disk may get room, the server may come back.
    pub const fn may_pass(&self) -> bool {
        match self {
            Self::Embedded(embedded::OpenError::Unavailable { .. }) | Self::Store(StoreError::Unavailable { .. }) => {
                true
            }
            Self::Embedded(
                embedded::OpenError::Locked { .. }
                | embedded::OpenError::Unreadable { .. }
                | embedded::OpenError::Setting { .. },
            )
            | Self::Store(StoreError::Corrupt { .. }) => false,
        }
    }
}

/// Where everything is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Backend {
    /// In one file in a folder of this machine.
    #[default]
    Embedded,
    /// On PostgreSQL, Kafka and a CQL store.
    #[cfg(feature = "cluster")]
    Cluster,
}

/// Settings of the backend: which one, and a section for each.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BackendSettings {
    /// Which one (`embedded`: it needs nothing but a folder).
    pub kind: Backend,
    /// Settings of the embedded one.
    pub embedded: embedded::Settings,
    /// Settings of the cluster.
    #[cfg(feature = "cluster")]
    pub cluster: cluster::Settings,
}

impl BackendSettings {
    /// What makes no sense.
    pub fn problems(&self) -> Vec<String> {
        match self.kind {
            Backend::Embedded => {
                let wrong = self.embedded.validate().err();
                wrong.map(|error| error.to_string()).into_iter().collect()
            }
            #[cfg(feature = "cluster")]
            Backend::Cluster => self.cluster.problems(),
        }
    }

    /// Whether several processes can work on it.
    pub const fn is_shared(&self) -> bool {
        match self.kind {
            Backend::Embedded => false,
            #[cfg(feature = "cluster")]
            Backend::Cluster => true,
        }
    }
}

/// A part of the platform that stands on a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Taking commands.
    Commands,
    /// Answering queries, and telling sockets.
    Queries,
    /// Carrying events from the log to the bus.
    Relay,
    /// Making the read model from the bus.
    Projectors,
}

/// The ports of a backend, as far as they were asked for.
#[derive(Clone)]
pub struct Ports {
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// For commands, and for queries, which take commands over their sockets.
    pub log: Option<LogPorts>,
    /// For queries.
    pub views: Option<ViewPorts>,
    /// For the relay, where there is one.
    #[cfg(feature = "cluster")]
    pub relay: Option<RelayPorts>,
    /// For the projectors, where there are any.
    #[cfg(feature = "cluster")]
    pub projectors: Option<ProjectorPorts>,
    /// What else can be away, to be told to operators.
    pub watched: Vec<Arc<dyn Watched>>,
}

impl Ports {
    /// None but the clock yet.
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            log: None,
            views: None,
            #[cfg(feature = "cluster")]
            relay: None,
            #[cfg(feature = "cluster")]
            projectors: None,
            watched: Vec::new(),
        }
    }
}

/// Something that can be away while work goes on.
pub trait Watched: Send + Sync {
    /// Its name, and how it is now, in words; `ok` where there is nothing to say.
    fn look(&self) -> (&'static str, String);
}

/// The log and the keys of what is in it.
#[derive(Clone)]
pub struct LogPorts {
    /// The event log.
    pub log: Arc<dyn EventLog>,
    /// The keys.
    pub keys: Arc<dyn KeyVault>,
}

/// What queries and sockets see.
#[derive(Clone)]
pub struct ViewPorts {
    /// The read model.
    pub reads: Arc<dyn ReadModel>,
    /// What is committed, as it is committed.
    pub feed: Arc<dyn EventFeed>,
    /// What is never stored.
    pub ephemeral: Arc<dyn Ephemeral>,
}

/// Opens what `parts` need of the backend. Its tasks run on `tasks` and end after `stop`, when what waits already is durable.
///
/// The embedded store is whole: it has no relay and no projectors, because its writer does their work.
///
/// # Errors
/// [`OpenError`] says what is wrong with which file, server or setting.
pub async fn open(
    settings: &BackendSettings,
    #[cfg_attr(
        not(feature = "cluster"),
        expect(unused_variables, reason = "the embedded store is whole")
    )]
    parts: &[Part],
    projections: Vec<Arc<dyn Projection>>,
    tasks: &TaskTracker,
    stop: CancellationToken,
) -> Result<Ports, OpenError> {
    match settings.kind {
        Backend::Embedded => {
            let store = EmbeddedStore::open(&settings.embedded, projections, tasks, stop).await?;
            let keys = store.key_vault();
            let store = Arc::new(store);
            let mut opened = Ports::new(Arc::new(SystemClock));
            opened.log = Some(LogPorts {
                log: Arc::<EmbeddedStore>::clone(&store),
                keys,
            });
            opened.views = Some(ViewPorts {
                feed: Arc::<EmbeddedStore>::clone(&store),
                ephemeral: Arc::new(LocalEphemeral::default()),
                reads: store,
            });
            Ok(opened)
        }
        #[cfg(feature = "cluster")]
        Backend::Cluster => Ok(cluster::open(&settings.cluster, parts, &projections, tasks, &stop).await?),
    }
}

/// Brings every schema of the backend to this release, making what is not there. Of several at the same time one does it.
///
/// # Errors
/// [`OpenError`] says what is wrong with which file, server or setting.
pub async fn migrate(settings: &BackendSettings, projections: Vec<Arc<dyn Projection>>) -> Result<(), OpenError> {
    match settings.kind {
        Backend::Embedded => {
            let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
            let store = EmbeddedStore::open(&settings.embedded, projections, &tasks, stop.clone()).await?;
            drop(store);
            stop.cancel();
            tasks.close();
            tasks.wait().await;
            Ok(())
        }
        #[cfg(feature = "cluster")]
        Backend::Cluster => Ok(cluster::migrate(&settings.cluster, &projections).await?),
    }
}

/// How a dependency is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// As it should be.
    Fine,
    /// It works; an operator should know something.
    Noteworthy,
    /// It answers and cannot be used as it is.
    Wrong,
    /// It does not answer.
    Unreachable,
}

/// What an examination found out about one dependency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Which one.
    pub dependency: &'static str,
    /// How it is.
    pub health: Health,
    /// In words: version, schema, lag, or what is wrong.
    pub what: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

/// Looks at every dependency of the backend.
pub async fn examine(settings: &BackendSettings, projections: Vec<Arc<dyn Projection>>) -> Vec<Finding> {
    match settings.kind {
        Backend::Embedded => vec![examine_embedded(&settings.embedded, projections).await],
        #[cfg(feature = "cluster")]
        Backend::Cluster => cluster::examine(&settings.cluster, &projections).await,
    }
}

async fn examine_embedded(settings: &embedded::Settings, projections: Vec<Arc<dyn Projection>>) -> Finding {
    let dependency = "store";
    let folder = settings.folder.display();
    let found = |health, what, advice| Finding {
        dependency,
        health,
        what,
        advice,
    };
    if !settings.folder.exists() {
        let advice = "the first start makes it, or `cocotalk migrate`".to_owned();
        return found(
            Health::Noteworthy,
            format!("there is no folder {folder} yet"),
            Some(advice),
        );
    }
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    let opened = EmbeddedStore::open(settings, projections.clone(), &tasks, stop.clone()).await;
    let finding = match opened {
        Ok(store) => match lag(&store, &projections).await {
            Ok(0) => found(
                Health::Fine,
                format!("{folder} opens; every projection is at the end of the log"),
                None,
            ),
            Ok(lag) => found(
                Health::Noteworthy,
                format!("{folder} opens; the projections are {lag} events behind"),
                None,
            ),
            Err(error) => found(Health::Wrong, chain(&error), None),
        },
        Err(embedded::OpenError::Locked { .. }) => {
            let advice = "ask its /readyz".to_owned();
            found(Health::Noteworthy, format!("a server runs on {folder}"), Some(advice))
        }
        Err(error @ embedded::OpenError::Unavailable { .. }) => {
            let advice = "see to the rights on it and to the room on its disk".to_owned();
            found(Health::Unreachable, chain(&error), Some(advice))
        }
        Err(error @ (embedded::OpenError::Unreadable { .. } | embedded::OpenError::Setting { .. })) => {
            found(Health::Wrong, chain(&error), None)
        }
    };
    stop.cancel();
    tasks.close();
    tasks.wait().await;
    finding
}

/// How many events all projections together are behind the log.
async fn lag(store: &EmbeddedStore, projections: &[Arc<dyn Projection>]) -> Result<u64, StoreError> {
    let heads = store.heads().await?;
    let mut lag = 0;
    for projection in projections {
        let checkpoints = store.checkpoints(projection.name()).await?;
        let behind = heads.iter().zip(checkpoints).map(|(head, at)| head.saturating_sub(at));
        lag += behind.sum::<u64>();
    }
    Ok(lag)
}

/// What it takes to look after parked events: the log, the rows and where they wait. Nothing on a backend that keeps them to
/// itself.
pub type ParkedOf = (Arc<dyn LogReader>, Arc<dyn RowStore>, Arc<dyn Parking>);

/// Opens what it takes to look after parked events, beside running projectors.
///
/// # Errors
/// [`OpenError`] says what is wrong with which server or setting.
#[cfg_attr(
    not(feature = "cluster"),
    expect(clippy::unused_async, reason = "only a cluster is opened over a network")
)]
pub async fn open_parked(
    settings: &BackendSettings,
    #[cfg_attr(not(feature = "cluster"), expect(unused_variables, reason = "only a cluster has it"))] projections: Vec<
        Arc<dyn Projection>,
    >,
    #[cfg_attr(not(feature = "cluster"), expect(unused_variables, reason = "only a cluster has it"))]
    tasks: &TaskTracker,
    #[cfg_attr(not(feature = "cluster"), expect(unused_variables, reason = "only a cluster has it"))]
    stop: CancellationToken,
) -> Result<Option<ParkedOf>, OpenError> {
    match settings.kind {
        Backend::Embedded => Ok(None),
        #[cfg(feature = "cluster")]
        Backend::Cluster => Ok(Some(
            cluster::open_parked(&settings.cluster, &projections, tasks, stop).await?,
        )),
    }
}
