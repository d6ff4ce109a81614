//! The process `clima-writer-kafka`.

use std::process::ExitCode;

fn main() -> ExitCode {
    clima_service::process::main(clima_writer_kafka::run)
}
