//! What a broker must do for a tweet.

use std::future::Future;

use clima_proto::clima::v1::TweetEvent;
use clima_proto::fate::Fate;
use tonic::{Code, Status};

/// Publishes events to one broker.
pub trait Publisher: Send + Sync + 'static {
    /// Name of the broker in messages and metrics.
    const BROKER: &'static str;

    /// Returns once the broker has confirmed that the event is durable.
    ///
    /// Dropping the future does not take the event back.
    ///
    /// # Errors
    ///
    /// The event was not handed to the broker, or not confirmed by it. In the second case it may be durable.
    fn publish(&self, event: &TweetEvent) -> impl Future<Output = Result<(), PublishError>> + Send;
}

/// Why an event is not known to be durable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// The client's own queue is full. Nothing left.
    #[error("the queue to the broker is full")]
    Overloaded,
    /// There is no usable connection, or the broker takes no more for now. Nothing left.
    #[error("the broker is not available: {0}")]
    Unavailable(String),
    /// The broker takes nothing, and not only for a moment: it says so, or has been away for long. Nothing left.
    #[error("the broker takes nothing: {0}")]
    Held(String),
    /// The event left, or may have, and no confirmation came.
    #[error("the broker did not confirm: {0}")]
    Unconfirmed(String),
}

impl PublishError {
    /// All reasons.
    pub(crate) const REASONS: [&str; 4] = ["overloaded", "unavailable", "held", "unconfirmed"];

    /// A name for the label of a metric.
    pub(crate) fn reason(&self) -> &'static str {
        let [overloaded, unavailable, held, unconfirmed] = Self::REASONS;
        match self {
            Self::Overloaded => overloaded,
            Self::Unavailable(_) => unavailable,
            Self::Held(_) => held,
            Self::Unconfirmed(_) => unconfirmed,
        }
    }

    /// The status for the caller. The broker's own words are for the log.
    pub(crate) fn status(&self, broker: &str) -> Status {
        match self {
            Self::Overloaded => Fate::NotCounted.status(
                Code::ResourceExhausted,
                format!("the queue to {broker} is full"),
            ),
            Self::Unavailable(_) => {
                Fate::NotCounted.status(Code::Unavailable, format!("{broker} is not available"))
            }
            Self::Held(_) => {
                Fate::NotCounted.held(broker, format!("{broker} takes no messages for now"))
            }
            Self::Unconfirmed(_) => {
                Fate::MaybeCounted.status(Code::Unavailable, format!("{broker} did not confirm"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_never_left_is_not_counted_and_no_status_shows_the_brokers_words() {
        let secret = || "10.0.0.7 said so".to_owned();
        for (error, code, fate) in [
            (
                PublishError::Overloaded,
                Code::ResourceExhausted,
                Fate::NotCounted,
            ),
            (
                PublishError::Unavailable(secret()),
                Code::Unavailable,
                Fate::NotCounted,
            ),
            (
                PublishError::Held(secret()),
                Code::Unavailable,
                Fate::NotCounted,
            ),
            (
                PublishError::Unconfirmed(secret()),
                Code::Unavailable,
                Fate::MaybeCounted,
            ),
        ] {
            let status = error.status("Kafka");
            assert_eq!((status.code(), Fate::of(&status)), (code, fate));
            assert!(!status.message().contains("10.0.0.7"));
        }
    }
}
