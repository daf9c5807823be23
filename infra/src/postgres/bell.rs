//! Tells the relay that something was committed: after the commit and from another connection, because a notification inside
//! the transaction would make all commits of the server wait for one another. At most once a millisecond.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::database::Database;

/// The channel of the notifications.
pub(super) const CHANNEL: &str = "cocotalk_appended";
/// From one notification to the next, at least.
const REST: Duration = Duration::from_millis(1);

/// The bell of a log. Clones are the same bell.
#[derive(Clone, Default)]
pub(super) struct Bell(Arc<Notify>);

impl Bell {
    /// A bell whose task ends after `stop`.
    pub(super) fn start(database: Database, tasks: &TaskTracker, stop: CancellationToken) -> Self {
        let bell = Self::default();
        let rung = Arc::clone(&bell.0);
        tasks.spawn(async move {
            stop.run_until_cancelled(pass_on(&rung, &database)).await;
        });
        bell
    }

    /// Says that something was committed.
    pub(super) fn ring(&self) {
        self.0.notify_one();
    }
}

async fn pass_on(rung: &Notify, database: &Database) {
    let mut pace = tokio::time::interval(REST);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        rung.notified().await;
        pace.tick().await;
        let notify = async |connection: &mut sqlx::PgConnection| {
            let notify = sqlx::query("SELECT pg_notify($1, '')").bind(CHANNEL);
            notify.execute(connection).await
        };
        // One that is lost costs the relay a poll, so nothing else is done about it.
        if let Err(error) = database.run(notify).await {
            tracing::debug!("the relay was not told of a commit: {error}");
        }
    }
}
