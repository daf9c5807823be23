//! An installation: a database, topics and a keyspace of its own on the real servers, and the configuration that names them.

use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use crate::harness::process::{Guard, Process};

/// Where the real servers are, or what stands before them.
pub(crate) struct Servers {
    /// A database of PostgreSQL in which a superuser may make others.
    pub(crate) postgres: String,
    /// `host:port`, several joined by commas, as the next one.
    pub(crate) kafka: String,
    pub(crate) cql: String,
}

impl Servers {
    /// Those that the environment names.
    pub(crate) fn of_the_environment() -> Self {
        Self {
            postgres: setting("COCOTALK_TEST_POSTGRES"),
            kafka: setting("COCOTALK_TEST_KAFKA"),
            cql: setting("COCOTALK_TEST_CQL"),
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "settings of the test, which no configuration of the server holds"
)]
fn setting(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| {
        panic!("{name} is not set: start the servers with `cargo xtask up --servers-only` or run `cargo xtask test`")
    })
}

/// One installation. It is gone when the test process is; topics and keyspace stay until the servers go.
pub(crate) struct Installation {
    folder: TempDir,
    name: String,
    servers: Servers,
    _guard: Guard,
}

impl Installation {
    /// A new one on these servers, with every schema in place.
    pub(crate) fn on(servers: Servers) -> Self {
        let folder = tempfile::Builder::new().prefix("cocotalk-cluster-").tempdir().unwrap();
        let name = format!("e2e_{:08x}", rand::random::<u32>());
        let psql = psql();
        let made = Command::new(&psql)
            .args(sql(&servers.postgres, &format!("create database {name}")))
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let clean_up = "rm -rf \"$0\"; exec \"$@\"";
        let path = folder.path().display().to_string();
        let drop = sql(
            &servers.postgres,
            &format!("drop database if exists {name} with (force)"),
        );
        let arguments: Vec<&str> = [&path, &psql].into_iter().chain(&drop).map(String::as_str).collect();
        let guard = Guard::running(clean_up, &arguments);
        let installation = Self {
            folder,
            name,
            servers,
            _guard: guard,
        };
        installation.migrate();
        installation
    }

    /// Brings every schema to this release.
    pub(crate) fn migrate(&self) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cocotalk"));
        command.arg("migrate").arg("--config").arg(self.config("migrate", ""));
        command.current_dir(self.folder.path()).env_remove("RUST_LOG");
        let migrated = Process::finish(command);
        assert_eq!(migrated.code(), 0, "{}{}", migrated.stdout, migrated.stderr);
    }

    /// A configuration file of this name: how to reach the servers, and `more`.
    pub(crate) fn config(&self, name: &str, more: &str) -> PathBuf {
        self.config_of(name, &format!("{more}\n{}", self.backend()))
    }

    /// A configuration file of this name with nothing but this in it.
    pub(crate) fn config_of(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(format!("{name}.toml"));
        std::fs::write(&path, text).unwrap();
        path
    }

    /// The one place that knows the names of the settings.
    fn backend(&self) -> String {
        let (name, servers) = (&self.name, &self.servers);
        let master_key_file = self.folder.path().join("master.key").display().to_string();
        let url = in_database(&servers.postgres, name);
        let nodes: Vec<&str> = servers.cql.split(',').collect();
        // So many processes share one server here that each has to do with few connections.
        format!(
            "[backend]\n\
             kind = \"cluster\"\n\
             [backend.cluster]\n\
             master_key_file = {master_key_file:?}\n\
             [backend.cluster.postgres]\n\
             url = {url:?}\n\
             connections = 5\n\
             [backend.cluster.kafka]\n\
             brokers = {:?}\n\
             events_topic = \"{name}.events\"\n\
             ephemeral_topic = \"{name}.ephemeral\"\n\
             group = \"{name}.projectors\"\n\
             replication = 1\n\
             [backend.cluster.cql]\n\
             nodes = {nodes:?}\n\
             keyspace = \"{name}\"\n\
             replication_factor = 1\n",
            servers.kafka
        )
    }
}

/// The arguments that make `psql` do one thing.
fn sql(url: &str, statement: &str) -> [String; 7] {
    ["-X", "-q", "-v", "ON_ERROR_STOP=1", "-c", statement, url].map(str::to_owned)
}

/// The client of PostgreSQL: the one on the path, else that of the newest version that Debian's packages put aside.
pub(crate) fn psql() -> String {
    if Command::new("psql").arg("--version").output().is_ok() {
        return "psql".to_owned();
    }
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let found = versions.flatten().map(|version| version.path().join("bin/psql"));
    let newest = found.filter(|path| path.is_file()).max();
    newest
        .expect("`psql` makes the database of the test: install the client of PostgreSQL")
        .display()
        .to_string()
}

/// The address of another database of the same server.
fn in_database(url: &str, name: &str) -> String {
    let (address, query) = url
        .split_once('?')
        .map_or((url, String::new()), |(address, query)| (address, format!("?{query}")));
    let (scheme, rest) = address.split_once("://").expect("an address of a database");
    let server = rest.split_once('/').map_or(rest, |(server, _)| server);
    format!("{scheme}://{server}/{name}{query}")
}

#[test]
fn a_database_is_named_in_the_address_of_its_server() {
    for (url, expected) in [
        ("postgres://a@h:1/postgres", "postgres://a@h:1/x"),
        ("postgres://a:b@h", "postgres://a:b@h/x"),
        (
            "postgresql://h/y?sslmode=disable&host=/tmp",
            "postgresql://h/x?sslmode=disable&host=/tmp",
        ),
    ] {
        assert_eq!(in_database(url, "x"), expected);
    }
}
