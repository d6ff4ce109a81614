//! What librdkafka has to tell by itself: its log, and a producer's connections.

use clima_service::connections::Connections;
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::statistics::Statistics;

/// Sends what librdkafka has to say to our log. Its complaints about lost connections repeat several times
/// a second while a broker restarts, so they are not warnings.
#[derive(Debug, Clone, Copy)]
pub struct Logged;

impl ClientContext for Logged {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
                tracing::error!(facility, message, "librdkafka");
            }
            RDKafkaLogLevel::Error | RDKafkaLogLevel::Warning | RDKafkaLogLevel::Notice => {
                tracing::info!(facility, message, "librdkafka");
            }
            RDKafkaLogLevel::Info | RDKafkaLogLevel::Debug => {
                tracing::debug!(facility, message, "librdkafka");
            }
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::info!(%error, reason, "kafka client");
    }
}

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
