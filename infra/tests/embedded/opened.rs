//! An open store in a folder of its own, that can be closed and opened again.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use cocotalk_application::projection::Projection;
use cocotalk_infra::embedded::{EmbeddedStore, OpenError, Settings};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The folder of a store; removed with it.
pub(crate) struct Home(TempDir);

impl Home {
    /// A new, empty folder.
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(tempfile::tempdir().expect("a folder")))
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// A file in it.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// Settings of a store in it; small, since there are many.
    pub(crate) fn settings(&self) -> Settings {
        Settings {
            folder: self.path().to_owned(),
            log_prepared_bytes: 1 << 20,
            ..Settings::default()
        }
    }
}

/// An open store.
pub(crate) struct Opened {
    pub(crate) store: EmbeddedStore,
    pub(crate) home: Arc<Home>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Opened {
    /// In a new folder.
    pub(crate) async fn fresh(projections: Vec<Arc<dyn Projection>>) -> Self {
        Self::at(&Home::new(), projections).await
    }

    /// In this folder.
    pub(crate) async fn at(home: &Arc<Home>, projections: Vec<Arc<dyn Projection>>) -> Self {
        let settings = home.settings();
        Self::with(home, &settings, projections).await.expect("the store opens")
    }

    /// In this folder, with other settings; it may fail.
    pub(crate) async fn with(
        home: &Arc<Home>,
        settings: &Settings,
        projections: Vec<Arc<dyn Projection>>,
    ) -> Result<Self, OpenError> {
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let store = EmbeddedStore::open(settings, projections, &tasks, stop.clone()).await?;
        Ok(Self {
            store,
            home: Arc::clone(home),
            tasks,
            stop,
        })
    }

    /// Closes it in order; the folder can be opened again.
    pub(crate) async fn close(self) -> Arc<Home> {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        drop(self.store);
        self.home
    }

    /// Closes it and opens it again.
    pub(crate) async fn reopen(self, projections: Vec<Arc<dyn Projection>>) -> Self {
        let home = self.close().await;
        Self::at(&home, projections).await
    }
}
