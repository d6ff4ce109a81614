//! Every version that the local stack pins, in one place.
//!
//! A changed version means a new folder in the cache, so old and new never mix.

/// Apache Kafka, from Maven Central. Stays on 4.3.1: `kafka-tools` was not published for 4.4.0.
pub const KAFKA: &str = "4.3.1";

/// The logging backend of Kafka's broker.
pub const LOG4J: &str = "2.25.4";

/// The Debian release whose packages give RabbitMQ (4.0.5) and Valkey (8.1.1).
pub const DEBIAN: &str = "trixie";

/// Raised when the steps of an installation change while the versions above stay.
pub const RECIPE: u32 = 1;
