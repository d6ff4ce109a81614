//! What happens to records on their way from the broker to Valkey.

use std::sync::Arc;
use std::time::Duration;

use clima_proto::event::CheckedEvent;
use clima_service::buckets;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::age::Age;
use crate::hand::Hand;
use crate::lag::{Lag, Lags};
use crate::store::{Applied, Broker, StoreError};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Kind {
    kind: &'static str,
}

/// Metrics of a consumer.
#[derive(Debug, Clone)]
pub struct Metrics(Arc<Families>);

#[derive(Debug)]
struct Families {
    records: Counter,
    counted: Counter,
    duplicates: Counter,
    dead_letters: Counter,
    store_failures: Family<Kind, Counter>,
    source_failures: Counter,
    dead_letter_failures: Counter,
    acknowledge_failures: Counter,
    batch: Histogram,
    call: Histogram,
    latency: Histogram,
    unacknowledged: Gauge,
    age: Age,
    lags: Lags,
}

impl Metrics {
    /// Metrics below `consumer_`, in this registry, with the broker as a label.
    pub fn register(registry: &mut Registry, broker: Broker) -> Self {
        let registry = registry
            .sub_registry_with_label(("broker".into(), broker.to_string().into()))
            .sub_registry_with_prefix("consumer");
        let metrics = Families {
            records: Counter::default(),
            counted: Counter::default(),
            duplicates: Counter::default(),
            dead_letters: Counter::default(),
            store_failures: Family::default(),
            source_failures: Counter::default(),
            dead_letter_failures: Counter::default(),
            acknowledge_failures: Counter::default(),
            batch: Histogram::new(buckets::BATCH),
            call: Histogram::new(buckets::SECONDS),
            latency: Histogram::new(buckets::SECONDS),
            unacknowledged: Gauge::default(),
            age: Age::default(),
            lags: Lags::default(),
        };
        for kind in StoreError::KINDS {
            drop(metrics.store_failures.get_or_create(&Kind { kind }));
        }
        metrics.register_counters(registry);
        metrics.register_measures(registry);
        Self(Arc::new(metrics))
    }

    /// The broker answers, and these are all the lags that it tells.
    pub fn reached(&self, lags: impl IntoIterator<Item = Lag>) {
        self.0.age.reached();
        self.0.lags.tell(lags);
    }

    /// The broker does not answer.
    pub fn lost(&self) {
        self.0.age.lost();
    }

    /// Records that were settled are to be delivered again.
    pub fn not_acknowledged(&self) {
        self.0.acknowledge_failures.inc();
    }

    pub(crate) fn taken<P>(&self, hand: &Hand<P>) {
        let records = hand.records.len();
        self.0.records.inc_by(records as u64);
        self.0.batch.observe(records as f64);
        let unacknowledged = i64::try_from(records).unwrap_or(i64::MAX);
        self.0.unacknowledged.set(unacknowledged);
        self.0.age.taken(hand.oldest());
    }

    pub(crate) fn not_taken(&self) {
        self.0.source_failures.inc();
        self.0.age.lost();
    }

    pub(crate) fn called(&self, time: Duration) {
        self.0.call.observe(time.as_secs_f64());
    }

    pub(crate) fn counted(&self, events: &[CheckedEvent], applied: Applied) {
        self.0.counted.inc_by(applied.counted);
        self.0.duplicates.inc_by(applied.duplicates);
        let now = std::time::SystemTime::now();
        for event in events {
            let latency = event.received_at.age(now);
            self.0.latency.observe(latency.as_secs_f64());
        }
    }

    pub(crate) fn set_aside(&self) {
        self.0.dead_letters.inc();
    }

    pub(crate) fn not_set_aside(&self) {
        self.0.dead_letter_failures.inc();
    }

    pub(crate) fn store_failed(&self, error: &StoreError) {
        let kind = error.kind();
        self.0.store_failures.get_or_create(&Kind { kind }).inc();
    }

    /// How old the oldest record is that is known not to be acknowledged.
    pub(crate) fn age(&self) -> Duration {
        self.0.age.now()
    }

    pub(crate) fn acknowledged(&self) {
        self.0.unacknowledged.set(0);
        self.0.age.acknowledged();
    }
}

impl Families {
    fn register_counters(&self, registry: &mut Registry) {
        let mut counter = |name, help, counter: &Counter| {
            registry.register(name, help, counter.clone());
        };
        counter("records", "Records taken from the broker", &self.records);
        counter("counted", "Tweets counted", &self.counted);
        counter(
            "duplicates",
            "Deliveries of tweets that had been counted before",
            &self.duplicates,
        );
        counter(
            "dead_letters",
            "Records that can never be counted, set aside",
            &self.dead_letters,
        );
        counter(
            "source_failures",
            "Attempts to take records that failed; each is repeated",
            &self.source_failures,
        );
        counter(
            "dead_letter_failures",
            "Attempts to publish a dead letter that failed; each is repeated",
            &self.dead_letter_failures,
        );
        counter(
            "acknowledge_failures",
            "Acknowledgements that failed; their records come again",
            &self.acknowledge_failures,
        );
        registry.register(
            "store_failures",
            "Calls to Valkey that failed, by kind; each is repeated",
            self.store_failures.clone(),
        );
    }

    fn register_measures(&self, registry: &mut Registry) {
        registry.register_with_unit(
            "batch",
            "Records taken from the broker at a time",
            Unit::Other("records".to_owned()),
            self.batch.clone(),
        );
        registry.register_with_unit(
            "store_call",
            "One attempt to count a batch in Valkey, whatever its outcome",
            Unit::Seconds,
            self.call.clone(),
        );
        registry.register_with_unit(
            "accept_to_count",
            "From reception by the first process to the count, by the clocks of two machines",
            Unit::Seconds,
            self.latency.clone(),
        );
        registry.register(
            "unacknowledged",
            "Records in hand, not acknowledged yet",
            self.unacknowledged.clone(),
        );
        registry.register_collector(Box::new(self.age.clone()));
        self.lags.register(registry);
    }
}
