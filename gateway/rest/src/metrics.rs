//! What happens at the HTTP port, whoever answers: a route, the router, or hyper.

use std::sync::Arc;

use clima_proto::fate::Fate;
use clima_proto::http_code;
use clima_service::ports::TweetMetrics;
use http::StatusCode;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    status: u16,
}

/// Statuses that are there from the start, as zeros: those that the front is made to answer with.
const USUAL: [u16; 11] = [200, 400, 404, 405, 408, 413, 415, 429, 431, 503, 504];

/// Metrics of the HTTP port.
#[derive(Debug, Clone)]
pub(crate) struct HttpMetrics(Arc<Families>);

#[derive(Debug)]
struct Families {
    responses: Family<Labels, Counter>,
    connections: Gauge,
    limit: Gauge,
    tweets: TweetMetrics,
}

impl HttpMetrics {
    /// Metrics below `http_`, in this registry; what hyper refuses counts with `tweets`, too.
    pub(crate) fn register(registry: &mut Registry, tweets: TweetMetrics) -> Self {
        let registry = registry.sub_registry_with_prefix("http");
        let metrics = Families {
            responses: Family::default(),
            connections: Gauge::default(),
            limit: Gauge::default(),
            tweets,
        };
        for status in USUAL {
            drop(metrics.responses.get_or_create(&Labels { status }));
        }
        registry.register(
            "responses",
            "Answers to HTTP requests, by status",
            metrics.responses.clone(),
        );
        registry.register(
            "connections",
            "Connections of clients that are open",
            metrics.connections.clone(),
        );
        registry.register(
            "connections_limit",
            "Most connections at a time; more wait in the operating system",
            metrics.limit.clone(),
        );
        Self(Arc::new(metrics))
    }

    /// Tells the most connections at a time.
    pub(crate) fn limited_to(&self, connections: u32) {
        self.0.limit.set(connections.into());
    }

    /// A request was answered.
    pub(crate) fn answered(&self, status: StatusCode) {
        let status = status.as_u16();
        self.0.responses.get_or_create(&Labels { status }).inc();
    }

    /// A request was refused by hyper, before the router.
    pub(crate) fn unreadable(&self, status: StatusCode) {
        self.answered(status);
        let code = http_code::to_grpc(status);
        self.0.tweets.refused(code, Fate::NotCounted);
    }

    /// A client has connected; it is connected until the returned value is dropped.
    pub(crate) fn connected(&self) -> Connected {
        self.0.connections.inc();
        Connected(self.0.connections.clone())
    }
}

/// An open connection.
#[derive(Debug)]
pub(crate) struct Connected(Gauge);

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.dec();
    }
}
