//! Whether a process can do its work, asked of what it stands on.

use std::pin::Pin;
use std::sync::Arc;

use cocotalk_application::error::{StoreError, chain};
use cocotalk_application::port::event_log::EventLog;
use cocotalk_application::port::read_model::ReadModel;
use cocotalk_infra::open::Ports;

use crate::admin::{Dependency, Probe, Readiness};

/// Asks everything that was opened: whether the log reads and writes, how far each projection is behind, and whether the bus
/// is there. A projection that is behind and a bus that is away are told, but what is there can still be served.
pub fn probe(ports: &Ports) -> Probe {
    let ports = ports.clone();
    Arc::new(move || {
        let ports = ports.clone();
        Box::pin(async move { look(&ports).await }) as Pin<Box<dyn Future<Output = Readiness> + Send>>
    })
}

async fn look(ports: &Ports) -> Readiness {
    let mut dependencies = Vec::new();
    let mut ready = true;
    let log = ports.log.as_ref().map(|log| &*log.log);
    if let Some(log) = log {
        let fault = log
            .heads()
            .await
            .map_or_else(|error| Some(chain(&error)), |_| log.fault());
        ready &= fault.is_none();
        dependencies.push(state("store", fault));
    }
    if let Some(views) = &ports.views {
        let seen = projections(log, &*views.reads).await;
        match seen {
            Ok(seen) => dependencies.extend(seen),
            Err(error) => {
                ready = false;
                dependencies.push(state("read_model", Some(chain(&error))));
            }
        }
    }
    for watched in &ports.watched {
        let (name, state) = watched.look();
        dependencies.push(Dependency { name, state });
    }
    Readiness { ready, dependencies }
}

fn state(name: &'static str, fault: Option<String>) -> Dependency {
    Dependency {
        name,
        state: fault.unwrap_or_else(|| "ok".to_owned()),
    }
}

/// How far each projection is behind the log; nothing while the log cannot say where it ends.
async fn projections(log: Option<&dyn EventLog>, model: &dyn ReadModel) -> Result<Vec<Dependency>, StoreError> {
    let heads = match log {
        Some(log) => log.heads().await.ok(),
        None => None,
    };
    let mut seen = Vec::new();
    for projection in cocotalk_projectors::all() {
        let checkpoints = model.checkpoints(projection.name()).await?;
        let Some(heads) = heads else { continue };
        let lag: u64 = heads
            .iter()
            .zip(checkpoints)
            .map(|(head, at)| head.saturating_sub(at))
            .sum();
        let behind = (lag > 0).then(|| format!("{lag} events behind"));
        seen.push(state(projection.name(), behind));
    }
    Ok(seen)
}
