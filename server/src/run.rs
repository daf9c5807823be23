//! From the command line to the end of the process.

use std::io::Write as _;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::response::IntoResponse as _;
use clap::{CommandFactory as _, FromArgMatches as _, Parser as _};
use clap_complete::Shell;
use cocotalk_application::error::chain;
use cocotalk_edge::layers::EdgeLayer;
use cocotalk_edge::problem::{Code, Problem};
use cocotalk_infra::open::{Ports, open};
use cocotalk_infra::telemetry;
use cocotalk_projectors::gate::Gate;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::watch;

use crate::admin::{self, Probe, Readiness};
use crate::cli::{Cli, Command, Common, ConfigCommand, Listening, PartCli, PartCommand, ProjectionsCommand};
use crate::config::{Config, ConfigError};
use crate::demo::DemoPerson;
use crate::lifecycle::{Lifecycle, Signals};
use crate::metrics;
use crate::operate;
use crate::platform::Platform;
use crate::readiness;
use crate::role::Role;
use crate::serve::{Bounds, serve};
use crate::workers;

/// Something is wrong.
pub(crate) const WRONG: u8 = 1;
/// It could not run: the store is in use, an address is taken.
pub(crate) const COULD_NOT_RUN: u8 = 3;
/// How long to wait before the store is tried again.
const REOPEN: Duration = Duration::from_secs(1);

/// Does what the command line of `cocotalk` says. Exit codes: 0 fine, 1 something is wrong, 2 usage, 3 could not run.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let common = &cli.common;
    match &cli.command {
        None => serve_command(Role::All, common, cli.listening, cli.demo),
        Some(Command::Config(command)) => config_command(Role::All, common, *command),
        Some(Command::Migrate) => operate::migrate(common),
        Some(Command::Doctor) => operate::doctor(common),
        Some(Command::Projections(ProjectionsCommand::Parked(command))) => operate::parked(common, command),
        Some(Command::Completions { shell }) => completions(*shell, Cli::command()),
    }
}

/// Does what the command line of a part says, with the same exit codes.
pub fn main_of_part(role: Role) -> ExitCode {
    let parsed = PartCli::command().name(role.name()).get_matches();
    let cli = PartCli::from_arg_matches(&parsed).unwrap_or_else(|error| error.exit());
    match cli.command {
        None => serve_command(role, &cli.common, cli.listening, false),
        Some(PartCommand::Config(command)) => config_command(role, &cli.common, command),
        Some(PartCommand::Completions { shell }) => completions(shell, PartCli::command().name(role.name())),
    }
}

/// Prints the script that completes this command line.
fn completions(shell: Shell, mut line: clap::Command) -> ExitCode {
    let (name, mut script) = (line.get_name().to_owned(), Vec::new());
    clap_complete::generate(shell, &mut line, name, &mut script);
    say(String::from_utf8_lossy(&script).trim_end());
    ExitCode::SUCCESS
}

/// Says something on standard output; whoever closed it does not want to know.
pub(crate) fn say(text: &str) {
    drop(writeln!(std::io::stdout(), "{text}"));
}

/// Says what went wrong on standard error.
pub(crate) fn complain(error: &dyn std::fmt::Display) {
    drop(writeln!(std::io::stderr(), "cocotalk: {error}"));
}

fn config_command(role: Role, common: &Common, command: ConfigCommand) -> ExitCode {
    let checked = Config::load(common).and_then(|config| config.validate_for(role).map(|()| config));
    let (json, code) = match (&checked, command) {
        (Ok(config), ConfigCommand::Dump) if !common.json => {
            match config.to_toml() {
                Ok(toml) => say(toml.trim_end()),
                Err(error) => complain(&error),
            }
            return ExitCode::SUCCESS;
        }
        (Ok(config), ConfigCommand::Dump) => (serde_json::json!(config), ExitCode::SUCCESS),
        (Ok(_), ConfigCommand::Check) => (serde_json::json!({"ok": true}), ExitCode::SUCCESS),
        (Err(error), _) => (
            serde_json::json!({"ok": false, "error": error.to_string()}),
            ExitCode::from(WRONG),
        ),
    };
    match (&checked, common.json) {
        (_, true) => say(&json.to_string()),
        (Ok(_), false) => say("the configuration is fine"),
        (Err(error), false) => complain(error),
    }
    code
}

