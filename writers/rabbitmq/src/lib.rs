//! Publishes accepted tweets to RabbitMQ.
//!
//! OK is answered when the quorum queue has confirmed the message. Each connection carries several channels;
//! a message that comes back unroutable fails everything unconfirmed on its channel, since the client cannot
//! tell which message a return belongs to.
//!
//! The [`topology`] and the [`Producer`] serve the RabbitMQ consumer too: it sets poison aside with them.

mod channel;
mod config;
mod error;
mod producer;
pub mod topology;

use clima_service::connections::ConnectionMetrics;
use clima_service::process::RunError;
use clima_writer_core::Writer;
use tokio_util::sync::CancellationToken;

pub use config::{Config, RabbitmqConfig};
pub use error::ProducerError;
pub use producer::{Message, Producer, close, connect};

/// Runs the writer until `shutdown`.
///
/// # Errors
///
/// A port cannot be opened, or a task ended.
pub async fn run(config: Config, shutdown: CancellationToken) -> Result<(), RunError> {
    serve(
        Writer::bind(&config.writer, shutdown).await?,
        config.rabbitmq,
    )
    .await
}

/// Runs a writer whose ports are open.
///
/// # Errors
///
/// As for [`run`].
pub async fn serve(mut writer: Writer, rabbitmq: RabbitmqConfig) -> Result<(), RunError> {
    let ready = writer.process.readiness.part("rabbitmq");
    let destination = rabbitmq.names().tweets;
    let (producer, connection) = Producer::new(rabbitmq, destination, ready);
    let connections = ConnectionMetrics::register(&mut writer.process.registry);
    let connection = connection.counted(connections.to("rabbitmq", "publish"));
    writer.process.tasks.spawn("producer", connection.run());
    writer.serve(producer).await
}
