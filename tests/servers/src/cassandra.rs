//! Apache Cassandra: one node.

use std::fs;
use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;

use crate::artefacts::Artefacts;
use crate::folder::{Folder, Place};
use crate::handshake;
use crate::java::{self, Start};
use crate::need::{self, Need};
use crate::port::loopback;
use crate::server::{Launch, Server};

const ARTEFACTS: Artefacts = Artefacts {
    name: "cassandra",
    pom: include_str!("../maven/cassandra.xml"),
};

/// Packages of Java that it reaches into, which Java 17 keeps to itself unless told otherwise.
const EXPORTS: [&str; 9] = [
    "java.base/java.lang.ref",
    "java.base/jdk.internal.misc",
    "java.base/jdk.internal.ref",
    "java.base/sun.nio.ch",
    "java.management.rmi/com.sun.jmx.remote.internal.rmi",
    "java.rmi/sun.rmi.registry",
    "java.rmi/sun.rmi.server",
    "java.sql/java.sql",
    "jdk.unsupported/sun.misc",
];
/// As `EXPORTS`, private parts included.
const OPENS: [&str; 22] = [
    "java.base/java.io",
    "java.base/java.lang",
    "java.base/java.lang.module",
    "java.base/java.lang.reflect",
    "java.base/java.net",
    "java.base/java.nio",
    "java.base/java.nio.charset",
    "java.base/java.nio.file.spi",
    "java.base/java.util",
    "java.base/java.util.concurrent",
    "java.base/java.util.concurrent.atomic",
    "java.base/jdk.internal.loader",
    "java.base/jdk.internal.math",
    "java.base/jdk.internal.module",
    "java.base/jdk.internal.ref",
    "java.base/jdk.internal.reflect",
    "java.base/jdk.internal.util",
    "java.base/jdk.internal.util.jar",
    "java.base/sun.nio.ch",
    "java.base/sun.nio.fs",
    "jdk.management.jfr/jdk.management.jfr",
    "jdk.management/com.sun.management.internal",
];

/// What asks it to end in order.
pub(crate) const STOP: Signal = Signal::TERM;

/// How it is started.
///
/// Clients stay behind a proxy by themselves: drivers take the address that they connected to for that of the node they
/// reached, and there is no other node to learn of.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where its data is.
    pub place: Place,
    /// Its heap, MiB (512).
    pub heap_mib: u32,
    /// What its virtual machine is good at.
    pub start: Start,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            place: Place::Fresh,
            heap_mib: 512,
            start: Start::Quick,
        }
    }
}

/// Gets what it needs.
pub fn install() -> anyhow::Result<()> {
    need::ensure(&[Need::Java17])?;
    ARTEFACTS.ensure().map(drop)
}

/// Starts it without a keyspace.
pub fn start(options: &Options) -> anyhow::Result<Server> {
    need::ensure(&[Need::Java17])?;
    let libraries = ARTEFACTS.ensure()?;
    let folder = Folder::open(&options.place, "cassandra")?;
    let [port, storage, jmx] = folder.ports()?;
    let configuration = folder.path().join("conf");
    fs::create_dir_all(&configuration)?;
    fs::write(
        configuration.join("cassandra.yaml"),
        settings(folder.path(), port, storage),
    )?;
    fs::write(configuration.join("logback.xml"), LOGGING)?;
    let file = folder.path().join("java.arguments");
    let mut arguments = java::arguments(options.heap_mib, options.start);
    arguments.extend(more_arguments(folder.path(), &libraries, jmx));
    fs::write(&file, argument_file(&arguments))?;
    let launch = Launch {
        name: "Cassandra",
        program: java::program()?,
        arguments: vec![
            format!("@{}", file.display()).into(),
            "org.apache.cassandra.service.CassandraDaemon".into(),
        ],
        user: None,
        address: loopback(port),
        greet: handshake::cql::greet,
        stop: STOP,
        start_deadline: Duration::from_mins(3),
        stop_deadline: Duration::from_mins(1),
    };
    let url = launch.address.to_string();
    Server::start(launch, url, None, folder)
}

