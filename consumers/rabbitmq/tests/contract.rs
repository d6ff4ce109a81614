//! The consumers' contract, with a real RabbitMQ and a real Valkey.

// Helpers of tests are tests too, which the lint does not know.
#![allow(clippy::unwrap_used)]

#[path = "contract/windows.rs"]
mod windows;

use std::sync::atomic::{AtomicU32, Ordering};

use clap::Parser as _;
use clima_consumer_core::consumer_contract;
use clima_consumer_core::contract::{Broker, NewerConsumer, RunningConsumer, command_line};
use clima_consumer_rabbitmq::Config;
use clima_local::{Counts, Part, Stack};
use clima_service::readiness::Readiness;
use clima_writer_rabbitmq::{Message, Producer, RabbitmqConfig};
use futures::future::join_all;
use lapin::options::{BasicGetOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Connection, ConnectionProperties};
use tokio::sync::{Mutex, MutexGuard, OnceCell};
use tokio_util::sync::CancellationToken;

/// One RabbitMQ and one Valkey for all tests, since a start takes seconds. They take turns on them, because some
/// of them kill one; each has a queue of its own and begins with an empty Valkey.
static STACK: OnceCell<Mutex<Stack>> = OnceCell::const_new();

static PREFIXES: AtomicU32 = AtomicU32::new(0);

/// Messages unconfirmed at a time: below what the producer's channels take.
const AT_ONCE: usize = 1_000;

struct Rabbitmq {
    stack: MutexGuard<'static, Stack>,
    config: RabbitmqConfig,
}

async fn rabbitmq() -> Rabbitmq {
    let start = || async {
        let stack = Stack::builder()
            .only([Part::Rabbitmq, Part::Valkey])
            .fast_start(true);
        Mutex::new(stack.start().await.unwrap())
    };
    let stack = STACK.get_or_init(start).await.lock().await;
    let mut counts = Counts::connect(&stack.address(Part::Valkey)).await.unwrap();
    counts.clear().await.unwrap();
    let config = RabbitmqConfig {
        prefix: format!("clima-{}", PREFIXES.fetch_add(1, Ordering::Relaxed)),
        ..RabbitmqConfig::new(&stack.rabbitmq_url()).unwrap()
    };
    Rabbitmq { stack, config }
}

impl Rabbitmq {
    /// What a consumer needs to know.
    fn settings(&self) -> [(&'static str, String); 3] {
        [
            ("CLIMA_RABBITMQ_URL", self.stack.rabbitmq_url()),
            ("CLIMA_RABBITMQ_PREFIX", self.config.prefix.clone()),
            ("CLIMA_VALKEY_URL", self.stack.valkey_url()),
        ]
    }

    /// Starts the consumer's process with these settings beside those that it needs.
    fn start(&self, more: &[(&'static str, String)]) -> RunningConsumer {
        let settings = [&self.settings(), more].concat();
        RunningConsumer::start(env!("CARGO_BIN_EXE_clima-consumer-rabbitmq"), &settings)
    }

    async fn connect(&self) -> Connection {
        let properties = ConnectionProperties::default();
        Connection::connect(&self.stack.rabbitmq_url(), properties)
            .await
            .unwrap()
    }
}

impl Broker for Rabbitmq {
    const PART: Part = Part::Rabbitmq;

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
            running: tokio::spawn(clima_consumer_rabbitmq::run(config, shutdown.clone())),
            shutdown,
        }
    }

    async fn publish(&self, records: Vec<Vec<u8>>) {
        let readiness = Readiness::default();
        let (producer, keeper) = Producer::new(
            self.config.clone(),
            self.config.names().tweets,
            readiness.part("rabbitmq"),
        );
        tokio::spawn(keeper.run());
        let mut changes = readiness.changes();
        while changes.next().await == Some(false) {}
        for records in records.chunks(AT_ONCE) {
            let sent = records.iter().map(|record| {
                producer.send(Message {
                    payload: record.clone(),
                    headers: FieldTable::default(),
                })
            });
            for outcome in join_all(sent).await {
                outcome.unwrap();
            }
        }
    }

    async fn unacknowledged(&self) -> u64 {
        let connection = self.connect().await;
        let channel = connection.create_channel().await.unwrap();
        let passive = QueueDeclareOptions {
            passive: true,
            ..QueueDeclareOptions::default()
        };
        let queue = self.config.names().tweets.queue;
        let queue = channel
            .queue_declare(queue.into(), passive, FieldTable::default())
            .await
            .unwrap();
        let messages = queue.message_count();
        connection.close(200, "asked".into()).await.unwrap();
        u64::from(messages)
    }

    async fn dead_letters(&self) -> Vec<(Vec<u8>, String)> {
        let connection = self.connect().await;
        let channel = connection.create_channel().await.unwrap();
        let queue = self.config.names().dead.queue;
        let mut letters = Vec::new();
        let options = BasicGetOptions { no_ack: false };
        while let Some(letter) = channel
            .basic_get(queue.as_str().into(), options)
            .await
            .unwrap()
        {
            let headers = letter.properties.headers().clone().unwrap_or_default();
            let Some(AMQPValue::LongString(reason)) = headers.inner().get("reason") else {
                panic!("no reason: {headers:?}")
            };
            letters.push((letter.data.clone(), reason.to_string()));
        }
        connection.close(200, "read".into()).await.unwrap();
        letters
    }
}

consumer_contract!(rabbitmq());
