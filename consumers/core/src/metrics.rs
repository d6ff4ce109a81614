//! What happens to records on their way from the broker to Valkey.

use std::sync::atomic::AtomicU64;
use std::time::{Duration, SystemTime};

use clima_proto::event::CheckedEvent;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use crate::store::{Applied, StoreError};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Kind {
    kind: &'static str,
}

/// Metrics of a consumer.
#[derive(Debug)]
pub(crate) struct Metrics {
    counted: Counter,
    duplicates: Counter,
    dead_letters: Counter,
    failures: Family<Kind, Counter>,
    batch: Histogram,
    latency: Histogram,
    unacknowledged: Gauge,
    oldest: Gauge<f64, AtomicU64>,
}

impl Metrics {
    /// Metrics below `consumer_`, in this registry.
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let registry = registry.sub_registry_with_prefix("consumer");
        let metrics = Self {
            counted: Counter::default(),
            duplicates: Counter::default(),
            dead_letters: Counter::default(),
            failures: Family::default(),
            batch: Histogram::new(exponential_buckets(1.0, 2.0, 12)),
            latency: Histogram::new(exponential_buckets(0.001, 2.0, 18)),
            unacknowledged: Gauge::default(),
            oldest: Gauge::default(),
        };
        registry.register("counted", "Tweets counted", metrics.counted.clone());
        registry.register(
            "duplicates",
            "Deliveries of tweets that had been counted before",
            metrics.duplicates.clone(),
        );
        registry.register(
            "dead_letters",
            "Records that can never be counted, set aside",
            metrics.dead_letters.clone(),
        );
        registry.register(
            "store_failures",
            "Calls to Valkey that failed, by kind; each is repeated",
            metrics.failures.clone(),
        );
        registry.register(
            "batch_records",
            "Records taken from the broker at a time",
            metrics.batch.clone(),
        );
        registry.register_with_unit(
            "accept_to_count",
            "From reception by the first process to the count",
            Unit::Seconds,
            metrics.latency.clone(),
        );
        registry.register(
            "unacknowledged",
            "Records in hand, not acknowledged yet",
            metrics.unacknowledged.clone(),
        );
        registry.register_with_unit(
            "oldest_unacknowledged_age",
            "Age of the oldest tweet in hand; 0 with none in hand",
            Unit::Seconds,
            metrics.oldest.clone(),
        );
        metrics
    }

    pub(crate) fn taken(&self, records: usize) {
        self.batch.observe(records as f64);
        self.unacknowledged
            .set(i64::try_from(records).unwrap_or(i64::MAX));
    }

    pub(crate) fn counted(&self, events: &[CheckedEvent], applied: Applied) {
        self.counted.inc_by(applied.counted);
        self.duplicates.inc_by(applied.duplicates);
        let now = SystemTime::now();
        for event in events {
            self.latency
                .observe(event.received_at.age(now).as_secs_f64());
        }
    }

    pub(crate) fn set_aside(&self) {
        self.dead_letters.inc();
    }

    pub(crate) fn store_failed(&self, error: &StoreError) {
        self.failures
            .get_or_create(&Kind { kind: error.kind() })
            .inc();
    }

    /// Tells how old the oldest tweet in hand is, and returns it.
    pub(crate) fn waiting(&self, events: &[CheckedEvent]) -> Duration {
        let oldest = events.iter().map(|event| event.received_at).min();
        let age = oldest.map_or(Duration::ZERO, |oldest| oldest.age(SystemTime::now()));
        self.oldest.set(age.as_secs_f64());
        age
    }

    pub(crate) fn acknowledged(&self) {
        self.unacknowledged.set(0);
        self.oldest.set(0.0);
    }
}
