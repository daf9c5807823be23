//! What an operator should know of the three servers.

use std::sync::Arc;

use cocotalk_application::error::{StoreError, chain};
use cocotalk_application::projection::Projection;

use super::Settings;
use crate::kafka;
use crate::open::{Finding, Health};
use crate::postgres::{Database, PostgresEventLog, PostgresKeyVault, Schema, Standing};
use crate::scylla::{Cql, CqlReadModel};

/// Further apart than this, clocks confuse people; nothing depends on them.
const CLOCKS_APART_MS: i64 = 2_000;
/// More events than this are more than what is just on its way.
const MUCH: u64 = 1_000;

/// Looks at each of them.
pub(crate) async fn examine(settings: &Settings, projections: &[Arc<dyn Projection>]) -> Vec<Finding> {
    let mut findings = vec![postgres(settings).await, keys(settings).await];
    findings.push(bus(settings).await);
    findings.extend(read_model(settings, projections).await);
    findings
}

fn finding(dependency: &'static str, health: Health, what: impl Into<String>, advice: &str) -> Finding {
    Finding {
        dependency,
        health,
        what: what.into(),
        advice: (!advice.is_empty()).then(|| advice.to_owned()),
    }
}

fn of_error(dependency: &'static str, error: &StoreError, unreachable: &str) -> Finding {
    match error {
        StoreError::Unavailable { .. } => finding(dependency, Health::Unreachable, chain(error), unreachable),
        StoreError::Corrupt { .. } => finding(dependency, Health::Wrong, chain(error), ""),
    }
}

async fn postgres(settings: &Settings) -> Finding {
    let name = "postgres";
    let standing = match Database::standing(&settings.postgres).await {
        Ok(standing) => standing,
        Err(error) => {
            let advice =
                "see whether it runs and whether backend.cluster.postgres.url is right; commands are refused meanwhile";
            return of_error(name, &error, advice);
        }
    };
    let version = format!("PostgreSQL {}", standing.version);
    if !standing.is_new_enough {
        return finding(name, Health::Wrong, version, "15 or newer is needed");
    }
    if standing.schema != Schema::Current {
        let advice = match standing.schema {
            Schema::Newer { .. } => "run the newer release, or restore the database that fits this one",
            Schema::Missing | Schema::Behind { .. } | Schema::Foreign { .. } | Schema::Current => {
                "run `cocotalk migrate`"
            }
        };
        return finding(name, Health::Wrong, format!("{version}; {}", standing.schema), advice);
    }
    if let Some(problem) = &standing.role_problem {
        let advice = "grant the role to the user of backend.cluster.postgres.url, or set backend.cluster.postgres.role";
        return finding(name, Health::Wrong, format!("{version}; {problem}"), advice);
    }
    if !standing.unsafe_settings.is_empty() {
        let what = format!(
            "{version}; acknowledged commits can be lost: {}",
            standing.unsafe_settings.join(", ")
        );
        return finding(name, Health::Wrong, what, "set fsync and synchronous_commit to on");
    }
    noteworthy(name, &version, &standing)
}

/// What is no fault but should be known.
fn noteworthy(name: &'static str, version: &str, standing: &Standing) -> Finding {
    let backlog = standing.backlog.map_or_else(String::new, |backlog| {
        format!(
            "; {} events, {} not noted as published, {} parked",
            backlog.events, backlog.unpublished, backlog.parked
        )
    });
    let what = format!("{version}; schema of this release{backlog}");
    if standing.clock_ahead_ms.abs() > CLOCKS_APART_MS {
        let apart = format!("{what}; its clock is {} ms ahead of ours", standing.clock_ahead_ms);
        return finding(name, Health::Noteworthy, apart, "let both keep the time by NTP");
    }
    if standing.backlog.is_some_and(|backlog| backlog.parked > 0) {
        let advice = "look at `cocotalk projections parked list`";
        return finding(name, Health::Noteworthy, what, advice);
    }
    if standing.backlog.is_some_and(|backlog| backlog.unpublished > MUCH) {
        return finding(
            name,
            Health::Noteworthy,
            what,
            "see whether a relay runs and what its /readyz says",
        );
    }
    finding(name, Health::Fine, what, "")
}

