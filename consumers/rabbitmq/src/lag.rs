//! How much the queue holds that was not acknowledged.

use std::sync::Arc;
use std::time::Duration;

use clima_consumer_core::{ASK_EVERY, Lag, Metrics};
use clima_writer_rabbitmq::within;
use lapin::Connection;
use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;
use tokio::time::{MissedTickBehavior, interval};

use crate::deliveries::Tags;

/// Longest wait for an answer.
const ASK_LIMIT: Duration = Duration::from_secs(3);

/// Asks now and then, for as long as the session lasts.
pub(crate) async fn watch(
    connection: Arc<Connection>,
    queue: String,
    tags: Tags,
    metrics: Metrics,
) {
    let mut ticks = interval(ASK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match within(ASK_LIMIT, ready(&connection, &queue)).await {
            Ok(ready) => {
                let lag = |place: &str, records| Lag {
                    place: place.to_owned(),
                    records,
                };
                metrics.reached([
                    lag("ready", ready),
                    lag("unacknowledged", tags.unacknowledged()),
                ]);
            }
            Err(error) => {
                tracing::debug!(%error, "cannot ask for the lag");
                metrics.lost();
            }
        }
    }
}

/// How many messages are ready. A passive declaration changes nothing and tells that; what was delivered to other
/// consumers it does not tell. A refusal closes the channel, so each question has one of its own: a queue that is
/// away for a moment refuses, and its consumers stay.
async fn ready(connection: &Connection, queue: &str) -> Result<u64, lapin::Error> {
    let passive = QueueDeclareOptions {
        passive: true,
        ..QueueDeclareOptions::default()
    };
    let channel = connection.create_channel().await?;
    let found = channel
        .queue_declare(queue.into(), passive, FieldTable::default())
        .await?;
    channel.close(200, "asked".into()).await?;
    Ok(found.message_count().into())
}
