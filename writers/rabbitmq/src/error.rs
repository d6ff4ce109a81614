//! What can go wrong between us and RabbitMQ.

use clima_writer_core::PublishError;

/// Why a message is not known to be durable.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ProducerError {
    /// There is no connection now: nothing left.
    #[error("not connected")]
    Disconnected,
    /// The broker has blocked publishers, for want of memory or disk: nothing left.
    #[error("the broker has blocked publishers: {0}")]
    Blocked(String),
    /// All channels are full of unconfirmed messages: nothing left.
    #[error("the channels are full")]
    Full,
    /// The broker refused the message: it is not in the queue, or not surely.
    #[error("the broker refused the message")]
    Nacked,
    /// A message of the same channel came back unroutable, perhaps this one.
    #[error("a message of the channel came back unroutable: {0}")]
    Returned(String),
    /// The connection was lost before the confirmation came.
    #[error("the connection was lost: {0}")]
    Lost(String),
}

impl From<ProducerError> for PublishError {
    fn from(error: ProducerError) -> Self {
        match error {
            ProducerError::Full => Self::Overloaded,
            ProducerError::Disconnected => Self::Unavailable(error.to_string()),
            ProducerError::Blocked(reason) => Self::Held(reason),
            ProducerError::Nacked | ProducerError::Returned(_) | ProducerError::Lost(_) => {
                Self::Unconfirmed(error.to_string())
            }
        }
    }
}
