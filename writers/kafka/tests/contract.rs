//! The writers' contract, with a real Kafka.

// Helpers of tests are tests too, which the lint does not know.
#![allow(clippy::unwrap_used)]

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use clap::Parser as _;
use clima_local::{Part, Stack};
use clima_proto::clima::v1::TweetEvent;
use clima_writer_core::contract::{Broker, RunningWriter};
use clima_writer_core::{Writer, writer_contract};
use clima_writer_kafka::Config;
use prost::Message as _;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaResult;
use rdkafka::message::Message as _;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use tokio::sync::{Mutex, MutexGuard, OnceCell};
use tokio_util::sync::CancellationToken;

/// One Kafka for all tests, since a start takes seconds. They take turns on it, because some of them kill or
/// pause it, and each has a topic of its own.
static STACK: OnceCell<Mutex<Stack>> = OnceCell::const_new();

static TOPICS: AtomicU32 = AtomicU32::new(0);

const TIMEOUT: Duration = Duration::from_secs(30);

struct Kafka {
    stack: MutexGuard<'static, Stack>,
    topic: String,
}

async fn kafka() -> Kafka {
    let start = || async {
        let stack = Stack::builder().only([Part::Kafka]).fast_start(true);
        Mutex::new(stack.start().await.unwrap())
    };
    Kafka {
        stack: STACK.get_or_init(start).await.lock().await,
        topic: format!("tweets-{}", TOPICS.fetch_add(1, Ordering::Relaxed)),
    }
}

impl Broker for Kafka {
    async fn start_writer(&self, max_in_flight: u32) -> RunningWriter {
        let config = Config::parse_from([
            "writer",
            "--listen=127.0.0.1:0",
            "--internal-listen=127.0.0.1:0",
            "--admin-listen=127.0.0.1:0",
            &format!("--max-in-flight={max_in_flight}"),
            &format!("--kafka-brokers={}", self.stack.address(Part::Kafka)),
            &format!("--kafka-topic={}", self.topic),
            &format!("--kafka-dead-topic={}.dead", self.topic),
        ]);
        let shutdown = CancellationToken::new();
        let writer = Writer::bind(&config.writer, shutdown.clone())
            .await
            .unwrap();
        RunningWriter {
            public: writer.address().unwrap(),
            internal: writer.internal_address().unwrap(),
            admin: writer.process.admin_address().unwrap(),
            shutdown,
            ended: tokio::spawn(clima_writer_kafka::serve(writer, config.kafka)),
        }
    }

    async fn published(&self) -> Vec<TweetEvent> {
        let (brokers, topic) = (self.stack.address(Part::Kafka), self.topic.clone());
        tokio::task::spawn_blocking(move || read_all(&brokers, &topic))
            .await
            .unwrap()
    }

    async fn kill(&self) {
        self.stack.kill(Part::Kafka).await.unwrap();
    }

    async fn start(&self) {
        self.stack.start_part(Part::Kafka).await.unwrap();
    }

    async fn pause(&self) {
        self.stack.pause(Part::Kafka).await.unwrap();
    }

    async fn resume(&self) {
        self.stack.resume(Part::Kafka).await.unwrap();
    }
}

/// What Kafka answers. For a moment after a restart it knows no leaders.
fn patiently<T>(mut ask: impl FnMut() -> KafkaResult<T>) -> T {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        match ask() {
            Ok(answer) => return answer,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
    }
}

fn read_all(brokers: &str, topic: &str) -> Vec<TweetEvent> {
    let client: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", "reader")
        .set("enable.auto.commit", "false")
        .create()
        .unwrap();
    let metadata = patiently(|| client.fetch_metadata(Some(topic), TIMEOUT));
    let mut events = Vec::new();
    for partition in metadata.topics()[0].partitions() {
        let (low, high) = patiently(|| client.fetch_watermarks(topic, partition.id(), TIMEOUT));
        let mut one = TopicPartitionList::new();
        one.add_partition_offset(topic, partition.id(), Offset::Offset(low))
            .unwrap();
        client.assign(&one).unwrap();
        let mut next = low;
        while next < high {
            let record = client.poll(TIMEOUT).unwrap().unwrap();
            next = record.offset() + 1;
            events.push(TweetEvent::decode(record.payload().unwrap()).unwrap());
        }
    }
    events
}

writer_contract!(kafka());
