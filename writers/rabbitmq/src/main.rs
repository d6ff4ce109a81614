//! The process `clima-writer-rabbitmq`.

use std::process::ExitCode;

fn main() -> ExitCode {
    clima_service::process::main(clima_writer_rabbitmq::run)
}
