//! Returns dead letters to where they came from.
//!
//! A record is set aside when no consumer can count it. After a consumer was corrected, its dead letters may
//! have become countable: they are published again, byte for byte, and only then removed. An id that was
//! counted meanwhile is recognised, so this may be repeated at will. What is still poison comes back.

mod kafka;
mod rabbitmq;

use anyhow::Context as _;

use crate::{Part, StackFile};

/// How many dead letters of each path were returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Redriven {
    /// To Kafka's topic.
    pub kafka: u64,
    /// To RabbitMQ's exchange.
    pub rabbitmq: u64,
}

/// Returns the dead letters that are there now; what is set aside meanwhile is left for the next time.
///
/// # Errors
/// When a broker does not answer, or does not confirm. What was returned so far stays returned.
pub async fn redrive(stack: &StackFile) -> anyhow::Result<Redriven> {
    Ok(Redriven {
        kafka: kafka::redrive(&stack.addresses[&Part::Kafka])
            .await
            .context("the dead letters of Kafka cannot be returned")?,
        rabbitmq: rabbitmq::redrive(&stack.rabbitmq.url(&stack.addresses[&Part::Rabbitmq]))
            .await
            .context("the dead letters of RabbitMQ cannot be returned")?,
    })
}
