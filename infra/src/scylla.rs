//! The read model of a cluster, in a CQL store: ScyllaDB, or Apache Cassandra 5.
//!
//! - `rows`: what projections write. Every cell carries its event's time, so that writing again changes nothing.
//! - `reads`: what queries see. Point reads and slices of one partition, side by side where there are several.
//! - `schema`: tables from `migrations/cql`, which carry the version of their projection in their names.
//!
//! Only what both engines have is used: no counters, no conditional writes, no views, no indexes, nothing named by an option
//! of one of them. Every statement is prepared, names whole partition keys, and may be executed twice.

mod reads;
mod rows;
mod schema;
mod settings;

use std::sync::Arc;
use std::time::Duration;

use cocotalk_application::error::StoreError;
use scylla::client::execution_profile::{ExecutionProfile, ExecutionProfileHandle};
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::errors::{DbError, PrepareError, RequestAttemptError};
use scylla::policies::speculative_execution::SimpleSpeculativeExecutionPolicy;
use scylla::statement::Consistency;
use scylla::statement::prepared::PreparedStatement;

pub use reads::CqlReadModel;
pub use rows::CqlRowStore;
pub use schema::{Standing, migrate};
pub use settings::{InvalidSetting, Settings};

use crate::metrics::CQL_REQUESTS;

/// The store as operators know it.
const STORE: &str = "the CQL store";
/// How far a bucket of messages reaches: as many seqs as two to this power.
const BUCKET_SHIFT: u32 = 12;

/// How long a node may take to answer a read until another one is asked too.
const ASK_ANOTHER: Duration = Duration::from_millis(50);

/// A connection to the cluster. Clones are the same connection.
#[derive(Clone)]
pub struct Cql {
    session: Arc<Session>,
    settings: Arc<Settings>,
    reading: ExecutionProfileHandle,
    writing: ExecutionProfileHandle,
}

/// What a statement is for: how long it may take, and whether a second node is asked when the first is slow.
#[derive(Clone, Copy)]
enum Use {
    Read,
    Write,
}

impl Cql {
    /// Connects, and sees that the keyspace is there.
    ///
    /// # Errors
    /// `Unavailable` where no node answers, `Corrupt` where there is no such keyspace.
    pub async fn connect(settings: &Settings) -> Result<Self, StoreError> {
        let cql = Self::connect_to_cluster(settings).await?;
        if schema::exists(&cql).await? {
            return Ok(cql);
        }
        let why = format!("there is no keyspace {}: run `cocotalk migrate`", settings.keyspace);
        Err(StoreError::corrupt(STORE, why))
    }

    /// Connects, whatever is there.
    async fn connect_to_cluster(settings: &Settings) -> Result<Self, StoreError> {
        let profile = || ExecutionProfile::builder().consistency(Consistency::LocalQuorum);
        let writing = profile().request_timeout(Some(settings.write())).build().into_handle();
        let second_node = SimpleSpeculativeExecutionPolicy {
            max_retry_count: 1,
            retry_interval: ASK_ANOTHER,
        };
        let reading = profile()
            .request_timeout(Some(settings.read()))
            .speculative_execution_policy(Some(Arc::new(second_node)))
            .build()
            .into_handle();
        let mut builder = SessionBuilder::new()
            .known_nodes(&settings.nodes)
            .connection_timeout(settings.connect())
            .default_execution_profile_handle(writing.clone());
        if !settings.user.is_empty() {
            builder = builder.user(&settings.user, settings.password.expose());
        }
        if !settings.datacenter.is_empty() {
            builder = builder.prefer_datacenter(settings.datacenter.clone());
        }
        // With its metrics the driver is large before it is there.
        let session = within(settings.connect(), Box::pin(builder.build())).await?;
        Ok(Self {
            session: Arc::new(session.map_err(|error| StoreError::unavailable(STORE, error))?),
            settings: Arc::new(settings.clone()),
            reading,
            writing,
        })
    }

    /// Tells how many requests the driver has sent so far, whatever for.
    fn count_requests(&self) {
        let counted = self.session.get_metrics();
        let requests = counted.get_requests_unpaged_num()
            + counted.get_requests_manually_paged_num()
            + counted.get_requests_automatically_paged_num();
        metrics::counter!(CQL_REQUESTS).absolute(requests);
    }

    /// Prepares a statement for a use.
    async fn prepare(&self, text: &str, use_: Use) -> Result<PreparedStatement, StoreError> {
        let preparing = within(self.settings.connect(), self.session.prepare(text)).await?;
        let mut statement = preparing.map_err(not_prepared)?;
        statement.set_is_idempotent(true);
        statement.set_page_size(1_000);
        let profile = match use_ {
            Use::Write => &self.writing,
            Use::Read => &self.reading,
        };
        statement.set_execution_profile_handle(Some(profile.clone()));
        Ok(statement)
    }
}

/// What it comes to, within a time.
async fn within<T>(time: Duration, what: impl Future<Output = T>) -> Result<T, StoreError> {
    tokio::time::timeout(time, what)
        .await
        .map_err(|_| StoreError::unavailable(STORE, "it did not answer in time"))
}

/// A statement that the store refuses names a table or a column that is not there: asking again does not help.
fn not_prepared(error: PrepareError) -> StoreError {
    match &error {
        PrepareError::AllAttemptsFailed {
            first_attempt: RequestAttemptError::DbError(DbError::Invalid, why),
        } => damaged(format!("{why}: run `cocotalk migrate`")),
        _ => unavailable(error),
    }
}

fn unavailable(error: impl std::error::Error + Send + Sync + 'static) -> StoreError {
    StoreError::unavailable(STORE, error)
}

fn damaged(error: impl std::fmt::Display) -> StoreError {
    StoreError::corrupt(STORE, error)
}