/// One line each, quoted, so that a folder may have any name.
fn argument_file(arguments: &[String]) -> String {
    let line = |argument: &String| format!("\"{}\"\n", argument.replace('\\', "\\\\").replace('"', "\\\""));
    arguments.iter().map(line).collect()
}

fn more_arguments(folder: &Path, libraries: &Path, jmx: u16) -> Vec<String> {
    let folder = folder.display();
    let mut arguments = vec![
        "-Xss512k".to_owned(),
        "-Djdk.attach.allowAttachSelf=true".to_owned(),
        format!("-Dcassandra.config=file://{folder}/conf/cassandra.yaml"),
        format!("-Dcassandra.storagedir={folder}"),
        format!("-Dlogback.configurationFile={folder}/conf/logback.xml"),
        "-Dcassandra-foreground=yes".to_owned(),
        format!("-Dcassandra.jmx.local.port={jmx}"),
        // There is nobody to wait for.
        "-Dcassandra.skip_wait_for_gossip_to_settle=0".to_owned(),
        "-Dcassandra.ring_delay_ms=1".to_owned(),
        "-Dcassandra.superuser_setup_delay_ms=0".to_owned(),
    ];
    arguments.extend(EXPORTS.map(|package| format!("--add-exports={package}=ALL-UNNAMED")));
    arguments.extend(OPENS.map(|package| format!("--add-opens={package}=ALL-UNNAMED")));
    arguments.extend(["-cp".to_owned(), format!("{folder}/conf:{}/*", libraries.display())]);
    arguments
}

/// Its log goes where its output goes.
const LOGGING: &str = "\
<configuration>
  <appender name=\"OUT\" class=\"ch.qos.logback.core.ConsoleAppender\">
    <encoder><pattern>%d %p %m%n</pattern></encoder>
  </appender>
  <root level=\"WARN\"><appender-ref ref=\"OUT\"/></root>
</configuration>
";

fn settings(folder: &Path, port: u16, storage: u16) -> String {
    let folder = folder.display();
    format!(
        "\
cluster_name: cocotalk
num_tokens: 1
partitioner: org.apache.cassandra.dht.Murmur3Partitioner
endpoint_snitch: SimpleSnitch
commitlog_sync: periodic
commitlog_sync_period: 10000ms
commitlog_segment_size: 8MiB
commitlog_total_space: 256MiB
memtable_heap_space: 128MiB
auto_snapshot: false
materialized_views_enabled: false
data_file_directories: ['{folder}/data']
commitlog_directory: '{folder}/commitlog'
saved_caches_directory: '{folder}/saved_caches'
hints_directory: '{folder}/hints'
cdc_raw_directory: '{folder}/cdc_raw'
listen_address: 127.0.0.1
rpc_address: 127.0.0.1
native_transport_port: {port}
storage_port: {storage}
seed_provider:
  - class_name: org.apache.cassandra.locator.SimpleSeedProvider
    parameters:
      - seeds: '127.0.0.1:{storage}'
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_argument_with_spaces_and_quotes_is_one_argument() {
        let arguments = ["-Da=b c".to_owned(), r#"-Dd="\""#.to_owned()];
        assert_eq!(argument_file(&arguments), "\"-Da=b c\"\n\"-Dd=\\\"\\\\\\\"\"\n");
    }

    #[test]
    fn every_folder_of_the_node_is_in_its_folder() {
        let settings = settings(Path::new("/somewhere"), 1, 2);
        let folders: Vec<_> = settings.lines().filter(|line| line.contains("director")).collect();
        assert_eq!(folders.len(), 5);
        for line in folders {
            assert!(line.contains("'/somewhere/"), "{line}");
        }
    }
}
