//! All six services in one program, in a build that breaks the promise when it is told to: the feature `sabotage`.
//!
//! It is the service by whose name it is called, so `clima-local chaos --broken` makes six links to it. One program, and
//! apart from the binaries of the services: those never have the feature.

use std::path::Path;
use std::process::ExitCode;

use clima_service::config::EX_USAGE;
use clima_service::process::main as serve;

#[allow(clippy::print_stderr)]
fn main() -> ExitCode {
    let called = std::env::args_os().next().unwrap_or_default();
    match Path::new(&called)
        .file_name()
        .and_then(|name| name.to_str())
    {
        Some("clima-rest") => serve(clima_rest::run),
        Some("clima-gateway") => serve(clima_gateway::run),
        Some("clima-writer-kafka") => serve(clima_writer_kafka::run),
        Some("clima-writer-rabbitmq") => serve(clima_writer_rabbitmq::run),
        Some("clima-consumer-kafka") => serve(clima_consumer_kafka::run),
        Some("clima-consumer-rabbitmq") => serve(clima_consumer_rabbitmq::run),
        _ => {
            eprintln!("call it by the name of one of the six services");
            ExitCode::from(EX_USAGE)
        }
    }
}