fn serve_command(role: Role, common: &Common, listening: Listening, demo: bool) -> ExitCode {
    let config = match Config::for_serving(role, common, listening) {
        Ok(config) => config,
        Err(error @ (ConfigError::NoFile(_) | ConfigError::NotUnderstood(_) | ConfigError::Wrong(_))) => {
            complain(&error);
            return ExitCode::from(WRONG);
        }
    };
    let served = runtime(config.worker_threads).and_then(|runtime| runtime.block_on(run(role, config, demo)));
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("{error:#}"));
            ExitCode::from(COULD_NOT_RUN)
        }
    }
}

/// A runtime of so many threads; 0 is one per core.
pub(crate) fn runtime(threads: usize) -> anyhow::Result<Runtime> {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    if threads > 0 {
        runtime.worker_threads(threads);
    }
    runtime.enable_all().build().context("the runtime did not start")
}

/// Runs until a signal asks to stop.
async fn run(role: Role, config: Config, demo: bool) -> anyhow::Result<()> {
    let mut signals = Signals::listen().context("signals cannot be heard")?;
    let lifecycle = Lifecycle::default();
    let telemetry = telemetry::install(&config.log, &config.otlp, role.name()).context("telemetry did not start")?;
    let recorder = telemetry.metrics.clone();
    metrics::describe_all();
    lifecycle.tasks.spawn(recorder.clone().keep_up(lifecycle.soft.clone()));

    let listener = if role.serves_clients() {
        Some(bind(config.listen).await?)
    } else {
        None
    };
    let (admin_listener, admin_address) = bind(config.admin_listen).await?;
    let bounds = Bounds {
        connections: config.max_connections,
        per_network: config.http.max_connections_per_network,
        trusted_proxies: config.http.trusted_proxies.as_slice().into(),
        keep_alive: Duration::from_millis(config.http.keep_alive_ms),
        head: Duration::from_millis(config.http.head_timeout_ms),
    };
    let layer = EdgeLayer::new(&config.http);
    let starting: Probe = Arc::new(|| Box::pin(async { Readiness::waiting("store", "opening") }));
    let (readiness, readiness_seen) = watch::channel(starting);
    let (app, app_seen) = watch::channel(not_yet(&layer, Code::Starting));
    let gate = Gate::default();
    let of_projectors = role.projects(&config.backend).then(|| gate.clone());
    let admin = admin::router(recorder, role, layer.clone(), readiness_seen, of_projectors);
    let admin = watch::channel(admin).1;
    lifecycle.tasks.spawn(serve(
        admin_listener,
        admin,
        admin_address,
        bounds.clone(),
        lifecycle.clone(),
    ));
    let address = listener.as_ref().map(|(_, address)| *address);
    if let Some((listener, address)) = listener {
        lifecycle
            .tasks
            .spawn(serve(listener, app_seen, address, bounds, lifecycle.clone()));
    }

    let deadline = Duration::from_millis(config.stop_timeout_ms);
    let start = Start {
        role,
        config: &config,
        address,
        demo,
        gate,
        lifecycle: &lifecycle,
        layer: &layer,
        app: &app,
        readiness: &readiness,
    };
    tokio::select! {
        opened = start.open() => {
            opened?;
            say(&ready_line(role, address, admin_address));
            let signal = signals.stop().await;
            tracing::info!("{signal}: stopping, for at most {deadline:?}");
        }
        signal = signals.stop() => tracing::info!("{signal} before the store was open: stopping"),
    }
    let stopping: Probe = Arc::new(|| Box::pin(async { Readiness::waiting("process", "stopping") }));
    readiness.send_replace(stopping);
    drop(app.send_replace(not_yet(&layer, Code::ShuttingDown)));
    if !lifecycle.stop(&mut signals, deadline).await {
        tracing::warn!("stopped before everything had finished");
    }
    tokio::task::spawn_blocking(move || telemetry.finish())
        .await
        .context("the last spans were not sent")
}

