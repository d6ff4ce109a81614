//! What is ours in RabbitMQ: two exchanges with a queue each, and a marker, declared here and nowhere else.
//!
//! Where an operator owns them, or we may not declare them, that is fine as long as they exist.

use std::time::Duration;

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
    /// An exchange that nothing is published to: it exists once new queues have settled, for processes that
    /// find queues which another has just created.
    pub settled: String,
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
            settled: format!("{prefix}.settled"),
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

/// A broker that is killed right after it has created a quorum queue may come back with a queue that takes
/// nothing any more: RabbitMQ 4.0 needs about a second until the queue's name is on disk (its Raft library keeps
/// names in a table that is saved at intervals). No message is published before.
const SETTLING: Duration = Duration::from_secs(2);

/// Declares exchanges, queues and bindings. A queue that did not exist gets time to settle.
///
/// # Errors
///
/// The connection fails. What exists otherwise, or is not ours to declare, is logged and left alone.
pub async fn declare(connection: &Connection, names: &Names) -> Result<(), lapin::Error> {
    let settled = exchange_exists(connection, &names.settled).await?;
    let mut created = false;
    for destination in [&names.tweets, &names.dead] {
        declare_exchange(connection, &destination.exchange).await?;
        if !exists(connection, &destination.queue).await? {
            created |= declare_queue(connection, &destination.queue).await?;
        }
        bind(connection, destination).await?;
    }
    if created || !settled {
        tracing::info!(?SETTLING, "new queues, letting them settle");
        tokio::time::sleep(SETTLING).await;
        declare_exchange(connection, &names.settled).await?;
    }
    Ok(())
}

/// Whether the exchange exists, or is not ours to ask for.
async fn exchange_exists(connection: &Connection, exchange: &str) -> Result<bool, lapin::Error> {
    let passive = ExchangeDeclareOptions {
        passive: true,
        ..ExchangeDeclareOptions::default()
    };
    let channel = connection.create_channel().await?;
    let found = channel
        .exchange_declare(
            exchange.into(),
            ExchangeKind::Direct,
            passive,
            FieldTable::default(),
        )
        .await;
    match found {
        Ok(()) => close(channel).await.map(|()| true),
        Err(error) => match refusal(&error) {
            Some(AMQPSoftError::NOTFOUND) => Ok(false),
            Some(_) => Ok(true),
            None => Err(error),
        },
    }
}

async fn declare_exchange(connection: &Connection, exchange: &str) -> Result<(), lapin::Error> {
    let durable = ExchangeDeclareOptions {
        durable: true,
        ..ExchangeDeclareOptions::default()
    };
    let channel = connection.create_channel().await?;
    let declared = channel.exchange_declare(
        exchange.into(),
        ExchangeKind::Direct,
        durable,
        FieldTable::default(),
    );
    tolerate(exchange, declared.await)?;
    close(channel).await
}

/// Whether the queue exists with the settings that we ask for. One that exists with others is told of.
async fn exists(connection: &Connection, queue: &str) -> Result<bool, lapin::Error> {
    let passive = QueueDeclareOptions {
        passive: true,
        ..QueueDeclareOptions::default()
    };
    let channel = connection.create_channel().await?;
    let found = channel
        .queue_declare(queue.into(), passive, FieldTable::default())
        .await;
    match found {
        Ok(_) => {
            close(channel).await?;
            // Declaring what exists changes nothing, and is how AMQP compares the settings.
            declare_queue(connection, queue).await?;
            Ok(true)
        }
        Err(error) => match refusal(&error) {
            Some(AMQPSoftError::NOTFOUND) => Ok(false),
            Some(_) => Ok(true),
            None => Err(error),
        },
    }
}

/// Declares the queue, and tells whether it was ours to declare.
async fn declare_queue(connection: &Connection, queue: &str) -> Result<bool, lapin::Error> {
    let durable = QueueDeclareOptions {
        durable: true,
        ..QueueDeclareOptions::default()
    };
    let channel = connection.create_channel().await?;
    let declared = channel
        .queue_declare(queue.into(), durable, queue_settings())
        .await;
    let ours = declared.is_ok();
    tolerate(queue, declared.map(|_| ()))?;
    close(channel).await?;
    Ok(ours)
}

async fn bind(connection: &Connection, destination: &Destination) -> Result<(), lapin::Error> {
    let channel = connection.create_channel().await?;
    let bound = channel.queue_bind(
        destination.queue.as_str().into(),
        destination.exchange.as_str().into(),
        ROUTING_KEY.into(),
        QueueBindOptions::default(),
        FieldTable::default(),
    );
    tolerate(&destination.queue, bound.await)?;
    close(channel).await
}

/// Closes the channel, unless a refusal has.
async fn close(channel: Channel) -> Result<(), lapin::Error> {
    if channel.status().connected() {
        channel.close(200, "declared".into()).await?;
    }
    Ok(())
}

/// The broker's refusal of one operation, which closes its channel; none for any other error.
fn refusal(error: &lapin::Error) -> Option<AMQPSoftError> {
    let ErrorKind::ProtocolError(refusal) = error.kind() else {
        return None;
    };
    match refusal.kind() {
        AMQPErrorKind::Soft(refusal) => Some(refusal.clone()),
        AMQPErrorKind::Hard(_) => None,
    }
}

/// Takes a refusal for what it is: somebody else's exchange or queue.
fn tolerate(name: &str, outcome: Result<(), lapin::Error>) -> Result<(), lapin::Error> {
    let Err(error) = outcome else { return Ok(()) };
    match refusal(&error) {
        Some(AMQPSoftError::PRECONDITIONFAILED) => {
            tracing::warn!(name, %error, "exists with other settings than the promise asks for");
            Ok(())
        }
        Some(AMQPSoftError::ACCESSREFUSED) => {
            tracing::info!(name, "is not ours to declare");
            Ok(())
        }
        _ => Err(error),
    }
}
