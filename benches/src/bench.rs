//! One invocation: the machine, then each figure, then the table.

use std::collections::HashMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use clap::ValueEnum as _;
use serde_json::json;

use crate::arguments::Arguments;
use crate::child::{Running, Site};
use crate::figure::Figure;
use crate::figure::peers::{LoadRun, Shape};
use crate::machine::Machine;
use crate::process;
use crate::report::{self, Row};

/// Open files that the largest figure needs, with room to spare.
const OPEN_FILES: u64 = 16_384;

/// What every figure is given.
#[derive(Debug)]
pub(crate) struct Bench {
    /// How much to do.
    pub(crate) arguments: Arguments,
    server: PathBuf,
    data_root: PathBuf,
    /// Runs that two figures read: sends a second and CPU are of the same load.
    pub(crate) loads: HashMap<Shape, Vec<LoadRun>>,
}

/// Measures what the arguments ask for; the exit code says whether every bar was reached.
pub(crate) async fn run(arguments: Arguments) -> Result<ExitCode> {
    let mut bench = Bench::new(arguments)?;
    let mut machine = Machine::survey(&bench.data_root)?;
    for line in machine.lines() {
        eprintln!("{line}");
    }
    let all = bench.arguments.only.is_empty();
    let only = bench.arguments.only.clone();
    let figures: Vec<Figure> = Figure::value_variants()
        .iter()
        .copied()
        .filter(|figure| all || only.contains(figure))
        .collect();
    let mut rows = Vec::new();
    for figure in figures {
        eprintln!("{}: {}", figure.name(), figure.about());
        match Box::pin(figure.measure(&mut bench)).await {
            Ok(measured) => rows.extend(measured),
            Err(error) => {
                eprintln!("{}: {error:#}", figure.name());
                rows.push(Row::failed(figure.name(), &error));
            }
        }
    }
    machine.look_again(&bench.data_root)?;
    bench.publish(&machine, &rows)?;
    Ok(if rows.iter().any(Row::is_bad) {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

impl Bench {
    fn new(arguments: Arguments) -> Result<Self> {
        let here = std::env::current_exe().context("cannot find this program")?;
        let folder = here.parent().context("this program is in no folder")?;
        let server = arguments.server.clone().unwrap_or_else(|| folder.join("cocotalk"));
        ensure!(
            server.is_file(),
            "no server binary at {}; build it with cargo build --release",
            server.display()
        );
        let data_root = arguments.data_root.clone().unwrap_or_else(|| folder.to_owned());
        fs::create_dir_all(&data_root).with_context(|| format!("cannot make {}", data_root.display()))?;
        process::raise_file_limit(OPEN_FILES.max(arguments.sockets + 1_024))?;
        Ok(Self {
            arguments,
            server,
            data_root,
            loads: HashMap::new(),
        })
    }

    /// A fresh data folder.
    pub(crate) fn site(&self) -> Result<Site> {
        Site::new(&self.data_root)
    }

    /// Starts the server on a data folder.
    pub(crate) async fn server(&self, site: &Site) -> Result<Running> {
        Running::server(&self.server, site)
            .await
            .with_context(|| format!("cannot start {}", self.server.display()))
    }

    /// Length of one timed run.
    pub(crate) fn length(&self) -> Duration {
        Duration::from_secs(self.arguments.seconds)
    }

    /// Runs of each figure.
    pub(crate) fn runs(&self) -> usize {
        self.arguments.runs as usize
    }

    fn publish(&self, machine: &Machine, rows: &[Row]) -> Result<()> {
        let reductions = self.arguments.reductions();
        let mut head = machine.lines();
        head.push(format!(
            "runs: {} of {} s each, medians",
            self.arguments.runs, self.arguments.seconds
        ));
        if !reductions.is_empty() {
            head.push(format!(
                "A QUICK LOOK, not the run the bars are stated for: {}",
                reductions.join(", ")
            ));
        }
        if let Some(path) = &self.arguments.json {
            write_json(path, machine, &self.arguments, &reductions, rows)?;
        }
        let mut out = std::io::stdout().lock();
        out.write_all(report::render(&head, rows).as_bytes())
            .context("cannot print the table")
    }
}

fn write_json(
    path: &Path,
    machine: &Machine,
    arguments: &Arguments,
    reductions: &[String],
    rows: &[Row],
) -> Result<()> {
    let document = json!({
        "machine": machine,
        "seconds": arguments.seconds,
        "runs": arguments.runs,
        "quick_look": reductions,
        "rows": rows,
    });
    let text = serde_json::to_string_pretty(&document).context("cannot encode the table")?;
    fs::write(path, text + "\n").with_context(|| format!("cannot write {}", path.display()))
}
