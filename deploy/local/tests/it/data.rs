//! What a server has confirmed is there after SIGKILL and a new start.

use std::time::Duration;

use bb8_redis::redis::{self, AsyncTypedCommands as _};
use clima_local::{Part, Stack};
use lapin::options::{
    BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Connection, ConnectionProperties};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::util::Timeout;

use crate::stacks::only;
use crate::wait::until;

async fn crash_and_restart(stack: &Stack, part: Part) {
    stack.kill(part).await.unwrap();
    assert!(!stack.is_running(part) && stack.pid(part).is_none());
    stack.start_part(part).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn valkey_keeps_a_key() {
    let stack = only([Part::Valkey]).await;
    let client = redis::Client::open(stack.valkey_url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    connection.set("kept", "value").await.unwrap();
    crash_and_restart(&stack, Part::Valkey).await;
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    assert_eq!(
        connection.get("kept").await.unwrap().as_deref(),
        Some("value")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn kafka_keeps_a_topic_and_its_records() {
    let stack = only([Part::Kafka]).await;
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", stack.address(Part::Kafka))
        .set("acks", "all");
    let admin: AdminClient<DefaultClientContext> = config.create().unwrap();
    let topic = NewTopic::new("kept", 1, TopicReplication::Fixed(1));
    admin
        .create_topics([&topic], &AdminOptions::new())
        .await
        .unwrap()[0]
        .as_ref()
        .unwrap();
    let producer: FutureProducer = config.create().unwrap();
    let record = FutureRecord::<(), _>::to("kept").payload("value");
    producer
        .send(record, Duration::from_secs(30))
        .await
        .unwrap();

    crash_and_restart(&stack, Part::Kafka).await;
    let marks = tokio::task::spawn_blocking(move || {
        admin
            .inner()
            .fetch_watermarks("kept", 0, Timeout::After(Duration::from_secs(30)))
    });
    assert_eq!(marks.await.unwrap().unwrap(), (0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn rabbitmq_keeps_a_quorum_queue_and_its_messages() {
    let stack = only([Part::Rabbitmq]).await;
    let url = stack.rabbitmq_url();
    let connect = || Connection::connect(&url, ConnectionProperties::default());
    let connection = connect().await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    let mut quorum = FieldTable::default();
    quorum.insert(
        "x-queue-type".into(),
        AMQPValue::LongString("quorum".into()),
    );
    let durable = QueueDeclareOptions {
        durable: true,
        ..QueueDeclareOptions::default()
    };
    channel
        .queue_declare("kept".into(), durable, quorum)
        .await
        .unwrap();
    channel
        .confirm_select(ConfirmSelectOptions::default())
        .await
        .unwrap();
    let persistent = BasicProperties::default().with_delivery_mode(2);
    let options = BasicPublishOptions::default();
    let confirm = channel
        .basic_publish("".into(), "kept".into(), options, b"value", persistent)
        .await
        .unwrap()
        .await
        .unwrap();
    assert!(confirm.is_ack());

    // RabbitMQ writes down the name of a new quorum queue about a second after it has confirmed its
    // declaration (`auto_save` of names.dets in its Raft library). A crash before that costs the queue
    // with all that it confirmed, so a publisher must not begin at once on a queue that it just made.
    let names = stack
        .state_dir()
        .join("rabbitmq/mnesia/clima@localhost/quorum/clima@localhost/names.dets");
    until("the queue's name on disk", async || {
        let bytes = std::fs::read(&names).ok()?;
        bytes
            .windows(8)
            .any(|window| window == b"%2F_kept")
            .then_some(())
    })
    .await;

    crash_and_restart(&stack, Part::Rabbitmq).await;
    let connection = connect().await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    let message = channel
        .basic_get("kept".into(), BasicGetOptions::default())
        .await
        .unwrap();
    assert_eq!(message.unwrap().delivery.data, b"value");
}
