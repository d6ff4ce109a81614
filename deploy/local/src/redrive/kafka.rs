//! Dead letters of Kafka: a topic, whose records stay; a group of its own remembers how far they were returned.

use std::time::Duration;

use anyhow::Context as _;
use clima_writer_kafka::{KafkaConfig, Producer};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::message::Message as _;
use rdkafka::{Offset, TopicPartitionList};
use tokio::sync::mpsc;

const GROUP: &str = "clima-redrive";
const TIMEOUT: Duration = Duration::from_secs(10);

/// Dead letters read ahead of those that are returned.
const READ_AHEAD: usize = 100;

pub(super) async fn redrive(brokers: &str) -> anyhow::Result<u64> {
    let config = KafkaConfig::new(brokers);
    let producer = Producer::new(&config, &config.topic)?;
    let (hand_over, mut letters) = mpsc::channel::<Vec<u8>>(READ_AHEAD);
    // librdkafka's consumer blocks, so it has a thread; it commits after everything was returned.
    let (returned_all, proceed) = std::sync::mpsc::channel();
    let reader = tokio::task::spawn_blocking(move || read(&config, hand_over, &proceed));
    let mut returned = 0;
    while let Some(letter) = letters.recv().await {
        producer.send(&letter, None).await?;
        returned += 1;
    }
    // An error shows in the reader's own result.
    returned_all.send(()).ok();
    reader.await??;
    Ok(returned)
}

/// Hands over every dead letter that was not returned before, then waits for the word to remember that.
fn read(
    config: &KafkaConfig,
    hand_over: mpsc::Sender<Vec<u8>>,
    proceed: &std::sync::mpsc::Receiver<()>,
) -> anyhow::Result<()> {
    let client: BaseConsumer = config
        .client()
        .set("group.id", GROUP)
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "earliest")
        .create()?;
    let metadata = client.fetch_metadata(Some(&config.dead_topic), TIMEOUT)?;
    let mut all = TopicPartitionList::new();
    for partition in metadata
        .topics()
        .iter()
        .flat_map(|topic| topic.partitions())
    {
        all.add_partition(&config.dead_topic, partition.id());
    }
    // All ends are read before the first letter is returned: one that is set aside again meanwhile is for the next
    // time.
    let mut open = Vec::new();
    for partition in client.committed_offsets(all, TIMEOUT)?.elements() {
        let number = partition.partition();
        let (low, high) = client.fetch_watermarks(&config.dead_topic, number, TIMEOUT)?;
        let first = match partition.offset() {
            Offset::Offset(next) => next.max(low),
            _ => low,
        };
        open.push((number, first, high));
    }
    let mut returned = TopicPartitionList::new();
    for (number, first, high) in open {
        let mut one = TopicPartitionList::new();
        one.add_partition_offset(&config.dead_topic, number, Offset::Offset(first))?;
        client.assign(&one)?;
        let mut next = first;
        while next < high {
            let letter = client
                .poll(TIMEOUT)
                .context("Kafka delivers no more dead letters")??;
            next = letter.offset() + 1;
            hand_over
                .blocking_send(letter.payload().unwrap_or_default().to_vec())
                .context("a dead letter could not be returned")?;
        }
        returned.add_partition_offset(&config.dead_topic, number, Offset::Offset(high))?;
    }
    // Tells the other side that these were all.
    drop(hand_over);
    proceed
        .recv()
        .context("a dead letter could not be returned")?;
    client.commit(&returned, CommitMode::Sync)?;
    Ok(())
}
