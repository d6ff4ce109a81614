//! Dead letters of RabbitMQ: a queue, from which each is removed after it was returned.

use anyhow::Context as _;
use clima_service::readiness::Readiness;
use clima_writer_rabbitmq::topology::Names;
use clima_writer_rabbitmq::{Message, Producer, RabbitmqConfig, connect};
use lapin::options::{BasicAckOptions, BasicGetOptions, QueueDeclareOptions};
use lapin::types::FieldTable;

pub(super) async fn redrive(url: &str) -> anyhow::Result<u64> {
    let config = RabbitmqConfig::new(url).map_err(anyhow::Error::msg)?;
    let Names { tweets, dead, .. } = config.names();
    let connection = connect(&config, "redrive").await?;
    let channel = connection.create_channel().await?;
    let passive = QueueDeclareOptions {
        passive: true,
        ..QueueDeclareOptions::default()
    };
    let queue = channel
        .queue_declare(dead.queue.as_str().into(), passive, FieldTable::default())
        .await
        .context("there is no queue of dead letters")?;

    let readiness = Readiness::default();
    let (producer, keeper) = Producer::new(config, tweets, readiness.part("rabbitmq"));
    let keeper = tokio::spawn(keeper.run());
    let mut changes = readiness.changes();
    while changes.next().await == Some(false) {}

    let mut returned = 0;
    for _ in 0..queue.message_count() {
        let options = BasicGetOptions { no_ack: false };
        let Some(letter) = channel
            .basic_get(dead.queue.as_str().into(), options)
            .await?
        else {
            break;
        };
        producer
            .send(Message {
                payload: letter.data.clone(),
                headers: FieldTable::default(),
            })
            .await?;
        letter.ack(BasicAckOptions::default()).await?;
        returned += 1;
    }
    drop(producer);
    keeper.await?.ok();
    connection.close(200, "redriven".into()).await?;
    Ok(returned)
}
