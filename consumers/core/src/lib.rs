//! What both consumers share.
//!
//! - [`store`]: counts a batch of tweets in Valkey, each id once.
//!
//! It knows nothing of Kafka or RabbitMQ: a consumer brings checked events and acknowledges them to its
//! broker after they were counted.

pub mod store;
