//! Settings of the gateway.

use clap::Parser;
use clima_service::channel::Targets;
use clima_service::config::Check;
use clima_service::ports::PortsConfig;
use clima_service::process::{Configured, ProcessConfig};

use crate::web::Origin;

/// Brings each accepted tweet to both writers at once.
#[derive(Debug, Clone, Parser)]
#[command(name = "clima-gateway", version, about)]
pub struct Config {
    /// The two gRPC ports.
    #[command(flatten)]
    pub ports: PortsConfig,

    /// Internal port of the Kafka writer, http://host:port. Calls are spread over all addresses that the name
    /// resolves to, and over all URLs where several are given.
    #[arg(long, env = "CLIMA_WRITER_KAFKA_URL", value_name = "URL,…")]
    pub writer_kafka_url: Targets,

    /// Internal port of the RabbitMQ writer, http://host:port. Calls are spread over all addresses that the name
    /// resolves to, and over all URLs where several are given.
    #[arg(long, env = "CLIMA_WRITER_RABBITMQ_URL", value_name = "URL,…")]
    pub writer_rabbitmq_url: Targets,

    /// Most tweets in flight at a time, 1 to 65,536; more are refused at once with RESOURCE_EXHAUSTED.
    #[arg(long, env = "CLIMA_MAX_IN_FLIGHT", value_name = "TWEETS", default_value_t = 2_048, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub max_in_flight: u32,

    /// Origins whose pages may call the public port by gRPC-web, as `https://host[:port]`; `*` is any. Several are
    /// separated by commas. Without one, browsers let no foreign page call it.
    #[arg(
        long,
        env = "CLIMA_CORS_ORIGINS",
        value_name = "ORIGIN,…",
        value_delimiter = ','
    )]
    pub cors_origins: Vec<Origin>,

    /// Settings of every process.
    #[command(flatten)]
    pub process: ProcessConfig,
}

impl Check for Config {}

impl Configured for Config {
    fn process(&self) -> &ProcessConfig {
        &self.process
    }
}
