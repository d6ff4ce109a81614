//! Settings that every writer has.

use clap::Args;
use clima_service::ports::PortsConfig;
use clima_service::process::ProcessConfig;

/// Ports and limits of a writer.
#[derive(Debug, Clone, Args)]
pub struct WriterConfig {
    /// The two gRPC ports.
    #[command(flatten)]
    pub ports: PortsConfig,

    /// Most tweets that wait for the broker at a time, 1 to 65,536; more are refused at once with RESOURCE_EXHAUSTED.
    #[arg(long, env = "CLIMA_MAX_IN_FLIGHT", value_name = "TWEETS", default_value_t = 4_096, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub max_in_flight: u32,

    /// Settings of every process.
    #[command(flatten)]
    pub process: ProcessConfig,
}
