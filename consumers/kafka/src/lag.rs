//! How much the topic holds that the group has not committed.
//!
//! librdkafka's own statistics would tell it, too, but late or never: they come with the polling, which stands
//! still while Valkey is away, and know the end of a partition from its last fetch, which may be long ago. So the
//! broker is asked now and then, over the connection that is there.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use clima_consumer_core::{ASK_EVERY, Lag, Metrics};
use clima_service::connections::Connections;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval};

use crate::error::Error;
use crate::gaps::Gaps;
use crate::poll::{Group, next};

/// Longest wait for each answer.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Tells the lags of the partitions that this consumer has, and whether the broker answers. Ends with the client, or
/// when that has failed for good: it polls nothing any more then, while the broker answers as ever.
pub(crate) struct LagWatch {
    pub(crate) client: Weak<BaseConsumer<Group>>,
    pub(crate) topic: String,
    pub(crate) metrics: Metrics,
    pub(crate) connections: Connections,
    pub(crate) gaps: Gaps,
}

impl LagWatch {
    pub(crate) async fn run(self) -> Result<(), Error> {
        let mut ticks = interval(ASK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let Some(client) = self.client.upgrade() else {
                return Ok(());
            };
            if let Some((_, reason)) = client.client().fatal_error() {
                return Err(Error::Fatal(reason));
            }
            let (topic, gaps) = (self.topic.clone(), self.gaps.clone());
            match spawn_blocking(move || ask(&client, &topic, &gaps)).await {
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
                Err(_) => return Ok(()),
            }
        }
    }
}

fn ask(
    client: &Arc<BaseConsumer<Group>>,
    topic: &str,
    gaps: &Gaps,
) -> Result<Vec<Lag>, KafkaError> {
    let assigned = client.assignment()?;
    if assigned.count() == 0 {
        // Nothing to ask for but whether somebody answers.
        client.fetch_metadata(Some(topic), TIMEOUT)?;
        return Ok(Vec::new());
    }
    // What is deleted is asked for first: what is committed by then was not deleted too early.
    let partitions = assigned.elements();
    let partitions = partitions.iter().map(|place| place.partition());
    let mut bounds = BTreeMap::new();
    for partition in partitions {
        let found = client.fetch_watermarks(topic, partition, TIMEOUT)?;
        bounds.insert(partition, found);
    }
    let committed = client.committed_offsets(assigned, TIMEOUT)?;
    let lags = committed.elements().into_iter().filter_map(|place| {
        let (partition, committed) = (place.partition(), next(place.offset()));
        let &(first, end) = bounds.get(&partition)?;
        gaps.found(partition, committed..first);
        Some(Lag {
            place: partition.to_string(),
            records: u64::try_from(end - committed.max(first)).unwrap_or(0),
        })
    });
    Ok(lags.collect())
}
