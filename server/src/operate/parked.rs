//! Events that a projection could not take: list, show, apply again, give up.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use cocotalk_application::following::Aggregate;
use cocotalk_application::port::parking::{PAGE_PARKED, ParkedEvent};
use cocotalk_application::port::row_store::Tables;
use cocotalk_application::projection::Projection;
use cocotalk_domain::stream::{Slice, StreamId};
use cocotalk_infra::open::open_parked;
use cocotalk_projectors::parked::{ParkedPorts, Retried};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::with_config;
use crate::cli::{Common, ParkedCommand, ParkedEventArgs};
use crate::run::{WRONG, complain, say};

/// Looks after parked events.
pub fn parked(common: &Common, command: &ParkedCommand) -> ExitCode {
    with_config(common, async |config| {
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let _ends = stop.clone().drop_guard();
        let opened = open_parked(&config.backend, cocotalk_projectors::all(), &tasks, stop).await?;
        let Some((log, rows, parking)) = opened else {
            complain(&"the embedded store keeps what is parked to itself: this works on backend.kind cluster");
            return Ok(ExitCode::from(WRONG));
        };
        let ports = ParkedPorts { log, rows, parking };
        let desk = Desk {
            ports,
            json: common.json,
        };
        match command {
            ParkedCommand::List { projection } => desk.list(projection.as_deref()).await,
            ParkedCommand::Show(event) => desk.show(event).await,
            ParkedCommand::Retry { projection, stream } => desk.retry(projection.as_deref(), stream.as_deref()).await,
            ParkedCommand::Skip(event) => desk.skip(event).await,
        }
    })
}

/// Where it is done, and how it is told.
struct Desk {
    ports: ParkedPorts,
    json: bool,
}

impl Desk {
    async fn list(&self, projection: Option<&str>) -> anyhow::Result<ExitCode> {
        let tables = projection
            .map(named)
            .transpose()?
            .map(|projection| Tables::of(&*projection));
        let mut offset = 0;
        let mut items = Vec::new();
        loop {
            let page = self.ports.parking.list(tables, offset).await?;
            offset += page.len();
            let is_last = page.len() < PAGE_PARKED;
            items.extend(page);
            if is_last {
                break;
            }
        }
        if self.json {
            let items: Vec<Value> = items
                .iter()
                .map(|(name, version, event)| shown(name, *version, event))
                .collect();
            say(&json!({"items": items}).to_string());
        } else if items.is_empty() {
            say("nothing is parked");
        } else {
            for (name, version, event) in &items {
                say(&format!(
                    "{name} v{version}  {} {}  (position {}:{}, tried {} times)  {}",
                    event.stream, event.sequence, event.slice, event.slice_pos, event.attempts, event.error
                ));
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    async fn show(&self, which: &ParkedEventArgs) -> anyhow::Result<ExitCode> {
        let projection = named(&which.projection)?;
        let stream = stream(&which.stream)?;
        let waiting = self
            .ports
            .parking
            .of_aggregate(Tables::of(&*projection), stream.into())
            .await?;
        let found = waiting
            .iter()
            .find(|event| event.stream == stream && event.sequence == which.sequence);
        let Some(parked) = found else {
            return Ok(missing(which));
        };
        let event = self.ports.event(&stream, which.sequence).await?;
        let content = event.map(|event| match event.event {
            Ok(event) => json!({"type": event.name(), "payload": serde_json::from_str::<Value>(&event.payload()).unwrap_or_default()}),
            Err(error) => json!({"type": error.event_type, "unreadable": error.to_string()}),
        });
        let mut answer = shown(projection.name(), projection.version(), parked);
        answer["event"] = json!(content);
        answer["waiting_with_it"] = json!(waiting.len());
        say(&if self.json {
            answer.to_string()
        } else {
            serde_json::to_string_pretty(&answer)?
        });
        Ok(ExitCode::SUCCESS)
    }

    async fn retry(&self, projection: Option<&str>, of: Option<&str>) -> anyhow::Result<ExitCode> {
        let of = of.map(stream).transpose()?;
        let mut done = Vec::new();
        for each in cocotalk_projectors::all() {
            if projection.is_some_and(|name| name != each.name()) {
                continue;
            }
            let aggregates = match of {
                Some(stream) => vec![Aggregate::from(stream)],
                None => self.waiting(Tables::of(&*each)).await?,
            };
            for aggregate in aggregates {
                done.extend(self.ports.retry(&each, aggregate).await?);
            }
        }
        Ok(self.tell(&done))
    }

    /// Everything of which something waits.
    async fn waiting(&self, tables: Tables) -> anyhow::Result<Vec<Aggregate>> {
        let mut aggregates = Vec::new();
        for slice in Slice::all() {
            aggregates.extend(self.ports.parking.aggregates(tables, slice).await?);
        }
        Ok(aggregates)
    }

    async fn skip(&self, which: &ParkedEventArgs) -> anyhow::Result<ExitCode> {
        let projection = named(&which.projection)?;
        let stream = stream(&which.stream)?;
        match self.ports.skip(&projection, &stream, which.sequence).await? {
            Some(done) => Ok(self.tell(&done)),
            None => Ok(missing(which)),
        }
    }

    fn tell(&self, done: &[Retried]) -> ExitCode {
        let failed = done.iter().filter(|retried| retried.error.is_some()).count();
        if self.json {
            let of = |retried: &Retried| json!({"stream": retried.stream.to_string(), "sequence": retried.sequence, "error": retried.error});
            let items: Vec<Value> = done.iter().map(of).collect();
            say(&json!({"ok": failed == 0, "items": items}).to_string());
        } else {
            for retried in done {
                let outcome = retried.error.as_deref().unwrap_or("applied");
                say(&format!("{} {}: {outcome}", retried.stream, retried.sequence));
            }
            say(&format!("{} applied, {failed} failed again", done.len() - failed));
        }
        if failed == 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::from(WRONG)
        }
    }
}

fn missing(which: &ParkedEventArgs) -> ExitCode {
    complain(&format!(
        "{} {} does not wait for {}",
        which.stream, which.sequence, which.projection
    ));
    ExitCode::from(WRONG)
}

fn shown(projection: &str, version: u32, event: &ParkedEvent) -> Value {
    json!({
        "projection": projection,
        "version": version,
        "stream": event.stream.to_string(),
        "sequence": event.sequence,
        "slice": event.slice.index(),
        "slice_pos": event.slice_pos,
        "error": event.error,
        "attempts": event.attempts,
        "first_at": event.first_at,
        "last_at": event.last_at,
    })
}

/// The projection of this name.
fn named(name: &str) -> anyhow::Result<Arc<dyn Projection>> {
    let found = cocotalk_projectors::all()
        .into_iter()
        .find(|projection| projection.name() == name);
    found.with_context(|| format!("there is no projection {name}"))
}

/// `<type>/<id>` as a stream.
fn stream(text: &str) -> anyhow::Result<StreamId> {
    let parsed = text.split_once('/').and_then(|(kind, id)| StreamId::parse(kind, id));
    parsed.with_context(|| {
        format!("{text} is no stream: write room/<id>, seat/<room>/<user>, account/<id> or claim/<id>")
    })
}
