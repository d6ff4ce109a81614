//! How much the broker holds that was not acknowledged.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

/// How often a broker is asked for the lag.
pub const ASK_EVERY: Duration = Duration::from_secs(5);

/// Records that were not acknowledged, in one place of the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lag {
    /// Kafka: the partition. RabbitMQ: `ready`, or `unacknowledged` by this consumer.
    pub place: String,
    /// How many.
    pub records: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
struct Labels {
    place: String,
}

/// The lags that were told last.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lags {
    records: Family<Labels, Gauge>,
    told: Arc<Mutex<BTreeSet<Labels>>>,
}

impl Lags {
    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register_with_unit(
            "lag",
            "Records that the broker holds and nobody has acknowledged, by place",
            Unit::Other("records".to_owned()),
            self.records.clone(),
        );
    }

    /// Takes the place of all that was told before: a partition that is another's now has no lag here.
    pub(crate) fn tell(&self, lags: impl IntoIterator<Item = Lag>) {
        let mut told = BTreeSet::new();
        for Lag { place, records } in lags {
            let labels = Labels { place };
            let records = i64::try_from(records).unwrap_or(i64::MAX);
            self.records.get_or_create(&labels).set(records);
            told.insert(labels);
        }
        let mut before = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        for gone in before.difference(&told) {
            self.records.remove(gone);
        }
        *before = told;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_that_went_to_another_is_told_no_more() {
        let mut registry = Registry::default();
        let lags = Lags::default();
        lags.register(&mut registry);
        let lag = |place: &str, records| Lag {
            place: place.to_owned(),
            records,
        };
        lags.tell([lag("0", 4), lag("1", 5)]);
        lags.tell([lag("1", 6)]);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        assert!(text.contains("lag_records{place=\"1\"} 6\n"), "{text}");
        assert!(!text.contains("place=\"0\""), "{text}");
    }
}
