//! What can go wrong between us and Kafka.

use clima_writer_core::PublishError;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

/// Why a record is not known to be durable, or the client not usable.
#[derive(Debug, thiserror::Error)]
pub enum ProducerError {
    /// The client refuses its settings.
    #[error("the client refuses its settings")]
    Settings(#[source] KafkaError),
    /// The client's queue is full: nothing left.
    #[error("the client's queue is full")]
    QueueFull,
    /// The client refused the record before it queued it: nothing left.
    #[error("the client refused the record: {0}")]
    Refused(KafkaError),
    /// The delivery report is an error. librdkafka knows whether the record may have been written, but its
    /// binding does not tell, so every such error is ambiguous.
    #[error("not delivered: {0}")]
    Undelivered(KafkaError),
    /// The client was closed before the report came.
    #[error("the client was closed")]
    Closed,
}

impl ProducerError {
    /// A record that never entered the queue.
    pub(crate) fn not_queued(error: KafkaError) -> Self {
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::QueueFull) => Self::QueueFull,
            _ => Self::Refused(error),
        }
    }

    /// True when this client can never produce again and another must take its place.
    pub(crate) fn is_fatal(&self) -> bool {
        match self {
            Self::Refused(error) | Self::Undelivered(error) => {
                error.rdkafka_error_code() == Some(RDKafkaErrorCode::Fatal)
            }
            _ => false,
        }
    }
}

impl From<ProducerError> for PublishError {
    fn from(error: ProducerError) -> Self {
        match error {
            ProducerError::QueueFull => Self::Overloaded,
            ProducerError::Settings(_) | ProducerError::Refused(_) => {
                Self::Unavailable(error.to_string())
            }
            ProducerError::Undelivered(_) | ProducerError::Closed => {
                Self::Unconfirmed(error.to_string())
            }
        }
    }
}
