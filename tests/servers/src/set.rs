//! The three servers together.

use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::Context as _;

use crate::folder::Place;
use crate::given::{self, Given};
use crate::java::Start;
use crate::life::Life;
use crate::need::{self, Need};
use crate::server::Server;
use crate::{cassandra, kafka, postgres};

/// Which servers a run works with: those that are given, and ours for the rest. Dropping it kills ours, unless they are kept.
pub struct Set {
    given: Given,
    postgres: Option<Server>,
    kafka: Option<Server>,
    cql: Option<Server>,
}

impl Set {
    /// Gets what those need that are not given, and what it takes to build clients of them.
    pub fn install(given: &Given) -> anyhow::Result<()> {
        let wants_java = given.kafka.is_none() || given.cql.is_none();
        let needs = Need::ALL.into_iter().filter(|need| match need {
            Need::Postgres => given.postgres.is_none(),
            Need::Java17 | Need::Maven => wants_java,
            Need::Make => true,
            Need::Promtool | Need::Python => false,
        });
        need::ensure(&needs.collect::<Vec<_>>())?;
        if given.kafka.is_none() {
            kafka::install().context("Kafka")?;
        }
        if given.cql.is_none() {
            cassandra::install().context("Cassandra")?;
        }
        Ok(())
    }

    /// Starts those that are not given, side by side. With `kept` they are those in this folder, and run on when we end.
    /// Thorough ones have the heaps that their makers ship them with, or near that.
    pub fn start(given: Given, kept: Option<&Path>, start: Start) -> anyhow::Result<Self> {
        Self::install(&given)?;
        let place = |name: &str| kept.map_or(Place::Fresh, |folder| Place::Kept(folder.join(name)));
        let (postgres_place, kafka_place, cql_place) = (place("postgres"), place("kafka"), place("cassandra"));
        let heap = |small: u32| match start {
            Start::Quick => small,
            Start::Thorough => 4 * small,
        };
        let (postgres, kafka, cql) = thread::scope(|scope| {
            let postgres = scope.spawn(|| {
                let options = postgres::Options {
                    place: postgres_place,
                    ..postgres::Options::default()
                };
                unless(given.postgres.is_some(), || postgres::start(&options)).context("PostgreSQL")
            });
            let kafka = scope.spawn(|| {
                let options = kafka::Options {
                    place: kafka_place,
                    heap_mib: heap(kafka::Options::default().heap_mib),
                    start,
                    ..kafka::Options::default()
                };
                unless(given.kafka.is_some(), || kafka::start(&options)).context("Kafka")
            });
            let options = cassandra::Options {
                place: cql_place,
                heap_mib: heap(cassandra::Options::default().heap_mib),
                start,
            };
            let cql = unless(given.cql.is_some(), || cassandra::start(&options)).context("Cassandra");
            let (postgres, kafka) = (postgres.join(), kafka.join());
            let whole = "starting a server does not panic";
            (postgres.expect(whole), kafka.expect(whole), cql)
        });
        Ok(Self {
            given,
            postgres: postgres?,
            kafka: kafka?,
            cql: cql?,
        })
    }

    /// Where servers are kept that outlive a run of this checkout.
    pub fn kept_folder() -> PathBuf {
        // Short, and where the user that runs the database may pass, which a checkout may not be.
        let user = rustix::process::geteuid().as_raw();
        std::env::temp_dir().join(format!("cocotalk-kept-servers-{user}"))
    }

    /// Stops the servers that are kept in this folder, whoever started them, and says which there were.
    pub fn stop_kept(folder: &Path) -> anyhow::Result<Vec<&'static str>> {
        let mut stopped = Vec::new();
        for (name, signal) in [
            ("postgres", postgres::STOP),
            ("kafka", kafka::STOP),
            ("cassandra", cassandra::STOP),
        ] {
            let place = folder.join(name);
            if let Some(mut life) = Life::find(&place.join("pid"), &place.display().to_string()) {
                life.signal(signal);
                let ended = life.ended(Duration::from_mins(1));
                life.kill()?;
                ended.with_context(|| format!("{name} does not stop"))?;
                stopped.push(name);
            }
        }
        Ok(stopped)
    }

    /// What the environment of tests says of these servers: names and values.
    pub fn environment(&self) -> [(&'static str, String); 3] {
        let of = |given: &Option<String>, ours: &Option<Server>| {
            let ours = || ours.as_ref().map(|server| server.url().to_owned());
            given.clone().or_else(ours).expect("what is not given was started")
        };
        [
            (given::POSTGRES, of(&self.given.postgres, &self.postgres)),
            (given::KAFKA, of(&self.given.kafka, &self.kafka)),
            (given::CQL, of(&self.given.cql, &self.cql)),
        ]
    }

    /// Stops ours in order, all of them, and says what went wrong first.
    pub fn stop(mut self) -> anyhow::Result<()> {
        let ours = [&mut self.postgres, &mut self.kafka, &mut self.cql];
        let mut ours: Vec<&mut Server> = ours.into_iter().flatten().collect();
        thread::scope(|scope| {
            let stopping: Vec<_> = ours.iter_mut().map(|server| scope.spawn(|| server.stop())).collect();
            let stopped: Vec<_> = stopping
                .into_iter()
                .map(|stopping| stopping.join().expect("stopping a server does not panic"))
                .collect();
            stopped.into_iter().collect()
        })
    }
}

fn unless<T>(given: bool, start: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<Option<T>> {
    if given { Ok(None) } else { start().map(Some) }
}
