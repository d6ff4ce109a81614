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
    // What RabbitMQ says of each: the argument, what we asked for, and what there is.
    let cases = [
        // A classic queue has none of the arguments; the first is named.
        (
            vec![("x-queue-type", text("classic"))],
            "x-overflow",
            "received the value 'reject-publish' of type 'longstr' but current is none",
        ),
        (
            with("x-delivery-limit", number(20)),
            "x-delivery-limit",
            "received '-1' but current is '20'",
        ),
        (
            without("x-delivery-limit"),
            "x-delivery-limit",
            "received the value '-1' of type 'signedint' but current is none",
        ),
        (
            with("x-overflow", text("drop-head")),
            "x-overflow",
            "received 'reject-publish' but current is 'drop-head'",
        ),
        (
            without("x-overflow"),
            "x-overflow",
            "received the value 'reject-publish' of type 'longstr' but current is none",
        ),
        (
            with("x-message-ttl", number(60_000)),
            "x-message-ttl",
            "received none but current is the value '60000' of type 'signedint'",
        ),
        (
            with("x-expires", number(60_000)),
            "x-expires",
            "received none but current is the value '60000' of type 'signedint'",
        ),
        (
            with("x-max-length", number(10)),
            "x-max-length",
            "received none but current is the value '10' of type 'signedint'",
        ),
        (
            with("x-max-length-bytes", number(10)),
            "x-max-length-bytes",
            "received none but current is the value '10' of type 'signedint'",
        ),
        (
            with("x-dead-letter-exchange", text("amq.fanout")),
            "x-dead-letter-exchange",
            "received none but current is the value 'amq.fanout' of type 'longstr'",
        ),
    ];
    let cases = cases.into_iter().enumerate();
    let cases = cases.map(async |(number, (arguments, argument, difference))| {
        let prefix = format!("{}-{number}", rabbitmq.config.prefix);
        let queue = format!("{prefix}.tweets");
        rabbitmq.create(&queue, arguments).await;
        let consumer = rabbitmq.start(&[("CLIMA_RABBITMQ_PREFIX", prefix)]);
        consumer.until_logged(DECLARED).await;
        let told = consumer.logged(DIFFERS);
        assert!(consumer.stop().await.success());
        let warning = format!(
            "WARN clima_writer_rabbitmq::topology: {DIFFERS} name=\"{queue}\" \
             error=protocol error: AMQP soft error: PRECONDITION-FAILED: PRECONDITION_FAILED - \
             inequivalent arg '{argument}' for queue '{queue}' in vhost '/': {difference}"
        );
        (told, [warning])
    });
    for (told, expected) in join_all(cases).await {
        assert_eq!(told, expected);
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
