//! Hears the bell that rings after commits.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use sqlx::Executor as _;
use sqlx::postgres::{PgListener, PgPoolOptions};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::bell::CHANNEL;
use super::connector::Connector;
use super::database::Database;
use super::error::late;

/// After so long without a bell the connection is tried: one that is only half there is silent too.
const QUIET: Duration = Duration::from_secs(10);
/// How long that may take.
const TRY: Duration = Duration::from_secs(1);
/// How long nobody tries to listen again after it failed: at first, and at most.
const FIRST_REST: Duration = Duration::from_millis(50);
const LONGEST_REST: Duration = Duration::from_secs(2);

/// An ear. It is made when somebody listens, and made anew when it breaks.
pub(super) struct Listener {
    connector: Arc<Connector>,
    wait: Duration,
    ear: Mutex<Ear>,
}

/// What takes longer than a poll goes on at the next one.
enum Ear {
    /// Not before this instant; after so many failures.
    Deaf(Instant, u32),
    Opening(Opening, u32),
    Open(Box<PgListener>, Instant),
}

type Opening = Pin<Box<dyn Future<Output = Result<PgListener, sqlx::Error>> + Send>>;

impl Listener {
    pub(super) fn new(database: &Database) -> Self {
        Self {
            connector: Arc::clone(database.connector()),
            wait: database.settings().connect(),
            ear: Mutex::new(Ear::Deaf(Instant::now(), 0)),
        }
    }

    /// Waits for the bell, or for an ear: nobody knows what it would have heard before. Can be dropped and called again; what
    /// rings between two calls is heard.
    pub(super) async fn hear(&self) {
        let mut ear = self.ear.lock().await;
        loop {
            let next = match &mut *ear {
                Ear::Deaf(until, failures) => {
                    tokio::time::sleep_until(*until).await;
                    Ear::Opening(Box::pin(open(Arc::clone(&self.connector), self.wait)), *failures)
                }
                Ear::Opening(opening, failures) => match opening.await {
                    Ok(listener) => {
                        *ear = Ear::Open(Box::new(listener), Instant::now() + QUIET);
                        return;
                    }
                    Err(error) => deaf(&error, *failures),
                },
                Ear::Open(listener, quiet) => match tokio::time::timeout_at(*quiet, listener.try_recv()).await {
                    Ok(Ok(Some(_))) => {
                        // One answer for all that rang.
                        while listener.next_buffered().is_some() {}
                        *quiet = Instant::now() + QUIET;
                        return;
                    }
                    Ok(Ok(None)) => Ear::Deaf(Instant::now(), 0),
                    Ok(Err(error)) => deaf(&error, 0),
                    Err(_quiet) => {
                        let Ear::Open(listener, _) = std::mem::replace(&mut *ear, Ear::Deaf(Instant::now(), 0)) else {
                            continue;
                        };
                        Ear::Opening(Box::pin(try_out(*listener)), 0)
                    }
                },
            };
            *ear = next;
        }
    }
}

fn deaf(error: &sqlx::Error, failures: u32) -> Ear {
    tracing::debug!("the relay polls, because it cannot listen: {error}");
    let rest = FIRST_REST.saturating_mul(1 << failures.min(10)).min(LONGEST_REST);
    Ear::Deaf(
        Instant::now() + rest.mul_f64(rand::random_range(0.5..1.0)),
        failures + 1,
    )
}

async fn open(connector: Arc<Connector>, wait: Duration) -> Result<PgListener, sqlx::Error> {
    let opening = async {
        // The driver's listener wants a pool; it gets one for itself.
        let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(wait);
        let pool = pool.connect_with(connector.options().clone()).await?;
        let mut listener = PgListener::connect_with(&pool).await?;
        listener.eager_reconnect(false);
        listener.listen(CHANNEL).await?;
        Ok(listener)
    };
    tokio::time::timeout(wait, opening)
        .await
        .unwrap_or_else(|_| Err(late("beginning to listen")))
}

async fn try_out(mut listener: PgListener) -> Result<PgListener, sqlx::Error> {
    let asked = tokio::time::timeout(TRY, listener.execute("SELECT 1")).await;
    asked.unwrap_or_else(|_| Err(late("an answer")))?;
    Ok(listener)
}
