//! How much the topic holds that the group has not committed.
//!
//! librdkafka's own statistics would tell it, too, but late or never: they come with the polling, which stands
//! still while Valkey is away, and know the end of a partition from its last fetch, which may be long ago. So the
//! broker is asked now and then, over the connection that is there.

use std::sync::{Arc, Weak};
use std::time::Duration;

use clima_consumer_core::{ASK_EVERY, Lag, Metrics};
use clima_service::connections::Connections;
use rdkafka::Offset;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval};

use crate::poll::Group;

/// Longest wait for each answer.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Tells the lags of the partitions that this consumer has, and whether the broker answers. Ends with the client.
pub(crate) struct LagWatch {
    pub(crate) client: Weak<BaseConsumer<Group>>,
    pub(crate) topic: String,
    pub(crate) metrics: Metrics,
    pub(crate) connections: Connections,
}

impl LagWatch {
    pub(crate) async fn run(self) {
        let mut ticks = interval(ASK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let Some(client) = self.client.upgrade() else {
                return;
            };
            let topic = self.topic.clone();
            match spawn_blocking(move || ask(&client, &topic)).await {
                Ok(Ok(lags)) => {
                    self.connections.told(1);
                    self.metrics.reached(lags);
                }
                Ok(Err(error)) => {
                    tracing::debug!(%error, "cannot ask for the lag");
                    self.connections.told(0);
                    self.metrics.lost();
                }
                // The process is ending.
                Err(_) => return,
            }
        }
    }
}

fn ask(client: &Arc<BaseConsumer<Group>>, topic: &str) -> Result<Vec<Lag>, KafkaError> {
    let assigned = client.assignment()?;
    if assigned.count() == 0 {
        // Nothing to ask for but whether somebody answers.
        client.fetch_metadata(Some(topic), TIMEOUT)?;
        return Ok(Vec::new());
    }
    let committed = client.committed_offsets(assigned, TIMEOUT)?;
    committed
        .elements()
        .iter()
        .map(|partition| {
            let number = partition.partition();
            let (first, end) = client.fetch_watermarks(topic, number, TIMEOUT)?;
            let next = match partition.offset() {
                // What was committed may have been deleted since.
                Offset::Offset(next) => next.max(first),
                _ => first,
            };
            Ok(Lag {
                place: number.to_string(),
                records: u64::try_from(end - next).unwrap_or(0),
            })
        })
        .collect()
}
