//! Where faults happen: two processes of each role on servers that may be stopped.

use std::future::Future;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use cocotalk_servers::{Server, cassandra, kafka, postgres};

use crate::harness::NO_RATES;
use crate::harness::client::{Api, Doors};
use crate::harness::quiet::loud;
use crate::installation::{Installation, Servers};
use crate::node::{Node, Role};

/// Whether a query may be answered from before a command that was acknowledged.
pub(crate) const MAY_LAG: bool = true;

/// Trouble that is none: there is nothing but trouble here, and no test looks at what is said of it.
pub(crate) const EXPECTED: &[&str] = &[];

/// How long queries keep keys here: shorter than usual, so that a test can wait for the end of it.
const KEYS_KEPT_S: u64 = 20;

/// How long a test waits for a state that takes a server, or several processes, to come back.
pub(crate) const RECOVERY: Duration = Duration::from_mins(2);

/// Asks until the answer is `Some`, for as long as a recovery may take.
pub(crate) async fn recovered<T, F: Future<Output = Option<T>>>(what: &str, mut ask: impl FnMut() -> F) -> T {
    let deadline = Instant::now() + RECOVERY;
    while Instant::now() < deadline {
        if let Some(found) = ask().await {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("waited in vain: {what}")
}

/// The servers of this target.
pub(crate) struct Ours {
    pub(crate) postgres: Mutex<Server>,
    pub(crate) kafka: Mutex<Server>,
    pub(crate) cql: Mutex<Server>,
    /// Through which clients of Kafka's second listener come: the broker must know it from the start.
    pub(crate) kafka_proxy: cocotalk_servers::Proxy,
}

impl Ours {
    /// Those that all tests here share. They end with the process.
    pub(crate) fn shared() -> &'static Self {
        static SHARED: LazyLock<Ours> = LazyLock::new(Ours::start);
        &SHARED
    }

    fn start() -> Self {
        let kafka_proxy = cocotalk_servers::Proxy::new().unwrap();
        let options = kafka::Options {
            proxy_port: Some(kafka_proxy.address().port()),
            ..kafka::Options::default()
        };
        let (postgres, kafka, cql) = std::thread::scope(|scope| {
            let postgres = scope.spawn(|| postgres::start(&postgres::Options::default()));
            let kafka = scope.spawn(|| kafka::start(&options));
            let cql = cassandra::start(&cassandra::Options::default());
            (postgres.join().unwrap(), kafka.join().unwrap(), cql)
        });
        let kafka = kafka.unwrap();
        kafka_proxy.aim(kafka.proxied_address().unwrap());
        Self {
            postgres: Mutex::new(postgres.unwrap()),
            kafka: Mutex::new(kafka),
            cql: Mutex::new(cql.unwrap()),
            kafka_proxy,
        }
    }

    fn addresses(&self) -> Servers {
        let url = |server: &Mutex<Server>| held(server).url().to_owned();
        Servers {
            postgres: url(&self.postgres),
            kafka: url(&self.kafka),
            cql: url(&self.cql),
        }
    }

    /// Whatever a test that failed has left.
    fn mend(&self) {
        for server in [&self.postgres, &self.kafka, &self.cql] {
            let mut server = held(server);
            server.resume();
            if !server.is_running() {
                server.restart().unwrap();
            }
        }
        self.kafka_proxy.heal();
    }
}

fn held(server: &Mutex<Server>) -> MutexGuard<'_, Server> {
    // A test that fails while it holds a server leaves it to the next one, which mends it.
    server.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Does something to a server, and waits until it is done.
pub(crate) fn with<T>(server: &Mutex<Server>, what: impl FnOnce(&mut Server) -> T) -> T {
    tokio::task::block_in_place(|| what(&mut held(server)))
}

/// The turn of one test: nobody else breaks anything meanwhile.
pub(crate) struct Turn {
    pub(crate) ours: &'static Ours,
    pub(crate) stage: &'static Stage,
    _mine: tokio::sync::MutexGuard<'static, ()>,
}

impl Turn {
    /// Waits for it, and finds everything in order.
    pub(crate) async fn take() -> Self {
        static TURNS: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
        let turn = TURNS.lock().await;
        let (ours, stage) = tokio::task::block_in_place(|| {
            let ours = Ours::shared();
            ours.mend();
            (ours, Stage::shared())
        });
        stage.mend().await;
        Self {
            ours,
            stage,
            _mine: turn,
        }
    }
}

/// Processes on an installation. They last as long as this value.
pub(crate) struct Stage {
    installation: Installation,
    nodes: Vec<Node>,
}

impl Stage {
    /// The one of all tests here but those that have a network of their own.
    pub(crate) fn shared() -> &'static Self {
        static SHARED: LazyLock<Stage> = LazyLock::new(|| Stage::on(Ours::shared().addresses()));
        &SHARED
    }

    /// A whole platform, two of each role, on an installation of its own there.
    pub(crate) fn on(servers: Servers) -> Self {
        let installation = Installation::on(servers);
        let config = installation.config("shared", &format!("{NO_RATES}[keys]\nkept_s = {KEYS_KEPT_S}\n"));
        let roles = Role::ALL.into_iter().flat_map(|role| [(role, 0), (role, 1)]);
        let nodes: Vec<_> = roles.map(|(role, index)| Node::begin(role, index, &config)).collect();
        nodes.iter().for_each(Node::ready);
        Self { installation, nodes }
    }

    /// Where it is entered.
    pub(crate) fn doors(&self) -> Doors {
        let public = |role| self.of(role).map(Node::public).collect();
        Doors {
            commands: public(Role::CommandApi),
            queries: public(Role::QueryApi),
        }
    }

    /// Where it is entered by who talks to one node of each side only.
    pub(crate) fn doors_of(&self, index: usize) -> Doors {
        Doors {
            commands: vec![self.pair(Role::CommandApi)[index].public()],
            queries: vec![self.pair(Role::QueryApi)[index].public()],
        }
    }

    /// A client of it.
    pub(crate) fn api(&self) -> Api {
        Api::at(self.doors())
    }

    /// Its schemas, and how operators name it.
    pub(crate) fn installation(&self) -> &Installation {
        &self.installation
    }

    /// The processes of one role.
    pub(crate) fn of(&self, role: Role) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(move |node| node.role == role)
    }

    /// The relay that leads, or leads most.
    pub(crate) async fn leader(&self) -> &Node {
        let [one, other] = self.pair(Role::Relay);
        recovered("a relay leads", || async {
            let (left, right) = (led(one).await, led(other).await);
            (left + right > 0.0).then_some(if left >= right { one } else { other })
        })
        .await
    }

    /// Both of one role.
    pub(crate) fn pair(&self, role: Role) -> [&Node; 2] {
        let nodes: Vec<_> = self.of(role).collect();
        nodes
            .try_into()
            .unwrap_or_else(|_| panic!("there are two of each role"))
    }

    /// A figure of all the processes of one role.
    pub(crate) async fn sum(&self, role: Role, name: &str) -> f64 {
        let mut sum = 0.0;
        for node in self.of(role) {
            sum += figure(node, name).await.unwrap_or(0.0);
        }
        sum
    }

    /// Waits until a figure of one role is above this.
    pub(crate) async fn rises(&self, role: Role, name: &str, above: f64) -> f64 {
        recovered(name, || async {
            let sum = self.sum(role, name).await;
            (sum > above).then_some(sum)
        })
        .await
    }

    /// Starts what a test that failed has left dead, and waits until every process can do its work.
    async fn mend(&self) {
        tokio::task::block_in_place(|| {
            for node in &self.nodes {
                if node.is_running() {
                    node.resume();
                } else {
                    node.restart();
                }
            }
        });
        for node in self.of(Role::Projectors) {
            drop(Api::at(node.admin()).call("POST", "/projectors/resume").attempt().await);
        }
        self.all_ready().await;
    }

    /// Waits until every process says that it can do its work.
    pub(crate) async fn all_ready(&self) {
        for node in &self.nodes {
            recovered(&format!("{node} is ready"), || async {
                let reply = Api::at(node.admin()).get("/readyz").attempt().await.ok()?;
                (reply.status == 200).then_some(())
            })
            .await;
        }
    }

    /// Fails if any process has ended that nobody killed.
    pub(crate) fn nobody_ended(&self) {
        for node in &self.nodes {
            assert!(node.is_running(), "{node} ended; it said: {}", node.log());
        }
    }

    /// Fails if any process has ever panicked, which no fault is a reason for.
    pub(crate) fn nobody_panicked(&self) {
        for node in &self.nodes {
            let log = node.log();
            assert!(!log.contains("panicked"), "{node} panicked; it said: {log}");
        }
    }

    /// What any of its processes said that somebody would have to act on.
    pub(crate) fn loud_lines(&self) -> Vec<String> {
        let of = |node: &Node| -> Vec<String> { loud(&node.log()).map(|line| format!("{node}: {line}")).collect() };
        self.nodes.iter().flat_map(of).collect()
    }
}

/// How many groups of slices a relay leads; none if it does not answer.
pub(crate) async fn led(node: &Node) -> f64 {
    figure(node, "cocotalk_relay_led_groups").await.unwrap_or(0.0)
}

/// A figure of one process, summed over its labels. `None` if it does not answer.
pub(crate) async fn figure(node: &Node, name: &str) -> Option<f64> {
    let asking = Api::at(node.admin()).get("/metrics");
    let reply = tokio::time::timeout(Duration::from_secs(2), asking.attempt())
        .await
        .ok()?
        .ok()?;
    let text = String::from_utf8(reply.body.to_vec()).unwrap();
    let values = text.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        rest.starts_with([' ', '{'])
            .then(|| rest.rsplit(' ').next())??
            .parse::<f64>()
            .ok()
    });
    Some(values.sum())
}
