//! What is ours in RabbitMQ: two exchanges and two queues, declared here and nowhere else.
//!
//! Where an operator owns them, or we may not declare them, that is fine as long as they exist.

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::protocol::{AMQPErrorKind, AMQPSoftError};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Connection, ErrorKind, ExchangeKind};

/// The key that every message is published with.
pub const ROUTING_KEY: &str = "tweet";

/// The names of what is ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// Accepted tweets.
    pub tweets: Destination,
    /// What cannot be counted.
    pub dead: Destination,
}

/// An exchange and the one queue that is bound to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// The direct exchange to publish to.
    pub exchange: String,
    /// The quorum queue to consume from.
    pub queue: String,
}

impl Names {
    /// The names below `prefix`.
    pub fn new(prefix: &str) -> Self {
        Self {
            tweets: Destination {
                exchange: prefix.to_owned(),
                queue: format!("{prefix}.tweets"),
            },
            dead: Destination {
                exchange: format!("{prefix}.dead"),
                queue: format!("{prefix}.tweets.dead"),
            },
        }
    }
}

/// Settings of a queue that the promise rests on. No time to live and no maximum length: either would drop
/// accepted tweets.
fn queue_settings() -> FieldTable {
    let mut settings = FieldTable::default();
    let text = |text: &str| AMQPValue::LongString(text.into());
    settings.insert("x-queue-type".into(), text("quorum"));
    // The default of 20 would drop a tweet after as many crashes of its consumer.
    settings.insert("x-delivery-limit".into(), AMQPValue::LongInt(-1));
    // A queue that is full refuses what is new; it never drops what is old.
    settings.insert("x-overflow".into(), text("reject-publish"));
    settings
}

/// Declares exchanges, queues and bindings.
///
/// # Errors
///
/// The connection fails. What exists otherwise, or is not ours to declare, is logged and left alone.
pub async fn declare(connection: &Connection, names: &Names) -> Result<(), lapin::Error> {
    for Destination { exchange, queue } in [&names.tweets, &names.dead] {
        let durable = ExchangeDeclareOptions {
            durable: true,
            ..ExchangeDeclareOptions::default()
        };
        let channel = connection.create_channel().await?;
        let declared = channel.exchange_declare(
            exchange.as_str().into(),
            ExchangeKind::Direct,
            durable,
            FieldTable::default(),
        );
        tolerate(exchange, declared.await)?;

        let durable = QueueDeclareOptions {
            durable: true,
            ..QueueDeclareOptions::default()
        };
        let channel = usable(connection, channel).await?;
        let declared = channel.queue_declare(queue.as_str().into(), durable, queue_settings());
        tolerate(queue, declared.await.map(|_| ()))?;

        let channel = usable(connection, channel).await?;
        let bound = channel.queue_bind(
            queue.as_str().into(),
            exchange.as_str().into(),
            ROUTING_KEY.into(),
            QueueBindOptions::default(),
            FieldTable::default(),
        );
        tolerate(queue, bound.await)?;
        if channel.status().connected() {
            channel.close(200, "declared".into()).await?;
        }
    }
    Ok(())
}

/// A refused declaration closes its channel.
async fn usable(connection: &Connection, channel: Channel) -> Result<Channel, lapin::Error> {
    if channel.status().connected() {
        return Ok(channel);
    }
    connection.create_channel().await
}

fn tolerate(name: &str, outcome: Result<(), lapin::Error>) -> Result<(), lapin::Error> {
    let Err(error) = outcome else { return Ok(()) };
    let ErrorKind::ProtocolError(refusal) = error.kind() else {
        return Err(error);
    };
    match refusal.kind() {
        AMQPErrorKind::Soft(AMQPSoftError::PRECONDITIONFAILED) => {
            tracing::warn!(name, reason = %refusal.get_message(), "exists with other settings than the promise asks for");
            Ok(())
        }
        AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED) => {
            tracing::info!(name, "is not ours to declare");
            Ok(())
        }
        _ => Err(error),
    }
}
