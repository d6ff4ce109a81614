//! The process `clima-consumer-kafka`.

use std::process::ExitCode;

fn main() -> ExitCode {
    clima_service::process::main(clima_consumer_kafka::run)
}
