//! Publishes accepted tweets to Kafka.
//!
//! OK is answered when the delivery report says that all in-sync replicas have the record (`acks=all`).
//! Retries inside the client are idempotent; whatever else goes wrong is ambiguous, and the tweet's id makes
//! a second record harmless.
//!
//! The [`topology`] and the [`Producer`] serve the Kafka consumer too: it sets poison aside with them. Both warn of
//! [`differences`].

mod config;
mod context;
pub mod differences;
mod error;
mod producer;
pub mod topology;

use std::convert::Infallible;

use clima_service::connections::ConnectionMetrics;
use clima_service::process::RunError;
use clima_writer_core::Writer;
use tokio_util::sync::CancellationToken;

pub use config::{Config, KafkaConfig};
pub use context::Logged;
pub use error::ProducerError;
pub use producer::Producer;

/// Runs the writer until `shutdown`.
///
/// # Errors
///
/// A port cannot be opened, the settings are refused by the client, or a task ended.
pub async fn run(config: Config, shutdown: CancellationToken) -> Result<(), RunError> {
    serve(Writer::bind(&config.writer, shutdown).await?, config.kafka).await
}

/// Runs a writer whose ports are open.
///
/// # Errors
///
/// As for [`run`].
pub async fn serve(mut writer: Writer, kafka: KafkaConfig) -> Result<(), RunError> {
    let connections = ConnectionMetrics::register(&mut writer.process.registry);
    let connections = connections.to("kafka", "publish");
    let producer =
        Producer::with_metrics(&kafka, &kafka.topic, connections).map_err(RunError::setup)?;
    let ready = writer.process.readiness.part("kafka");
    let shutdown = writer.process.shutdown.clone();
    let warm_up = producer.warm_up();
    writer.process.tasks.spawn("topology", async move {
        // Calls may come before the topic is known to exist, mostly after a restart, when it does.
        let both = async { tokio::join!(topology::declare_until_done(&kafka), warm_up) };
        ready.set(shutdown.run_until_cancelled(both).await.is_some());
        shutdown
            .run_until_cancelled(differences::warn_until_done(&kafka))
            .await;
        shutdown.cancelled().await;
        Ok::<_, Infallible>(())
    });
    writer.serve(producer).await
}