async fn keys(settings: &Settings) -> Finding {
    let name = "keys";
    let file = settings.master_key_file.display();
    let opened = match Database::open(&settings.postgres).await {
        Ok(database) => PostgresKeyVault::open(database, &settings.master_key_file).map(drop),
        // That is told already; the file can be looked at without it.
        Err(_) if settings.master_key_file.is_file() => {
            return finding(name, Health::Fine, format!("{file} is there"), "");
        }
        Err(error) => Err(error),
    };
    match opened {
        Ok(()) => finding(name, Health::Fine, format!("{file} is a master key"), ""),
        Err(error) => {
            let advice = "restore the file from its backup; on a new installation run `cocotalk migrate`";
            finding(name, Health::Wrong, chain(&error), advice)
        }
    }
}

async fn bus(settings: &Settings) -> Finding {
    let name = "kafka";
    match kafka::topics::check(&settings.kafka).await {
        Ok(standing) if standing.problems.is_empty() => {
            let records: i64 = standing.topics.iter().flat_map(|topic| &topic.ends).sum();
            let what = format!(
                "{} brokers, {} topics, {records} records published",
                standing.brokers,
                standing.topics.len()
            );
            finding(name, Health::Fine, what, "")
        }
        Ok(standing) => {
            let advice =
                "run `cocotalk migrate` where a topic is missing; partitions of an existing topic cannot be changed";
            finding(name, Health::Wrong, standing.problems.join("; "), advice)
        }
        Err(error) => {
            let advice = "see whether it runs and whether backend.cluster.kafka.brokers is right; commands go on meanwhile, and \
                          what they did is seen when it is back";
            of_error(name, &error, advice)
        }
    }
}

async fn read_model(settings: &Settings, projections: &[Arc<dyn Projection>]) -> Vec<Finding> {
    let name = "cql";
    let standing = match Cql::examine(&settings.cql, projections).await {
        Ok(standing) => standing,
        Err(error) => {
            let advice = "see whether it runs and whether backend.cluster.cql.nodes is right; commands go on meanwhile";
            return vec![of_error(name, &error, advice)];
        }
    };
    if !standing.missing.is_empty() {
        let what = format!("{} is without {}", standing.version, standing.missing.join(", "));
        return vec![finding(name, Health::Wrong, what, "run `cocotalk migrate`")];
    }
    let mut findings = vec![finding(
        name,
        Health::Fine,
        format!("version {}; every table is there", standing.version),
        "",
    )];
    match lags(settings, projections).await {
        Ok(lags) => findings.extend(lags),
        Err(error) => tracing::debug!("how far projections are is not known: {}", chain(&error)),
    }
    findings
}

/// How far each projection is behind the log.
async fn lags(settings: &Settings, projections: &[Arc<dyn Projection>]) -> Result<Vec<Finding>, StoreError> {
    use cocotalk_application::port::event_log::EventLog as _;
    use cocotalk_application::port::read_model::ReadModel as _;
    let (tasks, stop) = (
        tokio_util::task::TaskTracker::new(),
        tokio_util::sync::CancellationToken::new(),
    );
    let _ends = stop.clone().drop_guard();
    let log = PostgresEventLog::new(Database::open(&settings.postgres).await?, &tasks, stop);
    let heads = log.heads().await?;
    let cql = Cql::connect(&settings.cql).await?;
    let reads = CqlReadModel::open(&cql, projections).await?;
    let mut findings = Vec::new();
    for projection in projections {
        let checkpoints = reads.checkpoints(projection.name()).await?;
        let behind = heads.iter().zip(checkpoints).map(|(head, at)| head.saturating_sub(at));
        let lag: u64 = behind.sum();
        let what = format!("{lag} events behind the log");
        findings.push(if lag > MUCH {
            let advice = "see whether projectors run and what their /readyz says";
            finding(projection.name(), Health::Noteworthy, what, advice)
        } else {
            finding(projection.name(), Health::Fine, what, "")
        });
    }
    Ok(findings)
}
