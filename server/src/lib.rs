//! The composition root: the only crate that names adapters, reads the environment and starts tasks.
//!
//! `config` joins everybody's settings; `lifecycle` owns every task and ends them in order; `serve` is the accept loop;
//! `platform` puts ports, bus, hub and routers together; `run` tells the story from start to stop.

pub mod admin;
pub mod assets;
pub mod cli;
pub mod config;
pub mod demo;
pub mod lifecycle;
pub mod platform;
pub mod run;
pub mod serve;
