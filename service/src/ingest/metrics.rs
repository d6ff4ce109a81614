//! What happens on the way to the next process.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use std::time::Duration;

use crate::buckets;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct To {
    to: &'static str,
}

/// Metrics of all ways out of a process, by the service that they lead to.
#[derive(Debug)]
pub struct IngestMetrics {
    batches: Family<To, Histogram, fn() -> Histogram>,
    calls: Family<To, Histogram, fn() -> Histogram>,
    failures: Family<To, Counter>,
    retries: Family<To, Counter>,
    replicas: Family<To, Gauge>,
}

impl IngestMetrics {
    /// Metrics below `ingest_`, in this registry.
    pub fn register(registry: &mut Registry) -> Self {
        let registry = registry.sub_registry_with_prefix("ingest");
        let metrics = Self {
            batches: Family::new_with_constructor(|| Histogram::new(buckets::BATCH)),
            calls: Family::new_with_constructor(|| Histogram::new(buckets::SECONDS)),
            failures: Family::default(),
            retries: Family::default(),
            replicas: Family::default(),
        };
        registry.register_with_unit(
            "batch",
            "Tweets in one call to the next process",
            Unit::Other("tweets".to_owned()),
            metrics.batches.clone(),
        );
        registry.register_with_unit(
            "call",
            "One call to the next process, whatever its outcome",
            Unit::Seconds,
            metrics.calls.clone(),
        );
        registry.register(
            "call_failures",
            "Calls to the next process that failed as a whole",
            metrics.failures.clone(),
        );
        registry.register(
            "retries",
            "Tweets sent again to the next process, with the same id",
            metrics.retries.clone(),
        );
        registry.register(
            "replicas",
            "Addresses of the next process that its name leads to and that take connections",
            metrics.replicas.clone(),
        );
        metrics
    }

    /// The number of addresses of `to`. What else is counted about it is there from now on, as zeros.
    pub fn replicas(&self, to: &'static str) -> Gauge {
        let to = To { to };
        drop(self.failures.get_or_create(&to));
        drop(self.retries.get_or_create(&to));
        drop(self.calls.get_or_create(&to));
        drop(self.batches.get_or_create(&to));
        self.replicas.get_or_create_owned(&to)
    }

    pub(super) fn called(&self, to: &'static str, events: usize, time: Duration) {
        let to = To { to };
        self.batches.get_or_create(&to).observe(events as f64);
        self.calls.get_or_create(&to).observe(time.as_secs_f64());
    }

    pub(super) fn failed(&self, to: &'static str) {
        self.failures.get_or_create(&To { to }).inc();
    }

    pub(super) fn retried(&self, to: &'static str) {
        self.retries.get_or_create(&To { to }).inc();
    }
}
