//! The process `clima-consumer-rabbitmq`.

use std::process::ExitCode;

fn main() -> ExitCode {
    clima_service::process::main(clima_consumer_rabbitmq::run)
}
