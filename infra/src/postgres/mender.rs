//! Whether writing works, and finding out when it works again, also where nobody is sent to us meanwhile.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cocotalk_application::error::chain;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::database::Database;
use super::error::{Fault, fault};

/// From one try to the next: at first, and at most.
const FIRST_REST: Duration = Duration::from_millis(100);
const LONGEST_REST: Duration = Duration::from_secs(2);

/// Whether writing works.
#[derive(Default)]
pub(super) struct Health {
    fault: Mutex<Option<String>>,
    fell_ill: Notify,
}

impl Health {
    /// Starts the task that makes a database that is well again known as such. It ends after `stop`.
    pub(super) fn mend(health: &Arc<Self>, database: Database, tasks: &TaskTracker, stop: CancellationToken) {
        let health = Arc::clone(health);
        tasks.spawn(async move {
            stop.run_until_cancelled(health.watch(&database)).await;
        });
    }

    /// Why writing failed a moment ago, if it has not worked since.
    pub(super) fn fault(&self) -> Option<String> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes how writing went.
    pub(super) fn note(&self, error: Option<&sqlx::Error>) {
        let why = match error.map(|error| (fault(error), error)) {
            None => None,
            Some((Fault::Server | Fault::Connection | Fault::Damage, error)) => Some(chain(error)),
            // Nothing is wrong with the server.
            Some((Fault::Collision | Fault::Values | Fault::Lock, _)) => return,
        };
        let is_ill = why.is_some();
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = why;
        if is_ill {
            self.fell_ill.notify_one();
        }
    }

    async fn watch(&self, database: &Database) {
        loop {
            self.fell_ill.notified().await;
            let mut rest = FIRST_REST;
            while self.fault().is_some() {
                tokio::time::sleep(rest.mul_f64(rand::random_range(0.5..1.0))).await;
                rest = rest.saturating_mul(2).min(LONGEST_REST);
                if write(database).await.is_ok() {
                    self.note(None);
                }
            }
        }
    }
}

/// Writes, without changing anything.
async fn write(database: &Database) -> Result<(), cocotalk_application::error::StoreError> {
    let text = "UPDATE slice_head SET pos = pos WHERE slice = 0";
    database
        .run(async |connection| sqlx::query(text).execute(connection).await.map(drop))
        .await
}
