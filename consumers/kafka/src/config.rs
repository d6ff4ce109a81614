//! Settings of the Kafka consumer.

use clap::Parser;
use clima_consumer_core::ConsumerConfig;
use clima_consumer_core::store::Broker;
use clima_service::config::Check;
use clima_service::process::{Configured, ProcessConfig};
use clima_service::sabotage::{self, Sabotage};
use clima_writer_kafka::KafkaConfig;
use rdkafka::ClientConfig;

/// Counts the tweets of Kafka in Valkey, each id once.
#[derive(Debug, Clone, Parser)]
#[command(name = "clima-consumer-kafka", version, about)]
pub struct Config {
    /// Where the counts are.
    #[command(flatten)]
    pub consumer: ConsumerConfig,

    /// The broker.
    #[command(flatten)]
    pub kafka: KafkaConfig,

    /// Consumer group: its members share the partitions, and each tweet is counted by one of them.
    #[arg(
        long = "kafka-group",
        env = "CLIMA_KAFKA_GROUP",
        value_name = "GROUP",
        default_value = "clima-counter"
    )]
    pub group: String,

    /// Name of this process in the group (group.instance.id), unique there: after a restart within 6 s it gets its
    /// partitions back without a rebalance. Without it every start is a rebalance.
    #[arg(
        long = "kafka-instance",
        env = "CLIMA_KAFKA_INSTANCE",
        value_name = "NAME"
    )]
    pub instance: Option<String>,
}

impl Config {
    /// Settings of the client.
    pub(crate) fn client(&self) -> ClientConfig {
        let mut client = self.kafka.client();
        client
            .set("group.id", &self.group)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            // A group without an offset begins at the first record; the default would skip what is there.
            .set("auto.offset.reset", "earliest")
            // A killed member's partitions go to others after this time.
            .set("session.timeout.ms", "6000")
            // While a broker is away the session runs on, from the last heartbeat: when it comes back in time we are
            // still a member. Otherwise it takes us for another one, and lets us wait for our own old session to end.
            .set("heartbeat.interval.ms", "500")
            // While Valkey is away we do not poll. That is no reason to lose the partitions: a process that
            // has died is found out by its session.
            .set("max.poll.interval.ms", "86400000")
            .set("queued.max.messages.kbytes", "8192")
            .set("fetch.wait.max.ms", "100")
            .set("enable.partition.eof", "false");
        if sabotage::is(Sabotage::OffsetLatest) {
            client.set("auto.offset.reset", "latest");
        }
        if let Some(instance) = &self.instance {
            client.set("group.instance.id", instance);
        }
        client
    }
}

impl Check for Config {
    fn problems(&self) -> Vec<String> {
        self.consumer.problems(Broker::Kafka)
    }
}

impl Configured for Config {
    fn process(&self) -> &ProcessConfig {
        &self.consumer.process
    }
}
