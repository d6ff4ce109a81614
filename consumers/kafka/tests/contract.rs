//! The consumers' contract, with a real Kafka and a real Valkey.

// Helpers of tests are tests too, which the lint does not know.
#![allow(clippy::unwrap_used)]

#[path = "contract/windows.rs"]
mod windows;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use clap::Parser as _;
use clima_consumer_core::consumer_contract;
use clima_consumer_core::contract::{
    Broker, NewerConsumer, RunningConsumer, command_line, records, until_acknowledged,
};
use clima_consumer_kafka::Config;
use clima_local::{Counts, Part, Stack};
use clima_writer_kafka::{KafkaConfig, Producer, topology};
use futures::future::join_all;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaResult;
use rdkafka::message::{Headers as _, Message as _};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use tokio::sync::{Mutex, MutexGuard, OnceCell};
use tokio_util::sync::CancellationToken;

/// One Kafka and one Valkey for all tests, since a start takes seconds. They take turns on them, because some of
/// them kill one; each has a topic of its own and begins with an empty Valkey.
static STACK: OnceCell<Mutex<Stack>> = OnceCell::const_new();

static TOPICS: AtomicU32 = AtomicU32::new(0);

const TIMEOUT: Duration = Duration::from_secs(30);

/// Records in the producer's queue at a time.
const AT_ONCE: usize = 2_000;

struct Kafka {
    stack: MutexGuard<'static, Stack>,
    config: KafkaConfig,
}

async fn kafka() -> Kafka {
    let start = || async {
        let stack = Stack::builder()
            .only([Part::Kafka, Part::Valkey])
            .fast_start(true);
        Mutex::new(stack.start().await.unwrap())
    };
    let stack = STACK.get_or_init(start).await.lock().await;
    let mut counts = Counts::connect(&stack.address(Part::Valkey)).await.unwrap();
    counts.clear().await.unwrap();
    let topic = format!("tweets-{}", TOPICS.fetch_add(1, Ordering::Relaxed));
    let config = KafkaConfig {
        dead_topic: format!("{topic}.dead"),
        topic,
        ..KafkaConfig::new(&stack.address(Part::Kafka))
    };
    topology::declare_until_done(&config).await;
    Kafka { stack, config }
}

impl Kafka {
    /// What a consumer needs to know.
    fn settings(&self) -> [(&'static str, String); 5] {
        [
            ("CLIMA_KAFKA_BROKERS", self.config.kafka_brokers.clone()),
            ("CLIMA_KAFKA_TOPIC", self.config.topic.clone()),
            ("CLIMA_KAFKA_DEAD_TOPIC", self.config.dead_topic.clone()),
            ("CLIMA_KAFKA_GROUP", self.config.topic.clone()),
            ("CLIMA_VALKEY_URL", self.stack.valkey_url()),
        ]
    }

    /// Starts the consumer's process with these settings beside those that it needs.
    fn start(&self, more: &[(&'static str, String)]) -> RunningConsumer {
        let settings = [&self.settings(), more].concat();
        RunningConsumer::start(env!("CARGO_BIN_EXE_clima-consumer-kafka"), &settings)
    }

    fn reader(&self, group: &str) -> BaseConsumer {
        ClientConfig::new()
            .set("bootstrap.servers", &self.config.kafka_brokers)
            .set("group.id", group)
            .set("enable.auto.commit", "false")
            .create()
            .unwrap()
    }
}

/// What Kafka answers. For a moment after a restart it knows neither leaders nor coordinators.
fn patiently<T>(mut ask: impl FnMut() -> KafkaResult<T>) -> T {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        match ask() {
            Ok(answer) => return answer,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
    }
}

/// The partitions of a topic, with their first and next offsets.
fn partitions(client: &BaseConsumer, topic: &str) -> Vec<(i32, i64, i64)> {
    let metadata = patiently(|| client.fetch_metadata(Some(topic), TIMEOUT));
    let partitions = metadata.topics()[0].partitions().iter();
    partitions
        .map(|partition| {
            let (low, high) = patiently(|| client.fetch_watermarks(topic, partition.id(), TIMEOUT));
            (partition.id(), low, high)
        })
        .collect()
}

impl Broker for Kafka {
    const PART: Part = Part::Kafka;

    fn stack(&self) -> &Stack {
        &self.stack
    }

    async fn start_consumer(&self) -> RunningConsumer {
        self.start(&[])
    }

    fn start_newer_consumer(&self) -> NewerConsumer {
        let mut config = Config::parse_from(command_line(&self.settings()));
        config.consumer.newest_schema += 1;
        let shutdown = CancellationToken::new();
        NewerConsumer {
            running: tokio::spawn(clima_consumer_kafka::run(config, shutdown.clone())),
            shutdown,
        }
    }

    async fn publish(&self, records: Vec<Vec<u8>>) {
        let producer = Arc::new(Producer::new(&self.config, &self.config.topic).unwrap());
        for records in records.chunks(AT_ONCE) {
            let sent = records.iter().map(|record| producer.send(record, None));
            for outcome in join_all(sent).await {
                outcome.unwrap();
            }
        }
    }

    async fn unacknowledged(&self) -> u64 {
        let topic = &self.config.topic;
        let client = self.reader(topic);
        tokio::task::block_in_place(|| {
            let partitions = partitions(&client, topic);
            let mut list = TopicPartitionList::new();
            for (partition, _, _) in &partitions {
                list.add_partition(topic, *partition);
            }
            let committed = patiently(|| client.committed_offsets(list.clone(), TIMEOUT));
            let lag = partitions.into_iter().map(|(partition, low, high)| {
                let found = committed.find_partition(topic, partition).unwrap();
                let next = match found.offset() {
                    Offset::Offset(next) => next,
                    _ => low,
                };
                u64::try_from(high - next).unwrap()
            });
            lag.sum()
        })
    }

    async fn dead_letters(&self) -> Vec<(Vec<u8>, String)> {
        let topic = &self.config.dead_topic;
        let client = self.reader("reader");
        tokio::task::block_in_place(|| {
            let mut letters = Vec::new();
            for (partition, low, high) in partitions(&client, topic) {
                let mut one = TopicPartitionList::new();
                one.add_partition_offset(topic, partition, Offset::Offset(low))
                    .unwrap();
                client.assign(&one).unwrap();
                for _ in low..high {
                    let letter = client.poll(TIMEOUT).unwrap().unwrap();
                    let reason = letter.headers().unwrap().get(0);
                    let reason = String::from_utf8(reason.value.unwrap().to_vec()).unwrap();
                    letters.push((letter.payload().unwrap().to_vec(), reason));
                }
            }
            letters
        })
    }
}

consumer_contract!(kafka());

/// A client that was fenced takes no record any more, and says nothing of it. Whoever watches the process must see it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_whose_instance_name_another_takes_ends() {
    let kafka = kafka().await;
    let same_name = [("CLIMA_KAFKA_INSTANCE", "one".to_owned())];
    let first = kafka.start(&same_name);
    kafka.publish(records(100)).await;
    until_acknowledged(&kafka).await;
    let _second = kafka.start(&same_name);
    assert!(!first.ended().await.success());
}
