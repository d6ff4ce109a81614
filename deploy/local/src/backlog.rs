//! What is still on its way: lag of the Kafka group, messages of the RabbitMQ queue, batches in hand.

use std::fmt;
use std::time::Duration;

use anyhow::{Context as _, bail};
use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;
use lapin::{Connection, ConnectionProperties};
use rdkafka::consumer::Consumer as _;
use rdkafka::{Offset, TopicPartitionList};
use tokio::time::{Instant, sleep};

use crate::scrape::metric;
use crate::topic::{self, GROUP, TOPIC};
use crate::{Part, StackFile};

const QUEUE: &str = "clima.tweets";
const TIMEOUT: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(100);

/// Accepted tweets that are not counted yet, as far as brokers and consumers tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Backlog {
    /// Records of the topic past the offsets committed by the group.
    pub kafka: u64,
    /// Messages of the queue, ready to be delivered.
    pub rabbitmq: u64,
    /// Records that the two consumers hold and have not acknowledged.
    pub in_hand: u64,
}

impl Backlog {
    /// Whether nothing is on its way.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self == Self::default()
    }

    /// Asks brokers and consumers of a running stack.
    ///
    /// # Errors
    /// When one of them does not answer.
    pub async fn read(stack: &StackFile) -> anyhow::Result<Self> {
        let kafka = stack.addresses[&Part::Kafka].clone();
        let kafka = tokio::task::spawn_blocking(move || group_lag(&kafka))
            .await?
            .context("Kafka does not tell what it holds")?;
        let rabbitmq = queue_length(
            &stack.rabbitmq.url(&stack.addresses[&Part::Rabbitmq]),
            QUEUE,
        )
        .await
        .context("RabbitMQ does not tell what it holds")?;
        let mut in_hand = 0;
        for part in [Part::ConsumerKafka, Part::ConsumerRabbitmq] {
            in_hand += metric(&stack.addresses[&part], "clima_consumer_unacknowledged")
                .await
                .with_context(|| format!("{part} does not tell what it has in hand"))?;
        }
        Ok(Self {
            kafka,
            rabbitmq,
            in_hand,
        })
    }

    /// Waits until nothing is on its way.
    ///
    /// # Errors
    /// When for `patience` it has not got less, or somebody does not answer.
    pub async fn drained(stack: &StackFile, patience: Duration) -> anyhow::Result<()> {
        let mut last = None;
        let mut moved = Instant::now();
        loop {
            match Self::read(stack).await {
                Ok(now) if now.is_empty() => return Ok(()),
                Ok(now) if last != Some(now) => (last, moved) = (Some(now), Instant::now()),
                Ok(now) if moved.elapsed() > patience => {
                    bail!("the backlog does not get less: {now}")
                }
                // A broker that has just been restarted may not know yet what it is asked.
                Err(error) if moved.elapsed() > patience => return Err(error),
                Ok(_) | Err(_) => {}
            }
            sleep(POLL).await;
        }
    }
}

impl fmt::Display for Backlog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "kafka={} rabbitmq={} in hand={}",
            self.kafka, self.rabbitmq, self.in_hand
        )
    }
}

fn group_lag(brokers: &str) -> anyhow::Result<u64> {
    let client = topic::client(brokers, GROUP)?;
    let mut partitions = TopicPartitionList::new();
    for partition in topic::partitions(&client, TOPIC, TIMEOUT)? {
        partitions.add_partition(TOPIC, partition);
    }
    let committed = client.committed_offsets(partitions, TIMEOUT)?;
    let mut lag = 0;
    for partition in committed.elements() {
        let (low, high) = client.fetch_watermarks(TOPIC, partition.partition(), TIMEOUT)?;
        let next = match partition.offset() {
            Offset::Offset(next) => next,
            _ => low,
        };
        lag += u64::try_from(high - next).unwrap_or(0);
    }
    Ok(lag)
}

/// Messages of a queue that are ready to be delivered.
pub(crate) async fn queue_length(url: &str, queue: &str) -> anyhow::Result<u64> {
    let connection = Connection::connect(url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    let passive = QueueDeclareOptions {
        passive: true,
        ..QueueDeclareOptions::default()
    };
    let queue = channel
        .queue_declare(queue.into(), passive, FieldTable::default())
        .await?;
    let messages = queue.message_count();
    connection.close(200, "asked".into()).await?;
    Ok(u64::from(messages))
}
