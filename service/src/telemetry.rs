//! Logs by `tracing`, on standard error.

use std::io::IsTerminal as _;

use clap::{Args, ValueEnum};
use tracing_subscriber::EnvFilter;

/// What is logged, and how.
#[derive(Debug, Clone, Args)]
pub struct TelemetryConfig {
    /// What is logged, on standard error: error, warn, info, debug, trace or off, for everything or as target=level for
    /// one crate (tracing-subscriber's filter). lapin, RabbitMQ's client, is off because it calls every refused
    /// operation an error; what matters of that we log ourselves.
    #[arg(long, env = "CLIMA_LOG", value_name = "FILTER", default_value = "info,lapin=off", value_parser = filter)]
    pub log: String,

    /// The form of a log line.
    #[arg(
        long,
        env = "CLIMA_LOG_FORMAT",
        value_name = "FORMAT",
        default_value = "human"
    )]
    pub log_format: LogFormat,
}

/// The form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For a person at a terminal.
    Human,
    /// One JSON object a line, for a collector.
    Json,
}

fn filter(text: &str) -> Result<String, String> {
    EnvFilter::try_new(text)
        .map(|_| text.to_owned())
        .map_err(|error| error.to_string())
}

/// Installs the subscriber. A second call in one process does nothing, so that tests may share one.
pub fn install(config: &TelemetryConfig) {
    let builder = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(&config.log))
        .with_writer(std::io::stderr)
        // A line that cannot be written (disk full, reader gone) would be complained of on standard error as well,
        // and that ends the process: a service must outlive its log.
        .log_internal_errors(false)
        .with_ansi(std::io::stderr().is_terminal());
    let installed = match config.log_format {
        LogFormat::Human => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    if let Err(error) = installed {
        tracing::debug!(%error, "a subscriber is already installed");
    }
}
