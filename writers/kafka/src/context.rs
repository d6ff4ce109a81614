//! What a producer's client has to tell: its log, and its connections.

use clima_service::connections::Connections;
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::statistics::Statistics;

use crate::topology::Logged;

/// Sends logs to [`Logged`] and the number of connections to a metric.
#[derive(Debug, Clone)]
pub(crate) struct Counted(Connections);

impl Counted {
    pub(crate) fn new(connections: Connections) -> Self {
        Self(connections)
    }
}

impl ClientContext for Counted {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        Logged.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        Logged.error(error, reason);
    }

    fn stats(&self, statistics: Statistics) {
        let brokers = statistics.brokers.values();
        self.0
            .told(brokers.filter(|broker| broker.state == "UP").count());
    }
}
