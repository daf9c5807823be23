//! From the command line to the end of the process.

use std::io::Write as _;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::response::IntoResponse as _;
use clap::{CommandFactory as _, Parser as _};
use cocotalk_edge::layers::EdgeLayer;
use cocotalk_edge::problem::{Code, Problem};
use cocotalk_infra::open::{OpenError, Ports};
use cocotalk_infra::telemetry;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::admin::{self, Probe, Readiness};
use crate::cli::{Cli, Command, ConfigCommand};
use crate::config::{Config, ConfigError};
use crate::demo::DemoPerson;
use crate::lifecycle::{Lifecycle, Signals};
use crate::platform::Platform;
use crate::serve::{Bounds, serve};

/// Something is wrong.
const WRONG: u8 = 1;
/// It could not run: the store is in use, an address is taken.
const COULD_NOT_RUN: u8 = 3;
/// How long to wait before the store is tried again.
const REOPEN: Duration = Duration::from_secs(1);

/// Does what the command line says. Exit codes: 0 fine, 1 something is wrong, 2 usage, 3 could not run.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match &cli.command {
        None => serve_command(&cli),
        Some(Command::Config(command)) => config_command(&cli, *command),
        Some(Command::Completions { shell }) => {
            clap_complete::generate(*shell, &mut Cli::command(), "cocotalk", &mut std::io::stdout());
            ExitCode::SUCCESS
        }
    }
}

/// Says something on standard output; whoever closed it does not want to know.
fn say(text: &str) {
    drop(writeln!(std::io::stdout(), "{text}"));
}

/// Says what went wrong on standard error.
fn complain(error: &dyn std::fmt::Display) {
    drop(writeln!(std::io::stderr(), "cocotalk: {error}"));
}

fn config_command(cli: &Cli, command: ConfigCommand) -> ExitCode {
    let checked = Config::load(&cli.common).and_then(|config| config.validate().map(|()| config));
    let (json, code) = match (&checked, command) {
        (Ok(config), ConfigCommand::Dump) if !cli.common.json => {
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
    match (&checked, cli.common.json) {
        (_, true) => say(&json.to_string()),
        (Ok(_), false) => say("the configuration is fine"),
        (Err(error), false) => complain(error),
    }
    code
}

fn serve_command(cli: &Cli) -> ExitCode {
    let config = match Config::for_serving(cli) {
        Ok(config) => config,
        Err(error @ (ConfigError::NoFile(_) | ConfigError::NotUnderstood(_) | ConfigError::Wrong(_))) => {
            complain(&error);
            return ExitCode::from(WRONG);
        }
    };
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    if config.worker_threads > 0 {
        runtime.worker_threads(config.worker_threads);
    }
    let served = runtime
        .enable_all()
        .build()
        .context("the runtime did not start")
        .and_then(|runtime| runtime.block_on(run(config, cli.demo)));
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("{error:#}"));
            ExitCode::from(COULD_NOT_RUN)
        }
    }
}

/// Serves until a signal asks to stop.
async fn run(config: Config, demo: bool) -> anyhow::Result<()> {
    let mut signals = Signals::listen().context("signals cannot be heard")?;
    let lifecycle = Lifecycle::default();
    let metrics = telemetry::install(&config.log).context("telemetry did not start")?;
    lifecycle.tasks.spawn(metrics.clone().keep_up(lifecycle.soft.clone()));

    let (listener, address) = bind(config.listen).await?;
    let (admin_listener, admin_address) = bind(config.admin_listen).await?;
    let bounds = Bounds {
        connections: config.max_connections,
        head: Duration::from_millis(config.http.keep_alive_ms),
    };
    let layer = EdgeLayer::new(&config.http);
    let starting: Probe = Arc::new(|| Box::pin(async { Readiness::waiting("store", "opening") }));
    let (readiness, readiness_seen) = watch::channel(starting);
    let (app, app_seen) = watch::channel(not_yet(&layer, Code::Starting));
    let admin = watch::channel(admin::router(metrics, layer.clone(), readiness_seen)).1;
    lifecycle
        .tasks
        .spawn(serve(admin_listener, admin, admin_address, bounds, lifecycle.clone()));
    lifecycle
        .tasks
        .spawn(serve(listener, app_seen, address, bounds, lifecycle.clone()));

    let deadline = Duration::from_millis(config.stop_timeout_ms);
    tokio::select! {
        opened = open(&config, address, demo, &lifecycle, &layer, &app, &readiness) => {
            opened?;
            say(&format!("cocotalk is ready: http://{address} (admin http://{admin_address})"));
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
    Ok(())
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

/// Opens the store, however long that takes, and puts the platform on it.
async fn open(
    config: &Config,
    address: SocketAddr,
    demo: bool,
    lifecycle: &Lifecycle,
    layer: &EdgeLayer,
    app: &watch::Sender<Router>,
    readiness: &watch::Sender<Probe>,
) -> anyhow::Result<()> {
    let ports = open_store(config, lifecycle, layer, app, readiness).await?;
    let mut platform = Platform::start(config, address, ports, lifecycle).await?;
    if demo {
        greet(platform.fill_with_demo().await?);
    }
    readiness.send_replace(platform.probe());
    drop(app.send_replace(platform.router(layer)));
    Ok(())
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

/// Until the store opens, commands and queries are told why it does not. One that somebody else has open is not waited for.
async fn open_store(
    config: &Config,
    lifecycle: &Lifecycle,
    layer: &EdgeLayer,
    app: &watch::Sender<Router>,
    readiness: &watch::Sender<Probe>,
) -> anyhow::Result<Ports> {
    let projections = cocotalk_projectors::all();
    let mut said = String::new();
    loop {
        let stop = lifecycle.engine_stop.clone();
        let error =
            match cocotalk_infra::open::open(&config.backend, projections.clone(), &lifecycle.engine, stop).await {
                Ok(ports) => return Ok(ports),
                Err(error @ OpenError::Unavailable { .. }) => error,
                Err(error @ (OpenError::Locked { .. } | OpenError::Unreadable { .. } | OpenError::Setting { .. })) => {
                    return Err(error.into());
                }
            };
        let why = cocotalk_application::error::chain(&error);
        if why != said {
            tracing::error!("the store does not open, trying again every second: {why}");
            drop(app.send_replace(not_yet(layer, Code::StorageUnavailable)));
            let state = why.clone();
            let waiting: Probe = Arc::new(move || {
                let state = state.clone();
                Box::pin(async move { Readiness::waiting("store", state) })
            });
            readiness.send_replace(waiting);
            said = why;
        }
        tokio::time::sleep(REOPEN).await;
    }
}
