//! What can go wrong between us and Kafka.

use clima_consumer_core::SourceError;
use clima_writer_kafka::ProducerError;
use rdkafka::error::KafkaError;

/// Why records are not to be had, or not to be acknowledged.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The client refuses its settings.
    #[error("the client refuses its settings: {0}")]
    Settings(KafkaError),
    /// The dead-letter producer refuses its settings.
    #[error(transparent)]
    DeadLetter(#[from] ProducerError),
    /// The polling thread cannot be started.
    #[error("cannot start the polling thread: {0}")]
    Thread(std::io::Error),
    /// The polling thread is gone.
    #[error("the polling thread has ended")]
    Ended,
    /// The client reports an error in place of a record.
    #[error("cannot poll: {0}")]
    Poll(KafkaError),
    /// The client can never take a record again: another process has taken its instance name, say.
    #[error("the client has failed for good: {0}")]
    Fatal(String),
    /// The offsets were not committed.
    #[error("cannot commit: {0}")]
    Commit(KafkaError),
    /// Nobody knows whether the offsets were committed.
    #[error("cannot tell what was committed: {0}")]
    Unknown(tokio::task::JoinError),
    /// The partitions have moved since the batch was taken.
    #[error("the partitions were assigned anew")]
    Reassigned,
}

impl From<Error> for SourceError {
    fn from(error: Error) -> Self {
        Self(error.to_string())
    }
}
