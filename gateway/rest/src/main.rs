//! The process `clima-rest`.

use std::process::ExitCode;

fn main() -> ExitCode {
    clima_service::process::main(clima_rest::run)
}
