//! What operators do from the command line beside serving.

mod parked;

use std::process::ExitCode;

use cocotalk_infra::open::{Finding, Health, examine, migrate as migrate_backend};

use crate::cli::Common;
use crate::config::Config;
use crate::run::{COULD_NOT_RUN, WRONG, complain, runtime, say};

pub use parked::parked;

/// Does something with the configuration on a runtime. Exit codes as everywhere.
pub(crate) fn with_config<F: Future<Output = anyhow::Result<ExitCode>>>(
    common: &Common,
    what: impl FnOnce(Config) -> F,
) -> ExitCode {
    let config = match Config::load(common).and_then(|config| config.validate().map(|()| config)) {
        Ok(config) => config,
        Err(error) => {
            complain(&error);
            return ExitCode::from(WRONG);
        }
    };
    let done = runtime(config.worker_threads).and_then(|runtime| runtime.block_on(what(config)));
    done.unwrap_or_else(|error| {
        complain(&format!("{error:#}"));
        ExitCode::from(COULD_NOT_RUN)
    })
}

/// Brings every schema to this release.
pub fn migrate(common: &Common) -> ExitCode {
    with_config(common, async |config| {
        migrate_backend(&config.backend, cocotalk_projectors::all()).await?;
        if common.json {
            say(&serde_json::json!({"ok": true}).to_string());
        } else {
            say("everything is of this release");
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// Looks at every dependency.
pub fn doctor(common: &Common) -> ExitCode {
    with_config(common, async |config| {
        let findings = examine(&config.backend, cocotalk_projectors::all()).await;
        let worst = findings.iter().map(|finding| finding.health).max();
        if common.json {
            say(&serde_json::json!({"ok": worst < Some(Health::Wrong), "findings": findings}).to_string());
        } else {
            findings.iter().for_each(print);
        }
        Ok(match worst {
            None | Some(Health::Fine | Health::Noteworthy) => ExitCode::SUCCESS,
            Some(Health::Wrong) => ExitCode::from(WRONG),
            Some(Health::Unreachable) => ExitCode::from(COULD_NOT_RUN),
        })
    })
}

fn print(finding: &Finding) {
    let Finding {
        dependency,
        health,
        what,
        advice,
    } = finding;
    let mark = match health {
        Health::Fine => "ok   ",
        Health::Noteworthy => "note ",
        Health::Wrong => "WRONG",
        Health::Unreachable => "AWAY ",
    };
    say(&format!("{mark} {dependency}: {what}"));
    if let Some(advice) = advice {
        say(&format!("      {advice}"));
    }
}
