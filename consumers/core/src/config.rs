//! Settings that every consumer has.

use std::time::Duration;

use clap::Args;
use clima_proto::event::SCHEMA_VERSION;
use clima_service::process::ProcessConfig;

use crate::store::{Broker, StoreConfig, WaitAof};

/// Where the counts are, and how they are kept.
#[derive(Debug, Clone, Args)]
pub struct ConsumerConfig {
    /// Valkey, redis://user:password@host:port/database. No TLS.
    #[arg(
        long,
        env = "CLIMA_VALKEY_URL",
        value_name = "URL",
        hide_env_values = true,
        value_parser = url
    )]
    pub valkey_url: String,

    /// How long counts live after the last tweet of their path: whole seconds, 24 h to 10 years.
    #[arg(long, env = "CLIMA_DATA_TTL", value_name = "DURATION", default_value = "7d", value_parser = ttl)]
    pub data_ttl: Duration,

    /// Replicas of Valkey that must have a batch on disk, beside the primary, before it is acknowledged (WAITAOF). 0:
    /// the primary alone.
    #[arg(
        long,
        env = "CLIMA_VALKEY_REPLICAS",
        value_name = "COUNT",
        default_value_t = 0
    )]
    pub valkey_replicas: u32,

    /// Most tweets that are counted in one call to Valkey, 1 to 2,000; the rest is the next batch.
    #[arg(long, env = "CLIMA_MAX_BATCH", value_name = "TWEETS", default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=2_000))]
    pub max_batch: u32,

    /// Newest `schema_version` that is understood. No setting: a build knows it, and the tests play the next build.
    #[arg(skip = SCHEMA_VERSION)]
    pub newest_schema: u32,

    /// Settings of every process.
    #[command(flatten)]
    pub process: ProcessConfig,
}

fn url(text: &str) -> Result<String, String> {
    // The client's own words are not passed on: they may repeat the URL, and the password with it.
    match StoreConfig::check_url(text) {
        Ok(()) => Ok(text.to_owned()),
        Err(_) => Err("is not of the form redis://user:password@host:port/database".to_owned()),
    }
}

fn ttl(text: &str) -> Result<Duration, String> {
    let ttl = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    StoreConfig::check_ttl("it", ttl)
        .map(|()| ttl)
        .map_err(|error| error.to_string())
}

/// Longest wait for the replicas' disks.
const WAITAOF_TIMEOUT: Duration = Duration::from_secs(3);

impl ConsumerConfig {
    /// The store of one path.
    pub fn store(&self, path: Broker) -> StoreConfig {
        StoreConfig {
            data_ttl: self.data_ttl,
            waitaof: (self.valkey_replicas > 0).then_some(WaitAof {
                local: 1,
                replicas: self.valkey_replicas,
                timeout: WAITAOF_TIMEOUT,
            }),
            ..StoreConfig::new(&self.valkey_url, path)
        }
    }

    /// One line for each setting that the store refuses.
    pub fn problems(&self, path: Broker) -> Vec<String> {
        self.store(path)
            .problem()
            .map(|problem| problem.to_string())
            .into_iter()
            .collect()
    }
}
