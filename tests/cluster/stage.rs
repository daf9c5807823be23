//! Where the scenarios run here: two processes of each role, on the real servers.

use std::net::SocketAddr;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::harness::NO_RATES;
use crate::harness::client::{Api, Doors};
use crate::harness::process::Finished;
use crate::harness::quiet::loud;
use crate::installation::{Installation, Servers};
use crate::node::{Node, Role};

/// Whether a query may be answered from before a command that was acknowledged: it takes a relay, a bus and a projector to
/// get there.
pub(crate) const MAY_LAG: bool = true;

/// Trouble that is none. Everything here shares a few cores, servers included: where they are slow, a node sends a socket away
/// for a moment rather than leave a room mute, and says so. The client comes again, and so does [`Socket`] in these tests.
///
/// [`Socket`]: crate::harness::socket::Socket
pub(crate) const EXPECTED: &[&str] = &["a socket was not let in"];

/// What follows from a command, as a collector of spans is told: which process does it, and what.
pub(crate) const STEPS: &[(&str, &str)] = &[
    ("command-api", "command"),
    ("relay", "relay.publish"),
    ("projectors", "projection.apply"),
    ("query-api", "live.tell"),
];

/// Processes on an installation. They last as long as this value.
pub(crate) struct Stage {
    nodes: Vec<Node>,
    /// The installation, if nobody else uses it.
    _installation: Option<Installation>,
}

impl Stage {
    /// The one of all scenarios that neither stop nor configure theirs: two of each role. Where it does not start, it is not
    /// tried again for every test: the first one to ask says why.
    pub(crate) fn shared() -> &'static Self {
        static SHARED: LazyLock<Stage> = LazyLock::new(|| Stage::whole(Stage::installation(), 2, NO_RATES));
        Servers::of_the_environment();
        &SHARED
    }

    /// The one installation of all stages here.
    pub(crate) fn installation() -> &'static Installation {
        static SHARED: LazyLock<Installation> = LazyLock::new(|| Installation::on(Servers::of_the_environment()));
        &SHARED
    }

    /// One process of each role with a configuration of the test's choice, on an installation of their own.
    pub(crate) fn whole_with(config: &str) -> Self {
        let installation = Installation::on(Servers::of_the_environment());
        let stage = Self::whole(&installation, 1, config);
        Self {
            _installation: Some(installation),
            ..stage
        }
    }

    /// A whole platform, with so many processes of each role.
    fn whole(installation: &Installation, each: usize, config: &str) -> Self {
        let config = installation.config("shared", config);
        let roles = Role::ALL
            .into_iter()
            .flat_map(|role| (0..each).map(move |index| (role, index)));
        let nodes = roles.map(|(role, index)| Node::begin(role, index, &config)).collect();
        Self::of_nodes(nodes)
    }

    /// A `command-api` and a `query-api` that nobody else uses; the store, the relay and the projectors are the shared ones.
    pub(crate) fn new() -> Self {
        Self::with_config(NO_RATES)
    }

    /// As `new`, with a configuration of the test's choice.
    pub(crate) fn with_config(config: &str) -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        Self::shared();
        let index = 2 + NEXT.fetch_add(1, Ordering::Relaxed);
        let config = Self::installation().config(&format!("own-{index}"), config);
        let nodes = [Role::CommandApi, Role::QueryApi].map(|role| Node::begin(role, index, &config));
        Self::of_nodes(nodes.into())
    }

    /// These, once they are ready.
    fn of_nodes(nodes: Vec<Node>) -> Self {
        nodes.iter().for_each(Node::ready);
        Self {
            nodes,
            _installation: None,
        }
    }

    /// Where it is entered.
    pub(crate) fn doors(&self) -> Doors {
        let public = |role| self.of(role).map(Node::public).collect();
        Doors {
            commands: public(Role::CommandApi),
            queries: public(Role::QueryApi),
        }
    }

    /// A client of it.
    pub(crate) fn api(&self) -> Api {
        Api::at(self.doors())
    }

    /// Where its operators connect, one address for each process.
    pub(crate) fn admins(&self) -> Vec<SocketAddr> {
        self.nodes.iter().map(Node::admin).collect()
    }

    /// How much memory its processes hold together, bytes.
    pub(crate) fn memory_bytes(&self) -> u64 {
        self.nodes.iter().map(Node::memory_bytes).sum()
    }

    /// The processes of one role.
    pub(crate) fn of(&self, role: Role) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(move |node| node.role == role)
    }

    /// `kill -9` for all of its processes, and waits until they are gone.
    pub(crate) fn kill(&mut self) {
        self.nodes.iter().for_each(Node::kill);
    }

    /// SIGTERM for all of its processes; `ended` waits for what follows.
    pub(crate) fn terminate(&self) {
        self.nodes.iter().for_each(Node::terminate);
    }

    /// How each of the processes that were terminated ended.
    pub(crate) fn ended(&mut self) -> Vec<Finished> {
        self.nodes.iter().map(Node::ended).collect()
    }

    /// Starts again what was killed or has ended.
    pub(crate) fn start(&mut self) {
        self.nodes.iter().for_each(Node::begin_again);
        self.nodes.iter().for_each(Node::ready);
    }

    /// Everything that its processes said.
    pub(crate) fn logs(&self) -> String {
        self.nodes.iter().map(Node::log).collect()
    }

    /// What any of its processes said that somebody would have to act on.
    pub(crate) fn loud_lines(&self) -> Vec<String> {
        let of = |node: &Node| -> Vec<String> { loud(&node.log()).map(|line| format!("{node}: {line}")).collect() };
        self.nodes.iter().flat_map(of).collect()
    }
}
