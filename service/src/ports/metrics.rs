//! What becomes of tweets at the ports of a process.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use tokio::time::Instant;
use tonic::{Code, Status};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    code: String,
}

/// Tweets answered, by gRPC code, and how long an accepted one took.
#[derive(Debug)]
pub struct TweetMetrics {
    accepted: Counter<u64, AtomicU64>,
    refused: Family<Labels, Counter>,
    latency: Histogram,
}

impl TweetMetrics {
    /// Metrics below `tweets_`, in this registry.
    pub fn register(registry: &mut Registry) -> Self {
        let registry = registry.sub_registry_with_prefix("tweets");
        let metrics = Self {
            accepted: Counter::default(),
            refused: Family::default(),
            latency: Histogram::new(exponential_buckets(0.000_5, 2.0, 15)),
        };
        registry.register(
            "accepted",
            "Tweets answered with OK",
            metrics.accepted.clone(),
        );
        registry.register(
            "refused",
            "Tweets answered with an error, by gRPC code",
            metrics.refused.clone(),
        );
        registry.register_with_unit(
            "accept_latency",
            "From reception to OK",
            Unit::Seconds,
            metrics.latency.clone(),
        );
        metrics
    }

    /// Counts one answer to a tweet that came in at `started`.
    pub fn answered(&self, outcome: &Result<(), Status>, started: Instant) {
        match outcome {
            Ok(()) => {
                self.accepted.inc();
                self.latency.observe(started.elapsed().as_secs_f64());
            }
            Err(status) => self.refused(status.code()),
        }
    }

    fn refused(&self, code: Code) {
        let code = format!("{code:?}");
        self.refused.get_or_create(&Labels { code }).inc();
    }
}
