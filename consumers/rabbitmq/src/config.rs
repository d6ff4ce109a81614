//! Settings of the RabbitMQ consumer.

use clap::Parser;
use clima_consumer_core::ConsumerConfig;
use clima_consumer_core::store::Broker;
use clima_service::config::Check;
use clima_service::process::{Configured, ProcessConfig};
use clima_writer_rabbitmq::RabbitmqConfig;

/// Counts the tweets of RabbitMQ in Valkey, each id once.
#[derive(Debug, Clone, Parser)]
#[command(name = "clima-consumer-rabbitmq", version, about)]
pub struct Config {
    /// Where the counts are.
    #[command(flatten)]
    pub consumer: ConsumerConfig,

    /// The broker.
    #[command(flatten)]
    pub rabbitmq: RabbitmqConfig,
}

impl Check for Config {
    fn problems(&self) -> Vec<String> {
        self.consumer.problems(Broker::Rabbitmq)
    }
}

impl Configured for Config {
    fn process(&self) -> &ProcessConfig {
        &self.consumer.process
    }
}
