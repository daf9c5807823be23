//! The three real servers as one backend: what each part of the platform needs of which.
//!
//! | part | PostgreSQL | Kafka | CQL store |
//! | --- | --- | --- | --- |
//! | commands | log, keys | | |
//! | queries | log (changes, gaps, commands over sockets), keys | feed, ephemeral | read model |
//! | relay | outbox | publisher | |
//! | projectors | log (holes), parking | assignments | rows, checkpoints |

mod doctor;

use std::path::PathBuf;
use std::sync::Arc;

use cocotalk_application::error::StoreError;
use cocotalk_application::port::assignment::ProjectorPorts;
use cocotalk_application::port::publisher::RelayPorts;
use cocotalk_application::projection::Projection;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::SystemClock;
use crate::kafka::{self, KafkaAssignments, KafkaEphemeral, KafkaFeed, KafkaPublisher};
use crate::open::{LogPorts, ParkedOf, Part, Ports, ViewPorts, Watched};
use crate::postgres::{self, Database, PostgresEventLog, PostgresKeyVault, PostgresOutbox, PostgresParking};
use crate::scylla::{self, Cql, CqlReadModel, CqlRowStore};

pub(crate) use doctor::examine;

/// Settings of a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The file of the key that wraps all others, the same on every node that opens what people wrote (`master.key`).
    /// `cocotalk migrate` makes the first one.
    pub master_key_file: PathBuf,
    /// The event log and the keys.
    pub postgres: postgres::Settings,
    /// The bus.
    pub kafka: kafka::Settings,
    /// The read model.
    pub cql: scylla::Settings,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            master_key_file: "master.key".into(),
            postgres: postgres::Settings::default(),
            kafka: kafka::Settings::default(),
            cql: scylla::Settings::default(),
        }
    }
}

impl Settings {
    /// What makes no sense.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = self.postgres.problems();
        problems.extend(self.kafka.validate().err().map(|error| error.to_string()));
        problems.extend(self.cql.validate().err().map(|error| error.to_string()));
        problems
    }
}

/// Opens what the parts need, and nothing else: a process does not wait for a server that it never talks to.
pub(crate) async fn open(
    settings: &Settings,
    parts: &[Part],
    projections: &[Arc<dyn Projection>],
    tasks: &TaskTracker,
    stop: &CancellationToken,
) -> Result<Ports, StoreError> {
    let has = |part| parts.contains(&part);
    // What was begun by a try that fails in the middle ends with it.
    let stop = stop.child_token();
    let begun = stop.clone().drop_guard();
    let database = Database::open(&settings.postgres).await?;
    let log = Arc::new(PostgresEventLog::new(database.clone(), tasks, stop.clone()));
    let cql = if has(Part::Queries) || has(Part::Projectors) {
        Some(Cql::connect(&settings.cql).await?)
    } else {
        None
    };
    let mut opened = Ports::new(Arc::new(SystemClock));
    if has(Part::Commands) || has(Part::Queries) {
        let keys = PostgresKeyVault::open(database.clone(), &settings.master_key_file)?;
        opened.log = Some(LogPorts {
            log: Arc::<PostgresEventLog>::clone(&log),
            keys: Arc::new(keys),
        });
    }
    if let (true, Some(cql)) = (has(Part::Queries), &cql) {
        let feed = Arc::new(KafkaFeed::open(&settings.kafka, tasks, stop.clone()).await?);
        opened.watched.push(Arc::<KafkaFeed>::clone(&feed));
        opened.views = Some(ViewPorts {
            reads: Arc::new(CqlReadModel::open(cql, projections).await?),
            feed,
            ephemeral: Arc::new(KafkaEphemeral::open(&settings.kafka, tasks, stop.clone()).await?),
        });
    }
    if has(Part::Relay) {
        opened.relay = Some(RelayPorts {
            outbox: Arc::new(PostgresOutbox::new(database.clone())),
            publisher: Arc::new(KafkaPublisher::open(&settings.kafka)?),
        });
    }
    if let (true, Some(cql)) = (has(Part::Projectors), &cql) {
        opened.projectors = Some(ProjectorPorts {
            assignments: Arc::new(KafkaAssignments::open(&settings.kafka, tasks, stop.clone())?),
            log,
            rows: Arc::new(CqlRowStore::open(cql, projections).await?),
            parking: Arc::new(PostgresParking::new(database)),
        });
    }
    begun.disarm();
    Ok(opened)
}

/// What it takes to look after parked events.
pub(crate) async fn open_parked(
    settings: &Settings,
    projections: &[Arc<dyn Projection>],
    tasks: &TaskTracker,
    stop: CancellationToken,
) -> Result<ParkedOf, StoreError> {
    let database = Database::open(&settings.postgres).await?;
    let cql = Cql::connect(&settings.cql).await?;
    Ok((
        Arc::new(PostgresEventLog::new(database.clone(), tasks, stop)),
        Arc::new(CqlRowStore::open(&cql, projections).await?),
        Arc::new(PostgresParking::new(database)),
    ))
}

/// Brings every schema to this release. One process at a time, under a lock of the database.
pub(crate) async fn migrate(settings: &Settings, projections: &[Arc<dyn Projection>]) -> Result<(), StoreError> {
    Database::migrate(&settings.postgres, async |database| {
        PostgresKeyVault::prepare(database, &settings.master_key_file).await?;
        kafka::topics::ensure(&settings.kafka).await?;
        scylla::migrate(&settings.cql, projections).await
    })
    .await
}

impl Watched for KafkaFeed {
    fn look(&self) -> (&'static str, String) {
        ("bus", self.fault().unwrap_or_else(|| "ok".to_owned()))
    }
}
