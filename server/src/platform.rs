//! The platform on its ports: sealing, bus, hub, and the routers of both doors as one.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use cocotalk_application::command_bus::LaneBus;
use cocotalk_application::error::{StoreError, chain};
use cocotalk_application::port::event_log::{EventLog, LogReader};
use cocotalk_application::port::read_model::ReadModel;
use cocotalk_application::sealing::Sealing;
use cocotalk_command_api::{CommandState, DevAccounts};
use cocotalk_domain::id::UserId;
use cocotalk_edge::auth::Tokens;
use cocotalk_edge::command::Commands;
use cocotalk_edge::door::Door;
use cocotalk_edge::layers::{EdgeLayer, around};
use cocotalk_edge::rate::Limiter;
use cocotalk_infra::open::Ports;
use cocotalk_query_api::QueryState;
use cocotalk_query_api::live::{Hub, HubPorts, Live};
use utoipa::openapi::OpenApi;
use utoipa_swagger_ui::SwaggerUi;

use crate::admin::{Dependency, Probe, Readiness};
use crate::assets;
use crate::config::Config;
use crate::demo::{self, DemoPerson};
use crate::lifecycle::Lifecycle;

/// Everything that serves, put together.
pub struct Platform {
    ports: Ports,
    commands: CommandState,
    queries: QueryState,
    live: Arc<Live>,
    pepper: [u8; 32],
    people: Vec<DemoPerson>,
}

impl Platform {
    /// Puts it together and starts what runs by itself.
    pub async fn start(
        config: &Config,
        listener: SocketAddr,
        ports: Ports,
        lifecycle: &Lifecycle,
    ) -> anyhow::Result<Self> {
        cocotalk_application::metrics::describe();
        cocotalk_edge::metrics::describe();
        cocotalk_infra::metrics::describe();
        let sealing = Arc::new(Sealing::new(Arc::clone(&ports.keys)));
        let limits = Arc::new(config.limits.limits.clone());
        let token_secret = ports
            .keys
            .secret("access-tokens")
            .await
            .context("no key of access tokens")?;
        let pepper = ports.keys.secret("claims").await.context("no secret of claims")?;
        let tokens = Arc::new(Tokens::new(
            *token_secret,
            Duration::from_secs(config.auth.dev_token_ttl_s),
        ));
        let door = |rate: Limiter<UserId>| {
            Arc::new(Door {
                clock: Arc::clone(&ports.clock),
                limits: Arc::clone(&limits),
                tokens: Arc::clone(&tokens),
                rate,
                trusted_proxies: config.http.trusted_proxies.clone().into(),
            })
        };
        let rates = config.limits.rate;
        let (command_door, query_door) = (
            door(Limiter::per_minute(rates.commands_per_minute)),
            door(Limiter::per_minute(rates.queries_per_minute)),
        );
        let bus = LaneBus::start(
            Arc::clone(&ports.log),
            config.bus.clone(),
            &lifecycle.engine,
            &lifecycle.engine_stop,
        );
        let commands = Arc::new(Commands {
            bus: Arc::new(bus),
            sealing: Arc::clone(&sealing),
            clock: Arc::clone(&ports.clock),
            limits: Arc::clone(&limits),
        });
        let hub_ports = HubPorts {
            log: Arc::clone(&ports.log),
            feed: Arc::clone(&ports.feed),
            ephemeral: Arc::clone(&ports.ephemeral),
            reads: Arc::clone(&ports.reads),
            sealing: Arc::clone(&sealing),
            clock: Arc::clone(&ports.clock),
        };
        let (hub, feed) = Hub::open(hub_ports, config.live.clone())
            .await
            .context("the live feed did not start")?;
        lifecycle
            .tasks
            .spawn(Arc::clone(&hub).run(feed, lifecycle.soft.clone()));
        let live = Arc::new(Live {
            hub,
            commands: Arc::clone(&commands),
            door: Arc::clone(&command_door),
            frames: Limiter::per_minute(rates.frames_per_minute),
            stop: lifecycle.soft.clone(),
            tasks: lifecycle.tasks.clone(),
            handshakes: AtomicUsize::new(0),
        });
        let log_reader: Arc<dyn LogReader> = Arc::<dyn EventLog>::clone(&ports.log);
        let dev_accounts = listener.ip().is_loopback().then(|| {
            Arc::new(DevAccounts {
                pepper: *pepper,
                tokens,
                log: log_reader,
            })
        });
        let queries = QueryState::new(
            query_door,
            Arc::clone(&ports.reads),
            Arc::clone(&ports.log),
            sealing,
            rates,
        );
        Ok(Self {
            commands: CommandState {
                door: command_door,
                commands,
                dev_accounts,
            },
            queries,
            live,
            ports,
            pepper: *pepper,
            people: Vec::new(),
        })
    }

    /// Everything that is served to clients.
    pub fn router(&self, layer: &EdgeLayer) -> Router {
        let routes = Router::new()
            .merge(cocotalk_command_api::router(self.commands.clone()))
            .merge(cocotalk_query_api::router(self.queries.clone()))
            .merge(cocotalk_query_api::live::router(Arc::clone(&self.live)))
            .merge(SwaggerUi::new("/docs/api").url("/v1/openapi.json", openapi()))
            .merge(assets::router())
            .merge(demo::router(Arc::clone(&self.commands.door), &self.people));
        around(routes, layer.clone())
    }

    /// Whether the store reads and writes, and how far each projection is behind.
    pub fn probe(&self) -> Probe {
        let (log, reads) = (Arc::clone(&self.ports.log), Arc::clone(&self.ports.reads));
        Arc::new(move || {
            let (log, reads) = (Arc::clone(&log), Arc::clone(&reads));
            Box::pin(async move {
                look(&*log, &*reads)
                    .await
                    .unwrap_or_else(|error| Readiness::waiting("store", chain(&error)))
            })
        })
    }

    /// Fills an empty store with people, rooms and messages. Who can sign in; nobody where the store was not empty.
    pub async fn fill_with_demo(&mut self) -> anyhow::Result<&[DemoPerson]> {
        let commands = &self.commands.commands;
        let tools = demo::Tools {
            log: &*self.ports.log,
            bus: &*commands.bus,
            sealing: &commands.sealing,
            clock: &*commands.clock,
            pepper: &self.pepper,
            limits: &commands.limits,
        };
        self.people = demo::fill(tools)
            .await
            .context("the demo was not filled in")?
            .unwrap_or_default();
        Ok(&self.people)
    }
}

async fn look(log: &dyn EventLog, model: &dyn ReadModel) -> Result<Readiness, StoreError> {
    let heads = log.heads().await?;
    let fault = log.fault();
    let ready = fault.is_none();
    let mut dependencies = vec![Dependency {
        name: "store",
        state: fault.unwrap_or_else(|| "ok".to_owned()),
    }];
    for projection in cocotalk_projectors::all() {
        let checkpoints = model.checkpoints(projection.name()).await?;
        let lag: u64 = heads
            .iter()
            .zip(checkpoints)
            .map(|(head, at)| head.saturating_sub(at))
            .sum();
        let state = if lag == 0 {
            "ok".to_owned()
        } else {
            format!("{lag} events behind")
        };
        dependencies.push(Dependency {
            name: projection.name(),
            state,
        });
    }
    Ok(Readiness { ready, dependencies })
}

/// What can be asked over HTTP, commands and queries together.
pub fn openapi() -> OpenApi {
    cocotalk_command_api::openapi().merge_from(cocotalk_query_api::openapi())
}
