//! The composition root: the only crate that names adapters, reads the environment and starts tasks.
//!
//! `config` joins everybody's settings; `lifecycle` owns every task and ends them in order; `serve` is the accept loop;
//! `platform` puts ports, bus, hub and routers together; `workers` starts relay and projectors; `run` tells the story from
//! start to stop, `operate` what can be done beside it. `role` is what a process is: everything, or one part of it.

pub mod admin;
pub mod assets;
pub mod cli;
pub mod config;
pub mod demo;
pub mod lifecycle;
pub mod metrics;
pub mod operate;
pub mod platform;
pub mod readiness;
pub mod role;
pub mod run;
pub mod serve;
pub mod workers;
