//! Settings that every writer has.

use std::net::SocketAddr;

use clap::Args;
use clima_service::process::ProcessConfig;

/// Ports and limits of a writer.
#[derive(Debug, Clone, Args)]
pub struct WriterConfig {
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

    /// Most tweets waiting for the broker at a time; more are refused at once with RESOURCE_EXHAUSTED.
    #[arg(long, env = "CLIMA_MAX_IN_FLIGHT", value_name = "TWEETS", default_value_t = 4_096, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub max_in_flight: u32,

    /// Settings of every process.
    #[command(flatten)]
    pub process: ProcessConfig,
}
