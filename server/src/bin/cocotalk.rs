//! `cocotalk`: the whole platform in one process.

use std::process::ExitCode;

fn main() -> ExitCode {
    cocotalk_server::run::main()
}
