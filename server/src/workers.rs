//! What runs by itself: the relay and the projectors, where the backend has them.

use cocotalk_infra::open::Ports;
#[cfg(feature = "cluster")]
use cocotalk_infra::open::Watched;
use cocotalk_projectors::gate::Gate;
#[cfg(feature = "cluster")]
use cocotalk_projectors::{
    relay::{self, RelayStatus},
    runner::{self, RunnerSettings, RunnerStatus},
};

use crate::lifecycle::Lifecycle;

/// Starts what the ports have, and adds to them how that is doing.
#[cfg(feature = "cluster")]
pub fn start(ports: &mut Ports, gate: &Gate, lifecycle: &Lifecycle) {
    use std::sync::Arc;
    if let Some(relay) = ports.relay.take() {
        let status = RelayStatus::default();
        lifecycle
            .tasks
            .spawn(relay::run(relay, status.clone(), lifecycle.soft.clone()));
        ports.watched.push(Arc::new(Relay(status)));
    }
    if let Some(projectors) = ports.projectors.take() {
        let status = RunnerStatus::default();
        lifecycle.tasks.spawn(runner::run(
            projectors,
            cocotalk_projectors::all(),
            RunnerSettings::default(),
            status.clone(),
            gate.clone(),
            lifecycle.soft.clone(),
        ));
        ports.watched.push(Arc::new(Projectors(status)));
    }
}

/// The embedded store does the work of both in its writer.
#[cfg(not(feature = "cluster"))]
pub fn start(_: &mut Ports, _: &Gate, _: &Lifecycle) {}

#[cfg(feature = "cluster")]
struct Relay(RelayStatus);

#[cfg(feature = "cluster")]
impl Watched for Relay {
    fn look(&self) -> (&'static str, String) {
        ("relay", self.0.describe())
    }
}

#[cfg(feature = "cluster")]
struct Projectors(RunnerStatus);

#[cfg(feature = "cluster")]
impl Watched for Projectors {
    fn look(&self) -> (&'static str, String) {
        ("projectors", self.0.describe())
    }
}
