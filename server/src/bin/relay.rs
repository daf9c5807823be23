//! `relay`: carries what is committed from the log to the bus, as a process among others.

use std::process::ExitCode;

use cocotalk_server::role::Role;
use mimalloc::MiMalloc;

/// As in `cocotalk`: what one thread allocates another one frees.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    cocotalk_server::run::main_of_part(Role::Relay)
}
