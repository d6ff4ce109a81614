//! Where the two ports are.

use std::net::SocketAddr;

use clap::Args;

/// Addresses of the two gRPC ports.
#[derive(Debug, Clone, Args)]
pub struct PortsConfig {
    /// Where the public gRPC port (SendTweet) listens. Port 0 picks a free one.
    #[arg(
        long,
        env = "CLIMA_LISTEN",
        value_name = "IP:PORT",
        default_value = "0.0.0.0:50051"
    )]
    pub listen: SocketAddr,

    /// Where the internal gRPC port (IngestTweets) listens, for our own processes: it takes ids as they come, so
    /// clients must not reach it. Port 0 picks a free one.
    #[arg(
        long,
        env = "CLIMA_INTERNAL_LISTEN",
        value_name = "IP:PORT",
        default_value = "0.0.0.0:50061"
    )]
    pub internal_listen: SocketAddr,

    /// Most connections to each of the two ports at a time, 1 to 65,536; more wait in the listen queue of the operating
    /// system. One that says nothing is closed after 30 s.
    #[arg(long, env = "CLIMA_MAX_CONNECTIONS", value_name = "CONNECTIONS", default_value_t = 1_024, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub max_connections: u32,
}
