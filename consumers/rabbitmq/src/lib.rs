//! Counts the tweets of RabbitMQ in Valkey, each id once.
//!
//! Deliveries are acknowledged after they were counted. A connection that is lost takes its deliveries with
//! it: they come again on the next one, and those that were counted are recognised.

mod config;
mod consumer;
mod deliveries;
mod error;
mod lag;

use std::convert::Infallible;

use clima_consumer_core::store::Broker;
use clima_consumer_core::{Consumer, Metrics};
use clima_service::connections::ConnectionMetrics;
use clima_service::process::{Process, RunError};
use clima_writer_rabbitmq::Producer;
use tokio_util::sync::CancellationToken;

pub use config::Config;
use consumer::RabbitmqSource;

/// Runs the consumer until `shutdown`.
///
/// # Errors
///
/// A port cannot be opened, or a task ended.
pub async fn run(config: Config, shutdown: CancellationToken) -> Result<(), RunError> {
    let mut process = Process::bind(&config.consumer.process, shutdown).await?;
    let metrics = Metrics::register(&mut process.registry, Broker::Rabbitmq);
    let connections = ConnectionMetrics::register(&mut process.registry);
    // The dead-letter connection declares everything, and tells when the broker was reached.
    let (dead_letters, connection) = Producer::new(
        config.rabbitmq.clone(),
        config.rabbitmq.names().dead,
        process.readiness.part("rabbitmq"),
    );
    let connection = connection.counted(connections.to("rabbitmq", "dead_letters"));
    let shutdown = process.shutdown.clone();
    process.tasks.spawn("dead letters", async move {
        connection.run().await?;
        // Its producer is gone: the consumer has stopped, which is no reason to end the process.
        shutdown.cancelled().await;
        Ok::<_, Infallible>(())
    });
    let source = RabbitmqSource::new(
        config.rabbitmq.clone(),
        dead_letters,
        metrics.clone(),
        connections.to("rabbitmq", "consume"),
    );
    Consumer::spawn(
        source,
        &config.consumer,
        metrics,
        &connections,
        &mut process,
    )?;
    process.run().await
}
