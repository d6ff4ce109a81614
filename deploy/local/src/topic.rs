//! Looking at Kafka's topics, without taking part in the group that counts them.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaResult;

/// Accepted tweets.
pub(crate) const TOPIC: &str = "clima.tweets";

/// The group that counts them.
pub(crate) const GROUP: &str = "clima-counter";

/// A client in the name of a group, which commits nothing by itself.
pub(crate) fn client(brokers: &str, group: &str) -> KafkaResult<BaseConsumer> {
    ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .create()
}

/// The numbers of a topic's partitions.
pub(crate) fn partitions(
    client: &BaseConsumer,
    topic: &str,
    timeout: Duration,
) -> KafkaResult<Vec<i32>> {
    let metadata = client.fetch_metadata(Some(topic), timeout)?;
    let partitions = metadata
        .topics()
        .iter()
        .flat_map(|topic| topic.partitions());
    Ok(partitions.map(|partition| partition.id()).collect())
}