/// What a process says when it is ready.
fn ready_line(role: Role, address: Option<SocketAddr>, admin: SocketAddr) -> String {
    let name = role.name();
    match address {
        Some(address) => format!("{name} is ready: http://{address} (admin http://{admin})"),
        None => format!("{name} is ready: (admin http://{admin})"),
    }
}

async fn bind(address: SocketAddr) -> anyhow::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}"))?;
    let address = listener.local_addr().context("the listener has no address")?;
    Ok((listener, address))
}

/// What answers before there is anything to answer with, and when there no longer is.
fn not_yet(layer: &EdgeLayer, code: Code) -> Router {
    let answer = async move || Problem::new(code).into_response();
    Router::new().fallback(answer).layer(layer.clone())
}

/// A process that starts: what it is to be, and where it tells how far it is.
struct Start<'a> {
    role: Role,
    config: &'a Config,
    /// Where clients connect, if they do.
    address: Option<SocketAddr>,
    demo: bool,
    gate: Gate,
    lifecycle: &'a Lifecycle,
    layer: &'a EdgeLayer,
    app: &'a watch::Sender<Router>,
    readiness: &'a watch::Sender<Probe>,
}

impl Start<'_> {
    /// Opens the backend, however long that takes, and puts on it what the role is.
    async fn open(&self) -> anyhow::Result<()> {
        let mut ports = self.open_ports().await?;
        workers::start(&mut ports, &self.gate, self.lifecycle);
        if let (Some(address), Some(log)) = (self.address, ports.log.clone()) {
            let platform = Platform::start(self.config, self.role, address, &ports, log, self.lifecycle);
            let mut platform = platform.await?;
            if self.demo {
                greet(platform.fill_with_demo().await?);
            }
            drop(self.app.send_replace(platform.router(self.layer)));
        }
        self.readiness.send_replace(readiness::probe(&ports));
        Ok(())
    }

    /// Until everything opens, clients are told why it does not. What somebody else has open, and what cannot be used, is not
    /// waited for.
    async fn open_ports(&self) -> anyhow::Result<Ports> {
        let projections = cocotalk_projectors::all();
        let (backend, parts) = (&self.config.backend, self.role.parts());
        let mut said = String::new();
        loop {
            let stop = self.lifecycle.engine_stop.clone();
            let opened = open(backend, parts, projections.clone(), &self.lifecycle.engine, stop).await;
            let error = match opened {
                Ok(opened) => return Ok(opened),
                Err(error) if error.may_pass() => error,
                Err(error) => return Err(error.into()),
            };
            let why = chain(&error);
            if why != said {
                tracing::error!("the store does not open, trying again every second: {why}");
                drop(self.app.send_replace(not_yet(self.layer, Code::StorageUnavailable)));
                let state = why.clone();
                let waiting: Probe = Arc::new(move || {
                    let state = state.clone();
                    Box::pin(async move { Readiness::waiting("store", state) })
                });
                self.readiness.send_replace(waiting);
                said = why;
            }
            tokio::time::sleep(REOPEN).await;
        }
    }
}

/// Says who can sign in on the console.
fn greet(people: &[DemoPerson]) {
    if people.is_empty() {
        say("the store is not empty: no demo was filled in");
        return;
    }
    say("sign in on the console as one of (no password needed on this machine):");
    people
        .iter()
        .for_each(|person| say(&format!("  {:<20} {}", person.handle, person.display_name)));
}
