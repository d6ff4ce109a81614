//! How much the queue holds that was not acknowledged.

use clima_consumer_core::{ASK_EVERY, Lag, Metrics};
use lapin::Channel;
use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;
use tokio::time::{MissedTickBehavior, interval};

use crate::deliveries::Tags;

/// Asks now and then, on a channel of its own, until that is lost. A passive declaration changes nothing and tells
/// how many messages are ready; what was delivered to other consumers it does not tell.
pub(crate) async fn watch(channel: Channel, queue: String, tags: Tags, metrics: Metrics) {
    let mut ticks = interval(ASK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let passive = QueueDeclareOptions {
            passive: true,
            ..QueueDeclareOptions::default()
        };
        let asked = channel.queue_declare(queue.as_str().into(), passive, FieldTable::default());
        match asked.await {
            Ok(found) => {
                let lag = |place: &str, records| Lag {
                    place: place.to_owned(),
                    records,
                };
                metrics.reached([
                    lag("ready", found.message_count().into()),
                    lag("unacknowledged", tags.unacknowledged()),
                ]);
            }
            Err(error) => {
                tracing::debug!(%error, "cannot ask for the lag");
                metrics.lost();
                return;
            }
        }
    }
}
