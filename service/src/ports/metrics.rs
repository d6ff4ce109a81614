//! What becomes of tweets at the ports of a process.

use std::sync::Arc;

use clima_proto::fate::Fate;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use tokio::time::Instant;
use tonic::{Code, Status};

use crate::buckets;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Refusal {
    code: &'static str,
    fate: &'static str,
}

impl Refusal {
    fn new(code: Code, fate: Fate) -> Self {
        Self {
            code: name(code),
            fate: fate.reason(),
        }
    }
}

/// Refusals that every process may have. They are there from the start, as zeros, so that the first one is seen
/// as an increase.
const USUAL: [(Code, Fate); 7] = [
    (Code::InvalidArgument, Fate::NotCounted),
    (Code::ResourceExhausted, Fate::NotCounted),
    (Code::Unavailable, Fate::NotCounted),
    (Code::Unavailable, Fate::MaybeCounted),
    (Code::DeadlineExceeded, Fate::NotCounted),
    (Code::DeadlineExceeded, Fate::MaybeCounted),
    (Code::Cancelled, Fate::MaybeCounted),
];

/// Tweets that came in, how each was answered, and how long an accepted one took.
#[derive(Debug, Clone)]
pub struct TweetMetrics(Arc<Families>);

#[derive(Debug)]
struct Families {
    accepted: Counter,
    refused: Family<Refusal, Counter>,
    latency: Histogram,
    in_flight: Gauge,
    limit: Gauge,
}

impl TweetMetrics {
    /// Metrics below `tweets_`, in this registry.
    pub fn register(registry: &mut Registry) -> Self {
        let registry = registry.sub_registry_with_prefix("tweets");
        let metrics = Families {
            accepted: Counter::default(),
            refused: Family::default(),
            latency: Histogram::new(buckets::SECONDS),
            in_flight: Gauge::default(),
            limit: Gauge::default(),
        };
        for (code, fate) in USUAL {
            drop(metrics.refused.get_or_create(&Refusal::new(code, fate)));
        }
        registry.register(
            "accepted",
            "Tweets answered with OK",
            metrics.accepted.clone(),
        );
        registry.register(
            "refused",
            "Requests and tweets answered with an error, by gRPC code and fate; CANCELLED went away before the answer",
            metrics.refused.clone(),
        );
        registry.register_with_unit(
            "accept_latency",
            "From reception to OK",
            Unit::Seconds,
            metrics.latency.clone(),
        );
        registry.register(
            "in_flight",
            "Tweets admitted and not answered yet",
            metrics.in_flight.clone(),
        );
        registry.register(
            "in_flight_limit",
            "Most tweets in flight; more are refused",
            metrics.limit.clone(),
        );
        Self(Arc::new(metrics))
    }

    /// Tells the most tweets that may be in flight.
    pub fn limited_to(&self, limit: usize) {
        self.0.limit.set(i64::try_from(limit).unwrap_or(i64::MAX));
    }

    /// A tweet came in: whatever becomes of it is counted once.
    pub fn arrived(&self) -> Arrival {
        Arrival {
            metrics: Some(self.clone()),
            at: Instant::now(),
        }
    }

    /// A tweet was admitted; it is in flight until the returned value is dropped.
    pub fn admitted(&self) -> InFlight {
        self.0.in_flight.inc();
        InFlight(self.0.in_flight.clone())
    }

    /// A request was refused that is no tweet, or is answered elsewhere.
    pub fn refused(&self, code: Code, fate: Fate) {
        let refused = &self.0.refused;
        refused.get_or_create(&Refusal::new(code, fate)).inc();
    }
}

/// A tweet that waits for its answer.
#[derive(Debug)]
pub struct Arrival {
    metrics: Option<TweetMetrics>,
    at: Instant,
}

impl Arrival {
    /// When it came in.
    pub fn at(&self) -> Instant {
        self.at
    }

    /// It was answered.
    pub fn answered(mut self, outcome: &Result<(), Status>) {
        let Some(metrics) = self.metrics.take() else {
            return;
        };
        match outcome {
            Ok(()) => {
                metrics.0.accepted.inc();
                metrics.0.latency.observe(self.at.elapsed().as_secs_f64());
            }
            Err(status) => metrics.refused(status.code(), Fate::of(status)),
        }
    }
}

impl Drop for Arrival {
    /// Without an answer the caller went away, or gave up at its deadline: nobody knows how far the tweet came.
    fn drop(&mut self) {
        if let Some(metrics) = self.metrics.take() {
            metrics.refused(Code::Cancelled, Fate::MaybeCounted);
        }
    }
}

/// A tweet in flight.
#[derive(Debug)]
pub struct InFlight(Gauge);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// The code as the gRPC specification writes it.
pub(crate) fn name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus_client::encoding::text::encode;

    #[test]
    fn every_tweet_that_arrives_is_counted_once_whatever_becomes_of_it() {
        let mut registry = Registry::default();
        let metrics = TweetMetrics::register(&mut registry);
        metrics.limited_to(9);
        metrics.arrived().answered(&Ok(()));
        let overload = Fate::NotCounted.status(Code::ResourceExhausted, "full");
        metrics.arrived().answered(&Err(overload));
        // The caller went away.
        drop(metrics.arrived());
        let in_flight = metrics.admitted();
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        for line in [
            "tweets_accepted_total 1",
            "tweets_accept_latency_seconds_count 1",
            "tweets_refused_total{code=\"RESOURCE_EXHAUSTED\",fate=\"NOT_COUNTED\"} 1",
            "tweets_refused_total{code=\"CANCELLED\",fate=\"MAYBE_COUNTED\"} 1",
            "tweets_refused_total{code=\"UNAVAILABLE\",fate=\"NOT_COUNTED\"} 0",
            "tweets_in_flight 1",
            "tweets_in_flight_limit 9",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}: {text}");
        }
        drop(in_flight);
        assert_eq!(metrics.0.in_flight.get(), 0);
    }
}
