//! Where the scenarios run here: everything in one process, on a folder.

use std::net::SocketAddr;
use std::sync::OnceLock;

use crate::harness::NO_RATES;
use crate::harness::client::{Api, Doors};
use crate::harness::process::Finished;
use crate::harness::quiet::loud;
use crate::server::{Folder, Server};

/// Whether a query may be answered from before a command that was acknowledged: command and read model are one transaction.
pub(crate) const MAY_LAG: bool = false;

/// Trouble that is none: there is no such here.
pub(crate) const EXPECTED: &[&str] = &[];

/// What follows from a command, as a collector of spans is told: which process does it, and what.
#[cfg(feature = "otlp")]
pub(crate) const STEPS: &[(&str, &str)] = &[("cocotalk", "command"), ("cocotalk", "live.tell")];

/// The platform on a store of its own. It lasts as long as this value.
pub(crate) struct Stage {
    folder: Folder,
    server: Option<Server>,
    said: String,
}

impl Stage {
    /// The one of all scenarios that neither stop nor configure theirs.
    pub(crate) fn shared() -> &'static Self {
        static SHARED: OnceLock<Stage> = OnceLock::new();
        SHARED.get_or_init(Self::new)
    }

    /// One that nobody else uses.
    pub(crate) fn new() -> Self {
        Self::with_config(NO_RATES)
    }

    /// One with a configuration of the test's choice.
    pub(crate) fn with_config(config: &str) -> Self {
        let folder = Folder::with_config(config);
        let server = Some(folder.start());
        Self {
            folder,
            server,
            said: String::new(),
        }
    }

    /// Every process of a platform, configured: here there is one anyway.
    pub(crate) fn whole_with(config: &str) -> Self {
        Self::with_config(config)
    }

    /// Where it is entered.
    pub(crate) fn doors(&self) -> Doors {
        self.server().public.into()
    }

    /// A client of it.
    pub(crate) fn api(&self) -> Api {
        Api::at(self.doors())
    }

    /// Where its operators connect, one address for each process.
    pub(crate) fn admins(&self) -> Vec<SocketAddr> {
        vec![self.server().admin]
    }

    /// How much memory its processes hold together, bytes.
    pub(crate) fn memory_bytes(&self) -> u64 {
        self.server().memory_bytes()
    }

    /// `kill -9` for whatever serves clients, and waits until it is gone.
    pub(crate) fn kill(&mut self) {
        self.server.take().expect("it runs").kill();
    }

    /// SIGTERM for whatever serves clients; `ended` waits for what follows.
    pub(crate) fn terminate(&self) {
        self.server().terminate();
    }

    /// How each of the processes that were terminated ended.
    pub(crate) fn ended(&mut self) -> Vec<Finished> {
        let finished = self.server.take().expect("it runs").ended();
        self.said = format!("{}{}", finished.stdout, finished.stderr);
        vec![finished]
    }

    /// Starts again what was killed or has ended.
    pub(crate) fn start(&mut self) {
        self.server = Some(self.folder.start());
    }

    /// Everything that was said by the process that ended last.
    pub(crate) fn logs(&self) -> &str {
        &self.said
    }

    /// What any of its processes said that somebody would have to act on.
    pub(crate) fn loud_lines(&self) -> Vec<String> {
        loud(&self.server().stderr()).map(str::to_owned).collect()
    }

    fn server(&self) -> &Server {
        self.server.as_ref().expect("it runs")
    }
}
