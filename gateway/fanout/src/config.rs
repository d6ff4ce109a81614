//! Settings of the gateway.

use std::net::SocketAddr;

use clap::Parser;
use clima_service::channel::Targets;
use clima_service::config::Check;
use clima_service::process::{Configured, ProcessConfig};

use crate::web::Origin;

/// Brings each accepted tweet to both writers at once.
#[derive(Debug, Clone, Parser)]
#[command(name = "clima-gateway", version, about)]
pub struct Config {
    /// Address of the public gRPC port (SendTweet). Port 0 picks a free one.
    #[arg(
        long,
        env = "CLIMA_LISTEN",
        value_name = "ADDRESS",
        default_value = "0.0.0.0:50051"
    )]
    pub listen: SocketAddr,

    /// Address of the internal gRPC port (IngestTweets). Not for clients: ids are taken as they come.
    #[arg(
        long,
        env = "CLIMA_INTERNAL_LISTEN",
        value_name = "ADDRESS",
        default_value = "0.0.0.0:50061"
    )]
    pub internal_listen: SocketAddr,

    /// Internal port of the Kafka writer. All addresses of the name are used; several URLs are separated by commas.
    #[arg(long, env = "CLIMA_WRITER_KAFKA_URL", value_name = "URL,…")]
    pub writer_kafka_url: Targets,

    /// Internal port of the RabbitMQ writer. All addresses of the name are used; several URLs are separated by commas.
    #[arg(long, env = "CLIMA_WRITER_RABBITMQ_URL", value_name = "URL,…")]
    pub writer_rabbitmq_url: Targets,

    /// Most tweets in flight at a time; more are refused at once with RESOURCE_EXHAUSTED.
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
