//! Settings of the REST front.

use std::net::SocketAddr;
use std::time::Duration;

use clap::{Args, Parser};
use clima_service::channel::Targets;
use clima_service::config::Check;
use clima_service::process::{Configured, ProcessConfig};

/// The REST front: transcodes HTTP and JSON to gRPC and forwards to the gateway.
#[derive(Debug, Clone, Parser)]
#[command(name = "clima-rest", version, about)]
pub struct Config {
    /// Where the HTTP port listens. Port 0 picks a free one.
    #[arg(
        long,
        env = "CLIMA_LISTEN",
        value_name = "IP:PORT",
        default_value = "0.0.0.0:8080"
    )]
    pub listen: SocketAddr,

    /// Internal port of the gateway, http://host:port. Calls are spread over all addresses that the name resolves to,
    /// and over all URLs where several are given.
    #[arg(long, env = "CLIMA_GATEWAY_URL", value_name = "URL,…")]
    pub gateway_url: Targets,

    /// What one client, and all together, may ask of the front.
    #[command(flatten)]
    pub limits: Limits,

    /// Settings of every process.
    #[command(flatten)]
    pub process: ProcessConfig,
}

/// What one client, and all together, may ask of the front.
#[derive(Debug, Clone, Args)]
pub struct Limits {
    /// Most requests in flight at a time, 1 to 65,536; more are refused at once with 429.
    #[arg(long, env = "CLIMA_MAX_IN_FLIGHT", value_name = "REQUESTS", default_value_t = 1_024, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub max_in_flight: u32,

    /// Most connections at a time, 1 to 65,536; more wait in the listen queue of the operating system. Each costs about
    /// 15 KiB.
    #[arg(long, env = "CLIMA_MAX_CONNECTIONS", value_name = "CONNECTIONS", default_value_t = 3_072, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub max_connections: u32,

    /// Largest body in bytes, 1 to 1,048,576; a larger one is refused with 413.
    #[arg(long, env = "CLIMA_MAX_BODY", value_name = "BYTES", default_value_t = 4_096, value_parser = clap::value_parser!(u32).range(1..=1_048_576))]
    pub max_body: u32,

    /// Largest request line and headers in bytes, 8,192 to 1,048,576; larger ones are refused with 431.
    #[arg(long, env = "CLIMA_MAX_HEADERS", value_name = "BYTES", default_value_t = 16_384, value_parser = clap::value_parser!(u32).range(8_192..=1_048_576))]
    pub max_headers: u32,

    /// Longest time for the headers of a request, and for an idle connection; then the connection is closed. Must be
    /// longer than a proxy keeps an idle connection (NGINX: 60 s), or the proxy sends requests into closed ones.
    #[arg(long, env = "CLIMA_HEADER_TIMEOUT", value_name = "DURATION", default_value = "75s", value_parser = time)]
    pub header_timeout: Duration,

    /// Longest time for the body of a request; then it is refused with 408.
    #[arg(long, env = "CLIMA_BODY_TIMEOUT", value_name = "DURATION", default_value = "5s", value_parser = time)]
    pub body_timeout: Duration,

    /// Longest time for the answer to a request, from its headers on, retries included; then it is 504.
    #[arg(long, env = "CLIMA_DEADLINE", value_name = "DURATION", default_value = "15s", value_parser = time)]
    pub deadline: Duration,
}

impl Check for Config {}

impl Configured for Config {
    fn process(&self) -> &ProcessConfig {
        &self.process
    }
}

/// A limit of no time would refuse everything.
fn time(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(Duration::ZERO) => Err("must be above zero".to_owned()),
        Ok(time) => Ok(time),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use clima_service::config::{ConfigError, load_from};

    use super::*;

    #[test]
    fn a_limit_of_no_time_is_refused() {
        for limit in ["header-timeout", "body-timeout", "deadline"] {
            let args = ["clima-rest", "--gateway-url=http://gateway:1"].map(Into::into);
            let none = format!("--{limit}=0s").into();
            let Err(ConfigError::Invalid(problems)) =
                load_from::<Config>(args.into_iter().chain([none]))
            else {
                panic!("{limit} may be zero")
            };
            assert!(problems[0].contains("must be above zero"), "{problems:?}");
        }
    }
}
