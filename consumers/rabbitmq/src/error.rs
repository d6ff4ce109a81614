//! What can go wrong between us and RabbitMQ.

use clima_consumer_core::SourceError;

/// Why deliveries are not to be had, or not to be acknowledged.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The connection cannot be made, or the queue not be consumed from.
    #[error("cannot consume: {0}")]
    Connect(lapin::Error),
    /// The connection was lost, and the deliveries in hand with it.
    #[error("the connection was lost: {0}")]
    Lost(lapin::Error),
    /// The broker has cancelled the consumer, or closed its channel.
    #[error("the broker has ended the consumer")]
    Cancelled,
}

impl From<Error> for SourceError {
    fn from(error: Error) -> Self {
        Self(error.to_string())
    }
}
