//! What becomes of events at the broker.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use tokio::time::Instant;

use clima_service::buckets;

use crate::PublishError;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    reason: &'static str,
}

/// Nobody waits any more: the deadline has passed, or the caller is gone.
const ABANDONED: &str = "abandoned";

/// Events published to one broker.
#[derive(Debug)]
pub(crate) struct PublishMetrics {
    confirmed: Counter,
    failed: Family<Labels, Counter>,
    latency: Histogram,
}

impl PublishMetrics {
    /// Metrics below `publish_`, in this registry, with the broker as a label.
    pub(crate) fn register(registry: &mut Registry, broker: &str) -> Self {
        let registry = registry
            .sub_registry_with_label(("broker".into(), broker.to_lowercase().into()))
            .sub_registry_with_prefix("publish");
        let metrics = Self {
            confirmed: Counter::default(),
            failed: Family::default(),
            latency: Histogram::new(buckets::SECONDS),
        };
        for reason in PublishError::REASONS.into_iter().chain([ABANDONED]) {
            drop(metrics.failed.get_or_create(&Labels { reason }));
        }
        registry.register(
            "confirmed",
            "Events that the broker has confirmed to be durable",
            metrics.confirmed.clone(),
        );
        registry.register(
            "failed",
            "Events that are not known to be durable, by reason",
            metrics.failed.clone(),
        );
        registry.register_with_unit(
            "confirm_latency",
            "From the hand-over to the client of the broker to the confirmation",
            Unit::Seconds,
            metrics.latency.clone(),
        );
        metrics
    }

    /// An event is handed over: whatever becomes of it is counted once.
    pub(crate) fn handed_over(&self) -> Publishing<'_> {
        Publishing {
            metrics: self,
            at: Instant::now(),
            answered: false,
        }
    }

    fn failed(&self, reason: &'static str) {
        self.failed.get_or_create(&Labels { reason }).inc();
    }
}

/// An event that waits for its confirmation.
#[derive(Debug)]
pub(crate) struct Publishing<'a> {
    metrics: &'a PublishMetrics,
    at: Instant,
    answered: bool,
}

impl Publishing<'_> {
    pub(crate) fn answered(mut self, outcome: &Result<(), PublishError>) {
        self.answered = true;
        match outcome {
            Ok(()) => {
                self.metrics.confirmed.inc();
                let latency = self.at.elapsed().as_secs_f64();
                self.metrics.latency.observe(latency);
            }
            Err(error) => self.metrics.failed(error.reason()),
        }
    }
}

impl Drop for Publishing<'_> {
    fn drop(&mut self) {
        if !self.answered {
            self.metrics.failed(ABANDONED);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_is_confirmed_or_failed_for_one_reason() {
        let mut registry = Registry::default();
        let metrics = PublishMetrics::register(&mut registry, "Kafka");
        metrics.handed_over().answered(&Ok(()));
        let full = Err(PublishError::Overloaded);
        metrics.handed_over().answered(&full);
        drop(metrics.handed_over());
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for line in [
            "publish_confirmed_total{broker=\"kafka\"} 1",
            "publish_failed_total{broker=\"kafka\",reason=\"overloaded\"} 1",
            "publish_failed_total{broker=\"kafka\",reason=\"abandoned\"} 1",
            "publish_failed_total{broker=\"kafka\",reason=\"unconfirmed\"} 0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}: {text}");
        }
    }
}
