//! Two readers of their own, who see everything that the brokers were given: what was published, without any of
//! the code that counts.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clima_writer_rabbitmq::topology::ROUTING_KEY;
use futures::StreamExt as _;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions,
    ConfirmSelectOptions, QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Connection, ConnectionProperties};
use rdkafka::consumer::Consumer as _;
use rdkafka::message::Message as _;
use rdkafka::{Offset, TopicPartitionList};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::published::{Place, Published};
use crate::backlog::queue_length;
use crate::topic::{self, TOPIC};
use crate::{Part, Stack};

const GROUP: &str = "audit";
const DEAD_TOPIC: &str = "clima.tweets.dead";
const EXCHANGE: &str = "clima";
const DEAD_QUEUE: &str = "clima.tweets.dead";
const QUEUE: &str = "clima.audit";
const TIMEOUT: Duration = Duration::from_secs(10);

/// Behind everything that was published; no event looks like this.
const END: &[u8] = b"end of the audit";

/// Longest silence while what is left is read, with everybody else at rest.
const END_LIMIT: Duration = Duration::from_secs(60);

/// Between two looks at how far the reading has come.
const POLL: Duration = Duration::from_millis(50);

/// Between two attempts to connect.
const RECONNECT: Duration = Duration::from_millis(200);

/// How a session of the reader ended.
enum Ended {
    AtMark,
    Early,
}

/// Reads Kafka's topic from its first record to its last one.
pub(super) async fn kafka(brokers: String) -> anyhow::Result<Published> {
    tokio::task::spawn_blocking(move || read_topic(&brokers)).await?
}

fn read_topic(brokers: &str) -> anyhow::Result<Published> {
    let client = topic::client(brokers, GROUP)?;
    let mut published = Published::default();
    for partition in topic::partitions(&client, TOPIC, TIMEOUT)? {
        let (low, high) = client.fetch_watermarks(TOPIC, partition, TIMEOUT)?;
        let mut one = TopicPartitionList::new();
        one.add_partition_offset(TOPIC, partition, Offset::Offset(low))?;
        client.assign(&one)?;
        let mut next = low;
        while next < high {
            let record = client
                .poll(TIMEOUT)
                .context("Kafka delivers no more records")??;
            next = record.offset() + 1;
            let place = Place::Record {
                partition: u8::try_from(partition)?,
                offset: u32::try_from(record.offset())?,
            };
            published.add(record.payload().unwrap_or_default(), place)?;
        }
    }
    Ok(published)
}

/// How many records were set aside, on Kafka's path and on RabbitMQ's.
pub(super) async fn dead_letters(stack: &Stack) -> anyhow::Result<[u64; 2]> {
    let brokers = stack.address(Part::Kafka);
    let kafka = tokio::task::spawn_blocking(move || records_of(&brokers, DEAD_TOPIC)).await??;
    let rabbitmq = queue_length(&stack.rabbitmq_url(), DEAD_QUEUE).await?;
    Ok([kafka, rabbitmq])
}

fn records_of(brokers: &str, name: &str) -> anyhow::Result<u64> {
    let client = topic::client(brokers, GROUP)?;
    let mut records = 0;
    for partition in topic::partitions(&client, name, TIMEOUT)? {
        let (low, high) = client.fetch_watermarks(name, partition, TIMEOUT)?;
        records += u64::try_from(high - low).unwrap_or(0);
    }
    Ok(records)
}

/// Reads a second queue of RabbitMQ, which is given everything that the first one is, from the moment on at which
/// this has been made. It comes back after every fault.
#[derive(Debug)]
pub(super) struct RabbitmqAudit {
    url: String,
    published: Arc<Mutex<Published>>,
    task: JoinHandle<anyhow::Result<()>>,
}

impl RabbitmqAudit {
    pub(super) async fn start(url: &str) -> anyhow::Result<Self> {
        let published = Arc::<Mutex<Published>>::default();
        let (bound, mut is_bound) = watch::channel(false);
        let task = tokio::spawn(keep_reading(url.to_owned(), Arc::clone(&published), bound));
        // The reader ends only with an error, which the task keeps.
        is_bound.wait_for(|bound| *bound).await.ok();
        Ok(Self {
            url: url.to_owned(),
            published,
            task,
        })
    }

