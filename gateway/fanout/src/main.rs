//! The process `clima-gateway`.

use std::process::ExitCode;

fn main() -> ExitCode {
    clima_service::process::main(clima_gateway::run)
}
