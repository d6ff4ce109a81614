//! What is told when a queue is not as the promise asks for.

use clima_consumer_core::contract::{Broker as _, until};
use futures::future::join_all;
use lapin::options::QueueDeclareOptions;
use lapin::types::{AMQPValue, FieldTable};

use super::{Rabbitmq, rabbitmq};

const DIFFERS: &str = "exists with other settings than the promise asks for";

/// Said by the connection that declares, once it has.
const DECLARED: &str = "clima_writer_rabbitmq::producer: connected";

type Arguments = Vec<(&'static str, AMQPValue)>;

fn text(text: &str) -> AMQPValue {
    AMQPValue::LongString(text.into())
}

/// What a queue should have.
fn right() -> Arguments {
    vec![
        ("x-queue-type", text("quorum")),
        ("x-delivery-limit", AMQPValue::LongInt(-1)),
        ("x-overflow", text("reject-publish")),
    ]
}

fn with(name: &'static str, value: AMQPValue) -> Arguments {
    let others = right().into_iter().filter(|(key, _)| *key != name);
    others.chain([(name, value)]).collect()
}

fn without(name: &str) -> Arguments {
    right()
        .into_iter()
        .filter(|(key, _)| *key != name)
        .collect()
}

impl Rabbitmq {
    /// A queue as an operator may have made it.
    async fn create(&self, queue: &str, arguments: Arguments) {
        let connection = self.connect().await;
        let channel = connection.create_channel().await.unwrap();
        let durable = QueueDeclareOptions {
            durable: true,
            ..QueueDeclareOptions::default()
        };
        let mut table = FieldTable::default();
        for (name, value) in arguments {
            table.insert(name.into(), value);
        }
        channel
            .queue_declare(queue.into(), durable, table)
            .await
            .unwrap();
        connection.close(200, "declared".into()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_setting_of_the_queue_that_differs_is_warned_about_by_name() {
    let rabbitmq = rabbitmq().await;
    let number = AMQPValue::LongInt;
    let cases = [
        ("x-queue-type", vec![("x-queue-type", text("classic"))]),
        ("x-delivery-limit", with("x-delivery-limit", number(20))),
        ("x-delivery-limit", without("x-delivery-limit")),
        ("x-overflow", with("x-overflow", text("drop-head"))),
        ("x-overflow", without("x-overflow")),
        ("x-message-ttl", with("x-message-ttl", number(60_000))),
        ("x-expires", with("x-expires", number(60_000))),
        ("x-max-length", with("x-max-length", number(10))),
        ("x-max-length-bytes", with("x-max-length-bytes", number(10))),
        (
            "x-dead-letter-exchange",
            with("x-dead-letter-exchange", text("amq.fanout")),
        ),
    ];
    let cases = cases.into_iter().enumerate();
    let cases = cases.map(async |(number, (name, arguments))| {
        let prefix = format!("{}-{number}", rabbitmq.config.prefix);
        let queue = format!("{prefix}.tweets");
        rabbitmq.create(&queue, arguments.clone()).await;
        let consumer = rabbitmq.start(&[("CLIMA_RABBITMQ_PREFIX", prefix)]);
        consumer.until_logged(DECLARED).await;
        let told = consumer.logged(DIFFERS);
        assert!(consumer.stop().await.success());
        (name, arguments, queue, told)
    });
    let outcomes = join_all(cases).await;
    for (name, arguments, queue, told) in &outcomes {
        let case = format!("{name} {arguments:?}: {told:?} of {outcomes:#?}");
        assert_eq!(told.len(), 1, "{case}");
        let warning = format!("WARN clima_writer_rabbitmq::topology: {DIFFERS} name=\"{queue}\"");
        assert!(told[0].starts_with(&warning), "{case}");
        let named = format!("inequivalent arg '{name}' for queue '{queue}'");
        assert!(told[0].contains(&named), "{case}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queues_of_our_own_are_as_the_promise_asks_for() {
    let rabbitmq = rabbitmq().await;
    // The second finds what the first has made.
    for _ in 0..2 {
        let consumer = rabbitmq.start_consumer().await;
        until("the queues were declared", async || {
            !consumer.logged(DECLARED).is_empty()
        })
        .await;
        assert_eq!(consumer.logged(DIFFERS), [""; 0]);
        assert!(consumer.stop().await.success());
    }
}
