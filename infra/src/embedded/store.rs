//! The store itself: opening it, and what its parts share.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use cocotalk_application::port::live::{Committed, EventFeed};
use cocotalk_application::projection::Projection;
use cocotalk_domain::stream::{SLICES, StreamId};
use sqlx::Row as _;
use tokio::runtime::Handle;
use tokio::sync::{broadcast, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::copier::Copier;
use super::error::OpenError;
use super::folder::{self, DATABASE, Folder};
use super::key_vault::EmbeddedKeyVault;
use super::progress::Progress;
use super::readers::Readers;
use super::script::{Value, WriteConnection};
use super::settings::Settings;
use super::staging::SliceHead;
use super::writer::{Bounds, Request, Writer};
use super::{connect, texts};
use cocotalk_application::following::{Aggregate, Followed};

/// Most projections in one store: one bit each in the statements that move checkpoints.
const MOST_PROJECTIONS: usize = 16;
/// How long commits may wait for the copier to end.
const PAUSE: Duration = Duration::from_millis(250);

/// The embedded store. Clones are the same store.
#[derive(Clone)]
pub struct EmbeddedStore {
    pub(super) shared: Arc<Shared>,
}

pub(super) struct Shared {
    pub(super) readers: Arc<Readers>,
    pub(super) requests: mpsc::Sender<Request>,
    pub(super) progress: Arc<Progress>,
    pub(super) feed: broadcast::Sender<Committed>,
    keys: Arc<EmbeddedKeyVault>,
}

impl EmbeddedStore {
    /// Opens the store of a data folder, making it if it is not there.
    ///
    /// Its tasks run on `tasks` and end after `stop` (or when the last clone is dropped), when what waits already is durable.
    /// The folder is free again when they have ended and the store and its key vault are dropped. Projections that are behind are caught up beside everything else. The time this takes does not depend on
    /// the number of events.
    ///
    /// # Errors
    /// [`OpenError::Locked`] if another server runs on the folder, [`OpenError::Unavailable`] if it cannot be written.
    pub async fn open(
        settings: &Settings,
        projections: Vec<Arc<dyn Projection>>,
        tasks: &TaskTracker,
        stop: CancellationToken,
    ) -> Result<Self, OpenError> {
        settings.validate()?;
        if projections.len() > MOST_PROJECTIONS {
            let why = format!("one store follows at most {MOST_PROJECTIONS}");
            return Err(OpenError::Setting {
                setting: "projections",
                why,
            });
        }
        folder::survive_file_size_limit();
        let folder = Arc::new(Folder::take(&settings.folder)?);
        let path = folder.file(DATABASE);
        let failed = |error| OpenError::of_driver(&path, error);

        let keys = Arc::new(EmbeddedKeyVault::open(Arc::clone(&folder)).await?);
        let options = connect::writer(&path, settings);
        let connection = connect::open(&path, &options, &connect::STORE).await?;
        if let Err(error) = folder::prepare_log(&path, settings.log_prepared_bytes) {
            tracing::warn!("the write-ahead log could not be prepared, so commits are slower: {error}");
        }
        let names = projections
            .iter()
            .map(|projection| (projection.name(), projection.version()))
            .collect();
        let mut connection = WriteConnection::new(options, connection, names);
        let slices = heads(&mut connection).await.map_err(failed)?;
        let mut followed = Vec::with_capacity(projections.len());
        for projection in projections {
            followed.push(follow(&mut connection, projection).await.map_err(failed)?);
        }
        let readers = Readers::open(connect::reader(&path, settings), settings.readers)
            .await
            .map_err(failed)?;
        let readers = Arc::new(readers);

        let (sender, receiver) = mpsc::channel(settings.queue_requests);
        let positions = followed
            .iter()
            .map(|followed| (followed.projection.name(), &followed.positions));
        let progress = Arc::new(Progress::new(&slices.map(|head| head.pos), positions));
        let feed = crate::live::commits();
        let bounds = Bounds {
            batch_events: settings.batch_events,
            lock: settings.lock(),
            pause: PAUSE,
        };
        let shared = (Arc::clone(&progress), feed.clone());
        let writer = Writer::new(connection, receiver, (slices, followed), shared, bounds);
        let copier = Copier::new(connect::copier(&path, settings), &path, settings, &sender);
        let shared = Arc::new(Shared {
            readers: Arc::clone(&readers),
            requests: sender,
            progress,
            feed,
            keys,
        });
        let runtime = Handle::current();
        // A thread of its own: everybody waits for the writer, so it must not wait its turn among those whom it keeps waiting.
        tasks.spawn_blocking(move || {
            runtime.block_on(async {
                let copying = stop.child_token();
                let writing = async {
                    writer.run(stop).await;
                    copying.cancel();
                };
                let ((), index) = tokio::join!(writing, copier.run(copying.clone()));
                readers.close().await;
                drop(index);
                drop(folder);
            });
        });
        Ok(Self { shared })
    }

    /// The key vault of the same folder.
    pub fn key_vault(&self) -> Arc<EmbeddedKeyVault> {
        Arc::clone(&self.shared.keys)
    }
}

impl EventFeed for EmbeddedStore {
    fn subscribe(&self) -> broadcast::Receiver<Committed> {
        self.shared.feed.subscribe()
    }
}

async fn heads(connection: &mut WriteConnection) -> Result<[SliceHead; SLICES], sqlx::Error> {
    let mut heads = [SliceHead::default(); SLICES];
    for row in connection.fetch(texts::HEADS, Vec::new()).await? {
        let (slice, pos, ts_us): (i64, i64, i64) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        heads[slice as usize] = SliceHead { pos: pos as u64, ts_us };
    }
    Ok(heads)
}

async fn follow(connection: &mut WriteConnection, projection: Arc<dyn Projection>) -> Result<Followed, sqlx::Error> {
    let named = || vec![Value::text(projection.name()), Value::int(projection.version().into())];
    let mut positions = [0; SLICES];
    for row in connection.fetch(texts::CHECKPOINTS, named()).await? {
        let (slice, position): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
        positions[slice as usize] = position as u64;
    }
    let mut parked = HashSet::new();
    for row in connection.fetch(texts::PARKED, named()).await? {
        let (aggregate_type, aggregate_id): (&str, &str) = (row.try_get(0)?, row.try_get(1)?);
        parked.extend(StreamId::parse(aggregate_type, aggregate_id).map(Aggregate::from));
    }
    Ok(Followed {
        projection,
        positions,
        parked,
    })
}