    fn records(&self) -> u64 {
        self.published
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .records
    }

    /// What it has read when it comes to the end of its queue.
    pub(super) async fn finish(mut self) -> anyhow::Result<Published> {
        mark_end(&self.url).await?;
        let (mut read, mut moved) = (self.records(), Instant::now());
        while !self.task.is_finished() {
            sleep(POLL).await;
            if self.records() != read {
                (read, moved) = (self.records(), Instant::now());
            }
            anyhow::ensure!(
                moved.elapsed() < END_LIMIT,
                "the audit queue does not come to its end"
            );
        }
        (&mut self.task).await??;
        let mut published = self
            .published
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        Ok(std::mem::take(&mut *published))
    }
}

impl Drop for RabbitmqAudit {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Puts the mark behind everything that is in the queue, and waits for the broker's word.
async fn mark_end(url: &str) -> anyhow::Result<()> {
    let connection = Connection::connect(url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    channel
        .confirm_select(ConfirmSelectOptions::default())
        .await?;
    let default_exchange = "";
    let confirmed = channel
        .basic_publish(
            default_exchange.into(),
            QUEUE.into(),
            BasicPublishOptions::default(),
            END,
            BasicProperties::default(),
        )
        .await?
        .await?;
    anyhow::ensure!(confirmed.is_ack(), "RabbitMQ does not take the end mark");
    connection.close(200, "marked".into()).await?;
    Ok(())
}

async fn keep_reading(
    url: String,
    published: Arc<Mutex<Published>>,
    bound: watch::Sender<bool>,
) -> anyhow::Result<()> {
    loop {
        match read_queue(&url, &published, &bound).await {
            Ok(Ended::AtMark) => return Ok(()),
            Err(error) if error.downcast_ref::<lapin::Error>().is_none() => return Err(error),
            // The broker is away.
            Ok(Ended::Early) | Err(_) => sleep(RECONNECT).await,
        }
    }
}

async fn read_queue(
    url: &str,
    published: &Mutex<Published>,
    bound: &watch::Sender<bool>,
) -> anyhow::Result<Ended> {
    let connecting = Connection::connect(url, ConnectionProperties::default());
    let Ok(connection) = timeout(TIMEOUT, connecting).await else {
        return Ok(Ended::Early);
    };
    let channel = connection?.create_channel().await?;
    let mut settings = FieldTable::default();
    settings.insert(
        "x-queue-type".into(),
        AMQPValue::LongString("quorum".into()),
    );
    settings.insert("x-delivery-limit".into(), AMQPValue::LongInt(-1));
    let durable = QueueDeclareOptions {
        durable: true,
        ..QueueDeclareOptions::default()
    };
    channel
        .queue_declare(QUEUE.into(), durable, settings)
        .await?;
    channel
        .queue_bind(
            QUEUE.into(),
            EXCHANGE.into(),
            ROUTING_KEY.into(),
            QueueBindOptions::default(),
            FieldTable::default(),
        )
        .await?;
    channel.basic_qos(2_000, BasicQosOptions::default()).await?;
    let mut deliveries = channel
        .basic_consume(
            QUEUE.into(),
            "audit".into(),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        )
        .await?;
    bound.send_replace(true);
    let mut unacknowledged = 0;
    while let Some(delivery) = deliveries.next().await {
        let delivery = delivery?;
        if delivery.data == END {
            return Ok(Ended::AtMark);
        }
        add_next(published, &delivery.data)?;
        unacknowledged += 1;
        // All before it on this channel too: they were added.
        if unacknowledged == 500 {
            channel
                .basic_ack(delivery.delivery_tag, BasicAckOptions { multiple: true })
                .await?;
            unacknowledged = 0;
        }
    }
    Ok(Ended::Early)
}

fn add_next(published: &Mutex<Published>, record: &[u8]) -> anyhow::Result<()> {
    let mut published = published.lock().unwrap_or_else(PoisonError::into_inner);
    let number = u32::try_from(published.records + 1)?;
    published.add(record, Place::Message(number))
}
