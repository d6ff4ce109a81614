//! What happens on the way to the next process.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    service: &'static str,
}

/// Metrics of all ways out of a process, by service.
#[derive(Debug)]
pub struct IngestMetrics {
    batches: Family<Labels, Histogram, fn() -> Histogram>,
    failures: Family<Labels, Counter>,
    retries: Family<Labels, Counter>,
}

impl IngestMetrics {
    /// Metrics below `ingest_`, in this registry.
    pub fn register(registry: &mut Registry) -> Self {
        let registry = registry.sub_registry_with_prefix("ingest");
        let metrics = Self {
            batches: Family::new_with_constructor(|| {
                Histogram::new(exponential_buckets(1.0, 2.0, 11))
            }),
            failures: Family::default(),
            retries: Family::default(),
        };
        registry.register(
            "batch_events",
            "Events in one call to the next process",
            metrics.batches.clone(),
        );
        registry.register(
            "call_failures",
            "Calls to the next process that failed as a whole",
            metrics.failures.clone(),
        );
        registry.register(
            "retries",
            "Events sent again to the next process",
            metrics.retries.clone(),
        );
        metrics
    }

    pub(super) fn batch(&self, service: &'static str, events: usize) {
        self.batches
            .get_or_create(&Labels { service })
            .observe(events as f64);
    }

    pub(super) fn failed(&self, service: &'static str) {
        self.failures.get_or_create(&Labels { service }).inc();
    }

    pub(super) fn retried(&self, service: &'static str) {
        self.retries.get_or_create(&Labels { service }).inc();
    }
}
