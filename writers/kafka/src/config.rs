//! Settings of the Kafka writer.

use clap::{Args, Parser};
use clima_service::config::Check;
use clima_service::process::{Configured, ProcessConfig};
use clima_writer_core::WriterConfig;
use rdkafka::ClientConfig;

/// Topic of accepted tweets.
const TOPIC: &str = "clima.tweets";
/// Topic of what cannot be counted.
const DEAD_TOPIC: &str = "clima.tweets.dead";
/// Partitions of a new topic.
const PARTITIONS: i32 = 6;
/// As many replicas as the broker's own settings say.
const BROKERS_CHOICE: i32 = -1;

/// Publishes accepted tweets to Kafka.
#[derive(Debug, Clone, Parser)]
#[command(name = "clima-writer-kafka", version, about)]
pub struct Config {
    /// Ports and limits.
    #[command(flatten)]
    pub writer: WriterConfig,

    /// The broker.
    #[command(flatten)]
    pub kafka: KafkaConfig,
}

/// Where Kafka is, and what is ours there.
#[derive(Debug, Clone, Args)]
pub struct KafkaConfig {
    /// Brokers to begin with, host:port; the others are learned from them. No TLS, no password.
    #[arg(long, env = "CLIMA_KAFKA_BROKERS", value_name = "HOST:PORT,…", value_parser = brokers)]
    pub kafka_brokers: String,

    /// Topic of accepted tweets. It is created where it does not exist.
    #[arg(
        long = "kafka-topic",
        env = "CLIMA_KAFKA_TOPIC",
        value_name = "TOPIC",
        default_value = TOPIC
    )]
    pub topic: String,

    /// Topic of records that can never be counted (dead letters). It is created where it does not exist.
    #[arg(
        long = "kafka-dead-topic",
        env = "CLIMA_KAFKA_DEAD_TOPIC",
        value_name = "TOPIC",
        default_value = DEAD_TOPIC
    )]
    pub dead_topic: String,

    /// Partitions of a topic that is created, 1 to 1,000.
    #[arg(long = "kafka-partitions", env = "CLIMA_KAFKA_PARTITIONS", value_name = "COUNT", default_value_t = PARTITIONS, value_parser = clap::value_parser!(i32).range(1..=1_000))]
    pub partitions: i32,

    /// Replicas of a topic that is created, 1 to 100; -1 leaves the number to the broker.
    #[arg(long = "kafka-replicas", env = "CLIMA_KAFKA_REPLICAS", value_name = "COUNT", default_value_t = BROKERS_CHOICE, allow_negative_numbers = true, value_parser = replicas)]
    pub replicas: i32,
}

impl KafkaConfig {
    /// The defaults, at these brokers.
    pub fn new(brokers: &str) -> Self {
        Self {
            kafka_brokers: brokers.to_owned(),
            topic: TOPIC.to_owned(),
            dead_topic: DEAD_TOPIC.to_owned(),
            partitions: PARTITIONS,
            replicas: BROKERS_CHOICE,
        }
    }

    /// What every client of ours has in common.
    pub fn client(&self) -> ClientConfig {
        let mut client = ClientConfig::new();
        client
            .set("bootstrap.servers", &self.kafka_brokers)
            // A broker that restarts is back within seconds; the default of 10 s would be most of a deadline.
            .set("reconnect.backoff.ms", "50")
            .set("reconnect.backoff.max.ms", "500")
            .set("topic.metadata.refresh.fast.interval.ms", "100")
            .set("socket.keepalive.enable", "true")
            .set("log.connection.close", "false");
        client
    }
}

fn brokers(text: &str) -> Result<String, String> {
    for broker in text.split(',') {
        let port = broker.rsplit_once(':').map(|(_, port)| port.parse::<u16>());
        if !matches!(port, Some(Ok(port)) if port > 0) {
            return Err(format!("`{broker}` is not host:port"));
        }
    }
    Ok(text.to_owned())
}

fn replicas(text: &str) -> Result<i32, String> {
    match text.parse() {
        Ok(number) if number == BROKERS_CHOICE || (1..=100).contains(&number) => Ok(number),
        _ => Err(format!("must be 1 to 100, or {BROKERS_CHOICE}")),
    }
}

impl Check for Config {
    fn problems(&self) -> Vec<String> {
        if self.kafka.topic == self.kafka.dead_topic {
            return vec!["--kafka-topic and --kafka-dead-topic must differ".to_owned()];
        }
        Vec::new()
    }
}

impl Configured for Config {
    fn process(&self) -> &ProcessConfig {
        &self.writer.process
    }
}
