//! Apache Kafka: one process that is broker and controller.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use rustix::process::Signal;

use crate::artefacts::Artefacts;
use crate::folder::{Folder, Place};
use crate::handshake;
use crate::java::{self, Start};
use crate::need::{self, Need};
use crate::port::loopback;
use crate::server::{Launch, Server};

const ARTEFACTS: Artefacts = Artefacts {
    name: "kafka",
    pom: include_str!("../maven/kafka.xml"),
};
/// Which cluster the data is of; all of ours are the same.
const CLUSTER: &str = "Y29jb3RhbGstdGVzdC0wMQ";

/// What asks it to end in order.
pub(crate) const STOP: Signal = Signal::TERM;

/// How it is started.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where its data is.
    pub place: Place,
    /// Its heap, MiB (256).
    pub heap_mib: u32,
    /// What its virtual machine is good at.
    pub start: Start,
    /// How long a member of a group may be silent at the least, milliseconds (500: tests of a lost member need not wait for
    /// the six seconds that it asks for by itself).
    pub min_session_ms: u32,
    /// The port of a proxy. The broker then has a second listener, [`Server::proxied_address`], whose clients are told that
    /// the broker is at this port: so they stay behind the proxy when they learn the cluster from it.
    pub proxy_port: Option<u16>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            place: Place::Fresh,
            heap_mib: 256,
            start: Start::Quick,
            min_session_ms: 500,
            proxy_port: None,
        }
    }
}

/// Gets what it needs.
pub fn install() -> anyhow::Result<()> {
    need::ensure(&[Need::Java17])?;
    ARTEFACTS.ensure().map(drop)
}

/// Starts it without a topic.
pub fn start(options: &Options) -> anyhow::Result<Server> {
    need::ensure(&[Need::Java17])?;
    let libraries = ARTEFACTS.ensure()?;
    let folder = Folder::open(&options.place, "kafka")?;
    let [port, controller, proxied] = folder.ports()?;
    let ports = Ports {
        clients: loopback(port),
        controller: loopback(controller),
        proxied: options.proxy_port.map(|port| (loopback(proxied), loopback(port))),
    };
    let data = folder.path().join("data");
    let file = folder.path().join("server.properties");
    fs::write(&file, properties(&ports, &data, options.min_session_ms))?;
    let mut arguments = java::arguments(options.heap_mib, options.start);
    arguments.extend(["-cp".into(), format!("{}/*", libraries.display())]);
    if !data.join("meta.properties").exists() {
        format(&arguments, &file, &data, &folder)?;
    }
    arguments.extend(["kafka.Kafka".into(), file.display().to_string()]);
    let launch = Launch {
        name: "Kafka",
        program: java::program()?,
        arguments: arguments.into_iter().map(Into::into).collect(),
        user: None,
        address: ports.clients,
        greet: handshake::kafka::greet,
        stop: STOP,
        start_deadline: Duration::from_mins(2),
        stop_deadline: Duration::from_mins(1),
    };
    let proxied = ports.proxied.map(|(own, _)| own);
    Server::start(launch, ports.clients.to_string(), proxied, folder)
}

/// Makes its data folder.
fn format(java_arguments: &[String], file: &Path, data: &Path, folder: &Folder) -> anyhow::Result<()> {
    let _ = fs::remove_dir_all(data);
    let log = File::create(folder.log_file())?;
    let mut command = Command::new("timeout");
    command.arg("60").arg(java::program()?).args(java_arguments);
    command
        .args(["kafka.tools.StorageTool", "format", "-t", CLUSTER, "-c"])
        .arg(file);
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    let status = command.status().context("cannot start `timeout`")?;
    if !status.success() {
        let said = fs::read_to_string(folder.log_file()).unwrap_or_default();
        bail!(
            "the folder for Kafka cannot be made ({status}); it said:\n{}",
            said.trim()
        );
    }
    Ok(())
}

/// Where it listens.
struct Ports {
    clients: SocketAddr,
    controller: SocketAddr,
    /// Where a proxy connects to, and where the proxy is.
    proxied: Option<(SocketAddr, SocketAddr)>,
}

fn properties(ports: &Ports, data: &Path, min_session_ms: u32) -> String {
    let Ports {
        clients,
        controller,
        proxied,
    } = ports;
    let (own, told) = proxied.map_or((String::new(), String::new()), |(own, proxy)| {
        (format!(",PROXIED://{own}"), format!(",PROXIED://{proxy}"))
    });
    // One node holds one copy of everything. A broker that was killed comes back when its old session has ended, hence the
    // short one. What it tells itself goes past the proxy, hence a listener of its own for that.
    let fixed = "\
process.roles=broker,controller
node.id=1
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT,CONTROLLER:PLAINTEXT
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
offsets.topic.num.partitions=8
transaction.state.log.num.partitions=8
share.coordinator.state.topic.num.partitions=8
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=500
";
    format!(
        "{fixed}\
         group.min.session.timeout.ms={min_session_ms}\n\
         log.dirs={}\n\
         controller.quorum.voters=1@{controller}\n\
         listeners=PLAINTEXT://{clients},CONTROLLER://{controller}{own}\n\
         advertised.listeners=PLAINTEXT://{clients}{told}\n",
        data.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(proxied: Option<(SocketAddr, SocketAddr)>) -> Vec<String> {
        let ports = Ports {
            clients: loopback(1),
            controller: loopback(2),
            proxied,
        };
        let text = properties(&ports, Path::new("/data"), 500);
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn each_line_sets_one_property_once() {
        let lines = lines(None);
        let mut names: Vec<_> = lines.iter().map(|line| line.split_once('=').unwrap().0).collect();
        names.sort_unstable();
        let all = names.len();
        names.dedup();
        assert_eq!(names.len(), all);
        assert!(lines.contains(&"advertised.listeners=PLAINTEXT://127.0.0.1:1".to_owned()));
    }

    #[test]
    fn clients_behind_a_proxy_are_told_of_the_proxy_and_the_rest_is_not() {
        let lines = lines(Some((loopback(3), loopback(4))));
        for line in [
            "listeners=PLAINTEXT://127.0.0.1:1,CONTROLLER://127.0.0.1:2,PROXIED://127.0.0.1:3",
            "advertised.listeners=PLAINTEXT://127.0.0.1:1,PROXIED://127.0.0.1:4",
            "inter.broker.listener.name=PLAINTEXT",
        ] {
            assert!(lines.contains(&line.to_owned()), "{line}");
        }
    }
}
