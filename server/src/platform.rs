//! The platform on its ports: what a role serves, put together.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::routing::get;
use axum::{Json, Router};
use cocotalk_application::command_bus::LaneBus;
use cocotalk_application::port::event_log::{EventLog, LogReader};
use cocotalk_application::sealing::Sealing;
use cocotalk_command_api::{CommandState, DevAccounts};
use cocotalk_domain::id::UserId;
use cocotalk_domain::limits::Limits;
use cocotalk_edge::auth::Tokens;
use cocotalk_edge::command::Commands;
use cocotalk_edge::door::Door;
use cocotalk_edge::layers::{EdgeLayer, around};
use cocotalk_edge::rate::Limiter;
use cocotalk_infra::open::{LogPorts, Ports, ViewPorts};
use cocotalk_query_api::QueryState;
use cocotalk_query_api::live::{Handshakes, Hub, HubPorts, Live};
use utoipa::openapi::OpenApi;
use utoipa_swagger_ui::SwaggerUi;

use crate::assets;
use crate::config::Config;
use crate::demo::{self, DemoPerson};
use crate::lifecycle::Lifecycle;
use crate::role::Role;

/// Everything of a process that serves clients, put together.
pub struct Platform {
    shared: Shared,
    /// Where commands are taken.
    commands: Option<CommandState>,
    /// Where queries are answered, and the live sockets.
    queries: Option<(QueryState, Arc<Live>)>,
    people: Vec<DemoPerson>,
}

/// What both sides of the API stand on: sockets take commands too, so that the query side has a bus as well.
struct Shared {
    log: LogPorts,
    commands: Arc<Commands>,
    command_door: Arc<Door>,
    query_door: Arc<Door>,
    tokens: Arc<Tokens>,
    pepper: [u8; 32],
}

impl Shared {
    async fn start(config: &Config, ports: &Ports, log: LogPorts, lifecycle: &Lifecycle) -> anyhow::Result<Self> {
        let sealing = Arc::new(Sealing::keeping(
            Arc::clone(&log.keys),
            Duration::from_secs(config.keys.kept_s),
        ));
        let limits = Arc::new(config.limits.limits.clone());
        let token_secret = log
            .keys
            .secret("access-tokens")
            .await
            .context("no key of access tokens")?;
        let pepper = log.keys.secret("claims").await.context("no secret of claims")?;
        let tokens = Arc::new(Tokens::new(
            *token_secret,
            Duration::from_secs(config.auth.dev_token_ttl_s),
        ));
        let door = |rate: Limiter<UserId>| {
            Arc::new(Door {
                clock: Arc::clone(&ports.clock),
                limits: Arc::clone(&limits),
                body_timeout: config.http.body_timeout(),
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
            Arc::clone(&log.log),
            config.bus.clone(),
            &lifecycle.engine,
            &lifecycle.engine_stop,
        );
        let commands = Arc::new(Commands {
            bus: Arc::new(bus),
            sealing,
            clock: Arc::clone(&ports.clock),
            limits,
        });
        Ok(Self {
            log,
            commands,
            command_door,
            query_door,
            tokens,
            pepper: *pepper,
        })
    }

    fn commands(&self, listener: SocketAddr) -> CommandState {
        let log: Arc<dyn LogReader> = Arc::<dyn EventLog>::clone(&self.log.log);
        let dev_accounts = listener.ip().is_loopback().then(|| {
            Arc::new(DevAccounts {
                pepper: self.pepper,
                tokens: Arc::clone(&self.tokens),
                log,
            })
        });
        CommandState {
            door: Arc::clone(&self.command_door),
            commands: Arc::clone(&self.commands),
            dev_accounts,
        }
    }

    async fn queries(
        &self,
        config: &Config,
        views: &ViewPorts,
        lifecycle: &Lifecycle,
    ) -> anyhow::Result<(QueryState, Arc<Live>)> {
        let rates = config.limits.rate;
        let queries = QueryState::new(
            Arc::clone(&self.query_door),
            Arc::clone(&views.reads),
            Arc::clone(&self.log.log),
            Arc::clone(&self.commands.sealing),
            rates,
        );
        let hub_ports = HubPorts {
            log: Arc::clone(&self.log.log),
            feed: Arc::clone(&views.feed),
            ephemeral: Arc::clone(&views.ephemeral),
            reads: Arc::clone(&views.reads),
            checkpoints: Arc::clone(&queries.checkpoints),
            sealing: Arc::clone(&self.commands.sealing),
            clock: Arc::clone(&self.commands.clock),
        };
        let (hub, feed) = Hub::open(hub_ports, config.live.clone())
            .await
            .context("the live feed did not start")?;
        lifecycle
            .tasks
            .spawn(Arc::clone(&hub).run(feed, lifecycle.soft.clone()));
        let live = Arc::new(Live {
            hub,
            commands: Arc::clone(&self.commands),
            door: Arc::clone(&self.command_door),
            frames: Limiter::per_minute(rates.frames_per_minute),
            stop: lifecycle.soft.clone(),
            tasks: lifecycle.tasks.clone(),
            handshakes: Handshakes::new(&config.live),
        });
        Ok((queries, live))
    }
}

impl Platform {
    /// Puts together what a role serves, and starts what runs by itself. `log` and the views are those of `ports`.
    pub async fn start(
        config: &Config,
        role: Role,
        listener: SocketAddr,
        ports: &Ports,
        log: LogPorts,
        lifecycle: &Lifecycle,
    ) -> anyhow::Result<Self> {
        let shared = Shared::start(config, ports, log, lifecycle).await?;
        let commands = role.takes_commands().then(|| shared.commands(listener));
        let queries = match &ports.views {
            Some(views) => Some(shared.queries(config, views, lifecycle).await?),
            None => None,
        };
        Ok(Self {
            shared,
            commands,
            queries,
            people: Vec::new(),
        })
    }

    /// Everything that is served to clients.
    pub fn router(&self, layer: &EdgeLayer) -> Router {
        let limits = &self.shared.commands.limits;
        let live = Json(cocotalk_query_api::asyncapi(limits));
        let mut routes = Router::new()
            .merge(SwaggerUi::new("/docs/api").url("/v1/openapi.json", openapi(limits)))
            .route("/v1/asyncapi.json", get(async move || live));
        if let Some(commands) = &self.commands {
            routes = routes
                .merge(cocotalk_command_api::router(commands.clone()))
                .merge(demo::router(Arc::clone(&commands.door), &self.people));
        }
        if let Some((queries, live)) = &self.queries {
            routes = routes
                .merge(cocotalk_query_api::router(queries.clone()))
                .merge(cocotalk_query_api::live::router(Arc::clone(live)))
                .merge(assets::router());
        }
        around(routes, layer.clone())
    }

    /// Fills an empty store with people, rooms and messages. Who can sign in; nobody where the store was not empty.
    pub async fn fill_with_demo(&mut self) -> anyhow::Result<&[DemoPerson]> {
        let commands = &self.shared.commands;
        let tools = demo::Tools {
            log: &*self.shared.log.log,
            bus: &*commands.bus,
            sealing: &commands.sealing,
            clock: &*commands.clock,
            pepper: &self.shared.pepper,
            limits: &commands.limits,
        };
        self.people = demo::fill(tools)
            .await
            .context("the demo was not filled in")?
            .unwrap_or_default();
        Ok(&self.people)
    }
}

/// What can be asked over HTTP, commands and queries together.
fn openapi(limits: &Limits) -> OpenApi {
    cocotalk_command_api::openapi(limits).merge_from(cocotalk_query_api::openapi(limits))
}

#[cfg(test)]
mod tests;
