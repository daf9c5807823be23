//! `cocotalk`: the whole platform in one process.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// What one thread allocates another one frees here, with every row and every request: this allocator is made for that.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    cocotalk_server::run::main()
}
