//! Deliveries on their way from the connection to the loop, counted as they come.
//!
//! The client holds what the broker has sent ahead, and does not tell how much that is. So a task takes the
//! deliveries from it at once and keeps them here: never more than the prefetch.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use clima_consumer_core::Record;
use futures::StreamExt as _;
use lapin::message::Delivery;
use tokio::sync::mpsc::UnboundedSender;

use crate::error::Error;

/// Tags of one channel: they count deliveries from 1.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tags(Arc<(AtomicU64, AtomicU64)>);

impl Tags {
    pub(crate) fn acknowledged(&self, tag: u64) {
        self.0.1.store(tag, Ordering::Relaxed);
    }

    /// Deliveries to this consumer that it has not acknowledged.
    pub(crate) fn unacknowledged(&self) -> u64 {
        let acknowledged = self.0.1.load(Ordering::Relaxed);
        self.0
            .0
            .load(Ordering::Relaxed)
            .saturating_sub(acknowledged)
    }

    fn delivered(&self, tag: u64) {
        self.0.0.store(tag, Ordering::Relaxed);
    }
}

/// Hands deliveries over until there are no more of them, or nobody takes them; the end comes as an error.
pub(crate) async fn hand_over(
    mut deliveries: lapin::Consumer,
    tags: Tags,
    records: UnboundedSender<Result<Record<u64>, Error>>,
) {
    loop {
        let arrived = record(deliveries.next().await);
        if let Ok(record) = &arrived {
            tags.delivered(record.position);
        }
        let last = arrived.is_err();
        if records.send(arrived).is_err() || last {
            return;
        }
    }
}

fn record(arrived: Option<Result<Delivery, lapin::Error>>) -> Result<Record<u64>, Error> {
    let delivery = arrived.ok_or(Error::Cancelled)?.map_err(Error::Lost)?;
    Ok(Record {
        position: delivery.delivery_tag,
        payload: delivery.data,
    })
}
