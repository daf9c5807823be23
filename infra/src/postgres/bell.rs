//! Tells the relay that something was committed: after the commit and from another connection, because a notification inside
//! the transaction would make all commits of the server wait for one another. At most once a millisecond.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::database::Database;

/// The channel of the notifications.
pub(super) const CHANNEL: &str = "cocotalk_appended";
/// Between two notifications.
const REST: Duration = Duration::from_millis(1);

/// The bell of a log. Clones are the same bell.
#[derive(Clone, Default)]
pub(super) struct Bell(Arc<Notify>);

impl Bell {
    pub(super) fn start(database: Database, tasks: &TaskTracker, stop: CancellationToken) -> Self {
        let bell = Self::default();
        let rung = Arc::clone(&bell.0);
        tasks.spawn(async move {
            let ringing = async {
                loop {
                    rung.notified().await;
                    // A notification that is lost costs a poll of the relay, so nothing is done about it.
                    let told = database
                        .run(async |connection| {
                            sqlx::query("SELECT pg_notify($1, '')")
                                .bind(CHANNEL)
                                .execute(connection)
                                .await
                        })
                        .await;
                    if let Err(error) = told {
                        tracing::debug!("the relay was not told of a commit: {error}");
                    }
                    tokio::time::sleep(REST).await;
                }
            };
            stop.run_until_cancelled(ringing).await;
        });
        bell
    }

    /// Says that something was committed.
    pub(super) fn ring(&self) {
        self.0.notify_one();
    }
}
